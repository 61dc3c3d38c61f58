"""The TOML file that says what to measure, checked before any work is done."""

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from workshop.errors import WorkshopError

Metric = Literal["COSINE", "IP", "L2"]

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
DIM = 128  # of synthetic rows, if not said
NEEDED = {"nlist", "M", "efConstruction", "nprobe", "ef", "m"}  # where the index knows them


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Grid = dict[str, Annotated[list[int | float | str | bool], BeforeValidator(_as_list)]]


def _not_repeated(values: list) -> list:
    if len(values) != len({str(value) for value in values}):
        raise ValueError("each only once")
    return values


Several = Annotated[list[PositiveInt], Field(min_length=1), AfterValidator(_not_repeated)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Table):
    """One set of vectors: a file of yours, or clusters made up."""

    file: Path | None = None
    synthetic: PositiveInt | None = None  # rows
    dim: PositiveInt | None = None  # of synthetic rows
    rows: PositiveInt | None = None  # only the first of the file
    queries: PositiveInt | Path = 200  # how many rows to hold out, or a file
    truth: Path | None = None  # nearest rows of each query, best first
    metric: Metric | None = None

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

    type: str
    build: Grid = {}
    search: Grid = {}
    engines: list[str] | None = None  # of those of the run; all, if not said

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

    k: PositiveInt = 10
    threads: PositiveInt = 1
    repeats: Annotated[int, Field(ge=2)] = 5
    requests: Annotated[int, Field(ge=3)] = 100
    seconds: PositiveFloat = 0.5
    batch_sizes: Several = [1, 100]
    clients: Several = [1]
    engines: Annotated[list[str], Field(min_length=1), AfterValidator(_not_repeated)]
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
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkshopError(f"Cannot read {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkshopError(f"{path} is not TOML: {error}.") from None
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise WorkshopError(f"{path}: {_first(error)}.") from None
    places = [
        data.model_copy(
            update={
                key: path.parent / value
                for key in ("file", "queries", "truth")
                if isinstance(value := getattr(data, key), Path)
            }
        )
        for data in config.data
    ]
    return config.model_copy(update={"data": places})


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
    message = first["msg"].removeprefix("Value error, ")
    given = f" (given: {first['input']!r})" if isinstance(first["input"], str | int | float) else ""
    return ": ".join(part for part in (place, message + given) if part)
