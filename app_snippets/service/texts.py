"""Items that are texts: one in the body of a request, or many in a file.

What a file is its content says. In JSON Lines each line is an object with a `text`; in CSV the first
line names the columns, one of them `text`; in any other file each line is a text, or each paragraph
if blank lines part them.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, create_model

from app_snippets.service.encoder import Asked, BadRow, Encoder, Entries, Entry, Vector
from app_snippets.service.jobs import Source
from app_snippets.service.models import Strict
from app_snippets.service.names import Category, has_a_word, like_a_category, shown_line
from workshop.errors import TooLarge, WorkshopError
from workshop.retrieval import name_vector

ALWAYS = ("text", "name", "category")
csv.field_size_limit(1_000_000)


class TextItem(Strict):
    """A text to put in."""

    text: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(max_length=100)] | None = None  # its first words if there is none
    category: Category | None = None


def text_items(columns: Sequence[str]) -> type[BaseModel]:
    """The body of a request that puts texts in, whose items have these fields too."""
    further = {name: (Annotated[str, Field(max_length=1_000)] | None, None) for name in columns}
    item = create_model("TextItem", __base__=TextItem, __doc__=TextItem.__doc__, **further)
    items = (Annotated[list[item], Field(min_length=1)], ...)
    return create_model("TextItems", __base__=Strict, __doc__="Texts to put in.", items=items)


class Texts(Encoder):
    """An encoder of texts. A service says how a text is encoded; an item is its text.

    columns   further fields of a payload that come in with a text: columns of a table, keys in JSON
    """

    takes_text: ClassVar[bool] = True
    columns: ClassVar[Sequence[str]] = ()
    batch: ClassVar[int] = 256

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> str:
        """The text of a file, to search by."""
        return self.checked(decoded(content, name), name)

    def query(self, asked: Asked) -> Mapping[str, Vector]:
        """A text, typed or in a file, in every space."""
        if asked.likes is not None:
            return super().query(asked)
        text = asked.item if asked.text is None else asked.text
        return {space: rows[0] for space, rows in self.encode([text]).items()}

    def checked(self, text: str, name: str) -> str:
        """The text as it is kept. Raises TooLarge, or WorkshopError if there is no word in it."""
        text = text.replace("\x00", "").strip()
        text = text.encode(errors="replace").decode()  # half a surrogate pair cannot be written
        if len(text) > self.settings.max_item_text:
            raise TooLarge(
                f"{name} has {len(text):,} characters, more than the "
                f"{self.settings.max_item_text:,} of MAX_ITEM_TEXT. Cut it into parts."
            )
        try:
            return has_a_word(text)
        except ValueError:
            raise WorkshopError(f"{name} has no word in it.") from None

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Entries:
        """The texts in a file, or the one of a request."""
        if source.path is None:
            text = self.checked(source.content, source.name)
            yield self.entry(text, source.name, source.category, source.about, source.id)
            return
        text = decoded(source.path.read_bytes(), source.name)
        found = limited(self.rows(text, source.name), self.settings.max_rows, source.name)
        first = list(islice(found, 2))
        # a file that is one text is called by its own name
        name = source.name if len(first) == 1 and isinstance(first[0][1], str) else None
        for number, row in chain(first, found):
            try:
                yield self._entry_of(row, name, source)
            except (WorkshopError, ValueError) as error:
                if name:
                    raise WorkshopError(f"{name}: {error}") from None
                yield BadRow(number, f"{error}".rstrip("."))

    def rows(self, text: str, name: str) -> "Rows":
        """The items in a file; a service may know further kinds of files."""
        return rows(text)

    def _entry_of(self, row: Any, name: str | None, source: Source) -> Entry:
        if isinstance(row, Exception):
            raise row
        row = {"text": row} if isinstance(row, str) else row
        known = {*ALWAYS, *self.columns}
        given = {k: v for k, v in row.items() if k in known and v not in (None, "")}
        for key, value in given.items():
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise ValueError(f"its {key} is {value!r:.50}, and should be text")
        text = self.checked(str(given.pop("text", "")), "it")
        name = shown_line(str(given.pop("name", ""))) or name or shown_line(text)
        category = str(given.pop("category", "")) or source.category
        if len(category) > 64:
            raise ValueError("its category has more than 64 characters")
        try:
            category = like_a_category(category)
        except ValueError as error:
            raise ValueError(f"its category {category!r} does not fit: {error}") from None
        return self.entry(text, name, category, {**source.about, **given})

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> Entry:
        """A text as an item; a service may read more out of it. Raises WorkshopError."""
        more = {"id": id} if id else {}
        return Entry(text, name, category, about={"text": text, **about}, **more)


class NamedTexts(Texts):
    """Texts that stand for something, such as a sequence or a molecule: a text that stands for none is its name.

    names   the space of the vectors of names; `encode` gives None in another one for what has no vector there
    """

    names: ClassVar[str]

    def meant(self, asked: Asked) -> tuple[str | None, str | None]:
        """What is asked for, as `checked` gives it, or None if the text is a name; and why it is no more."""
        if asked.text is None:
            return asked.item, None
        try:
            return self.checked(asked.text, "The text"), None
        except WorkshopError as error:
            return None, f"{error}"

    def query(self, asked: Asked) -> Mapping[str, Vector]:
        """By items; by what a text or a file stands for, in the first space if the mode's has none; else by name."""
        if asked.likes is not None:
            return super().query(asked)
        text, _ = self.meant(asked)
        if text is None:
            return {self.names: name_vector(asked.text)}
        vectors = self.encode([self.entry(text, "", "", {}).item])
        space, first = self.compared(asked.mode), next(iter(self.spaces))
        if space == self.names or vectors[space][0] is None:
            space = first
        return {space: vectors[space][0]}


