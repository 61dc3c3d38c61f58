"""What CONTRIBUTING.md asks of a chapter's source, as far as a program can tell."""

import ast
import re
import statistics
from collections.abc import Iterator

from chapters import (
    DEEPER,
    EXERCISE,
    MARKER,
    SECTION,
    SOLUTION,
    TERM,
    Chapter,
    bound,
    check_id,
    sentences,
    shown,
    tags,
)

from workshop.cells import read

MAX_CELLS = 80
MAX_CODE_LINES = 10
MEDIAN_CODE_LINES = 5
MAX_WORDS = 100
MAX_MINUTES = 60
PAUSE = "## Pause"
PAUSE_SHARE = (0.35, 0.65)  # of the core path's minutes
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
EMOJI = re.compile(r"[\U0001F000-\U0001FAFF☀-➿⌚⌛⏩-⏺⭐⭕⬛⬜]")
ALLOWED = set("✍✅❌⏳✓✗")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LANGUAGE = {
    "id",
    "type",
    "hash",
    "input",
    "list",
    "dict",
    "set",
    "min",
    "max",
    "sum",
    "filter",
    "next",
}


def rules(chapter: Chapter) -> Iterator[str]:
    """What every chapter source keeps to."""
    yield from blocks(chapter)
    yield from times(chapter)
    yield from exercises(chapter)
    yield from independence(chapter)
    fewest = 10 if chapter.number == 0 else 25
    if not fewest <= chapter.core() <= MAX_CELLS:
        yield f"has {chapter.core()} cells in its core path, {fewest} to {MAX_CELLS} are asked for"
    lengths = []
    for number, cell in enumerate(chapter.cells, 1):
        if cell.cell_type == "code":
            found = list(code(cell.source))
            if "check" not in tags(cell) and (lines := code_lines(cell.source)):
                lengths.append(lines)
        else:
            found = list(text(chapter, cell.source))
        yield from (f"cell {number}: {problem}" for problem in found)
    if lengths and (median := statistics.median(lengths)) > MEDIAN_CODE_LINES:
        yield f"the median code cell has {median:g} lines, at most {MEDIAN_CODE_LINES}"


# ------------------------------------------------------------------------------------------ text


def text(chapter: Chapter, markdown: str) -> Iterator[str]:
    """What a text cell keeps to."""
    if (count := words(markdown)) > MAX_WORDS:
        yield f"{count} words, at most {MAX_WORDS}"
    if strange := sorted(set(EMOJI.findall(markdown)) - ALLOWED):
        yield f"emoji {' '.join(strange)}"
    for target in LINK.findall(markdown):
        if reason := unreachable(chapter, target):
            yield f"link to {target}, {reason}"
    explained = [s for s in sentences(markdown) if TERM.search(s)]
    if len(TERM.findall(markdown)) > sum(len(TERM.findall(s)) for s in explained):
        yield "a term is marked outside of a sentence, in a heading or a table"
    for sentence in explained:
        plain = TERM.sub(shown, sentence)
        if re.match(r"(This|That|These|Those|It|They|He|She)\b", plain):
            yield f"the glossary would say {plain!r}: name what it is about"


def words(markdown: str) -> int:
    """Words a reader reads: no fenced code, no link targets, no tags, no signs, nothing folded."""
    text = re.sub(r"```.*?```|<details>.*?</details>", "", markdown, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"<[^>]+>", "", TERM.sub(shown, text))
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def unreachable(chapter: Chapter, target: str) -> str:
    """Why a link leads nowhere from one of the two trees; empty if it leads somewhere."""
    for folder in (chapter.exercise_path.parent, chapter.solution_path.parent):
        path = (folder / target).resolve()
        source = chapter.source.with_name(f"{path.stem}.py")
        # a notebook not yet built is reported as missing, once
        if not path.exists() and not (path.suffix == ".ipynb" and source.exists()):
            return f"which leads nowhere from {folder.name}/"
    return ""


