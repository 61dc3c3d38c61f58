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
# **You will be able to** read a picture as a vector, choose a measure by what it ignores, see when a test
# flatters a search, and predict what a search costs.
#
# **You need** Python, a little NumPy · **Time** 38 min reading, 21 min exercises
#
# ## Where we are going · 3 min
#
# The package scikit-learn brings 1,797 small pictures of handwritten digits. Each picture is a row of 64 numbers.
# A `label` says which digit a picture is.

# %%
import numpy as np
from sklearn.datasets import load_digits

from workshop import check, plots

digits = load_digits()
pixels = digits.data.astype(np.float32)
labels = digits.target
pixels.shape

# %% [markdown]
# The table `pixels` has 1,797 rows and 64 columns. Can a computer find the pictures that are most like the one in
# row 4? Three lines are enough.

# %%
far_from_4 = np.linalg.norm(pixels - pixels[4], axis=1)
nearest = far_from_4.argsort(kind="stable")[:16]
plots.digit_sheet(digits.images, labels, [nearest])

# %% [markdown]
# The digit left of the orange line is our query. A [[query]] is the thing for which a search finds similar things. Right of the line stand the fifteen digits that
# are closest to it, the closest first. All fifteen are fours, and they come from many hands.
#
# The first line measures how far each picture is from the query. The second line sorts the row numbers by this
# distance and keeps sixteen. `kind="stable"` keeps equal distances in the order of their rows.
#
# Now the same for ten queries.

# %%
found_for_ten = []
for number in range(10):
    far = np.linalg.norm(pixels - pixels[number], axis=1)
    found_for_ten.append(far.argsort(kind="stable")[:16])
plots.digit_sheet(digits.images, labels, found_for_ten)

# %% [markdown]
# Each line is one search. Nearly all lines are right, and nobody told the computer what a digit looks like. The
# search for the 2 also finds five eights.
#
# The search for the 5 finds thirteen nines, two threes and no other five. Look at this query again: it does
# look like a nine.
#
# The rest of the chapter explains the three lines: what they compare, where they fail, and what they cost.

# %% [markdown]
# ## A picture is a list of numbers · 4 min
#
# Each picture has 8 rows of 8 pixels. A pixel is a grey value from 0 (paper) to 16 (full ink). If we lay the rows
# end to end, we get one vector of 64 numbers. Here is the picture in row 7, which is a seven.

# %%
seven = pixels[7]
plots.picture_as_numbers(seven.reshape(8, 8))

# %% [markdown]
# On the left is what we see, with the number of each pixel. On the right is what the computer has: one bar for each
# number. The orange lines stand where a new row of the picture begins.
#
# `reshape(8, 8)` turns 64 numbers into 8 rows of 8. The numbers stay the same.
#
# Arithmetic with the lists is arithmetic with the pictures. So we can look at a comparison. We compare our seven
# with another seven (row 1201) and with a zero (row 0).

# %%
other_seven = pixels[1201]
zero = pixels[0]
difference = seven - other_seven
product = seven * other_seven
difference[:8], product[:8]

# %% [markdown]
# These are the first eight numbers, the top row of the picture. A difference is positive where only our seven has
# ink, and negative where only the other one has. A product is large where both have ink.
#
# There are two usual ways to make one number of them:

# %%
length = np.sqrt(np.sum(difference**2))
total = np.sum(product)
print(f"{length:.1f} {total:.0f}")

# %% [markdown]
# The [[L2 distance]] of two vectors is the root of the sum of their squared differences. It is the usual distance
# between two points, and it is 0 for equal vectors. Here it is 19.5. The inner product, which chapter 00 has shown,
# is the sum of the products: 3,354.
#
# NumPy has short forms for both.

# %%
short_length = np.linalg.norm(seven - other_seven)
short_total = seven @ other_seven
print(f"{short_length:.1f} {short_total:.0f}")

# %% [markdown]
# ## A third measure: the angle · 3 min
#
# A vector has a length: its distance from a vector of zeros. A picture with more ink is a longer vector. If we
# divide a vector by its length, the result has length 1. It keeps only the *direction*.
#
# The [[cosine similarity]] of two vectors is their inner product after both were divided by their lengths. It is 1
# for the same direction and 0 for vectors that share nothing. It is −1 for opposite ones.

