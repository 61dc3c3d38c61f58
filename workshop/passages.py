"""The course's own text, cut into passages that can be cited: where each stands, to the character.

A document is a text with a name: the README, the text cells of a chapter, a module of `workshop`. A
passage is a part of it under one heading, short enough for the text encoder. `document.text[start:end]`
is the passage, and so is it for each of its sentences: what is quoted can be looked up.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import WorkshopError
from workshop.paths import ROOT

MODULES = ("datasets", "encoders", "errors", "health", "milvus", "paths", "serve")
MAX_WORDS = 100  # of a passage that is made of several paragraphs; one paragraph stays whole

# What a chapter says in each of its parts: it answers nothing, and looks like every question.
BOILERPLATE = re.compile(
    r"\*(Part [IV]+\b|\*(You will be able to|You need|Time|Recall:|On your own data:|Next:|Before:|"
    r"Predict before you run:))|\[!\["
)
FOLDED = re.compile(r"<details>.*?</details>", re.S)
HEADING = re.compile(r"#{1,6} +(.*)")
EXERCISE = re.compile(r"✍️ Your turn [\d.]+ · \d+ min: ")
NUMBER = re.compile(r"\d\d · ")
MINUTES = re.compile(r"(?: ·|, about) \d+ min\b")
BLOCK = re.compile(r"```.*?^```[^\n]*$|(?:(?!\n[ \t]*\n|^```).)+", re.S | re.M)
ROW = re.compile(r"^[ \t]*\|.*$", re.M)
CODE = re.compile(r"`[^`\n]+`")  # a full stop in it ends no sentence
RULER = re.compile(r"[\s|:-]*")
RULER_BELOW = re.compile(r"\n[ \t]*\|[ \t|:-]+\n")

CODE = re.compile(r"^```[^\n]*\n(.*?)^```[^\n]*$|(`+)(.+?)\2", re.S | re.M)
LINK = re.compile(r"(\[)([^\[\]]*)(\]\([^)\s]*\))")
MARK = re.compile(
    r"</?[a-zA-Z][^>]*>|(?<![\w*])\*+(?=\S)|(?<=\S)\*+(?![\w*])|^[ \t]*(?:#+|>|[-+]|\d+\.)[ \t]+|\|",
    re.M,
)
SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')*`]*\s+(?=[^a-z\s])|\n[ \t]*\n\s*|\n[ \t]*(?=(?:[-+]|\d+\.)[ \t])"
)


@dataclass(frozen=True)
class Document:
    """A text with a name, such as "04_indexes", and where a person opens it, such as a notebook."""

    name: str
    text: str
    path: str = ""

    @property
    def title(self) -> str:
        """Its first heading without a chapter's number; empty if it begins with something else."""
        first = HEADING.match(self.text)
        return NUMBER.sub("", plain(first[1])) if first else ""


@dataclass(frozen=True)
class Passage:
    """A part of a document under one heading.

    document    the document's name
    heading     of the section, without minutes; of a docstring, what it describes
    start, end  characters of the document's text: text[start:end] is `source`
    source      the passage as it is written, with its Markdown
    path        where a person opens the document
    title       of the document
    """

    document: str
    heading: str
    start: int
    end: int
    source: str
    path: str = ""
    title: str = ""

    @property
    def text(self) -> str:
        """What a person reads: the source without its Markdown, in one line."""
        return plain(self.source)

    @property
    def in_context(self) -> str:
        """What an encoder is given: a paragraph alone often does not say what it is about."""
        above = ", ".join(dict.fromkeys(filter(None, (self.title, self.heading))))
        return f"{above}: {self.text}" if above else self.text


@dataclass(frozen=True)
class Sentence:
    """A sentence of a passage: document.text[start:end] is its source, `text` what one reads."""

    start: int
    end: int
    text: str


# -------------------------------------------------------------------------------- documents


