# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Vectors and similarity
#
# *Part I · Vectors*
#
# **You will be able to** read a picture as a vector, choose a measure by what it ignores, catch a search
# that flatters itself, and predict what a search costs.
#
# **You need** Python, a little NumPy · **Time** 20 min reading, 20 min exercises
#
# ## Where we are going
#
# Left on each line a handwritten digit, beside it the fifteen closest of 1,796 others. Nothing was
# trained. The search is the line with `argsort`.

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from workshop import check, plots

plots.style()
digits = load_digits()
vectors, labels = digits.data.astype(np.float32), digits.target


# %%
def l2(query, vectors):
    return np.linalg.norm(vectors - query, axis=1)


def sheet(rows):
    return np.block([[np.pad(digits.images[i], 1) for i in row] for row in rows])


distances = np.stack([l2(v, vectors) for v in vectors])
nearest = distances[:10].argsort(axis=1, kind="stable")[:, :16]
plt.figure(figsize=(8, 5))
plt.imshow(sheet(nearest), cmap="gray_r")
plt.axis("off")
plt.axvline(9.5, color="#D55E00", linewidth=2)
plt.show()

# %% [markdown]
# Most lines are right; the 2 slides into eights. Then look at the 5: thirteen nines, two threes and not
# one five. Look at the query again, and the search has a point.
#
# ## A picture is a list of numbers
#
# Each picture is 8 × 8 grey values, from 0 (paper) to 16 (ink). Laid end to end they are one vector of
# 64 numbers. Here is the 7, twice.

# %%
seven = vectors[7]
fig, (page, strip) = plt.subplots(1, 2, figsize=(9, 2.4), width_ratios=[1, 3.2])
page.imshow(seven.reshape(8, 8), cmap="gray_r")
page.set_axis_off()
for (y, x), ink in np.ndenumerate(seven.reshape(8, 8)):
    page.text(x, y, int(ink), ha="center", va="center", color="white" if ink > 8 else "black")
strip.bar(range(64), seven, align="edge", color="black")
strip.set(xticks=range(0, 65, 8), xlabel="position in the vector", ylabel="ink")
strip.grid(visible=True, axis="x", color="#D55E00")
plt.show()

# %% [markdown]
# Left, what we see; right, what the computer has. Between two orange lines lies one row of the picture.
#
# Arithmetic on the lists is arithmetic on the pictures, so we can look at a comparison. Below: the 7,
# another digit, what is left when you subtract one from the other, and what they share when you
# multiply them.

# %%
fig, axes = plt.subplots(2, 4, figsize=(7.5, 4))
for row, other in zip(axes, [vectors[1201], vectors[0]], strict=True):
    pictures = [seven, other, seven - other, seven * other]
    looks = [("gray_r", 0, 16), ("gray_r", 0, 16), ("PuOr_r", -16, 16), ("gray_r", 0, 256)]
    for ax, picture, (cmap, low, high) in zip(row, pictures, looks, strict=True):
        ax.imshow(picture.reshape(8, 8), cmap=cmap, vmin=low, vmax=high)
        ax.set_axis_off()
    row[1].set_title(f"cosine {seven @ other / np.sqrt(seven @ seven * (other @ other)):.2f}")
    row[2].set_title(f"L2 {np.linalg.norm(seven - other):.1f}")
    row[3].set_title(f"inner product {seven @ other:.0f}")
plt.show()

# %% [markdown]
# **L2 distance** $\lVert a-b\rVert$ is the *length* of the third picture, the root of its sum of
# squares. **Inner product** $a\cdot b$ is the sum of the fourth: ink where both have ink. **Cosine** is
# the inner product after both are scaled to length 1.
#
# ## Know a measure by what it ignores
#
# **Predict before you run:** by each measure, how many others are closer to our 7 than each copy below? We
# want 0, and all 1,796 for solid black.