# %%
cosine = seven @ other_seven / (np.linalg.norm(seven) * np.linalg.norm(other_seven))
cosine_zero = seven @ zero / (np.linalg.norm(seven) * np.linalg.norm(zero))
print(f"{cosine:.2f} {cosine_zero:.2f}")

# %% [markdown]
# The other seven has nearly the same direction, 0.95. The zero has 0.51. The next picture shows what the measures look at.

# %%
pair = [other_seven.reshape(8, 8), zero.reshape(8, 8)]
with_seven = ["cosine 0.95", "L2 19.5", "inner product 3354"]
with_zero = ["cosine 0.51", "L2 56.0", "inner product 1657"]
plots.digit_comparison(seven.reshape(8, 8), pair, [with_seven, with_zero])

# %% [markdown]
# From left to right: our seven, the other digit, the difference (behind L2), the product (behind the inner product).
# The cosine has no picture of its own. In the difference, orange is ink that only our seven has, and purple is ink
# that only the other has.
#
# For the zero there is more orange and purple, so its L2 distance is larger. In the product, dark means ink in both.
# The zero shares less, so its inner product is smaller.
#
# Mind the direction: a *smaller* distance is closer, but a *larger* inner product or cosine is closer.

# %% [markdown]
# ## Know a measure by what it ignores · 5 min
#
# The three measures do not agree. To see where they differ, we make changed copies of our seven.

# %%
copies = {
    "itself": seven,
    "half the ink": seven / 2,
    "grey veil": np.minimum(seven + 4, 16),
    "moved by one": np.roll(seven.reshape(8, 8), 1, axis=1).ravel(),
    "solid black": np.full(64, 16),
}
plots.digit_copies({name: copy.reshape(8, 8) for name, copy in copies.items()})

# %% [markdown]
# The grey veil adds 4 to each pixel, but never goes above 16. `np.roll(…, 1, axis=1)` moves all columns of the
# picture one step to the right, and the last column comes back at the left.
#
# We compare each copy with our seven, and also all other digits, which we call strangers. Then we count the strangers
# that are closer to our seven than the copy.
#
# **Predict before you run:** a good measure counts 0 for the first four copies, and all 1,796 for solid black.
# Which measure comes near to this?

# %%
from sklearn.metrics.pairwise import cosine_similarity

strangers = np.delete(pixels, 7, axis=0)
compared = np.vstack([*copies.values(), strangers])
closeness = {
    "L2": -np.linalg.norm(compared - seven, axis=1),
    "inner product": compared @ seven,
    "cosine": cosine_similarity(compared, [seven])[:, 0],
}

# %% [markdown]
# `compared` is one table: five rows of copies, and below them 1,796 rows of strangers. `axis=1` asks for one result
# for each row. Without it, `norm` would make one number of the whole table. The minus before the L2 distance makes
# "larger is closer" true for all three.

# %%
print("strangers closer than:", *copies, sep="  ")
for name, values in closeness.items():
    closer = [int(np.sum(values[5:] > own)) for own in values[:5]]
    print(f"{name:13}", closer)

# %% [markdown]
# Each line is a measure, and each number belongs to one copy.
#
# **Cosine** ignores length: half the ink changes nothing (0). To **L2**, 23 strangers are closer than the paler
# copy, although it is the same drawing. Only L2 puts solid black last.
#
# The **inner product** ignores ink where the query has none, and it grows with ink. So eleven strangers with more ink
# score higher than our seven does with itself. Nothing scores higher than the black page, which would win every search.

# %% [markdown]
# Use the inner product where a vector's length means something, or on vectors of equal length. On vectors of length
# 1 all three measures give the same order.
#
# Cosine comes nearest to our wish: 0, 0 and 2 for the first three copies. But one pixel to the right defeats all three
# measures: 320, 753 and 470 strangers are closer than the moved copy. We come back to this.

# %% [markdown]
# ### ✍️ Your turn 1.1 · 5 min: one query against all
#
# `cosine_scores(query, vectors)` takes a query of shape `(d,)` and vectors of shape `(n, d)`, both arrays of
# floats. It returns the cosine similarity of the query with each row, shape `(n,)`.
#
# Write it with NumPy and without a loop or comprehension: the number of Python steps must not grow with `n`. The
# query and the rows all have a length above zero.


