# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here
#
# **You will be able to** check that this computer is ready, search 430 pictures in your own words, and
# work with exercises, hints and progress.
#
# **You need** this notebook, open in JupyterLab. No network, no account, no graphics card ·
# **Time** 12 min reading, 8 min exercises

# %% [markdown]
# ## How a notebook runs · 1 min
#
# A [[notebook]] is a page of text and small pieces of Python code. Each piece of code stands in a [[cell]],
# a box with a grey background.
#
# Click a cell and press **Shift + Enter**. The cell runs, its result appears below it, and the next cell is
# chosen. The sign `[*]` beside a cell means that it is still at work. Run the cells from the top, one after
# the other, because each one needs what the cells before it have made.

# %%
"Hello, " + "vectors"

# %% [markdown]
# ## Is everything here? · 1 min
#
# The next cell calls the doctor of this course. The doctor looks at Python, the packages, the models, the
# pictures, the memory, the disk and the database. For each of them it writes one line.

# %%
from workshop import doctor

doctor()

# %% [markdown]
# A ✅ in each line means that you can begin. A ❌ comes with the command that mends the problem. Run that
# command, and then run the cell again.

# %% [markdown]
# ## Pictures become numbers · 3 min
#
# The course brings 430 pictures. Most are photos, and some are drawings. The next cell shows twelve of them.

# %%
from workshop import datasets, plots

photos = datasets.photos()
some = photos[::36]
plots.gallery([photo.open() for photo in some], columns=6)

# %% [markdown]
# We want to search these pictures by words. A computer compares numbers and not pictures, so we need numbers
# first. A [[vector]] is a list of numbers, always equally many for each thing. An [[encoder]] is a program
# that turns a thing, such as a picture or a text, into a vector.
#
# Our encoders give similar things similar numbers. Chapter 02 shows how they do it. Here we only use them: one
# encoder reads the pictures, and one reads words.

# %%
from workshop import ImageEncoder, TextEncoder

image_encoder = ImageEncoder()
text_encoder = TextEncoder()

# %% [markdown]
# The next cell takes some seconds, because the encoder looks at all 430 pictures. A bar shows how far it is.
#
# The function `conse` makes a picture's vector comparable with the vector of a text. You will write it yourself
# in chapter 02.

# %%
from workshop.encoders import conse

_, seen = image_encoder.run([photo.path for photo in photos])
names_of_classes = text_encoder.encode(image_encoder.class_names)
vectors = conse(seen, names_of_classes)
vectors.shape

# %% [markdown]
# The [[shape]] of a table is its number of rows and its number of columns. Here it is `(430, 384)`. Row 0 is the
# vector of the first picture, row 1 that of the second, and so on. Each vector has 384 numbers.

# %% [markdown]
# ## How to compare two vectors · 2 min
#
# Two vectors of equal length can be multiplied number by number. The sum of these products says how well they
# agree. NumPy writes this sum with the sign `@`. Here it is for two short vectors.

# %%
import numpy as np

one = np.array([1, 2, 3])
other = np.array([4, 0, 1])
one @ other

# %% [markdown]
# The sum is 1 × 4 + 2 × 0 + 3 × 1 = 7. The [[inner product]] of two vectors is the sum of their products,
# number by number. Large numbers at the same places make it large. A [[score]] is a number that says how well a
# thing fits a question, and a larger score means a better fit. Here the inner product is the score.
#
# Which picture has the largest score? `argsort` puts the row numbers in order, from the smallest score to the
# largest.

# %%
three_scores = np.array([0.2, 0.9, 0.4])
three_scores.argsort()

# %% [markdown]
# The smallest score, 0.2, is in row 0. The largest, 0.9, is in row 1, which therefore comes last. We want the
# largest first. Adding `[::-1]` turns the order around: it takes every value, from the end to the beginning.

# %%
three_scores.argsort()[::-1]

# %% [markdown]
# ## Your first search · 2 min
#
# Now you know every step. The words become a vector, `@` compares it with all 430 rows at once, and the eight
# best rows are shown.
#
# Change the words between the quotes, run the cell again, and see what comes.

# %%
question = "something to make music with"

asked = text_encoder.encode([question])[0]
agreement = vectors @ asked
best = agreement.argsort()[::-1][:8]
found = [photos[row] for row in best]
plots.gallery([photo.open() for photo in found], [photo.name for photo in found])