# %%
copies = {
    "itself": seven,
    "half the ink": seven / 2,
    "grey veil": np.minimum(seven + 4, 16),
    "moved by one": np.roll(seven.reshape(8, 8), 1, axis=1).ravel(),
    "solid black": np.full_like(seven, 16),
}
axes = plt.figure(figsize=(7.5, 1.8)).subplots(1, 5)
for ax, (name, copy) in zip(axes, copies.items(), strict=True):
    ax.imshow(copy.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set(title=name, frame_on=False, xticks=[], yticks=[])
plt.show()

# %%
strangers = np.delete(vectors, 7, axis=0)
measures = {
    "L2": lambda v: -np.linalg.norm(v - seven, axis=-1),  # minus: larger is closer, for all three
    "inner product": lambda v: v @ seven,
    "cosine": lambda v: v @ seven / np.linalg.norm(v, axis=-1) / np.linalg.norm(seven),
}
print("strangers closer than:".ljust(24) + "".join(m.rjust(15) for m in measures))
for name, copy in copies.items():
    closer = [np.sum(measure(strangers) > measure(copy)) for measure in measures.values()]
    print(name.ljust(24) + "".join(f"{count:15,}" for count in closer))

# %% [markdown]
# **Cosine** ignores length: half the ink changes nothing. To **L2**, 23 strangers are closer.
#
# **Inner product** ignores ink where the query has none. Eleven strangers beat our 7 at being itself, and
# nothing beats a black page: it wins *every* search. Use it where length means something, or on vectors
# of equal length, where all three give the same order.
#
# And one pixel to the right defeats them all. Keep that in mind.

# %% [markdown]
# ### ✍️ Your turn 1.1 · 4 min: one query against all
#
# `cosine_scores(query, vectors)` takes a query of shape `(d,)` and vectors of shape `(n, d)`, and
# returns their cosine similarities, shape `(n,)`. No loop. No row has length zero.


# %%
def cosine_scores(query, vectors):
    # BEGIN SOLUTION
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors @ query / (lengths * np.linalg.norm(query))
    # END SOLUTION


# %% tags=["check"]
check("1.1", cosine_scores)

# %% [markdown]
# ### ✍️ Your turn 1.2 · 5 min: the best k, without sorting everything
#
# `top_k(scores, k)` returns the row numbers of the `k` largest scores, best first, shape `(k,)`. If `k`
# is more than there is, return all of them in order; if it is 0, return none.
#
# Sorting ten million scores to learn ten winners is waste: put the winners on one side in a single
# pass, then sort only those.


# %%
def top_k(scores, k):
    # BEGIN SOLUTION
    k = min(k, len(scores))
    best = np.argpartition(-scores, k - 1)[:k]
    return best[np.argsort(-scores[best], kind="stable")]
    # END SOLUTION


# %% tags=["check"]
check("1.2", top_k)

# %% [markdown]
# ## Ask the neighbours
#
# A search can read handwriting: take the nearest digit's label. Guessing is right one time in ten.
#
# We test it on true labels, and on labels *dealt* out again at random, where nothing can be learned. To
# answer a query we hide some rows: none, the query, a tenth of the file at random, or the tenth that
# the query lies in.
#
# **Predict before you run:** how often is it right, in each of the eight cases?

# %%
rows = np.arange(len(vectors))
groups = {
    "nothing": np.full(len(rows), np.nan),  # nan equals nothing, not even itself
    "the query": rows,
    "a random tenth": np.random.default_rng(0).permutation(rows * 10 // len(rows)),
    "its own tenth": rows * 10 // len(rows),
}
dealt = np.random.default_rng(1).permutation(labels)
print("hidden             true    dealt")
for name, group in groups.items():
    found = np.where(group[:, None] == group, np.inf, distances).argmin(axis=1)
    print(f"{name:14}", *[f"{np.mean(known[found] == known):8.3f}" for known in (labels, dealt)])

# %% [markdown]
# Nothing hidden, nonsense scores 1.000: each query found itself. Hide it: chance is chance again.
#
# The last line's error is nearly twice that of a random tenth. The file holds 13 writers, and one
# writer's digits lie together in it: hiding only the query (*leave one out*) still let us look up the same
# hand. Which figure is honest depends on whose hand you will read next.
#
# Here are all mistakes of the second line: queries above, misleading neighbours below.

# %%
found = np.where(np.eye(len(rows), dtype=bool), np.inf, distances).argmin(axis=1)
mistakes = np.flatnonzero(labels[found] != labels)
plt.figure(figsize=(9, 1))
plt.imshow(sheet([mistakes, found[mistakes]]), cmap="gray_r")
plt.axis("off")
plt.axhline(9.5, color="#D55E00", linewidth=2)
plt.show()
print("is  ", *labels[mistakes])
print("read", *labels[found[mistakes]])

# %% [markdown]
# How many of the 21 would you have read correctly?
#
# ## All distances at once
#
# We looped over 1,797 queries. One matrix product does it, by school algebra:
# $\lVert a-b\rVert^2 = \lVert a\rVert^2 + \lVert b\rVert^2 - 2\,a\cdot b$.
#
# **Predict before you run:** `squares` has shape `(n,)`. Which of the two lines is wrong, and what will
# Python say?

# %%
squares = (vectors**2).sum(axis=1)
one = squares + squares - 2 * vectors @ vectors.T
two = squares[:, None] + squares - 2 * vectors @ vectors.T
for name, table in {"one": one, "two": two}.items():
    same, zeros = np.allclose(table, distances**2, atol=1e-3), not table.diagonal().any()
    np.fill_diagonal(table, np.inf)  # hides the query
    accuracy = np.mean(labels[table.argmin(axis=1)] == labels)
    print(f"{name}: shape {table.shape}, diagonal zero {zeros}, accuracy {accuracy:.2f}")
    print(f"     same as the loop {same}")

# %% [markdown]
# Python says nothing. `(n,)` and `(n,)` add number by number where `(n, 1)` and `(n,)` make a table, yet
# the wrong line has the right shape, a diagonal of zeros and an accuracy that nobody would question.
# Only the slow version gives it away: keep one.
#
# The algebra has a trap of its own. L2 ignores where zero is: add 10,000 to every value, as map
# coordinates do, and no distance changes. **Predict:** does the accuracy?

# %%
for kind in (np.float64, np.float32):
    far = vectors.astype(kind) + kind(10_000)
    squares = (far**2).sum(axis=1)
    table = squares[:, None] + squares - 2 * far @ far.T
    negative = bool((table < 0).any())
    np.fill_diagonal(table, np.inf)
    kept = np.mean(labels[table.argmin(axis=1)] == labels) > 0.9
    print(f"{kind.__name__}: accuracy above 0.90 {kept}, negative squares {negative}")
a, b = np.float32(10_000), np.float32(10_001)
print(f"one apart: (a - b)² = {(a - b) ** 2:.0f}, a² + b² - 2ab = {a * a + b * b - 2 * a * b:.0f}")

# %% [markdown]
# At 100,000,000 float32 values are 8 apart: the difference drowns. This is *cancellation*. float64 delays
# it for twice the memory; moving the data to zero first is free.
#
# ### ✍️ Your turn 1.3 · 6 min: every distance, no loop, no surprise
#
# `pairwise_l2(a, b)` takes `(n, d)` and `(m, d)` and returns all L2 distances, `(n, m)`. Never build
# `(n, m, d)`: our digits would take 827 MB. Identical rows are 0 apart, not `nan`; float32 rows far from
# zero come out right.


# %%
def pairwise_l2(a, b):
    # BEGIN SOLUTION
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))
    # END SOLUTION


