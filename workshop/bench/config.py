"""The TOML file that says what to measure, checked before any work is done."""

import codecs
import itertools
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from workshop.errors import WorkshopError

Metric = Literal["COSINE", "IP", "L2"]
METRICS: dict[str, Metric] = {  # as people and files call them, in any case
    "angular": "COSINE",
    "cosine": "COSINE",
    "euclidean": "L2",
    "l2": "L2",
    "dot": "IP",
    "inner_product": "IP",
    "ip": "IP",
}

# Index type to its build and its search parameters. One that is not here is passed on as it is:
# whether an engine knows it is asked of the engine.
PARAMETERS: dict[str, tuple[set[str], set[str]]] = {
    "FLAT": (set(), set()),
    "IVF_FLAT": ({"nlist"}, {"nprobe"}),
    "IVF_SQ8": ({"nlist"}, {"nprobe"}),
    "IVF_PQ": ({"nlist", "m", "nbits"}, {"nprobe"}),
    "SCANN": ({"nlist", "with_raw_data"}, {"nprobe", "reorder_k"}),
    "HNSW": ({"M", "efConstruction"}, {"ef"}),
    "HNSW_SQ": ({"M", "efConstruction", "sq_type", "refine", "refine_type"}, {"ef", "refine_k"}),
    "DISKANN": (set(), {"search_list"}),
}
MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
DIM = 128  # of synthetic rows, if not said
NEEDED = {"nlist", "M", "efConstruction", "nprobe", "ef", "m"}  # where the index knows them
COUNTS = NEEDED | {"nbits", "reorder_k", "search_list"}
ENGINES = ("faiss", "lite", "server")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _not_repeated(values: list) -> list:
    if len(values) != len({str(value) for value in values}):
        raise ValueError("each only once")
    return values


def _known_as(names: Iterable[str]) -> Callable[[Any], Any]:
    """One of these names however its letters are; anything else as it is."""
    known = {name.lower(): name for name in names}
    return lambda value: known.get(value.lower(), value) if isinstance(value, str) else value


def _metric(value: Any) -> Any:
    named = METRICS.get(value.lower()) if isinstance(value, str) else None
    if named is None:
        raise ValueError(f"should be COSINE, IP or L2 (or {', '.join(METRICS)})")
    return named


# strict, since `true` is no number and "10" is text
Count = Annotated[int, Field(strict=True, gt=0)]
Several = Annotated[
    list[Count], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_not_repeated)
]
Engine = Annotated[str, BeforeValidator(_known_as(ENGINES))]
Engines = Annotated[
    list[Engine], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_not_repeated)
]
Values = Annotated[
    list[int | float | str | bool],
    BeforeValidator(_as_list),
    Field(min_length=1),
    AfterValidator(_not_repeated),
]
Grid = dict[str, Values]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Table):
    """One set of vectors: a file of yours, or clusters made up."""

    file: Path | None = None
    synthetic: Count | None = None  # rows
    dim: Count | None = None  # of synthetic rows
    rows: Count | None = None  # only the first of the file
    queries: Count | Path = 200  # how many rows to hold out, or a file
    truth: Path | None = None  # nearest rows of each query, best first
    metric: Annotated[Metric | None, BeforeValidator(_metric)] = None

    @model_validator(mode="after")
    def _either(self) -> "Data":
        if (self.file is None) == (self.synthetic is None):
            raise ValueError("give one of file and synthetic")
        if self.synthetic and (self.rows or self.truth or isinstance(self.queries, Path)):
            raise ValueError("rows, truth and a file of queries go with file, not with synthetic")
        if self.file and self.dim:
            raise ValueError("dim goes with synthetic; a file has its own")
        return self

    @property
    def name(self) -> str:
        """Short, for people."""
        if self.file is None:
            name = f"clusters {self.synthetic:,} × {self.dim or DIM}"
            return f"{name}, {self.metric}" if self.metric else name
        parts = [self.file.name, self.rows and f"first {self.rows:,}", self.metric]
        return ", ".join(part for part in parts if part)


