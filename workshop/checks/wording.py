"""What a check said, in the course's own words: without the values that it quotes of an answer.

The source of a check says `f"the best two are rows 1 and 2, not {got}"`, so the wording of what it
says is "the best two are rows 1 and 2, not …". A room is told the wording alone: nothing that a
learner wrote can be in it.
"""

import ast
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
GAP = "…"  # where a value was
_LETTERS = 4  # of a wording, at least: with fewer it would fit anything


def wording(id: str, message: str) -> str:
    """The wording of what the check of exercise `id` said; empty if no text of the checks fits it.

    Where a check puts one text into another, as in `f"{what}: {said}"`, it is the longer of them.
    """
    texts = _texts(id.split(".")[0])
    whole = [parts for parts in texts if _fits(parts, message)]
    inside = [
        parts for parts in texts if _letters(parts) >= 12 and _fits(("", *parts, ""), message)
    ]
    return GAP.join(max(whole or inside, key=_letters, default=("",)))


def is_wording(id: str, text: str) -> bool:
    """Whether that is a wording of the checks of this exercise's chapter."""
    return tuple(text.split(GAP)) in _texts(id.split(".")[0])


@functools.cache
def _texts(chapter: str) -> frozenset[tuple[str, ...]]:
    """The texts in the source of a chapter's checks, each as what stands between its values."""
    found: set[tuple[str, ...]] = set()
    for name in ("__init__", "serving", f"ch{chapter:0>2}"):
        path = HERE / f"{name}.py"
        if path.exists():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.update(parts for node in _outermost(tree) for parts in _wordings(node))
    # one without a space is no sentence, but a name or an address
    return frozenset(p for p in found if _letters(p) >= _LETTERS and " " in "".join(p))


def _letters(parts: tuple[str, ...]) -> int:
    return sum(c.isalpha() for c in "".join(parts))


def _outermost(node: ast.AST) -> Iterator[ast.expr]:
    """Strings, and what is made of strings, but not their pieces."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or _is_text(child) or _is_sum(child):
            yield child
        if not isinstance(child, ast.JoinedStr):
            yield from _outermost(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def _wordings(node: ast.expr) -> Iterator[tuple[str, ...]]:
    """All that a string can say; a choice between two texts makes two of it."""
    for pieces in itertools.product(*_pieces(node)):
        text = "".join(pieces)
        while GAP * 2 in text:
            text = text.replace(GAP * 2, GAP)
        yield tuple(text.split(GAP))


def _pieces(node: ast.expr) -> list[list[str]]:
    """The pieces of a string in order, of each what it may be."""
    if isinstance(node, ast.JoinedStr):
        return [piece for value in node.values for piece in _pieces(value)]
    if isinstance(node, ast.FormattedValue):
        return _pieces(node.value) if isinstance(node.value, ast.IfExp) else [[GAP]]
    if _is_sum(node):
        return _pieces(node.left) + _pieces(node.right)
    if isinstance(node, ast.IfExp) and _is_text(node.body) and _is_text(node.orelse):
        return [[node.body.value, node.orelse.value]]
    return [[node.value if _is_text(node) else GAP]]


def _fits(parts: tuple[str, ...], message: str) -> bool:
    """Whether the message has these parts in this order, begins with the first, ends with the last."""
    if len(parts) == 1:
        return message == parts[0]
    first, *between, last = parts
    at, end = len(first), len(message) - len(last)
    if not (message.startswith(first) and message.endswith(last)):
        return False
    for part in between:
        found = message.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end
