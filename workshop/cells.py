"""Which names the code of a notebook's cell reads and binds."""

import ast
import copy
import symtable
from collections.abc import Iterator

_INNER = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith)


def bound(tree: ast.AST) -> list[str]:
    """Names bound at the top level of a cell, in order; a comprehension's variables are its own."""
    return list(dict.fromkeys(_bound(tree)))


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, _INNER):  # only `:=` reaches out of a comprehension
        yield from (n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    else:
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def read(tree: ast.Module) -> set[str]:
    """Names of its notebook that a cell reads: neither its functions' own, nor set by it before."""
    found, known = set(), set()
    for statement in _steps(tree.body):
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        names = set(_globals(table))
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
        found |= names - known
        known |= set(bound(statement))
    return found


def _steps(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements as they run: the head of a loop, `if` or `with` sets names for its lines."""
    for statement in statements:
        if not isinstance(statement, _BLOCKS):
            yield statement
            continue
        head = copy.copy(statement)
        head.body = [ast.Pass()]
        if hasattr(head, "orelse"):
            head.orelse = []
        yield head
        yield from _steps(statement.body)
        yield from _steps(getattr(statement, "orelse", []))


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)
