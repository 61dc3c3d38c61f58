"""Planted wrong answers of chapter 05, and what the check must say about each."""

import warnings

import numpy as np

from workshop import TextEncoder

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from towhee import pipe, register
    from towhee.operator import PyOperator


def _poems():
    return pipe.input("poems").flat_map("poems", ("title", "text"), lambda poems: poems)


def _lines(function):
    return _poems().flat_map(("title", "text"), ("title", "line"), function).output("title", "line")


def _clips(whole=True, mean=True, stepped=True, drop=True, rank=1):
    def function(window):
        if whole and len(window) != function.size:
            return None
        values = np.sum(window, axis=0) / (len(window) if mean else 1)
        return values if rank == 1 else values[None]

    def clips(size, step):
        function.size = size
        rows = pipe.input("vectors").flat_map("vectors", "vector", lambda vectors: vectors)
        rows = rows.window("vector", "mean", size, step if stepped else size, function)
        if drop:
            rows = rows.filter("mean", "mean", "mean", lambda mean: mean is not None)
        return rows.output("mean")

    return clips


class Encode:
    """A right operator, to spoil."""

    def __init__(self, model_name):
        if model_name != "all-MiniLM-L6-v2":
            raise ValueError(model_name)
        self.encoder = TextEncoder(threads=1)

    def __call__(self, text):
        return self.encoder.encode([text])[0]


def _install(*bases, name="sentence_embedding/sbert", **members):
    def install():
        register(name=name)(type("Sbert", bases or (Encode,), members))

    return install


def _takes_any(self, model_name):
    self.encoder = TextEncoder(threads=1)


def _takes_none(self):
    self.encoder = TextEncoder(threads=1)


def _refuses_with_assert(self, model_name):
    assert model_name == "all-MiniLM-L6-v2"
    self.encoder = TextEncoder(threads=1)


def _table(self, text):
    return self.encoder.encode([text])


def _one_letter(self, text):
    return self.encoder.encode([text[0]])[0]


def _bare_text(self, text):
    return self.encoder.encode(text)


def registers_nothing():
    """Makes the class and forgets the decorator."""

    class Sbert(Encode):
        pass

    return Sbert


WRONG = {
    "5.1": [
        (
            _poems().flat_map("text", "line", str.splitlines).output("title", "line"),
            "a row with a gap",
        ),
        (_lines(lambda title, text: [(title, text)]), "rows came out"),
        (_lines(lambda title, text: [(title, text.split("\n")[0])]), "rows came out"),
        (
            _lines(lambda title, text: [(title, line) for line in text.splitlines()[::-1]]),
            "in the order of the input",
        ),
        (
            _lines(lambda title, text: [("One", line) for line in text.splitlines()]),
            "stands under 'One'",
        ),
        (_poems(), "does it end in `.output(...)`"),
        (
            _lines(lambda title, text: [(line, title) for line in text.splitlines()]),
            "expected the line 'a'",
        ),
        (_poems().output("title"), "should have 2 columns"),
        (lambda poems: [], "a pipeline is wanted"),
    ],
    "5.2": [
        (_clips(whole=False), "the end is short"),
        (_clips(drop=False), "holds None"),
        (_clips(mean=False), "is not the mean"),
        (_clips(stepped=False), "rows came"),
        (_clips(rank=2), "should have shape (3,)"),
    ],
    "5.3": [
        (registers_nothing, "nothing new is registered"),
        (_install(name="sbert"), "asks for another name"),
        (_install(name="workshop/sbert"), "asks for another name"),
        (_install(Encode, PyOperator), "made 8 operators"),
        (_install(__init__=_takes_any), "taken without a word"),
        (_install(__init__=_takes_none), "it cannot be made"),
        (_install(__init__=_refuses_with_assert), "not `AssertionError"),
        (_install(__call__=_table), "not (1, 384)"),
        (_install(__call__=_one_letter), "are not those that TextEncoder gives"),
        (_install(__call__=_bare_text), "a batch of texts failed"),
    ],
}
