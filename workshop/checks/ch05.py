"""Checks of chapter 05: they run the learner's pipelines, and keep Towhee off the network."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from workshop import TextEncoder
from workshop.checks import Wrong, call, register

NOWHERE = "http://127.0.0.1:9"  # nothing listens there, so that no check ever asks the hub


def _towhee() -> Any:
    """The library, imported only when a check runs: it takes seconds, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        import towhee
    return towhee


@contextmanager
def _registry() -> Iterator[dict[str, Any]]:
    """Towhee's registered operators; what is added inside is gone afterwards."""
    _towhee()
    from towhee.runtime.operator_manager import OperatorRegistry

    registered, url = dict(OperatorRegistry.REGISTRY), os.environ.get("TOWHEE_URL")
    os.environ["TOWHEE_URL"] = NOWHERE
    try:
        yield OperatorRegistry.REGISTRY
    finally:
        OperatorRegistry.REGISTRY.clear()
        OperatorRegistry.REGISTRY.update(registered)
        if url is None:
            del os.environ["TOWHEE_URL"]
        else:
            os.environ["TOWHEE_URL"] = url


def _rows(pipeline: Any, given: Any, columns: int) -> list[list]:
    """The rows of one run; Wrong if this is no pipeline, or a run fails, or a row has gaps."""
    towhee = _towhee()
    if isinstance(pipeline, towhee.runtime.pipeline.Pipeline):
        raise Wrong("the pipeline is not closed yet: does it end in `.output(...)`?")
    if not isinstance(pipeline, towhee.runtime.runtime_pipeline.RuntimePipeline):
        raise Wrong(f"a pipeline is wanted, `pipe.input(...) ... .output(...)`, not {pipeline!r}")
    try:
        rows = pipeline(given).to_list()
    except RuntimeError as error:
        raise Wrong(f"the run failed: {str(error).splitlines()[0]}") from error
    for row in rows:
        if len(row) != columns:
            raise Wrong(f"a row should have {columns} columns, not {len(row)}")
    return rows


def _gap(rows: list[list]) -> list | None:
    """The first row in which a column has run out."""
    from towhee.runtime.data_queue import Empty

    return next((row for row in rows if any(value is Empty() for value in row)), None)


@register(
    "5.1",
    "`text` became several rows and `title` did not: make both in the same step.",
    'A step may name two columns, `("title", "text")`. Its function is then given two arguments.',
    "The function of a `flat_map` returns a list. With two columns to make, it is a list of pairs, one for "
    "each line: the title again and again, each time with another line.",
    'The second step is `.flat_map(("title", "text"), ("title", "line"), ...)`, and its function returns '
    "`[(title, line) for line in text.splitlines()]`. Then comes `.output(...)`.",
)
def lines(lines):
    """Texts of different lengths: of many words, of one line, of none, with empty lines between."""
    poems = [
        ("One", "a b  c\nb\nc d"),
        ("Two", "d"),
        ("None", ""),
        ("Two", "e\n\n f g \nd"),
        ("Last", "in the end\n"),
    ]
    for given in (poems, poems[::-1], [("Solo", "x y")], [("None", "")], [], poems[:2]):
        wanted = [[title, line] for title, text in given for line in text.splitlines()]
        rows = _rows(lines, list(given), 2)
        gap = _gap(rows)
        if gap is not None:
            raise Wrong(f"a row with a gap, {gap}: `title` and the lines are not equally many")
        for row, right in zip(rows, wanted, strict=False):
            if list(row)[::-1] == right:
                raise Wrong(f"a row is [title, line], in that order, not {row}")
            if row[1] != right[1]:
                raise Wrong(f"of {given}: expected the line {right[1]!r}, got {row[1]!r}")
            if row[0] != right[0]:
                raise Wrong(f"the line {row[1]!r} stands under {row[0]!r}: {right[0]!r} wrote it")
        if len(rows) != len(wanted):
            raise Wrong(f"{given} has {_count_of(wanted)}, and {len(rows)} rows came out")
    return "every line under its own title"


def _count_of(wanted: list) -> str:
    return f"{len(wanted)} line{'' if len(wanted) == 1 else 's'}"


