"""What people answer in chapter 02."""

from collections import Counter
from fractions import Fraction
from itertools import combinations

import numpy as np
from PIL import Image, ImageOps

norm = np.linalg.norm


# ------------------------------------------------------------------------------------------- 2.1


def mean(tokens, mask, count=None):
    weights = mask[:, :, None].astype(np.float32)
    return (tokens * weights).sum(1) / np.maximum(weights.sum(1), 1 if count is None else count)


def float64(tokens, mask):
    return (tokens * mask[:, :, None]).sum(1) / np.maximum(mask.sum(1), 1)[:, None]


def nan_for_none(tokens, mask):
    weights = mask[:, :, None].astype(np.float32)
    return (tokens * weights).sum(1) / weights.sum(1)


def in_place(tokens, mask):
    tokens *= mask[:, :, None].astype(np.float32)
    return tokens.sum(1) / np.maximum(mask.sum(1), 1)[:, None].astype(np.float32)


def by_length(tokens, mask):
    return np.stack(
        [
            t[: m.sum()].mean(0) if m.sum() else np.zeros_like(t[0])
            for t, m in zip(tokens, mask, strict=True)
        ]
    )


def first_row_mask(tokens, mask):
    return mean(tokens, np.repeat(mask[:1], len(mask), axis=0))


# ------------------------------------------------------------------------------------------- 2.2


def counts(labels):
    return np.unique(labels, return_counts=True)[1], len(labels)


def with_itself(labels):
    c, n = counts(labels)
    return ((c / n) ** 2).sum()


def total_too_large(labels):
    c, n = counts(labels)
    return (c * (c - 1)).sum() / n**2


def own_category_too_large(labels):
    c, n = counts(labels)
    return (c * c).sum() / (n * (n - 1))


def by_category(labels):
    c, n = counts(labels)
    return np.mean((c - 1) / (n - 1))


def simulated(labels):
    rng, n = np.random.default_rng(0), len(labels)
    queries = rng.integers(0, n, 5000)
    others = (queries + rng.integers(1, n, 5000)) % n
    return float(np.mean(labels[queries] == labels[others]))


def each_query(labels):
    c, n = counts(labels)
    return (c - 1) / (n - 1)


# ------------------------------------------------------------------------------------------- 2.3


def feed(picture, fit="pad", colour="rgb", scale="right", layout="transpose", kind=np.float32):
    if fit == "pad":
        picture = ImageOps.pad(picture, (224, 224), color="white")
    elif fit == "black":
        picture = ImageOps.pad(picture, (224, 224), color="black")
    elif fit == "crop":
        picture = ImageOps.fit(picture, (224, 224))
    elif fit == "corner":
        small = ImageOps.contain(picture, (224, 224))
        picture = Image.new("RGB", (224, 224), "white")
        picture.paste(small)
    else:
        picture = picture.resize((224, 224))
    x = np.asarray(picture, np.float32)
    x = x[..., ::-1] if colour == "bgr" else x
    x = {
        "right": lambda: (x - 127) / 128,
        "unit": lambda: x / 255,
        "none": lambda: x,
        "imagenet": lambda: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "shifted": lambda: x - 127,
        "odd": lambda: np.sqrt(x) / 3 - 1,
    }[scale]()
    x = x.reshape(3, 224, 224) if layout == "reshape" else x.transpose(2, 0, 1)
    x = x.transpose(0, 2, 1) if layout == "side" else x
    return np.ascontiguousarray(x[None], kind)


def wrong(**mistakes):
    return lambda picture: feed(on_white(picture), **mistakes)


def on_white(picture):
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def pasted_without_mask(picture):
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture)
    return feed(white)


def all_or_nothing(picture):
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A").point(lambda a: 255 * (a > 200)))
    return feed(white)


# ------------------------------------------------------------------------------------------- 2.4


def mixed(p, vectors, best):
    return np.einsum("nt,ntd->nd", np.take_along_axis(p, best, 1), vectors[best])


def unit(rows):
    return rows / norm(rows, axis=1, keepdims=True)


def ranked(p, top):
    return np.argsort(-p, axis=1)[:, :top]