class Index(_Table):
    """One type of index, with every combination of its parameters."""

    type: Annotated[str, BeforeValidator(_known_as(PARAMETERS))]
    build: Grid = {}
    search: Grid = {}
    engines: Engines | None = None  # of those of the run; all, if not said

    @model_validator(mode="after")
    def _names(self) -> "Index":
        if self.type not in PARAMETERS:
            return self
        for what, grid, known in zip(
            ("build", "search"), (self.build, self.search), PARAMETERS[self.type], strict=True
        ):
            names = ", ".join(sorted(known)) or "none"
            if unknown := set(grid) - known:
                raise ValueError(
                    f"{self.type} has no {what} parameter {min(unknown)!r}; it has: {names}"
                )
            if missing := (known & NEEDED) - set(grid):
                raise ValueError(f"{self.type} needs the {what} parameter {min(missing)!r}")
            for name in COUNTS & set(grid):
                for value in grid[name]:
                    if type(value) is not int or value < 1:
                        raise ValueError(
                            f"{self.type}: {name} is a whole number from 1 (given: {value!r})"
                        )
        return self

    def builds(self) -> Iterator[dict[str, Any]]:
        """Every combination of build parameters."""
        return _combinations(self.build)

    def searches(self, build: dict[str, Any]) -> list[dict[str, Any]]:
        """Every combination of search parameters that makes sense for that build."""
        whole = build.get("nlist")
        return [s for s in _combinations(self.search) if not whole or s.get("nprobe", 0) <= whole]


class Config(_Table):
    """The whole file."""

    k: Count = 10
    threads: Count = 1
    repeats: Annotated[int, Field(strict=True, ge=2)] = 5
    requests: Annotated[int, Field(strict=True, ge=3)] = 100
    seconds: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 0.5
    batch_sizes: Several = [1, 100]
    clients: Several = [1]
    engines: Engines
    data: Annotated[list[Data], Field(min_length=1)]
    index: Annotated[list[Index], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        names = [data.name for data in self.data]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two sets of data have the name {twice[0]!r}")
        for index in self.index:
            for engine in index.engines or []:
                if engine not in self.engines:
                    raise ValueError(f"{index.type} names the engine {engine!r}, which is not used")
            small = [ef for ef in index.search.get("ef", []) if ef < self.k]
            if small:
                raise ValueError(
                    f"{index.type}: ef {small[0]} is smaller than k, which is {self.k}"
                )
            for build in index.builds():
                if not index.searches(build):
                    raise ValueError(
                        f"{index.type}: every nprobe is larger than nlist {build['nlist']}"
                    )
        return self


def _combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def read(path: Path) -> Config:
    """The configuration in a TOML file; names of files in it are relative to it.

    Raises WorkshopError, in one line, if it cannot be read or a key or a value does not fit.
    """
    try:
        table = tomllib.loads(_text(path.read_bytes()))
    except OSError as error:
        raise WorkshopError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise WorkshopError(f"{path} is not text in UTF-8 ({error.reason}): save it so.") from None
    except tomllib.TOMLDecodeError as error:
        raise WorkshopError(f"{path} is not TOML: {error}.") from None
    except (
        RecursionError,
        ValueError,
    ) as error:  # tables in tables in tables; a year of five digits
        raise WorkshopError(f"{path} is not TOML that can be read here: {error}.") from None
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise WorkshopError(f"{path}: {_first(error)}.") from None
    places = [
        data.model_copy(
            update={
                key: path.parent / _expanded(value)
                for key in ("file", "queries", "truth")
                if isinstance(value := getattr(data, key), Path)
            }
        )
        for data in config.data
    ]
    return config.model_copy(update={"data": places})


def _expanded(path: Path) -> Path:
    """With the home folder in place of ~, if there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _text(content: bytes) -> str:
    """Text as Windows writes it, too: Notepad with a byte-order mark, PowerShell in UTF-16."""
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding)
    # a letter and a zero byte, or the other way round: UTF-16 without its mark
    start = content[:2]
    if len(start) == 2 and start.count(0) == 1:
        return content.decode("utf-16-be" if start[0] == 0 else "utf-16-le")
    return content.decode("utf-8")


def _first(error: ValidationError) -> str:
    """The first of pydantic's complaints, in our words."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("int", "constrained-int"))
    if first["type"] == "extra_forbidden":
        inside = {"data": Data, "index": Index}.get(str(first["loc"][0]), Config)
        if len(first["loc"]) == 1:
            inside = Config
        return f"unknown key {place}; known are {', '.join(inside.model_fields)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "list_type" and place in ("data", "index"):
        return f"{place} is a list: write [[{place}]], with two brackets, before each"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "path_type":
        message = "should be the path of a file, in quotes"
    given = f" (given: {first['input']!r})" if isinstance(first["input"], str | int | float) else ""
    return ": ".join(part for part in (place, message + given) if part)