# %%
def cosine_scores(query, vectors):
    """Cosine similarity of a query (d,) with each row of vectors (n, d), shape (n,)."""
    # BEGIN SOLUTION
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors @ query / (lengths * np.linalg.norm(query))
    # END SOLUTION


# %% tags=["check"]
check("1.1", cosine_scores)

# %% [markdown]
# ### ✍️ Your turn 1.2 · 5 min: the best k, without sorting everything
#
# `top_k(scores, k)` takes an array of floats `(n,)`, at least one, and a whole number `k` from 0 on. It returns the row
# numbers of the `k` largest scores, best first: integers, shape `(k,)`. Equal scores may come in any order. If `k` is
# more than `n`, return all `n` rows, best first.
#
# Do not sort all scores: sort only the winners. `np.argpartition(values, p)` gives row numbers, those of the
# smallest `p + 1` values first, in no order. That is much less work.


# %%
def top_k(scores, k):
    """Row numbers of the k largest of scores (n,), best first, shape (k,)."""
    # BEGIN SOLUTION
    k = min(k, len(scores))
    best = np.argpartition(-scores, k - 1)[:k]
    return best[np.argsort(-scores[best], kind="stable")]
    # END SOLUTION


# %% tags=["check"]
check("1.2", top_k)

# %% [markdown]
# ## A test that flatters itself · 6 min
#
# Can a search read handwriting? Take a digit, find its nearest neighbour, and read the neighbour's label. The
# [[nearest neighbour]] of a vector is the row of a table that is closest to it. Guessing is right one time in ten.
#
# First we need all distances. We write a function for one query, and call it for each row.


# %%
def l2(one, table):
    """L2 distances of one vector (d,) and each row of a table (n, d), shape (n,)."""
    return np.linalg.norm(table - one, axis=1)


distances = np.stack([l2(row, pixels) for row in pixels])
distances.shape

# %% [markdown]
# Row 3 of `distances` holds the distances of digit 3 from every digit. Now we read each digit's neighbour.
#
# We do it twice. The first time with the true labels. The second time with labels that were mixed at random:
# now a picture and its label have nothing to do with each other, and nothing can be learned.
#
# **Predict before you run:** how often is each of the two right?

# %%
mixed = np.random.default_rng(1).permutation(labels)
neighbours = distances.argmin(axis=1)
print("true labels ", np.mean(labels[neighbours] == labels))
print("mixed labels", np.mean(mixed[neighbours] == mixed))

# %% [markdown]
# Both are always right, 1.0, even with labels that mean nothing. The reason: the nearest digit to each digit is
# *itself*, at distance 0. The answer was inside the table in which we searched.
#
# A [[leak]] is information in a test that would not be there in real use. To stop the leak we hide some rows
# from each query. Rows with the same number in `groups` are hidden from each other.


# %%
def share_right(groups, known):
    """How often the nearest digit of another group has the right label; both inputs (n,)."""
    right = 0
    for number in range(len(distances)):
        row = distances[number].copy()
        row[groups == groups[number]] = np.inf
        right += known[row.argmin()] == known[number]
    return right / len(distances)


# %% [markdown]
# `np.inf` is infinity, so a hidden row is never the nearest. We hide in three ways:
#
# - only the query itself;
# - the query and about a tenth of all rows, chosen at random;
# - the tenth of the file in which the query lies.
#
# `tenths` gives 0 to the first tenth of the file, 1 to the next, and so on. Mixed, it makes a random tenth.
#
# **Predict before you run:** how often is the neighbour right now, with true and with mixed labels?

# %%
row_numbers = np.arange(len(pixels))
tenths = row_numbers * 10 // len(pixels)
ways = {
    "the query": row_numbers,
    "a random tenth": np.random.default_rng(0).permutation(tenths),
    "its own tenth": tenths,
}
for way, groups in ways.items():
    print(f"{way:15} {share_right(groups, labels):.3f} {share_right(groups, mixed):.3f}")

# %% [markdown]
# Left are the true labels, right the mixed ones. With mixed labels we are back at guessing, 0.1.
#
# Now look at the left column as mistakes. With a random tenth hidden, 1.3 % are wrong. With its own tenth hidden, it
# is 2.4 %. Why? Thirteen people wrote these digits, and the digits of one person lie together in the file. If we
# hide only the query, the search may still look at the same person's hand.
#
# Which number is honest? If you will read new people's digits, it is the last.