def blocks(chapter: Chapter) -> Iterator[str]:
    """Opening and closing."""
    if not chapter.cells or chapter.cells[0].cell_type != "markdown":
        yield "does not begin with a text cell"
        return
    opening = chapter.cells[0].source
    if not re.match(rf"# {chapter.number:02d} · \S", opening):
        yield f'does not begin with the heading "# {chapter.number:02d} · Title"'
    for bold in ("**You will be able to**", "**You need**", "**Time**"):
        if bold not in opening:
            yield f"opening: {bold} is missing from the first cell"
    texts = [c.source for c in chapter.cells[: chapter.core()] if c.cell_type == "markdown"]
    at = [i for i, text in enumerate(texts) if text.startswith("## What we saw")]
    if not at or chapter.cells[chapter.core() - 1].cell_type != "markdown":
        yield f'closing: the core path does not end with a text cell "## What we saw" ({DEEPER!r} may follow)'
        return
    closing = "\n\n".join(texts[at[-1] :])
    for bold in ("**Recall:**", "**On your own data:**", "**Next:**", "<summary>Answers</summary>"):
        if bold not in closing:
            yield f"closing: {bold} is missing"
    recall = re.search(r"\*\*Recall:\*\*(.*?)(<details>|\*\*On your|\Z)", closing, re.S)
    if recall and recall[1].count("?") != 3:
        yield f"closing: {recall[1].count('?')} recall questions, three are asked for"


def times(chapter: Chapter) -> Iterator[str]:
    """The opening's minutes are the sum of the parts, and the pause is near the middle."""
    reading, exercises = chapter.minutes()
    stated = f"**Time** {reading} min reading, {exercises} min exercises"
    if stated not in chapter.cells[0].source:
        yield f'opening: the parts of the core path add up to "{stated}"'
    if reading + exercises > MAX_MINUTES:
        yield f"the core path takes {reading + exercises} minutes, at most {MAX_MINUTES}"
    for number, cell in enumerate(chapter.cells[: chapter.core()], 1):
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## .+$", cell.source, re.M):
                if heading != PAUSE and not SECTION.match(heading):
                    yield f'cell {number}: a section says its minutes, as in "## Title · 4 min"'
    if chapter.number == 0:
        return
    pauses = [i for i, cell in enumerate(chapter.cells) if cell.source.startswith(PAUSE)]
    if len(pauses) != 1 or "pause" not in tags(chapter.cells[pauses[0] + 1]):
        yield f'the middle: one text cell "{PAUSE}", then one code cell with the tag "pause"'
        return
    share = sum(chapter.minutes(before=pauses[0])) / max(1, reading + exercises)
    if not PAUSE_SHARE[0] <= share <= PAUSE_SHARE[1]:
        yield f"the pause comes after {share:.0%} of the minutes, and should be near the middle"


# ------------------------------------------------------------------------------------------ code


def code_lines(source: str) -> int:
    """Lines that a reader must understand: no imports, comments, docstrings or solutions."""
    shortened = SOLUTION.sub(r"\g<indent>...  # cut out", source)
    passed_over = set()
    for node in ast.walk(_tree(shortened)):
        said = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or (said and node.value.value is not ...):
            passed_over.update(range(node.lineno, node.end_lineno + 1))
    return sum(
        bool(line.partition("#")[0].strip())
        for number, line in enumerate(shortened.splitlines(), 1)
        if number not in passed_over and not line.endswith("...  # cut out")
    )


def _tree(source: str) -> ast.Module:
    """The cell's syntax; a cell may await at its top level. Empty for IPython's own syntax."""
    try:
        return compile(
            source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True
        )
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def code(source: str) -> Iterator[str]:
    """What a code cell keeps to."""
    if (lines := code_lines(source)) > MAX_CODE_LINES:
        yield f"{lines} lines of code, at most {MAX_CODE_LINES}"
    if MARKER.search(SOLUTION.sub("", source)):
        yield "a solution marker without its partner"
    tree = _tree(SOLUTION.sub(r"\g<indent>...", source))
    yield from dict.fromkeys(filter(None, map(trick, ast.walk(tree))))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not ast.get_docstring(node):
            yield f"the function {node.name} has no docstring of one line"