# %% tags=["check"]
check("1.3", pairwise_l2)

# %% [markdown]
# ## What a vector does not know
#
# One pixel to the right defeated every measure. Here is why: shuffle the 64 positions, the same way for
# all pictures.
#
# **Predict before you run:** how many of the 1,797 nearest neighbours change?

# %%
order = np.random.default_rng(0).permutation(64)
shuffled = vectors[:, order]
again = np.stack([l2(v, shuffled) for v in shuffled])
print("distances that changed:", np.sum(again != distances))
both = [np.hstack([v[i].reshape(8, 8) for i in range(10)]) for v in (vectors, shuffled)]
plt.figure(figsize=(8, 1.8))
plt.imshow(np.vstack(both), cmap="gray_r")
plt.axis("off")
plt.axhline(7.5, color="#D55E00", linewidth=2)
plt.show()

# %% [markdown]
# None. To the search the two lines are the same: it never knew which pixels lie side by side. It worked
# because others had centred and scaled the digits for us. Chapter 02 finds numbers that mean more.
#
# ## Far from everything
#
# Scatter 2,000 random points in a square, then in `d` dimensions, and measure from one more point.
#
# **Predict before you run:** in the square the farthest is hundreds of times farther than the nearest.
# With 1,000 dimensions?

# %%
rng = np.random.default_rng(1)
fig, axes = plt.subplots(1, 4, figsize=(9, 2.3), sharex=True)
for ax, d in zip(axes, [2, 10, 100, 1000], strict=True):
    far = l2(rng.random(d), rng.random((2000, d)))
    ax.hist(far / far.mean(), bins=np.linspace(0, 2, 81))
    ax.set(title=f"d = {d}", xlabel="distance / mean", yticks=[])
    ratio, spread = far.max() / far.min(), far.std() / far.mean()
    print(f"d {d:4}: farthest / nearest {ratio:6.1f}, spread / mean {spread:.3f}")