# %% [markdown]
# Here are all mistakes of the first way. Queries are above the orange line, and the neighbour of each is below it.

# %%
others_only = distances.copy()
np.fill_diagonal(others_only, np.inf)
neighbours = others_only.argmin(axis=1)
mistakes = np.flatnonzero(labels[neighbours] != labels)
print("is  ", *labels[mistakes])
print("read", *labels[neighbours[mistakes]])
plots.digit_sheet(digits.images, labels, [mistakes, neighbours[mistakes]], queries="top")

# %% [markdown]
# `fill_diagonal` hides each digit from itself: the diagonal of the table holds the distances from a digit to itself.
#
# There are 21 mistakes among 1,797. How many of the 21 queries would you have read correctly?

# %% [markdown]
# ## Pause
#
# From here you can start anew after a break: run the next cell.

# %% tags=["pause"]
import numpy as np
from sklearn.datasets import load_digits

from workshop import check, plots

digits = load_digits()
pixels = digits.data.astype(np.float32)
labels = digits.target


def l2(one, table):
    """L2 distances of one vector (d,) and each row of a table (n, d), shape (n,)."""
    return np.linalg.norm(table - one, axis=1)


distances = np.stack([l2(row, pixels) for row in pixels])

# %% [markdown]
# ## All distances at once · 5 min
#
# For all distances we went through 1,797 queries, one by one. School algebra gives a shorter way. The square of a
# difference is $(a-b)^2 = a^2 + b^2 - 2ab$. The same is true of vectors:
# $\lVert a-b\rVert^2 = \lVert a\rVert^2 + \lVert b\rVert^2 - 2\,a\cdot b$.
#
# $\lVert a\rVert$ means the length of $a$. So we need the squared length of each row, and the inner
# products of all pairs.

# %%
squares = (pixels**2).sum(axis=1)
products = pixels @ pixels.T
squares.shape, products.shape

# %% [markdown]
# `pixels.T` is the table with rows and columns exchanged, and `products[i, j]` is the inner product of rows `i` and
# `j`. To add the squares to this table we must know how NumPy adds arrays of different shapes.

# %%
column = np.array([[1], [2], [3]])
line = np.array([10, 20, 30])
print("(3, 1) + (3,)\n", column + line)
print("(3,) + (3,)\n", line + line)

# %% [markdown]
# [[Broadcasting|broadcasting]] is NumPy's rule for arrays of different shapes: a missing axis is added on the left, and each axis
# of size 1 is repeated until the shapes fit. A column `(3, 1)` and a line `(3,)` make a table `(3, 3)`, in which every number meets every other. Two lines add number by
# number.
#
# `squares[:, np.newaxis]` is the same numbers as a column, shape `(1797, 1)`.
#
# **Predict before you run:** one of these two tables is wrong. Which one, and what will Python say?

# %%
first = squares + squares - 2 * products
second = squares[:, np.newaxis] + squares - 2 * products
print(first.shape, second.shape)


# %%
def report(table):
    """Print what one sees of a table (n, n) of squared distances."""
    print("diagonal is zero:", not table.diagonal().any())
    print("same as the loop:", np.allclose(table, distances**2, atol=1e-3))
    hidden = table + np.diag(np.full(len(table), np.inf))
    right = np.mean(labels[hidden.argmin(axis=1)] == labels)
    print(f"share right: {right:.2f}")


report(first)
report(second)

# %% [markdown]
# Python says nothing. The wrong one is `first`, where two lines were added number by number. But it has the right
# shape, its diagonal is zero, and it reads 91 % of the digits correctly. Nobody would doubt it.
#
# Only the comparison with the slow loop shows the mistake. So write the slow version first, and keep it as a test.
# The fast one is worth it:

# %% tags=["nbval-ignore-output"]
from timeit import timeit

slow = timeit(lambda: np.stack([l2(row, pixels) for row in pixels]), number=1)
fast = timeit(lambda: squares[:, np.newaxis] + squares - 2 * (pixels @ pixels.T), number=1)
ratio = slow / fast
print(f"the one product is {ratio:.0f} times as fast as the loop")

