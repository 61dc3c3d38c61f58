"""Checks of chapter 05: they run the learner's pipelines, and keep Towhee off the network."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from workshop import TextEncoder
from workshop.checks import Wrong, register

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
    "`text` became several rows, `title` did not: make both in the same step.",
    "A step may read two columns: its function then takes two arguments.",
    'Let the second `flat_map` read and write `("title", …)`, and return a list of pairs.',
)
def lines(lines):
    """Texts of different lengths, also of one line and of none."""
    poems = [("One", "a\nb\nc"), ("Two", "d"), ("None", ""), ("Three", "e\nf")]
    for given in (poems, poems[::-1], [("Solo", "x")], [("None", "")]):
        wanted = [[title, line] for title, text in given for line in text.splitlines()]
        rows = _rows(lines, list(given), 2)
        gap = _gap(rows)
        if gap is not None:
            raise Wrong(f"a row with a gap, {gap}: `title` and the lines are not equally many")
        if len(rows) != len(wanted):
            raise Wrong(f"{len(wanted)} lines went in and {len(rows)} rows came out")
        for row, right in zip(rows, wanted, strict=True):
            if row[1] != right[1]:
                raise Wrong(f"expected the line {right[1]!r}, in the order of the input, got {row}")
            if row[0] != right[0]:
                raise Wrong(f"the line {row[1]!r} stands under {row[0]!r}: {right[0]!r} wrote it")
    return "every line under its own title"


@register(
    "5.2",
    "A window's function is given as many vectors as there are: ask for the length.",
    "It cannot drop a row, but it can return None, and a `filter` after it can drop that.",
    '`.filter("mean", "mean", "mean", lambda mean: mean is not None)`',
)
def clips(clips):
    """Steps below, at and above the size, and fewer vectors than a window holds."""
    rng = np.random.default_rng(0)
    for n, size, step in ((7, 4, 2), (8, 4, 4), (6, 2, 1), (10, 2, 5), (3, 4, 1), (5, 1, 1)):
        vectors = rng.random((n, 3))
        starts = range(0, n - size + 1, step)
        rows = _rows(clips(size, step), list(vectors), 1)
        what = f"{n} vectors, windows of {size}, moved on by {step}"
        if any(row[0] is None for row in rows):
            raise Wrong(f"{what}: a row holds None; drop it")
        if len(rows) > len(starts):
            raise Wrong(f"{what}: {len(starts)} are whole, {len(rows)} rows came: the end is short")
        if len(rows) < len(starts):
            raise Wrong(f"{what}: {len(starts)} are whole, and only {len(rows)} rows came")
        for start, row in zip(starts, rows, strict=True):
            if np.shape(row[0]) != (3,):
                raise Wrong(f"{what}: a mean should have shape (3,), not {np.shape(row[0])}")
            if not np.allclose(row[0], vectors[start : start + size].mean(axis=0)):
                raise Wrong(f"{what}: the row of frame {start} is not the mean of its window")
    return "whole clips only, whatever the size and the step"


@register(
    "5.3",
    "`ops.` and a dotted name: the dot becomes a slash. What did `@register(name=...)` take above?",
    "The arguments given to `ops.….sbert(...)` arrive in the class's `__init__`, the text in `__call__`.",
    "A class that inherits from nothing is shared by all runs. `encode` takes a list and gives rows.",
)
def install(install):
    """The hub's name, what it is made with, what it returns, and how many are made."""
    name, model = "sentence-embedding/sbert", "all-MiniLM-L6-v2"
    towhee = _towhee()
    with _registry() as registry:
        registry.pop(name, None)
        before = set(registry)
        install()
        new = sorted(set(registry) - before)
        if not new:
            raise Wrong("nothing new is registered: is there a `@register(name=...)`?")
        if name not in registry:
            raise Wrong(f"registered is {new[0]!r}, and the pipeline asks for another name")
        made = _count(registry[name])

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
        texts = ["a dog", "two cats", "rain", "a red car", "night", "tea", "a song", "the sea"]
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
        _refuses(pipeline, "all-mpnet-base-v2")
    return "the hub's name, our model, one of it: call `install()`, and `from_hub.output` works"


def _count(operator: type) -> list[bool]:
    """A list that grows by one for each operator of this class that is made."""
    made, original = [], operator.__init__

    def counted(self, *args, **kwargs) -> None:
        made.append(True)
        original(self, *args, **kwargs)

    operator.__init__ = counted
    return made


def _refuses(pipeline: Any, other: str) -> None:
    try:
        pipeline(other)
    except RuntimeError as error:
        if "ValueError" not in str(error):
            last = str(error).strip().splitlines()[-1]
            raise Wrong(f"another model_name should raise ValueError, not `{last}`") from error
    else:
        raise Wrong(f"model_name={other!r} is another model, and is taken without a word")