axes[0].set_ylabel("points")
plt.show()

# %% [markdown]
# In 1,000 dimensions all points are nearly equally far, and *nearest* means little: the *curse of
# dimensionality* (Beyer and others, 1999). The squared distance is a sum of `d` independent terms. Its
# mean grows like $d$, its spread (std) like $\sqrt d$, so ten times the dimensions divide the last column by
# about three.
#
# Why, then, did 64 pixels work? Take the digits, the digits with each pixel dealt out again among the
# pictures, and noise.

# %%
for name, cloud in {
    "digits": vectors,
    "digits, each pixel dealt out again": np.random.default_rng(2).permuted(vectors, axis=0),
    "noise": np.random.default_rng(3).random(vectors.shape),
}.items():
    far = np.stack([l2(v, cloud[200:]) for v in cloud[:200]]).ravel()
    spread = far.std() / far.mean()  # of uniform noise: spread² = 7 / (20 d)
    plt.hist(far / far.mean(), bins=np.linspace(0, 2, 161), histtype="step", label=name)
    print(f"{name:35} spread / mean {spread:.2f}, as noise with d = {7 / 20 / spread**2:.0f}")
plt.gca().set(xlabel="distance / mean", ylabel="pairs", ylim=(0, 28_000))
plt.legend(loc="upper left")
plt.show()

# %% [markdown]
# The second cloud has each pixel's values, not their company. Pixels that depend on each other spread the
# digits like noise of 13 dimensions, not 64, and the tail on the left is what a search lives on.
# Dimensions do not hurt; independence does.
#
# ## What brute force costs
#
# So far every query met every row: *brute force*. Each number travels from memory to the processor;
# the sums on the way are nearly free. First, that trip alone: *memory bandwidth*.

# %% tags=["nbval-ignore-output"]
from timeit import repeat

from threadpoolctl import threadpool_limits

threadpool_limits(1)  # one core throughout, so that the two figures compare
block = np.ones(32_000_000, dtype=np.float32)
bandwidth = block.nbytes / min(repeat(block.sum, number=1, repeat=7))
print(f"memory bandwidth {bandwidth / 1e9:.1f} GB/s")
need = 100_000_000 * 384 * 4
print(f"100 million vectors of 384: {need / 1e9:.0f} GB, {need / bandwidth:.0f} s for one query")