# %% [markdown]
# ## Large numbers drown small ones · 3 min
#
# The algebra has a trap of its own. Distances do not change if we add 10,000 to every value, as map coordinates have
# it.
#
# **Predict before you run:** does the search still read the digits?


# %%
def read_far_away(kind):
    """Share right with all pixels moved by 10,000, in numbers of that kind."""
    moved = pixels.astype(kind) + kind(10_000)
    lengths = (moved**2).sum(axis=1)
    table = lengths[:, np.newaxis] + lengths - 2 * moved @ moved.T
    np.fill_diagonal(table, np.inf)
    return np.mean(labels[table.argmin(axis=1)] == labels)


for kind in (np.float64, np.float32):
    print(f"{kind.__name__}: {read_far_away(kind):.1f} are right")

# %% [markdown]
# With `float64`, numbers of 8 bytes, all is well. With `float32`, numbers of 4 bytes, most are wrong. Two numbers
# show why.

# %%
east = np.float32(10_000)
west = np.float32(10_001)
direct = (east - west) ** 2
by_algebra = east * east + west * west - 2 * east * west
print(direct, by_algebra)

# %% [markdown]
# The true answer is 1. The algebra gives 0, because `float32` keeps about seven digits. Near 100,000,000 it knows only
# every eighth number, and the 1 is lost. [[Cancellation|cancellation]] is the loss of digits when two large and nearly equal
# numbers are subtracted.
#
# `float64` helps, for twice the memory. Better: L2 does not care where zero is. So move the rows near zero first.
# A little rounding stays: a digit's distance from itself then comes out as about 0.03 and not as 0.

# %% [markdown]
# ### ✍️ Your turn 1.3 · 6 min: every distance, no loop, no surprise
#
# `pairwise_l2(a, b)` takes float32 `(n, d)` and `(m, d)`. It returns the L2 distance of each row of `a` from each
# row of `b`, shape `(n, m)`.
#
# - No loop over rows: the number of Python steps must not grow with `n` or `m`.
# - Never build an array of `(n, m, d)`: for our digits it would take 827 MB.
# - Each distance is right to 0.05, also that of equal rows, and where all values lie around 10,000. No
#   distance is ever `nan`, which means "not a number".


# %%
def pairwise_l2(a, b):
    """L2 distances of all rows of a (n, d) and b (m, d), shape (n, m)."""
    # BEGIN SOLUTION
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))
    # END SOLUTION


# %% tags=["check"]
check("1.3", pairwise_l2)

# %% [markdown]
# ## What a vector does not know · 2 min
#
# One pixel to the right defeated every measure. Here is the reason. We shuffle the 64 positions, the same way for
# all pictures.
#
# **Predict before you run:** how many of the 1,797 × 1,797 distances change?

# %%
order = np.random.default_rng(0).permutation(64)
shuffled = pixels[:, order]
again = np.stack([l2(row, shuffled) for row in shuffled])
print("distances that changed:", np.sum(~np.isclose(again, distances, atol=1e-3)))
both = np.concatenate([pixels[:10], shuffled[:10]]).reshape(20, 8, 8)
names = np.concatenate([labels[:10], labels[:10]])
plots.digit_sheet(both, names, [range(10), range(10, 20)], queries="top")

# %% [markdown]
# None. Above the orange line are ten digits, and below it are the same ten, shuffled. To the search they are equal.
# It never knew which pixels lie side by side, so to it a moved digit is just another one.
#
# It worked because somebody had put every digit into the middle, at the same size. Chapter 02 finds numbers that
# say more than ink.

# %% [markdown]
# ## What a search costs · 3 min
#
# Our searches compare the query with every row. [[Brute force|brute force]] is a search that compares the query
# with every row.
#
# All numbers of the table must then travel from memory to the processor, and the arithmetic on the way is nearly
# free. So we measure the trip. [[Memory bandwidth|memory bandwidth]] is how many bytes travel from memory to the
# processor in a second.

# %% tags=["nbval-ignore-output"]
from timeit import repeat

block = np.ones(32_000_000, dtype=np.float32)
seconds_for_block = min(repeat(block.sum, number=1, repeat=7))
bandwidth = block.nbytes / seconds_for_block
giga = bandwidth / 1e9
print(f"{giga:.1f} GB a second")