def weights_out_of_step(p, vectors, top):
    return unit(np.einsum("nt,ntd->nd", np.sort(p, axis=1)[:, -top:], vectors[ranked(p, top)]))


def cleared_in_place(p, vectors, top):
    np.put_along_axis(p, np.argsort(-p, axis=1)[:, top:], 0, axis=1)
    return unit(p @ vectors)


def conse_loop(p, vectors, top):
    rows = []
    for row in p:
        best = row.argsort()[::-1][:top]
        total = row[best] @ vectors[best]
        rows.append(total / norm(total))
    return np.array(rows)


def conse_sparse(p, vectors, top):
    best = np.argpartition(-p, top - 1, axis=1)[:, :top]
    weights = np.zeros_like(p)
    np.put_along_axis(weights, best, np.take_along_axis(p, best, 1), 1)
    return unit(weights @ vectors)


def conse_shares(p, vectors, top):
    best = ranked(p, top)
    weights = np.take_along_axis(p, best, axis=1)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return unit((weights[:, :, None] * vectors[best]).sum(axis=1))


# ------------------------------------------------------------------------- right in other ways


def pool_einsum(tokens, mask):
    weights = mask.astype(np.float32)
    return np.einsum("ntd,nt->nd", tokens, weights) / np.maximum(weights.sum(1, keepdims=True), 1)


def pool_where(tokens, mask):
    total = np.where(mask[..., None] == 1, tokens, 0).sum(axis=1)
    count = mask.sum(axis=1, keepdims=True)
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def pool_product(tokens, mask):
    total = (mask[:, None, :].astype(np.float32) @ tokens)[:, 0]
    count = mask.sum(axis=1)
    count[count == 0] = 1
    return total / count[:, None].astype(np.float32)


def pool_loop(tokens, mask):
    out = np.zeros((len(tokens), tokens.shape[2]), np.float32)
    for number in range(len(tokens)):
        if mask[number].any():
            out[number] = tokens[number][mask[number] == 1].mean(axis=0)
    return out


def chance_counter(labels):
    labels = list(labels)
    n = len(labels)
    return sum(c / n * (c - 1) / (n - 1) for c in Counter(labels).values())


def chance_table(labels):
    n = len(labels)
    return ((labels[:, None] == labels).sum() - n) / (n * (n - 1))


def chance_pairs(labels):
    equal = [a == b for a, b in combinations(labels, 2)]
    return sum(equal) / len(equal)


def chance_fraction(labels):
    n = len(labels)
    return sum(Fraction(c * (c - 1), n * (n - 1)) for c in Counter(list(labels)).values())


def sorted_in_place(labels):
    labels.sort()
    return chance_table(labels)


def masked_paste(picture):
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return feed(white)


def by_arithmetic(picture):
    values = np.asarray(picture.convert("RGBA"), np.float32)
    share = values[:, :, 3:] / 255
    flat = values[:, :, :3] * share + 255 * (1 - share)
    return feed(Image.fromarray(flat.round().astype(np.uint8)))


def only_rgba(picture):
    return feed(on_white(picture) if picture.mode == "RGBA" else picture.convert("RGB"))


def palette_forgotten(picture):
    transparent = picture.mode in ("RGBA", "LA")
    return feed(on_white(picture) if transparent else picture.convert("RGB"))


RIGHT = {
    "2.1": [mean, pool_einsum, pool_where, pool_product],
    "2.2": [chance_counter, chance_table, chance_pairs, chance_fraction],
    "2.3": [lambda picture: feed(on_white(picture)), masked_paste, by_arithmetic],
    "2.4": [
        lambda p, v, top: unit(mixed(p, v, ranked(p, top))),
        conse_loop,
        conse_sparse,
        conse_shares,
        lambda p, v, top: list(conse_loop(p, v, top)),
    ],
}

