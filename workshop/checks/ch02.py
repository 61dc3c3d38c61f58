"""Checks of chapter 02, from things to vectors."""

from collections.abc import Callable
from itertools import product
from numbers import Real

import numpy as np
from PIL import Image

from workshop.checks import Wrong, call, no_loop, register


def _array(answer: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    if answer is None:
        raise Wrong("your function returns nothing: is there a `return`?")
    try:
        got = np.asarray(answer)
    except ValueError:
        raise Wrong(f"{what} come back as {type(answer).__name__}, not as one array") from None
    if got.shape != shape:
        raise Wrong(f"{what} have shape {got.shape}, not {shape}")
    if got.dtype.kind not in "fiu":
        raise Wrong(f"{what} are {got.dtype}, not numbers")
    return got


def _name(got: np.ndarray, mistakes: dict[str, np.ndarray], wanted: np.ndarray) -> None:
    for mistake, wrong in mistakes.items():
        # a mistake that gives the right values, as some do for one sentence, is none here
        if np.allclose(got, wrong, atol=1e-4) and not np.allclose(wanted, wrong, atol=1e-3):
            raise Wrong(mistake)


# ------------------------------------------------------------------------------------------- 2.1


@register(
    "2.1",
    "Multiply each token's vector by its mask: padding becomes zeros, and zeros add nothing. "
    "`(n, t)` and `(n, t, d)` fit together once the mask is `(n, t, 1)`: `mask[:, :, None]`.",
    "Divide the sum by the number of real tokens, `mask.sum(axis=1)`, not by `t`; as `(n, 1)` it "
    "fits `(n, d)`.",
    "A row without tokens divides by 0: `np.maximum(count, 1)`. And float32 times an int64 mask is "
    "float64: `mask.astype(tokens.dtype)` first.",
)
def mean_pool(mean_pool: Callable) -> str:
    """Means of the real tokens' vectors, (n, d) float32."""
    rng = np.random.default_rng(21)
    # t = d, and n = t = d, are shapes at which a forgotten axis goes unnoticed
    for n, t, d in [(3, 6, 4), (2, 5, 5), (4, 4, 4), (1, 3, 8)]:
        tokens = rng.normal(size=(n, t, d)).astype(np.float32)
        lengths = rng.integers(1, t, n)
        mask = (np.arange(t) < lengths[:, None]).astype(np.int64)
        try:
            answer = call(mean_pool, tokens, mask)
        except ValueError as error:
            if "broadcast" not in str(error):
                raise
            raise Wrong(
                f"tokens {tokens.shape} and a mask {mask.shape} do not fit together: the mask needs "
                "a third axis"
            ) from None
        got = _array(answer, (n, d), "the means")
        total = (tokens * mask[:, :, None]).sum(axis=1)
        wanted = total / mask.sum(axis=1)[:, None]
        unit = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
        _name(
            got,
            {
                "padding is counted: this is the mean over all positions": tokens.mean(axis=1),
                "padding adds nothing, but it still counts in the division": total / t,
                "these are sums: divide by the number of real tokens": total,
                "this is the first token's vector, not the mean": tokens[:, 0],
                "these are scaled to length 1: here the mean itself is wanted": unit,
                "these are maxima, not means": np.where(mask[:, :, None] == 1, tokens, -np.inf).max(
                    axis=1
                ),
                "every sentence is divided by the token count of the whole batch": total
                / mask.sum(),
            },
            wanted,
        )
        if not np.allclose(got, wanted, atol=1e-4):
            raise Wrong(
                f"with tokens {tokens.shape} and a mask {mask.shape} these are not the means: is "
                "each token multiplied by its own mask?"
            )
        if got.dtype != np.float32:
            raise Wrong(f"float32 went in and {got.dtype} came out: twice the memory")

    tokens = rng.normal(size=(3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    with np.errstate(all="ignore"):
        got = _array(call(mean_pool, tokens, mask), (3, 4), "the means")
    if np.isnan(got).any():
        raise Wrong(
            "a row without tokens is `nan`, and chapter 01 showed what that does to a search"
        )
    if np.any(got[1] != 0):
        raise Wrong("a row without tokens does not give zeros")
    if not np.allclose(got[0], tokens[0, :2].mean(axis=0), atol=1e-5):
        raise Wrong("beside a row without tokens, the mean of a row of two comes out wrong")
    gaps = np.array([[1, 0, 1, 0, 1]] * 3)
    got = _array(call(mean_pool, tokens, gaps), (3, 4), "the means")
    if not np.allclose(got, tokens[:, ::2].mean(axis=1), atol=1e-5):
        raise Wrong(
            "a mask with a gap in it, 1 0 1 0 1, comes out wrong: trust the mask, not a length"
        )
    many = rng.normal(size=(200, 5, 4)).astype(np.float32)
    all_real = np.ones((200, 5), np.int64)
    no_loop(mean_pool, (many[:5], all_real[:5]), (many, all_real))
    return "the same sentence, whoever sits beside it"


# ------------------------------------------------------------------------------------------- 2.2


@register(
    "2.2",
    "Each of the five is drawn alike, so one draw will do: how likely is it that *one* random other "
    "picture has the query's label?",
    "For a query whose label occurs `c` times among `n`, that is `(c - 1) / (n - 1)`: the query is "
    "no longer in the urn.",
    "`np.unique(labels, return_counts=True)` gives the counts. `c` queries have that label, so each "
    "count weighs `c / n`.",
)
def chance(chance: Callable) -> str:
    """Expected precision of random neighbours, one float."""
    rng = np.random.default_rng(22)
    cases = [
        np.array(list("aabbbcccccd")),
        np.array(["x"] * 4 + ["y"] * 4),
        rng.integers(0, 9, 200),
    ]
    for labels in cases:
        answer = call(chance, labels)
        if answer is None:
            raise Wrong("your function returns nothing: is there a `return`?")
        answer = answer.item() if isinstance(answer, np.ndarray) and answer.ndim == 0 else answer
        if np.ndim(answer) != 0:
            raise Wrong(f"an answer of shape {np.shape(answer)}: one number for all is wanted")
        if not isinstance(answer, Real) or isinstance(answer, bool):
            raise Wrong(f"one number is wanted, not {type(answer).__name__}")
        n, counts = len(labels), np.unique(labels, return_counts=True)[1]
        wanted = (counts * (counts - 1)).sum() / (n * (n - 1))
        mistakes = {
            "the query may still find itself: it is not among the others": (
                (counts / n) ** 2
            ).sum(),
            "the query is taken out of its category, but not out of the total": (
                counts * (counts - 1)
            ).sum()
            / n**2,
            "the query is taken out of the total, but not out of its category": (counts**2).sum()
            / (n * (n - 1)),
            "that is one over the number of categories, as if all were equally large": 1
            / len(counts),
            "every category counts alike: a large one has more queries": np.mean(
                (counts - 1) / (n - 1)
            ),
            "this is not the expectation but five times it: precision is a share": 5 * wanted,
            "that is the share of the largest category": counts.max() / n,
        }
        for mistake, wrong in mistakes.items():
            if abs(answer - wrong) < 1e-9 and abs(wanted - wrong) > 1e-9:
                raise Wrong(mistake)
        if abs(answer - wanted) > 1e-9:
            close = abs(answer - wanted) < 0.05
            raise Wrong(
                f"{answer:.4f} is close, but not exact: were numbers drawn?"
                if close
                else f"labels with counts {counts.tolist()} gave {answer:.4f}"
            )
    if call(chance, np.array(["a", "b", "c"])) != 0:
        raise Wrong("where every label occurs once no neighbour can be right: 0 is wanted")
    return "the floor under every precision: know it before you praise one"


# ------------------------------------------------------------------------------------------- 2.3

# Difference over spread that another way of resizing, or a pixel's shift of the middle, may make.
_NEAR = 0.05
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _fit(picture: Image.Image, how: str) -> np.ndarray:
    if how == "stretched":
        return np.asarray(picture.resize((224, 224)), np.float32)
    sides = min(picture.size) if how == "cropped" else max(picture.size)
    width, height = (max(1, round(side * 224 / sides)) for side in picture.size)
    square = Image.new("RGB", (224, 224), "black" if how == "black" else "white")
    place = (0, 0) if how == "corner" else ((224 - width) // 2, (224 - height) // 2)
    square.paste(picture.resize((width, height)), place)
    return np.asarray(square, np.float32)


_FITS = {
    "": "",
    "stretched": "the picture is stretched to the square, not padded",
    "cropped": "the picture's ends are cut off",
    "black": "the padding is black, not white",
    "corner": "the picture lies in a corner, not in the middle",
}
_COLOURS = {"": "", "bgr": "red and blue are swapped"}
_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda x: (x - 127) / 128,
    "the values go from 0 to 1, not from −1 to 1": lambda x: x / 255,
    "the values are never scaled": lambda x: x,
    "mean and standard deviation are those of other models": lambda x: (x / 255 - _MEAN) / _STD,
    "127 is taken off, and nothing divided": lambda x: x - 127,
    "the values are divided by 255, and then shifted and divided again": lambda x: (
        (x / 255 - 127) / 128
    ),
}
_LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda x: x.transpose(2, 0, 1),
    "`reshape` cuts the pixels up instead of turning the axes": lambda x: x.reshape(3, 224, 224),
    "the picture lies on its side: height and width are swapped": lambda x: x.transpose(2, 1, 0),
}


@register(
    "2.3",
    "Draw what goes in, as the cell does. What is wrong with its proportions, its colours, its grain?",
    "`resize` stretches, `::-1` swaps red and blue, `reshape` tears the pixels apart, `/ 255` is "
    "another model's scale: `prepare` has none of the four. What is left is `convert`.",
    '`convert("RGB")` throws transparency away and shows the black beneath. '
    "`Image.alpha_composite(white, picture)` lays one RGBA picture on another of the same size.",
)
def repaired(repaired: Callable) -> str:
    """A picture as EfficientNet-Lite0 wants it: float32 (1, 3, 224, 224)."""
    rng = np.random.default_rng(23)
    for mode, width, height in [
        ("RGB", 90, 240),
        ("RGB", 256, 130),
        ("RGB", 200, 200),
        ("L", 120, 180),
        ("P", 150, 110),
        ("RGBA", 180, 100),
        ("LA", 100, 190),
        ("P with transparency", 170, 120),
    ]:
        picture, flat = _example(rng, mode, width, height)
        try:
            answer = call(repaired, picture)
        except Exception as error:
            if mode == "RGB":
                raise
            kind = _KINDS[mode]
            raise Wrong(
                f"right for RGB, but {kind} ({mode}) raises: {type(error).__name__}: {error}"
            ) from None
        if mode in ("RGBA", "LA", "P with transparency"):
            for hidden in (picture.convert("RGB"), picture.convert("RGBA").convert("RGB")):
                if _is_fed(hidden, answer) and not _is_fed(flat, answer):
                    shown = "in its hidden colours" if mode[0] == "P" else "black"
                    raise Wrong(
                        f"where {_KINDS[mode]} ({mode}) is transparent it comes out {shown}, not white"
                    )
        _compare(flat, answer)
    glass = Image.new("RGBA", (100, 100), (0, 0, 0, 128))
    if abs(np.mean(call(repaired, glass))) > 0.03:
        raise Wrong("half-transparent black on white is grey; yours comes out lighter or darker")
    return "as in training: whole, in the right colours, in order and to scale"


_KINDS = {
    "L": "a grey picture",
    "P": "a picture with a palette",
    "RGBA": "a transparent picture",
    "LA": "a grey transparent picture",
    "P with transparency": "a picture with a palette",
}


def _example(
    rng: np.random.Generator, mode: str, width: int, height: int
) -> tuple[Image.Image, Image.Image]:
    """A picture of that mode, and how it looks on white."""
    # smooth, so that the way of resizing matters little; colourful and without symmetry
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3)).astype(np.uint8))
    picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
    hole = (width // 3, height // 4, width, height)
    if mode[0] == "P":
        picture = picture.quantize(200)
        if mode != "P":
            picture.putpalette([*picture.getpalette()[:600], *[0] * 168])
            picture.paste(255, hole)
            picture.info["transparency"] = 255
    elif mode in ("RGBA", "LA"):
        picture = picture.convert(mode)
        picture.paste((0, 0, 0, 0) if mode == "RGBA" else (0, 0), hole)
    else:
        picture = picture.convert(mode)
    seen = picture.convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    return picture, Image.alpha_composite(white, seen).convert("RGB")


def _is_fed(picture: Image.Image, answer: object) -> bool:
    if np.shape(answer) != (1, 3, 224, 224):
        return False
    found, distance = _closest(picture, np.asarray(answer, np.float32)[0])
    return not found and distance < _NEAR


def _compare(picture: Image.Image, answer: object) -> None:
    if isinstance(answer, Image.Image):
        raise Wrong("this is still a picture: the network wants numbers")
    if np.shape(answer) == (3, 224, 224):
        raise Wrong("the batch is missing: (3, 224, 224), not (1, 3, 224, 224)")
    if np.shape(answer) == (1, 224, 224, 3):
        raise Wrong("the colours are the last axis; the network wants them before height and width")
    got = _array(answer, (1, 3, 224, 224), "the values")
    found, distance = _closest(picture, got[0].astype(np.float32))
    if found:
        left = "one mistake is" if len(found) == 1 else f"{len(found)} mistakes are"
        raise Wrong(f"{left} left: " + "; ".join(found))
    if distance > _NEAR:
        raise Wrong(
            f"on average the values are {distance:.2f} away from what they should be, and in none of "
            "the usual ways: draw what you return"
        )
    if got.dtype != np.float32:
        raise Wrong(f"the values are right, but {got.dtype}: the network takes float32 only")


def _closest(picture: Image.Image, got: np.ndarray) -> tuple[list[str], float]:
    """The combination of known mistakes nearest to what came back, and how near it is.

    The first combination is none at all; where it is near enough, no other is tried.
    """
    best: tuple[float, list[str]] = (np.inf, [])
    for fit, colour, scale, layout in product(_FITS, _COLOURS, _SCALES, _LAYOUTS):
        x = _fit(picture, fit)
        x = _LAYOUTS[layout](_SCALES[scale](x[..., ::-1] if colour else x))
        distance = float(np.abs(got - x).mean() / max(x.std(), 1e-3))
        if distance < best[0]:
            best = (distance, [m for m in (_FITS[fit], _COLOURS[colour], scale, layout) if m])
        if best[0] < _NEAR and not best[1]:
            break
    return (best[1] if best[0] < _NEAR else []), best[0]


# ------------------------------------------------------------------------------------------- 2.4


@register(
    "2.4",
    "`np.argsort(-probabilities, axis=1)[:, :top]` has each picture's best classes, shape "
    "`(n, top)`.",
    "`class_vectors[best]` has shape `(n, top, d)`, and "
    "`np.take_along_axis(probabilities, best, axis=1)` their weights, `(n, top)`.",
    "Give the weights a third axis, multiply, and sum over `axis=1`. Then divide each row by its own "
    "length, with `keepdims=True`.",
)
def conse(conse: Callable) -> str:
    """Pictures as weighted sums of class vectors, (n, d), rows of length 1."""
    rng = np.random.default_rng(24)
    for n, c, d, top in [(5, 12, 6, 3), (4, 4, 4, 2), (3, 9, 5, 1), (2, 7, 4, 7), (1, 30, 8, 10)]:
        probabilities = rng.dirichlet(np.full(c, 0.6), n).astype(np.float32)
        vectors = rng.normal(size=(c, d)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        got = _array(call(conse, probabilities, vectors, top), (n, d), "the vectors")
        order = np.argsort(-probabilities, axis=1)
        mixed = _mixed(probabilities, vectors, order[:, :top])
        if np.allclose(got, mixed, atol=1e-4) and not np.allclose(mixed, _unit(mixed), atol=1e-3):
            raise Wrong("the sums are right, but not yet of length 1")
        mistakes = {
            f"all {c} classes count, not the best {top}": _unit(probabilities @ vectors),
            "each class counts the same: its probability is the weight": _unit(
                vectors[order[:, :top]].sum(axis=1)
            ),
            "these are the least probable classes": _unit(
                _mixed(probabilities, vectors, order[:, ::-1][:, :top])
            ),
            "only the best class counts": vectors[order[:, 0]],
            "all pictures share one length: divide each row by its own": mixed
            / np.linalg.norm(mixed),
            "every picture gets the classes of the first": _unit(
                _mixed(probabilities, vectors, np.repeat(order[:1, :top], n, axis=0))
            ),
        }
        for many in {top - 1, top + 1, 10} & set(range(1, c)) - {top}:
            mistakes[f"{many} classes count, not {top}, which is `top`"] = _unit(
                _mixed(probabilities, vectors, order[:, :many])
            )
        ascending = np.sort(probabilities, axis=1)
        for weights in (probabilities[:, :top], ascending[:, :top], ascending[:, -top:]):
            swapped = _unit(np.einsum("nt,ntd->nd", weights, vectors[order[:, :top]]))
            _name(got, {"each weight must stay with its own class": swapped}, _unit(mixed))
        wanted = _unit(mixed)
        _name(got, mistakes, wanted)
        if not np.allclose(got, wanted, atol=1e-4):
            raise Wrong(
                f"{n} pictures, {c} classes, top = {top}: these are not the weighted sums: "
                "compare one picture with the steps for the dolphin"
            )
    return "two networks that never met, joined by names"


def _mixed(probabilities: np.ndarray, vectors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    weights = np.take_along_axis(probabilities, chosen, axis=1)
    return np.einsum("nt,ntd->nd", weights, vectors[chosen])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