# %% [markdown]
# We added 32 million numbers seven times and took the shortest time. A number of `float32` has 4 bytes, so the block
# has 128 MB.
#
# **Predict before you run:** how long does one query take in a hundred million vectors of 384 numbers?

# %% tags=["nbval-ignore-output"]
need = 100_000_000 * 384 * 4
gigabytes = need / 1e9
wait = need / bandwidth
print(f"{gigabytes:.0f} GB, {wait:.0f} s for one query")

# %% [markdown]
# It takes seconds, where a person waits for a fraction of one. The cost of a query by brute force is the bytes of the
# table: rows × columns × 4.
#
# To be faster, a search must read fewer bytes. Chapter 04 shows how an index does it. *Going deeper* below measures
# when many queries can share one trip.

# %% [markdown]
# ## One blank page · 2 min
#
# Most systems divide every vector by its length, since then the inner product *is* the cosine. But a blank
# page has length 0. We add one to our digits.

# %%
pile = np.vstack([pixels, np.zeros((1, 64), dtype=np.float32)])
with np.errstate(invalid="ignore"):  # hides a warning, as in a log that nobody reads
    unit = pile / np.linalg.norm(pile, axis=1, keepdims=True)
agreement = unit[:-1] @ unit.T
print("blank page is the best hit:", np.mean(agreement.argmax(axis=1) == 1797))

# %% [markdown]
# `keepdims=True` keeps the lengths as a column, so that each row is divided by its own length.
#
# The blank page is in row 1797, and it is the best hit of *all* queries: a share of 1.0. The reason is 0 / 0. A
# [[NaN]] (`nan`) is the float that means "not a number", such as the result of 0 / 0. `argmax` ranks it above all
# numbers, and sorting puts it last, where the largest is.

# %% [markdown]
# ### ✍️ Your turn 1.4 · 5 min: break it, fix it, with one blank page
#
# Write `normalise(vectors)` so that this cannot happen. It takes floats of shape `(n, d)` and returns the same
# shape and the same dtype.
#
# - Each row comes back with length 1, also a faint one whose values are near 0.000000001.
# - A row of zeros stays zeros, and so matches nothing.
# - If a row holds `nan` or infinity, raise a `ValueError` whose message says the number of that row, counted from
#   0, and does not name sound rows.


# %%
def normalise(vectors):
    """Rows of vectors (n, d), each divided by its length, shape (n, d)."""
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
# ## What we saw · 2 min
#
# To choose a measure is to choose what it ignores. A test into which the answer leaks shows nothing. A fast version
# needs a slow one to be compared with. A search by brute force costs the bytes of its table.
#
# **Recall:** Which measures change when every vector is doubled? Why can labels that mean nothing score 1.0? What
# does `(n,) + (n,)` hide?
#
# <details><summary>Answers</summary>
#
# 1. L2 doubles and the inner product is four times as large. Cosine stays.
# 2. Each query finds itself, since nobody has hidden it.
# 3. It adds number by number and makes no table. The next step may still have the right shape, so no error comes.
#
# </details>
#
# **On your own data:** hide what a real query would not see, and measure how often the nearest neighbour is right.
#
# **Next:** [02 · From things to vectors](02_embeddings.ipynb) ·
# **Before:** [00 · Start here](00_start_here.ipynb)

# %% [markdown]
# ## Going deeper
#
# This part takes about 15 minutes. No later chapter needs it.
#
# ### Far from everything
#
# We scatter 2,000 random points in a square, and measure their distances from one more point. Then we do the same in
# 10, 100 and 1,000 dimensions. A dimension is one number of a vector.
#
# **Predict before you run:** in the square, the farthest point is hundreds of times as far as the nearest. And with
# 1,000 dimensions?

# %%
rng = np.random.default_rng(1)
scattered = {}
for d in (2, 10, 100, 1000):
    scattered[d] = l2(rng.random(d), rng.random((2000, d)))
    ratio = scattered[d].max() / scattered[d].min()
    print(f"d {d:4}: farthest / nearest {ratio:5.1f}")
plots.distance_panels(scattered)

# %% [markdown]
# Each histogram shows how many points lie at which distance, divided by the mean distance. In 1,000 dimensions all
# points are about equally far: the farthest is only 1.1 times as far as the nearest. Then *nearest* means little.
#
# The [[curse of dimensionality]] is that random points become equally far from each other as their dimensions grow
# (Beyer and others, 1999).