def course(root: Path = ROOT, *, but: tuple[str, ...] = ()) -> list[Document]:
    """The course's documents: README, chapters (the learner's notebooks), docstrings of `workshop`.

    Of `workshop` those modules that it brings to every chapter: what single chapters need would only be
    in the way of their own, longer explanation.


    root  the folder of the course
    but   names of documents to leave out, such as a chapter that quotes the questions themselves

    Raises WorkshopError that names the file when one cannot be read.
    """
    files = [root / "README.md", *sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
    files += [root / "workshop" / f"{name}.py" for name in MODULES]
    found = [read(file, root) for file in files]
    return [document for document in found if document.name not in but]


def read(file: Path, root: Path = ROOT) -> Document:
    """One file as a document: a notebook's text cells, or a whole .md, .txt or .py file."""
    path = file.relative_to(root).as_posix()
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".ipynb":
            return Document(file.stem, _text_cells(text), path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkshopError(
            f"Cannot read {path} ({error}). Put it back with: git checkout -- {path}"
        ) from error
    return Document(path if file.suffix == ".py" else file.stem, text, path)


def _text_cells(notebook: str) -> str:
    cells = json.loads(notebook)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


# --------------------------------------------------------------------------------- passages


def of_course(**choice) -> list[Passage]:
    """Every passage of the course, in order; the arguments are those of `course`."""
    return [passage for document in course(**choice) for passage in passages(document)]


def has_headings(text: str) -> bool:
    """Whether a text is written in sections, as Markdown: a line of it begins with # and a space."""
    return re.search(r"^#{1,6} +\S", text, re.M) is not None


def passages(document: Document) -> Iterator[Passage]:
    """The passages of a document: paragraphs of a .py file's docstrings, else parts of sections."""
    found = _docstrings(document) if document.name.endswith(".py") else _sections(document.text)
    for heading, start, end in found:
        source = document.text[start:end]
        yield Passage(document.name, heading, start, end, source, document.path, document.title)


def _sections(text: str) -> Iterator[tuple[str, int, int]]:
    heading, over = "", False
    begin, last, words = None, 0, 0
    for start, end in _blocks(text):
        block = text[start:end]
        title = HEADING.fullmatch(block)
        row = ROW.match(block)
        size = len(block.split())
        if begin is not None and (title or row or words + size > MAX_WORDS):
            yield heading, begin, last
            begin, words = None, 0
        if title:
            heading = plain(MINUTES.sub("", EXERCISE.sub("", title[1])))
            over = heading == "Pause"
        elif over or BOILERPLATE.match(block):
            if begin is not None:
                yield heading, begin, last
            begin, words = None, 0
            over = over or block.startswith("**Recall:**")  # what follows are questions
        elif row:
            yield heading, start, end
        else:
            begin = start if begin is None else begin
            last, words = end, words + size
    if begin is not None:
        yield heading, begin, last


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Headings, paragraphs, rows of tables and fenced code, without what is folded away."""
    # spaces keep the places of all that stands behind them
    text = FOLDED.sub(lambda folded: " " * len(folded[0]), text)
    for match in BLOCK.finditer(text):
        start, end = match.span()
        at = start
        for line in re.finditer(r"[^\n]+", match[0]):
            row = ROW.fullmatch(line[0]) or HEADING.fullmatch(line[0])
            if row and not match[0].startswith("```"):
                yield from _trimmed(text, at, start + line.start())
                at = start + line.end()
                if not RULER_BELOW.match(text, at):  # a table's first row only names its columns
                    yield from _trimmed(text, start + line.start(), at)
        yield from _trimmed(text, at, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = text[start:end]
    if RULER.fullmatch(part):
        return
    start += len(part) - len(part.lstrip())
    yield start, start + len(part.strip())


def _docstrings(document: Document) -> Iterator[tuple[str, int, int]]:
    lines = document.text.splitlines(keepends=True)
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line))
    module = document.name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    stack = [(module, ast.parse(document.text))]
    while stack:
        name, node = stack.pop(0)
        inner = [n for n in node.body if isinstance(n, DEFINITIONS) and not n.name.startswith("_")]
        if isinstance(node, ast.Module | ast.ClassDef):
            stack += [(f"{name}.{n.name}", n) for n in inner]
        if ast.get_docstring(node):
            value = node.body[0].value
            line = lines[value.lineno - 1].encode()[: value.col_offset].decode()
            start = begins[value.lineno - 1] + len(line)
            last = lines[value.end_lineno - 1].encode()[: value.end_col_offset].decode()
            end = begins[value.end_lineno - 1] + len(last)
            for block in BLOCK.finditer(document.text, start + 3, end - 3):
                for part in _trimmed(document.text, *block.span()):
                    yield name, *part


DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


# ----------------------------------------------------------------------- what a person reads


def plain(markdown: str) -> str:
    """Markdown as one line of plain text: no marks, no link targets, no tags."""
    keep = [True] * len(markdown)
    code = [False] * len(markdown)

    def drop(start: int, end: int) -> None:
        keep[start:end] = [False] * (end - start)

    for match in CODE.finditer(markdown):
        start, end = match.span()
        inside, outside = match.span(1 if match[2] is None else 3)
        drop(start, inside)
        drop(outside, end)
        code[start:end] = [True] * (end - start)
    for match in LINK.finditer(markdown):
        if not code[match.start()]:
            drop(*match.span(1))
            drop(*match.span(3))
    for match in MARK.finditer(markdown):
        if not code[match.start()]:
            drop(*match.span())
    kept = "".join(c if k else "" for c, k in zip(markdown, keep, strict=True))
    return " ".join(kept.split())


def sentences(passage: Passage) -> list[Sentence]:
    """The sentences of a passage, in order, each with its place in the document."""
    found, at = [], 0
    code = [match.span() for match in CODE.finditer(passage.source)]
    ends = [
        match.span()
        for match in SENTENCE_END.finditer(passage.source)
        if not any(start < match.start() < end for start, end in code)
    ]
    for stop, following in [*ends, (len(passage.source), 0)]:
        # closing quotes and marks belong to the sentence before them
        stop += len(passage.source[stop:following]) - len(
            passage.source[stop:following].lstrip("\"')*`")
        )
        if text := plain(passage.source[at:stop]):
            found.append(Sentence(passage.start + at, passage.start + stop, text))
        at = following
    return found