@register(
    "5.2",
    "The function of a window is given as many vectors as there are: ask for the length.",
    "It cannot drop a row, but it can return None, and a `filter` after it can drop that. Or it works on "
    "the list of vectors before they become rows.",
    "In the `filter` all four things are about the column with the means; its function is True for what is not None.",
    '`np.mean(window, axis=0)` is the mean; the last steps are `.filter("mean", "mean", "mean", lambda mean: mean is '
    'not None)` and `.output("mean")`.',
)
def clips(clips):
    """Steps below, at and above the size, fewer vectors than a window holds, and none."""
    rng = np.random.default_rng(0)
    for n, size, step, d in (
        (7, 4, 2, 3),
        (8, 4, 4, 5),
        (6, 2, 1, 3),
        (10, 2, 5, 4),
        (11, 3, 4, 2),
        (3, 4, 1, 3),
        (5, 1, 1, 6),
        (0, 2, 1, 3),
    ):
        vectors = rng.normal(size=(n, d))
        if n > 3:
            vectors[:size] = 0  # a mean of zeros is a mean
        starts = range(0, n - size + 1, step)
        made = clips(size, step)
        if made is None:
            raise Wrong("`clips` returns nothing: is there a `return`?")
        what = f"{n} vectors, windows of {size}, moved on by {step}"
        rows = _rows(made, list(vectors), 1)
        if any(row[0] is None for row in rows):
            raise Wrong(f"{what}: a row holds None; drop it")
        whole = f"{len(starts)} {'is' if len(starts) == 1 else 'are'} whole"
        if len(rows) > len(starts):
            raise Wrong(f"{what}: {whole}, and {len(rows)} rows came")
        if len(rows) < len(starts):
            raise Wrong(f"{what}: {whole}, and only {len(rows)} rows came")
        for start, row in zip(starts, rows, strict=True):
            if np.shape(row[0]) != (d,):
                raise Wrong(f"{what}: a mean has shape ({d},) here, not {np.shape(row[0])}")
            if not np.allclose(
                np.asarray(row[0], float), vectors[start : start + size].mean(axis=0)
            ):
                raise Wrong(f"{what}: the row of frame {start} is not the mean of its window")
    return "whole clips only, whatever the size and the step"


@register(
    "5.3",
    "`ops.` and a dotted name: the dot becomes a slash. What did `@register(name=...)` take above?",
    "The arguments given to `ops.….sbert(...)` arrive in the class's `__init__`, the text in `__call__`.",
    "A class that inherits from nothing is made once and shared. `encode` takes a list of texts and returns rows, "
    "one a text.",
    "The name is `sentence_embedding/sbert`; `__init__(self, model_name)` looks at `model_name` and makes a "
    "`TextEncoder`; `__call__(self, text)` returns row 0 of what it encodes.",
)
def install(install):
    """The hub's name, what it is made with, what it returns, and how many are made."""
    name, model = "sentence-embedding/sbert", "all-MiniLM-L6-v2"
    towhee = _towhee()
    with _registry() as registry:
        registry.pop(name, None)
        before = set(registry)
        call(install)
        new = sorted(set(registry) - before)
        if not new:
            raise Wrong(
                "nothing new is registered: does a line `@register(name=...)` stand above the class?"
            )
        if name not in registry:
            raise Wrong(f"registered is {new[0]!r}, and the pipeline asks for another name")
        with _counted(registry[name]) as made:
            _sbert(towhee, model, made)
    return "the hub's name, our model, one of it: call `install()`, and `from_hub.output` works"


def _sbert(towhee: Any, model: str, made: list[bool]) -> None:
    """What is registered under the hub's name does what the hub's operator would."""

    def pipeline(model_name: str) -> Any:
        sbert = towhee.ops.sentence_embedding.sbert(model_name=model_name)
        return towhee.pipe.input("text").map("text", "vector", sbert).output("vector")

    try:
        run = pipeline(model)
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise Wrong(f"with model_name={model!r} it cannot be made: {last}") from error
    made.clear()
    run = pipeline(model)
    texts = [
        "a dog",
        "a dog and two cats",
        "rain",
        "a red car",
        "night",
        "tea",
        "a song",
        "the sea",
    ]
    try:
        vectors = [queue.to_list()[0][0] for queue in run.batch(texts)]
    except RuntimeError as error:
        raise Wrong(f"a batch of texts failed: {str(error).splitlines()[0]}") from error
    for vector in vectors:
        if np.shape(vector) != (384,):
            raise Wrong(f"one text should give shape (384,), not {np.shape(vector)}")
    likeness = np.sum(np.stack(vectors) * TextEncoder().encode(texts), axis=1)
    if not np.all(likeness > 0.99):
        raise Wrong("the vectors are not those that TextEncoder gives for these texts")
    if len(made) > 1:
        raise Wrong(f"a batch of {len(texts)} texts made {len(made)} operators, each a model")
    for other in ("all-mpnet-base-v2", "", "all-MiniLM-L12-v2"):
        _refuses(pipeline, other)


@contextmanager
def _counted(operator: type) -> Iterator[list[bool]]:
    """A list that grows by one for each operator of this class that is made."""
    made, original = [], operator.__init__

    def counted(self, *args, **kwargs) -> None:
        made.append(True)
        original(self, *args, **kwargs)

    operator.__init__ = counted
    try:
        yield made
    finally:
        operator.__init__ = original


def _refuses(pipeline: Any, other: str) -> None:
    try:
        pipeline(other)
    except RuntimeError as error:
        if "ValueError" not in str(error):
            last = str(error).strip().splitlines()[-1]
            raise Wrong(f"another model_name should raise ValueError, not `{last}`") from error
    else:
        raise Wrong(f"model_name={other!r} is another model, and is taken without a word")
