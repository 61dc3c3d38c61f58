"""Words that come from outside: names to show, categories to filter by, texts to search with."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

# Letters, marks and digits of any script, and nothing that could end a string in a Milvus filter.
# A joiner, which people write inside words in Persian and in scripts of India, joins a letter.
CATEGORY = r"^[\p{L}\p{N}_&]([\p{L}\p{M}\p{N}_ &/.+-]|[\u200C\u200D]\p{L})*$"
LETTER = r"[^\W_]"
JOINERS = "\u200c\u200d"
# Format characters that can be seen: signs that stand over the digits after them.
_SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")  # of a region, such as Wales


def composed(text: Any) -> Any:
    """One spelling of each word: macOS writes é as two characters, others as one."""
    return unicodedata.normalize("NFC", text) if isinstance(text, str) else text


def like_a_category(text: str) -> str:
    """The text as a category. Raises ValueError that says what a category is written with."""
    text = composed(text)
    # Python's re knows no \p: each letter, mark and digit stands here for its kind.
    kinds = ((unicodedata.category(character)[0], character) for character in text)
    written = "".join(kind if kind in "LMN" else character for kind, character in kinds)
    if re.fullmatch(re.sub(r"\\p{(.)}", r"\1", CATEGORY), written):
        return text
    raise ValueError("use letters, digits, spaces and & / . + - _, a letter or digit first")


def has_a_word(text: str) -> str:
    """The text. Raises ValueError if there is neither a letter nor a digit in it."""
    if re.search(LETTER, text):
        return text
    raise ValueError("there is no word in it")


Category = Annotated[
    str,
    BeforeValidator(composed),
    Field(max_length=64, json_schema_extra={"pattern": CATEGORY}),
    AfterValidator(like_a_category),
]


def _is_hidden(character: str) -> bool:
    """Whether it shows nothing, or turns what follows around: controls, and no letter of a script.

    A character that this Python's table does not know stays: emoji are older than their table.
    """
    kind, code = unicodedata.category(character), ord(character)
    if kind == "Cf":
        return character not in JOINERS + _SEEN
    never = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE or 0xE0000 <= code <= 0xE0FFF
    return kind in ("Cc", "Cs") or (kind == "Cn" and never)


def shown_name(name: str | None) -> str:
    """A client's file name as a line of text to show: no folders, nothing hidden in it."""
    name = (name or "").replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return shown_line(re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]) or "unnamed"


def shown_line(text: str) -> str:
    """The start of a text as one line to show, at most 100 characters, nothing hidden in it."""
    line = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    flags = {place for flag in _FLAG.finditer(line) for place in range(*flag.span())}
    seen = "".join(c for i, c in enumerate(line) if i in flags or not _is_hidden(c))
    return " ".join(seen.split())[:100].strip(JOINERS)


def told_apart(names: Sequence[str]) -> list[str]:
    """The names of an upload's files, with a number where several have one name."""
    times = Counter(names)
    return [
        f"{name} (file {number})" if times[name] > 1 else name
        for number, name in enumerate(names, 1)
    ]