# %% [markdown]
# For the words *something to make music with* you see violins, guitars and drums, and also a cement mixer. Each
# picture's name stands below it, so that you can judge the result. The search never read these names. It
# compared numbers that come from the pictures alone.
#
# The next chapters show where vectors come from, why such a search works, and where it fails.

# %% [markdown]
# ## How exercises work · 1 min
#
# The sign ✍️ marks an exercise. Below it stands a cell with three dots, `...`, where your answer goes. The cell
# after it checks your answer.
#
# The check says ⏳ while you have not begun, ✅ when your answer is right, and ❌ when it is wrong. It then names
# the mistake that it saw, and with each try it shows one more hint. You can also open the hints below the task.
# Try as often as you like.

# %%
from workshop import check

# %% [markdown]
# ### ✍️ Your turn 0.1 · 2 min: an answer
#
# How many pictures did the search look through? Put a whole number in place of the three dots, or Python code
# that computes it. Run that cell, and then run the check below it. Give a wrong answer once, to see what happens.

# %%
# BEGIN SOLUTION
how_many = len(photos)
# END SOLUTION

# %% tags=["check"]
check("0.1", how_many)

# %% [markdown]
# ### ✍️ Your turn 0.2 · 3 min: a function
#
# Write `similarity(first, second)`. It takes two vectors, NumPy arrays of equal length such as 384. In each of
# them the squares of the numbers add up to 1. It returns their inner product as one number. It must not change
# the two arrays.


# %%
def similarity(first, second):
    """The inner product of two vectors of shape (d,), one number."""
    # BEGIN SOLUTION
    return first @ second
    # END SOLUTION


# %% tags=["check"]
check("0.2", similarity)

# %% [markdown]
# ### ✍️ Your turn 0.3 · 3 min: break it, fix it
#
# Most chapters have an exercise in which something real is broken. The function below should find the best rows,
# but it finds the rows that fit *worst*. Run the cell and look at the pictures.


# %%
def broken_rank(some_scores, how_many_rows):
    """Should return the rows of the largest scores."""
    return some_scores.argsort()[:how_many_rows]


worst = [photos[row] for row in broken_rank(agreement, 8)]
plots.gallery([photo.open() for photo in worst], [photo.name for photo in worst])

# %% [markdown]
# None of these pictures shows anything that makes music. Write `rank(scores, k)` so that it is right.
#
# `scores` is an array of shape `(n,)`, and `k` is a whole number from 1 to n. The function returns the row numbers
# of the `k` largest scores, the row of the largest score first. It must not change `scores`.


# %%
def rank(scores, k):
    """Row numbers of the k largest of n scores, the largest first, shape (k,)."""
    # BEGIN SOLUTION
    return scores.argsort()[::-1][:k]
    # END SOLUTION


# %% tags=["check"]
check("0.3", rank)

# %% [markdown]
# ## Your progress · 1 min
#
# The course remembers what you have solved, also when you close JupyterLab. It keeps this in the folder
# `.workshop`. The next cell shows it as a picture: one line for each chapter, with its minutes, and one square
# for each exercise. A green square with ✓ is solved, a yellow one with … was tried, and a white one is open.

# %%
from workshop import progress

progress()

# %% [markdown]
# **When you are stuck:** each chapter has a twin in the folder `solutions`, with every exercise solved and every
# result shown. Words that are new to you stand in the [glossary](glossary.ipynb).
#
# To begin a chapter afresh, choose *Kernel → Restart Kernel and Clear Outputs of All Cells…* in the menu. Nothing
# in a chapter depends on your answers, so you can leave an exercise out and come back later.

# %% [markdown]
# ## What we saw · 1 min
#
# Pictures and words became vectors. One multiplication found pictures by what they show.
#
# **Recall:** What is a vector? What does the sign `@` compute? Where is your progress kept?
#
# <details><summary>Answers</summary>
#
# 1. A list of numbers that stands for a thing, equally many for each thing.
# 2. The inner product of two vectors: the sum of their products, number by number.
# 3. In the folder `.workshop`.
#
# </details>
#
# **On your own data:** put words of your own into the search. Which words work, and which do not?
#
# **Next:** [01 · Vectors and similarity](01_vectors.ipynb), where you write the search yourself.