def decoded(content: bytes, name: str) -> str:
    """The text in a file: UTF-8, or UTF-16 with its mark. Raises WorkshopError for what is none."""
    if not content:
        raise WorkshopError(f"{name} is empty.")
    coding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(coding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WorkshopError(
            f"{name} is not a text that can be read here: the byte {error.object[error.start]:#04x} "
            f"in line {line} is no UTF-8. Save it as UTF-8."
        ) from None
    if "\x00" in text:
        raise WorkshopError(f"{name} is not a text: there are zero bytes in it.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


Rows = Iterator[tuple[int, Any]]


def rows(text: str) -> Rows:
    """The items in a text: (number of the row, its fields or its text, or what is wrong with it)."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    if _is_object(first):
        return _json_lines(text)
    if dialect := _dialect(first):
        return _table(text, dialect)
    return _plain(text)


def limited(found: Rows, most: int, name: str) -> Rows:
    """The rows of a file; raises TooLarge when there are more than `most`."""
    for count, row in enumerate(found, 1):
        if count > most:
            raise TooLarge(
                f"{name} has more than the {most:,} rows of MAX_ROWS. Cut it into parts."
            )
        yield row


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(text: str) -> Rows:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            row = ValueError(f"it is not JSON ({getattr(error, 'msg', 'too deep')})")
        yield (
            number,
            row if isinstance(row, dict | Exception) else ValueError("it is no object {…}"),
        )


def _dialect(line: str) -> str | None:
    """What parts the columns of a table whose head this line is; None if it is no such head."""
    for separator in (",", "\t", ";"):
        names = [name.strip().lower() for name in next(csv.reader([line], delimiter=separator), [])]
        if "text" in names:
            return separator
    return None


def _table(text: str, separator: str) -> Rows:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = None
    while True:
        number = lines.line_num + 1
        try:
            cells = next(lines, None)
        except csv.Error as error:
            yield number, ValueError(f"it is not CSV ({error})")
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [name.strip().lower() for name in cells]
        elif len(cells) != len(names):
            yield number, ValueError(f"it has {len(cells)} cells, and the first line {len(names)}")
        else:
            yield number, dict(zip(names, cells, strict=True))


def _plain(text: str) -> Rows:
    text = text.strip("\n")
    if not re.search(r"\n[ \t]*\n", text):
        yield from ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    number = 1
    for part in re.split(r"(\n(?:[ \t]*\n)+)", text):
        if part.strip():
            yield number, part
        number += part.count("\n")