# %%
fig, ax = plt.subplots(figsize=(6, 3.4))
for d in (16, 64, 256, 1024):
    tables = [block[: n * d].reshape(n, d) for n in 30_000_000 // d // np.array([1, 4, 16, 64])]
    query = np.ones(d, dtype=np.float32)
    times = [min(repeat(lambda t=t, q=query: t @ q, number=1, repeat=7)) for t in tables]
    ax.loglog([t.nbytes / 1e6 for t in tables], np.array(times) * 1000, "o", label=f"d = {d}")
trip = np.array([1, 150])
ax.loglog(trip, trip * 1e9 / bandwidth, "k--", label="one trip through memory")
ax.set(xlabel="table, MB", ylabel="one query, ms", title="Time follows bytes")
ax.legend()
plt.show()

# %% [markdown]
# Few long vectors or many short ones: nearly the same. What counts is `n × d × 4` bytes, and the points
# keep near one line. Where they fall below it, the table fits the processor's own cache, a shorter trip.
#
# **Predict before you run:** the trip is the price. What if 64 queries share it?

# %% tags=["nbval-ignore-output"]
table = block[: 100_000 * 256].reshape(100_000, 256)
print("queries   ms each   times faster   operations per byte")
each = {}
for batch in (1, 4, 16, 64):
    queries = np.ones((256, batch), dtype=np.float32)
    each[batch] = min(repeat(lambda q=queries: table @ q, number=1, repeat=5)) / batch
    faster = each[1] / each[batch]
    print(f"{batch:7} {each[batch] * 1000:9.2f} {faster:14.1f} {2 * batch / 4:22.1f}")

# %% [markdown]
# A batch reads the table once for all, until arithmetic (two operations per number and query) costs more
# than the trip. That is the *roofline*: a program is as fast as its memory or its arithmetic allows,
# whichever roof is lower (Williams and others, 2009). To be faster, one query must read less: an
# index (chapter 04).
#
# ## One blank page
#
# Most systems scale vectors to length 1, which makes cosine an inner product. One of our scans was blank.

# %%
pile = np.vstack([vectors, np.zeros((1, 64), dtype=np.float32)])
with np.errstate(invalid="ignore"):  # a warning, in a log that nobody reads
    unit = pile / np.linalg.norm(pile, axis=1, keepdims=True)
scores = unit[:-1] @ unit.T
for name, best in {
    "argmax": scores.argmax(axis=1),
    "argsort": scores.argsort(axis=1)[:, -1],
    "argpartition": scores.argpartition(-1, axis=1)[:, -1],
}.items():
    print(f"{name:13} best hit is the blank page: {np.mean(best == 1797):.2f} of all queries")

# %% [markdown]
# ### ✍️ Your turn 1.4 · 5 min: break it, fix it, with one blank page
#
# 0 / 0 is `nan`, and NumPy ranks `nan` above every number: one blank page answers every query.
#
# Write `normalise(vectors)` so that this cannot happen. Rows come back with length 1, faint ones too;
# a row of zeros stays zeros, and so matches nothing. A row that already holds `nan` or infinity is
# refused with a `ValueError` that says which row. float32 stays float32.


# %%
def normalise(vectors):
    # BEGIN SOLUTION
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if broken.size:
        raise ValueError(f"row {broken[0]} holds nan or infinity")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)
    # END SOLUTION


# %% tags=["check"]
check("1.4", normalise)

# %% [markdown]
# ## What we saw
#
# Closeness is a choice of what to ignore. A test into which the answer leaks is no test. Structure makes
# neighbours mean something. A search costs its bytes.
#
# **Recall:** Which measures change when every vector is doubled? Why can nonsense labels score 1.00?
# What does `(n,) + (n,)` hide?
#
# **On your own data:** measure spread / mean before you trust a neighbour.
#
# **Next:** [02 · From things to vectors](02_embeddings.ipynb) ·
# **Before:** [00 · Start here](00_start_here.ipynb)
