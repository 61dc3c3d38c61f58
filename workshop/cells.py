"""Which names the code of a notebook's cell reads and binds."""

import ast
import symtable
from collections.abc import Iterator


def bound(tree: ast.Module) -> list[str]:
    """Names bound at the top level of a cell, in order."""
    names = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names += [n.id for n in stored if isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def read(tree: ast.Module) -> set[str]:
    """Names of its notebook that a cell reads: neither its functions' own, nor set by it before."""
    found, known = set(), set()
    for statement in tree.body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        found |= set(_globals(table)) - known
        known |= set(bound(ast.Module([statement], [])))
    return found


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)