def trick(node: ast.AST) -> str | None:
    """A construct that is kept out of chapters, in words; None if it is plain Python."""
    if isinstance(node, ast.Call):
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        if _has(values, ast.NamedExpr):
            return "an assignment inside a call"
        if _is_argsort(node) and any(map(_is_argsort, [node.func, *ast.walk(node)][2:])):
            return "a double argsort"
    if isinstance(node, ast.Lambda) and (node.args.defaults or node.args.kw_defaults):
        return "a lambda with default arguments"
    if isinstance(node, COMPREHENSIONS) and _has(list(ast.iter_child_nodes(node)), COMPREHENSIONS):
        return "a comprehension inside a comprehension"
    if isinstance(node, ast.Assign):
        if len(node.targets) > 1:
            return "a chain of assignments"
        taken = {n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)} & LANGUAGE
        if taken:
            return f"the name {taken.pop()} belongs to the language"
    if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.List):
        return "a list that grows by +="
    if isinstance(node, ast.FormattedValue) and _has(
        [node.value], (ast.BinOp, ast.Compare, ast.Lambda, *COMPREHENSIONS)
    ):
        return "a formula inside an f-string"
    return None


def _has(nodes: list[ast.AST], kinds: type | tuple) -> bool:
    return any(isinstance(inner, kinds) for node in nodes for inner in ast.walk(node))


def _is_argsort(node: ast.AST) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr == "argsort"


# ------------------------------------------------------------------------------------- exercises


def exercises(chapter: Chapter) -> Iterator[str]:
    """Each exercise has its id, hints, a stub and a check, and one is to be broken and fixed."""
    found = []
    for position, cell in enumerate(chapter.cells):
        if cell.cell_type == "markdown" and "Your turn" in cell.source and "✍" in cell.source:
            if match := EXERCISE.search(cell.source):
                found.append((position, match["id"], match["title"]))
            else:
                yield (
                    f"cell {position + 1}: an exercise begins "
                    f'"### ✍️ Your turn {chapter.number}.1 · 5 min: title"'
                )
    fewest = 1 if chapter.number == 0 else 3
    if not fewest <= len(found) <= 5:
        yield f"has {len(found)} exercises, {fewest} to 5 are asked for"
    if chapter.number and not any("break it, fix it" in t.lower() for _, _, t in found):
        yield 'no exercise is titled "break it, fix it"'
    ends = [position for position, _, _ in found[1:]] + [len(chapter.cells)]
    for order, ((position, id, _), end) in enumerate(zip(found, ends, strict=False), 1):
        if id != f"{chapter.number}.{order}":
            yield f"cell {position + 1}: exercise {id} should be {chapter.number}.{order}"
        own = [c for c in chapter.cells[position:end] if c.cell_type == "code"]
        if not chapter.hints.get(id):
            yield f"exercise {id} has no hints in workshop/checks/ch{chapter.number:02d}.py"
        if not any(SOLUTION.search(c.source) for c in own):
            yield f"exercise {id} has no cell with # BEGIN SOLUTION … # END SOLUTION"
        if [check_id(c) for c in own if "check" in tags(c)] != [id]:
            yield f'exercise {id} has no check cell (tag "check") with the one line check("{id}", …)'
    given = {id for _, id, _ in found}
    for id in chapter.hints:
        if id not in given:
            yield f"exercise {id} is registered but not in the chapter"


def independence(chapter: Chapter) -> Iterator[str]:
    """No cell but an exercise's own uses a name that its stub binds, or that its parameters have."""
    own = chapter.exercise_cells()
    for id, positions in own.items():
        names = set()
        for position in positions:
            cell = chapter.cells[position]
            if cell.cell_type == "code" and SOLUTION.search(cell.source):
                names |= _learners_names(cell.source)
        for number, cell in enumerate(chapter.cells, 1):
            if cell.cell_type != "code" or number - 1 in positions:
                continue
            if used := sorted(names & _used(cell.source)):
                yield f"cell {number}: uses {', '.join(used)}, which exercise {id} binds"


def _learners_names(source: str) -> set[str]:
    """Names that the cell of a stub binds, and the parameters of its functions."""
    tree = _tree(source)
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return {*bound(source), *arguments} - {"self", "cls"}


def _used(source: str) -> set[str]:
    return read(_tree(SOLUTION.sub(r"\g<indent>...", source)))
