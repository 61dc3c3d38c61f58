"""What people answer in chapter 05: right ones in several styles, and wrong ones with what is said of them."""

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


def with_append(title, text):
    pairs = []
    for line in text.splitlines():
        pairs.append((title, line))
    return pairs


def with_zip(title, text):
    every = text.splitlines()
    return list(zip([title] * len(every), every, strict=True))


def all_at_once(poems):
    return [(title, line) for title, text in poems for line in text.splitlines()]


def filter_then(size, step):
    def mean(window):
        return sum(window) / size

    return (
        pipe.input("v")
        .flat_map("v", "x", lambda v: v)
        .window("x", "w", size, step, lambda window: list(window))
        .filter("w", "w", "w", lambda window: len(window) == size)
        .map("w", "mean", mean)
        .output("mean")
    )


def flat_map_drops(size, step):
    return (
        pipe.input("v")
        .flat_map("v", "x", lambda v: v)
        .window("x", "w", size, step, list)
        .flat_map("w", "mean", lambda w: [np.mean(w, axis=0)] if len(w) == size else [])
        .output("mean")
    )


def without_window(size, step):
    def whole(v):
        return [v[start : start + size] for start in range(0, len(v) - size + 1, step)]

    steps = pipe.input("v").flat_map("v", "w", whole)
    return steps.map("w", "mean", lambda w: np.stack(w).mean(axis=0)).output("mean")


def zero_marks_a_short_one(size, step):
    return (
        pipe.input("v")
        .flat_map("v", "x", lambda v: v)
        .window("x", "mean", size, step, lambda w: np.mean(w, axis=0) * (len(w) == size))
        .filter("mean", "mean", "mean", lambda mean: mean.any())
        .output("mean")
    )


def truth_of_an_array(size, step):
    return (
        pipe.input("v")
        .flat_map("v", "x", lambda v: v)
        .window("x", "mean", size, step, lambda w: np.mean(w, axis=0) if len(w) == size else None)
        .filter("mean", "mean", "mean", lambda mean: mean)
        .output("mean")
    )


def one_too_few(size, step):
    def whole(v):
        return [v[start : start + size] for start in range(0, len(v) - size, step)]

    steps = pipe.input("v").flat_map("v", "w", whole)
    return steps.map("w", "mean", lambda w: np.mean(w, axis=0)).output("mean")


def a_list_and_no_pipeline(size, step):
    return lambda v: [np.mean(v[i : i + size], axis=0) for i in range(0, len(v) - size + 1, step)]


def not_closed(size, step):
    return pipe.input("v").flat_map("v", "x", lambda v: v)


def clips_returns_nothing(size, step):
    filter_then(size, step)


def decorated():
    @register(name="sentence_embedding/sbert")
    class Sbert:
        def __init__(self, model_name):
            if model_name != "all-MiniLM-L6-v2":
                raise ValueError(f"no model {model_name}")
            self.encoder = TextEncoder()

        def __call__(self, text):
            return self.encoder.encode([text])[0]


def with_the_name_as_it_is_kept():
    register(name="sentence-embedding/sbert")(Encode)


def one_encoder_for_all():
    encoder = TextEncoder(threads=1)

    class Sbert:
        def __init__(self, model_name="all-MiniLM-L6-v2"):
            if model_name not in ["all-MiniLM-L6-v2"]:
                raise ValueError

        def __call__(self, text):
            (row,) = encoder.encode([text])
            return row

    register(name="sentence_embedding/sbert")(Sbert)


def _begins_with(self, model_name):
    if not model_name.startswith("all-MiniLM"):
        raise ValueError(model_name)
    self.encoder = TextEncoder(threads=1)


def _empty_is_fine(self, model_name=None):
    if model_name and model_name != "all-MiniLM-L6-v2":
        raise ValueError(model_name)
    self.encoder = TextEncoder(threads=1)


def registers_a_function():
    @register(name="sentence_embedding/sbert")
    def sbert(text):
        return TextEncoder(threads=1).encode([text])[0]


RIGHT = {
    "5.1": [
        _lines(with_append),
        _lines(with_zip),
        pipe.input("p").flat_map("p", ("title", "line"), all_at_once).output("title", "line"),
        _poems()
        .map("text", "every", str.splitlines)
        .flat_map(
            ("title", "every"),
            ("title", "line"),
            lambda title, every: [[title, line] for line in every],
        )
        .output("title", "line"),
    ],
    "5.2": [_clips(), filter_then, flat_map_drops, without_window],
    "5.3": [decorated, with_the_name_as_it_is_kept, one_encoder_for_all, _install()],
}
WRONG = {
    "5.1": [
        (
            _poems().flat_map("text", "line", str.splitlines).output("title", "line"),
            "a row with a gap",
        ),
        (_lines(lambda title, text: [(title, text)]), "expected the line"),
        (_lines(lambda title, text: [(title, text.split("\n")[0])]), "expected the line"),
        (_lines(lambda title, text: [(title, word) for word in text.split()]), "expected the line"),
        (_lines(lambda title, text: [(title, x) for x in text.split("\n")]), "expected the line"),
        (
            _lines(lambda title, text: [(title, x) for x in text.splitlines() if x]),
            "expected the line",
        ),
        (
            _lines(lambda title, text: [(title, x.strip()) for x in text.splitlines()]),
            "expected the line",
        ),
        (
            _lines(lambda title, text: [(title, x) for x in dict.fromkeys(text.splitlines())][:2]),
            "expected the line",
        ),
        (
            _lines(lambda title, text: [(title, line) for line in text.splitlines()[::-1]]),
            "expected the line",
        ),
        (
            _lines(lambda title, text: [("One", line) for line in text.splitlines()]),
            "stands under 'One'",
        ),
        (_poems(), "does it end in `.output(...)`"),
        (
            _lines(lambda title, text: [(line, title) for line in text.splitlines()]),
            "in that order",
        ),
        (_poems().output("title"), "should have 2 columns"),
        (lambda poems: [], "a pipeline is wanted"),
    ],
    "5.2": [
        (_clips(whole=False), "and 4 rows came"),
        (_clips(drop=False), "holds None"),
        (_clips(mean=False), "is not the mean"),
        (_clips(stepped=False), "rows came"),
        (_clips(rank=2), "a mean has shape (3,) here, not (1, 3)"),
        (zero_marks_a_short_one, "and only"),
        (truth_of_an_array, "the run failed"),
        (one_too_few, "and only"),
        (a_list_and_no_pipeline, "a pipeline is wanted"),
        (not_closed, "does it end in `.output(...)`"),
        (clips_returns_nothing, "returns nothing"),
        (lambda size, step: filter_then(step, size), "is not the mean"),
        (lambda size, step: filter_then(4, 2), "vectors, windows of"),
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
        (_install(__init__=_begins_with), "'all-MiniLM-L12-v2' is another model"),
        (_install(__init__=_empty_is_fine), "model_name='' is another model"),
        (registers_a_function, "it cannot be made"),
    ],
}