# %%
for d, far in scattered.items():
    spread = far.std() / far.mean()
    print(f"d {d:4}: spread / mean {spread:.3f}")

# %% [markdown]
# The *spread* is the standard deviation: how far the distances lie from their mean, typically. Ten times the
# dimensions divide the last column by about three, which is near $\sqrt{10}$.
#
# The reason: a squared distance is a sum of `d` independent terms. Its mean grows like $d$, but its spread only like
# $\sqrt d$.

# %% [markdown]
# ### Why 64 pixels work all the same
#
# We compare three clouds of 1,797 points with 64 numbers each: the digits; the digits after each pixel's values
# were mixed among the pictures; and random numbers. The mixed digits have the same values in each column, but
# neighbouring pixels no longer belong together.
#
# **Predict before you run:** which cloud has the largest spread?

# %%
clouds = {
    "digits": pixels,
    "digits, each pixel mixed": np.random.default_rng(2).permuted(pixels, axis=0),
    "random numbers": np.random.default_rng(3).random(pixels.shape),
}
in_clouds = {}
for name, cloud in clouds.items():
    in_clouds[name] = np.concatenate([l2(row, cloud[200:]) for row in cloud[:200]])
plots.distance_outlines(in_clouds)

# %% [markdown]
# For random numbers between 0 and 1 the square of spread / mean is close to 7 / (20 d). We can turn the formula
# around: which `d` would random numbers need to have the same spread?

# %%
for name, far in in_clouds.items():
    spread = far.std() / far.mean()
    dimensions = 7 / 20 / spread**2
    print(f"{name:25} spread / mean {spread:.2f}, like random with d = {dimensions:.0f}")

# %% [markdown]
# The digits have the largest spread. Their 64 pixels spread the distances like random numbers of 13 dimensions,
# because pixels depend on each other: where one has ink, its neighbour often has. The left end of the blue
# curve, the small distances, is what a search lives on.
#
# Many dimensions do no harm. Independent dimensions do.

# %% [markdown]
# ### Time follows bytes
#
# Is the time of a query really one trip through memory? We measure tables of many shapes, on one processor core, so
# that all numbers compare.


# %%
from threadpoolctl import threadpool_limits


def seconds(table, other):
    """Shortest of fifteen times of a table (n, d) times vectors, (d,) or (d, m)."""
    return min(repeat(lambda: table @ other, number=1, repeat=15))


one_core = threadpool_limits(1)

# %% tags=["nbval-ignore-output"]
measured = []
for d in (16, 64, 256, 1024):
    for part in (1, 4, 16, 64):
        n = 30_000_000 // d // part
        table = block[: n * d].reshape(n, d)
        measured.append((d, table.nbytes, seconds(table, np.ones(d, dtype=np.float32))))
plots.time_and_bytes(measured, bandwidth)

# %% [markdown]
# Each point is one table. Both axes are *logarithmic*: each step along them is ten times as much. The dashed line is
# the bytes divided by the bandwidth.
#
# Few long vectors or many short ones: the points run beside the line, since time grows with bytes. Many lie below it:
# a sum reads memory less fast than `@` does, and small tables fit into the processor's cache, its own fast memory.

# %% [markdown]
# ### Many queries, one trip
#
# **Predict before you run:** the trip is the price. What if 64 queries share it?

# %% tags=["nbval-ignore-output"]
table = block[: 100_000 * 256].reshape(100_000, 256)
alone = seconds(table, np.ones(256, dtype=np.float32))
for batch in (1, 4, 16, 64):
    each = seconds(table, np.ones((256, batch), dtype=np.float32)) / batch
    times = alone / each
    print(f"{batch:2} queries at once: {times:4.1f} times as fast for each")

# %% [markdown]
# A batch reads the table once for all its queries. So each query becomes cheaper, until the arithmetic costs more
# than the trip: two operations for each number and query. On a quiet computer we saw 1.6, 6 and 11 times for batches of
# 4, 16 and 64. A busy computer shows less, because others share its arithmetic.
#
# The [[roofline]] of a program is the rule that it is as fast as its memory or its arithmetic allows, whichever is
# slower (Williams and others, 2009).