WRONG = {
    "2.1": [
        (lambda t, m: t.mean(1), "mean over all positions"),
        (lambda t, m: (t * m[:, :, None].astype("f4")).mean(1), "still counts in the division"),
        (lambda t, m: (t * m[:, :, None].astype("f4")).sum(1), "these are sums"),
        (lambda t, m: t[:, 0], "first token"),
        (lambda t, m: (t * m).sum(1) / m.sum(1), "do not fit together"),
        (lambda t, m: np.where(m[:, :, None] == 1, t, -9).max(1), "maxima"),
        (lambda t, m: mean(t, m) / norm(mean(t, m), axis=1, keepdims=True), "length 1"),
        (lambda t, m: (t * m[:, :, None].astype("f4")).sum(1) / m.sum(), "whole batch"),
        (lambda t, m: t[m == 1].mean(0), "shape"),
        (first_row_mask, "its own mask"),
        (float64, "twice the memory"),
        (nan_for_none, "is `nan`"),
        (in_place, "changes what it was given"),
        (by_length, "a gap in it"),
        (pool_loop, "no loop"),
    ],
    "2.2": [
        (with_itself, "find itself"),
        (total_too_large, "not out of the total"),
        (own_category_too_large, "not out of its category"),
        (by_category, "counts alike"),
        (simulated, "not exact"),
        (each_query, "one number for all"),
        (lambda labels: 1 / len(set(labels.tolist())), "number of categories"),
        (lambda labels: counts(labels)[0].max() / len(labels), "largest category"),
        (lambda labels: 0.07, "gave 0.07"),
        (lambda labels: 5 * chance_table(labels), "five times"),
        (sorted_in_place, "changes what it was given"),
    ],
    "2.3": [
        (wrong(fit="stretch"), "stretched"),
        (wrong(fit="crop"), "cut off"),
        (wrong(fit="black"), "black, not white"),
        (wrong(fit="corner"), "in a corner"),
        (wrong(colour="bgr"), "red and blue"),
        (wrong(scale="unit"), "from 0 to 1"),
        (wrong(scale="none"), "never scaled"),
        (wrong(scale="imagenet"), "those of other models"),
        (wrong(scale="shifted"), "nothing divided"),
        (wrong(scale="odd"), "none of the usual ways"),
        (wrong(layout="reshape"), "cuts the pixels up"),
        (wrong(layout="side"), "on its side"),
        (wrong(kind=np.float64), "float32 only"),
        (wrong(fit="stretch", colour="bgr", scale="unit", layout="reshape"), "4 mistakes are left"),
        (wrong(colour="bgr", scale="unit"), "2 mistakes are left: red and blue"),
        (lambda picture: feed(on_white(picture))[0], "the batch is missing"),
        (lambda picture: feed(picture).transpose(0, 2, 3, 1), "colours are the last axis"),
        (feed, "a grey picture (L) raises"),
        (only_rgba, "a grey transparent picture (LA) is transparent it comes out black"),
        (palette_forgotten, "a picture with a palette (P with transparency) is transparent"),
        (lambda picture: feed(picture.convert("RGB")), "transparent it comes out black"),
        (pasted_without_mask, "transparent it comes out black"),
        (all_or_nothing, "half-transparent"),
        (lambda picture: picture.resize((224, 224)), "still a picture"),
    ],
    "2.4": [
        (lambda p, v, top: unit(p @ v), "classes count, not the best"),
        (lambda p, v, top: unit(v[ranked(p, top)].sum(1)), "counts the same"),
        (lambda p, v, top: mixed(p, v, ranked(p, top)), "not yet of length 1"),
        (lambda p, v, top: unit(mixed(p, v, np.argsort(p, axis=1)[:, :top])), "least probable"),
        (lambda p, v, top: v[p.argmax(1)], "only the best class"),
        (
            lambda p, v, top: mixed(p, v, ranked(p, top)) / norm(mixed(p, v, ranked(p, top))),
            "share one length",
        ),
        (weights_out_of_step, "stay with its own class"),
        (cleared_in_place, "changes what it was given"),
        (lambda p, v, top: p[:, :top] @ v[:top], "not the weighted sums"),
        (lambda p, v, top: unit(mixed(p, v, ranked(p, 10))), "10 classes count, not 3"),
        (lambda p, v, top: unit(mixed(p, v, ranked(p, top + 1))), "4 classes count, not 3"),
        (lambda p, v, top: unit(mixed(p, v, ranked(p, top - 1))), "2 classes count, not 3"),
    ],
}
