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
# **Time** 5 min reading, 5 min exercises

# %% [markdown]
# ## How a notebook runs
#
# A notebook is text and *cells* of Python. Click a cell and press **Shift + Enter**: it runs, its
# result appears below it, and the next cell is chosen. `[*]` beside a cell means that it is still at
# work. Run the cells from the top, one after the other; each needs those before it.

# %%
"Hello, " + "vectors"

# %% [markdown]
# ## Is everything here?
#
# The doctor looks at Python, the packages, the models, the photos, memory, disk and the database, and
# says how to mend what fails.

# %%
from workshop import doctor

doctor()

# %% [markdown]
# A ✅ in each line, and you can begin. A ❌ comes with the command that mends it; run that, then this
# cell again.

# %% [markdown]
# ## Your first search
#
# The course brings 430 pictures: most are photos, some are drawings. Here are twelve of them. Each has
# a name, but the search below never reads one. It looks at the pictures.

# %%
from workshop import ImageEncoder, TextEncoder, datasets, plots

photos = datasets.photos()
plots.gallery([p.open() for p in photos[::36]], columns=6)

# %% [markdown]
# An *encoder* turns a thing into a list of numbers, a *vector*. One encoder reads pictures, another
# reads words, and `conse` brings both into one space (chapter 02 shows how). Looking at
# all the pictures takes some seconds; a bar shows how far it is.

# %%
from workshop.encoders import conse

text, image = TextEncoder(), ImageEncoder()
_, seen = image.run([p.path for p in photos])
vectors = conse(seen, text.encode(image.class_names))
vectors.shape

# %% [markdown]
# 430 pictures became 430 vectors of 384 numbers. Now the search, in five lines. Change the words between
# the quotes, run the cell again, and see what comes.

# %%
words = "something to make music with"

scores = vectors @ text.encode([words])[0]
best = scores.argsort()[::-1][:8]
found = [photos[row] for row in best]
plots.gallery([p.open() for p in found], [p.name for p in found])

# %% [markdown]
# Violins, guitars, drums: none of these words was in the query, and no name was read; the names under
# the pictures are there for you to judge by. And a cement mixer. What found them is one multiplication:
# the closer a picture's vector is to that of your words, the larger its score. Where vectors come from,
# why this works and where it fails is the subject of the next chapters.

# %% [markdown]
# ## How exercises work
#
# An exercise has a *stub*: a cell with `...` where your work goes. The cell after it checks your
# answer. While the stub is untouched it says ⏳. A wrong answer gets a sentence that names the mistake,
# and one hint more with each try. All hints can also be opened under the task. Try as often as you like.

# %%
from workshop import check, progress

# %% [markdown]
# ### ✍️ Your turn 0.1 · 1 min: an answer
#
# How many pictures did the search look through? Put the number, or Python that computes it, in place of
# the three dots. Run that cell, then the check below it. Answer wrongly once, to see what happens.

# %%
# BEGIN SOLUTION
how_many = len(photos)
# END SOLUTION

# %% tags=["check"]
check("0.1", how_many)

# %% [markdown]
# ### ✍️ Your turn 0.2 · 2 min: a function
#
# `similarity(picture, words)` returns one number: how well a picture's vector and that of the words agree.
# Both are arrays of shape (384,), scaled so that their squares add up to 1. You saw the sign that
# multiplies them and adds up.


# %%
def similarity(picture, words):
    # BEGIN SOLUTION
    return float(picture @ words)
    # END SOLUTION


# %% tags=["check"]
check("0.2", similarity)

# %% [markdown]
# ### ✍️ Your turn 0.3 · 2 min: break it, fix it
#
# Most chapters have an exercise in which something real is broken. This search returns the pictures that
# fit *worst*. See for yourself, then repair `rank` in the cell below the pictures.


# %%
def broken_rank(scores, k):
    return scores.argsort()[:k]


worst = [photos[row] for row in broken_rank(scores, 8)]
plots.gallery([p.open() for p in worst], [p.name for p in worst])

# %% [markdown]
# `rank(scores, k)` returns the row numbers of the `k` largest scores, the largest first.


# %%
def rank(scores, k):
    # BEGIN SOLUTION
    return scores.argsort()[::-1][:k]
    # END SOLUTION


# %% tags=["check"]
check("0.3", rank)

# %% [markdown]
# ## Your progress
#
# What you solve is remembered in the folder `.workshop`, also when you close JupyterLab. Show the
# picture whenever you like.

# %%
progress()

# %% [markdown]
# ## When you are stuck
#
# Each chapter has a twin in the folder `solutions`, with every exercise solved and every output kept.
# To begin a chapter afresh, choose *Kernel → Restart Kernel and Clear Outputs of All Cells…*. Nothing
# in a chapter depends on what you wrote in an exercise: you may skip one and come back.

# %% [markdown]
# ## What we saw
#
# Photos and words became vectors, and one multiplication found pictures by what they show.
#
# **Recall:** Which cell must run before the search? What does the search compare, if not names? Where
# is your progress kept?
#
# **On your own data:** put words of your own into the search. Which ones work, and which do not?
#
# **Next:** [01 · Vectors and similarity](01_vectors.ipynb), where you write the search yourself.
