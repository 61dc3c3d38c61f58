# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Pipelines with Towhee
#
# *Part I · Vectors*
#
# **You will be able to** write an ingest and a search as one pipeline, look inside it, and tell which of its comforts
# cost time, rows or truth.
#
# **You need** chapter 03 · **Time** 38 min reading, 20 min exercises
#
# ## The cuts of a film · 4 min
#
# A [[frame]] is one picture of a film, and a *shot* is a row of frames that one camera took without a stop. Where one
# shot ends and the next begins, there is a *cut*. Nobody wrote the cuts down. Vectors can find them.

# %%
import numpy as np

from workshop import ImageEncoder, TextEncoder, check, connect, datasets, plots, wait_for_index

photos = datasets.photos()
by_id = {photo.id: photo for photo in photos}
image_encoder = ImageEncoder(threads=1)  # threads: how many processor cores it may use

# %% [markdown]
# We make the film ourselves: for each of four photos, a camera moves from left to right and takes six frames.


# %%
def pan(image):
    """Six square parts of an image, from left to right: a list of images."""
    side = int(0.7 * min(image.size))
    lefts = np.linspace(0, image.width - side, 6).astype(int).tolist()
    return [image.crop((left, 0, left + side, side)) for left in lefts]


film = []
shots = ["animals-mammals-tiger", "animals-birds-owl", "household-rubberduck"]
for shot in [*shots, "vehicles-flight-balloon360"]:
    film.extend(pan(by_id[shot].open()))
print(len(film), "frames")

# %% [markdown]
# Neighbours within a shot look alike, neighbours across a cut do not. So we compare each frame with the next, by the
# cosine of their vectors. Vectors of length 1 have as cosine the sum of their products (chapter 01).

# %%
frame_vectors = image_encoder.encode(film)
likeness = np.sum(frame_vectors[:-1] * frame_vectors[1:], axis=1)  # axis=1: one sum a pair
cuts = [number + 1 for number, value in enumerate(likeness) if value < 0.5]
plots.film_cuts(film, likeness, cuts)

# %% [markdown]
# Above are the 24 frames. The blue line shows the cosine of each frame with the next. It falls below 0.5 three times;
# there the orange lines mark a cut.

# %% [markdown]
# ## What a pipeline is · 5 min
#
# A [[pipeline]] is a chain of steps through which data flows, each step a function with names for what goes in and what
# comes out. [[Towhee]] is a Python library for pipelines over pictures, texts and vectors.
#
# Why not a loop? In a pipeline the steps work side by side: while one waits for a disk or a network, others go on. And
# the same chain can run with another model. A loop is better when it is fast enough, when one bad item must not end
# it, or when you want results early.

# %% [markdown]
# Towhee 1.1.3 is of December 2023, the newest as this is written. Its import warns of `pkg_resources`, an old module
# that it uses, and which setuptools is giving up. So the course stays below setuptools 81. We hide the warning.

# %%
import warnings

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
from towhee import pipe


def square(number):
    """The square of a number."""
    return number * number


squaring = pipe.input("n").map("n", "square", square).output("square")
print(squaring(3).get())

# %% [markdown]
# Read it from the left. `input` names what a run is given. `map` is a step: it takes the column `n`, calls
# `square`, and puts the result into a new column, `square`. `output` says which columns a row of the result has.
#
# A run, `squaring(3)`, answers with a queue of rows, a list from which `get` takes the first. Each row is a list.
#
# `flat_map` makes many rows of one: its function returns a list, and each element becomes a row.

# %%
numbers = pipe.input("upto").flat_map("upto", "n", lambda upto: list(range(upto)))
squares = numbers.map("n", "square", square)
print(squares.output("n", "square")(6).to_list())

# %% [markdown]
# One run, six rows, each with a number and its square. `to_list` takes all rows from the queue. A chain without `output`,
# such as `numbers`, is a beginning that several pipelines can share.
#
# ## Columns run side by side · 4 min
#
# A column is a queue of its own. A step takes values from the columns that it names, and lets the others pass.
#
# `filter` keeps the rows for which a function says True. It is given four things: the columns to filter, their names afterwards, the
# column that the function is asked about, and the function.


# %%
def is_even(number):
    """True for an even number."""
    return number % 2 == 0


evens = squares.filter(("n", "square"), ("n", "square"), "n", is_even)
print(evens.output("n", "square")(6).to_list())

# %% [markdown]
# **Predict before you run:** now only `square` is filtered. What stands beside the squares?

# %%
slipped = squares.filter("square", "square", "n", is_even)
print(slipped.output("n", "square")(6).to_list())

# %% [markdown]
# The step dropped odd numbers' squares and let every `n` pass. So 1 stands beside 4, the square of 2, and at the end the
# squares ran out: `Empty()`. There was no error.
#
# A photo beside another photo's vector would look just like that. Name *every* column of the row in a filter.

# %% [markdown]
# ### ✍️ Your turn 5.1 · 5 min: whose line is it?
#
# Here a `flat_map` slips in the same way: it makes several rows of `text`, and none of `title`.

# %%
poems = [("Rain", "It falls.\nIt stops.\nIt falls."), ("Cat", "It sleeps."), ("Sea", "In.\nOut.")]
opened = pipe.input("poems").flat_map("poems", ("title", "text"), lambda poems: poems)
broken = opened.flat_map("text", "line", str.splitlines).output("title", "line")
for row in broken(poems).to_list():
    print(row)

# %% [markdown]
# Write the pipeline `lines`. It is given a list of pairs, title and text (both str), as `broken` is. Each of its rows is
# `[title, line]`: one row for each line of each text, in order, beside its own title.
#
# The lines of a text are what `text.splitlines()` returns. So an empty text has no lines, and an empty line in the middle is a
# line.

# %%
# BEGIN SOLUTION
lines = opened.flat_map(
    ("title", "text"),
    ("title", "line"),
    lambda title, text: [(title, line) for line in text.splitlines()],
).output("title", "line")
# END SOLUTION

# %% tags=["check"]
check("5.1", lines)

# %% [markdown]
# ## Windows, and how they end · 4 min
#
# `window` takes several rows at a time. Two numbers say how many rows a window has, and by how many rows it moves on.
#
# **Predict before you run:** seven frames, windows of four, moved on by two. How many windows are there, and what is in the
# last?

# %%
windows = numbers.window("n", "frames", 4, 2, list)  # list: keep the rows as they are
for row in windows.output("frames")(7).to_list():
    print(row[0])

# %% [markdown]
# There are four: two whole windows, then two short ones. The last holds one frame. Nothing says which windows are short: a
# function for windows must look at the length.
#
# Now the cuts of the film, as a pipeline. A window of two, moved on by one, holds a frame's vector and the next.


# %%
def alike(pair):
    """The cosine of a pair of vectors (d,), or None if the window at the end holds only one."""
    return float(pair[0] @ pair[1]) if len(pair) == 2 else None


# %%
find_cuts = (
    pipe.input("film")
    .flat_map("film", "frame", lambda film: film)
    .map("frame", "look", lambda frame: image_encoder.encode([frame])[0])
    .window("look", "alike", 2, 1, alike)
    .output("alike")
)
piped = [row[0] for row in find_cuts(film).to_list()]
same = np.allclose(piped[:-1], likeness, atol=0.01)
print(len(piped), "rows, the last:", piped[-1], "· the others as in the loop:", same)

# %% [markdown]
# 24 frames gave 24 rows. The last window held one frame, so it gave None. The others are the numbers that we had before.

# %% [markdown]
# ### ✍️ Your turn 5.2 · 6 min: only whole clips
#
# A *clip* is a window of frames. Its vector is the mean of its frames' vectors.
#
# Write `clips(size, step)`; both are whole numbers from 1. It returns a pipeline. A run is given a list of
# vectors, each an array of shape `(d,)`, and gives one row for each window of exactly `size` vectors, in order: `[mean]`, an
# array of shape `(d,)`. Windows move on by `step`. Short windows at the end give no row, and neither does an empty list.


# %%
def clips(size, step):
    """A pipeline: a list of vectors (d,) goes in, the mean of each whole window comes out."""

    # BEGIN SOLUTION
    def mean(window):
        return np.mean(window, axis=0) if len(window) == size else None

    return (
        pipe.input("vectors")
        .flat_map("vectors", "vector", lambda vectors: vectors)
        .window("vector", "mean", size, step, mean)
        .filter("mean", "mean", "mean", lambda mean: mean is not None)
        .output("mean")
    )
    # END SOLUTION


# %% tags=["check"]
check("5.2", clips)

# %% [markdown]
# ## Pause
#
# You can write a pipeline, and know where it slips. Next come photos and Milvus. From here you can start anew
# after a break: run the next cell.

# %% tags=["pause"]
import warnings

import numpy as np

from workshop import ImageEncoder, TextEncoder, check, connect, datasets, plots, wait_for_index

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
from towhee import ops, pipe, register

photos = datasets.photos()
by_id = {photo.id: photo for photo in photos}
image_encoder, text_encoder = ImageEncoder(threads=1), TextEncoder(threads=1)
numbers = pipe.input("upto").flat_map("upto", "n", lambda upto: list(range(upto)))
client = connect("05_towhee")

# %% [markdown]
# ## One chain, two models · 4 min
#
# An [[ingest]] reads things, makes a vector of each, and writes them into a database. We take in half of the photos twice: their
# pictures, and their names.


# %%
def embed_picture(path):
    """The vector (1280,) of the image file at path."""
    return image_encoder.encode([path])[0]


def embed_words(words):
    """The vector (384,) of a text."""
    return text_encoder.encode([words])[0]


# %%
about = {"id_type": "str", "max_length": 100, "consistency_level": "Strong"}
for name, dim in [("pictures", 1280), ("names", 384)]:
    client.drop_collection(name)
    client.create_collection(name, dimension=dim, **about)
print(client.list_collections())

# %% [markdown]
# The pipeline is given a list of pairs, key and thing. Where does it make batches, as in chapter 03? A window of 100 rows
# that moves on by 100 *is* a batch.


# %%
def ingest(embed, collection):
    """A pipeline that embeds (key, thing) pairs into a collection; each row says how many were inserted."""

    def insert(keys, looks):
        rows = [{"id": key, "vector": look} for key, look in zip(keys, looks, strict=True)]
        return client.upsert(collection, data=rows)["upsert_count"]

    steps = pipe.input("items").flat_map("items", ("key", "thing"), lambda items: items)
    steps = steps.map("thing", "look", embed)
    steps = steps.window(("key", "look"), "inserted", 100, 100, insert)
    return steps.output("inserted")


# %% [markdown]
# `insert` is a function inside a function: it knows the `collection` that the outer one was given.
#
# **Predict before you run:** half of 430 photos is 215. What are the rows of the result?

# %%
half = photos[::2]
print("pictures", ingest(embed_picture, "pictures")([(p.id, p.path) for p in half]).to_list())
print("names   ", ingest(embed_words, "names")([(p.id, p.name) for p in half]).to_list())
wait_for_index(client, "pictures")
wait_for_index(client, "names")

# %% [markdown]
# Each window gives one row, the number of its inserts: 100, 100, and 15 in the short window at the end. To take in
# names in place of pictures, one function changed.
#
# ## A search in five steps · 3 min
#
# A search is a step too. We build a chain: from words to the nearest *name*, from the name to its photo, from the photo to
# those that look like it.


# %%
def nearest(collection, look, limit):
    """The nearest rows of a collection: a list of (id, score), best first."""
    hits = client.search(collection, data=[look], limit=limit, output_fields=["id"])[0]
    return [(hit["id"], round(hit["distance"], 2)) for hit in hits]


def nearest_name(meaning):
    """The photo whose name is nearest to the vector meaning (384,): (id, score)."""
    return nearest("names", meaning, 1)[0]


def six_alike(look):
    """The six photos nearest to the vector look (1280,): a list of (id, score)."""
    return nearest("pictures", look, 6)


# %%
hop = (
    pipe.input("words")
    .map("words", "meaning", embed_words)
    .map("meaning", "named", nearest_name)
    .map("named", "path", lambda named: by_id[named[0]].path)
    .map("path", "look", embed_picture)
    .map("look", "hits", six_alike)
    .output("hits")
)
hits = hop("a big striped cat").get()[0]

# %%
found = [by_id[key] for key, _ in hits]
images, scores = [photo.open() for photo in found], [score for _, score in hits]
plots.hits("a big striped cat", images, scores, [photo.name for photo in found])

# %% [markdown]
# A black cat, a lamb, a yak and a Christmas hat. The collection holds a tiger. At which of the five steps did it get lost?
#
# ## Seeing inside · 3 min
#
# Towhee calls a step a *node*. `debug` with `tracer=True` runs a pipeline and keeps what passed each node.
#
# **Predict before you run:** each step adds a column. How many columns does the last step hand on?

# %%
trace = hop.debug("a big striped cat", tracer=True).tracer[0]
for node in trace.nodes:
    columns = vars(trace[node].outputs[0][0])  # vars: the columns of a row, as a dict
    print(f"{node:20} hands on {sorted(columns)}")

# %% [markdown]
# One. A column that no later step reads is dropped. `_input` and `_output` are the ends of the chain; the number in a name
# is the place of the step, counted from 0.
#
# Now look at what the steps handed on.

# %%
for node in ("nearest_name-1", "six_alike-4"):
    print(node, vars(trace[node].outputs[0][0]))

# %% [markdown]
# The second step, `nearest_name-1`, is to blame. Among the *names*, "Black cat" is nearest to the words, at 0.61.
# Names know nothing of stripes. From there on every step did its work.
#
# ## What `batch` does, and what it does not · 3 min
#
# `batch` runs a pipeline on a list of inputs. Our next function notes how many texts it is handed at a time.
#
# **Predict before you run:** eight names, once through `batch`, once through a window of eight. What does the model see?

# %%
handed = []


def embed_all(texts):
    """The vectors (n, 384) of a list of n texts; notes n."""
    handed.append(len(texts))
    return text_encoder.encode(list(texts))


eight = [photo.name for photo in photos[:8]]
single = pipe.input("words").map("words", "meaning", lambda words: embed_all([words])[0])
print(len(single.output("meaning").batch(eight)), "runs, texts handed over:", handed)

# %%
handed.clear()
many = pipe.input("names").flat_map("names", "name", lambda names: names)
many = many.window("name", "meanings", 8, 8, embed_all).output("meanings")
print(many(eight).size, "run, texts handed over:", handed)

# %% [markdown]
# `batch` starts eight runs, which a few threads share, and each run hands one text to the model. A
# [[thread]] is a line of work inside a program: it does one thing after another, and a program can have several
# side by side.
#
# What a *model* calls a batch is many texts in one call, which is faster. In Towhee that is a window.
#
# ## When something breaks · 2 min
#
# **Predict before you run:** a step fails for one number out of six. How many results come back?


# %%
def half_of(number):
    """Half of a number; fails for 3."""
    if number == 3:
        raise ValueError("three is odd")
    return number / 2


try:
    print(numbers.map("n", "half", half_of).output("half")(6).to_list())
except RuntimeError as error:
    print(str(error).splitlines()[0])

# %% [markdown]
# None. One bad item ends the whole run. The message names the node `half_of-1` and the reason. (We print its first line;
# the rest says where in Towhee it happened.) What an earlier window has inserted into a database stays there: nothing
# takes it back.
#
# ## Operators with a name · 5 min
#
# An [[operator]] is what a step of a pipeline calls: a function, or an object that can be called like one. An object keeps something between
# calls, such as a model. Its class has a method `__call__`, which runs when the object is called.


# %%
@register(name="workshop/text_embedding")
class TextEmbedding:
    """Called with a text, returns its vector (384,)."""

    def __init__(self):
        self.encoder = TextEncoder(threads=1)

    def __call__(self, words):
        return self.encoder.encode([words])[0]


print(TextEmbedding()("a big striped cat").shape)

# %% [markdown]
# A [[decorator]] is a line that begins with `@` above a class or function, and hands it to another function. Here it hands
# the class to `register`, and Towhee remembers it under the name. `ops` finds it by that name, written with a dot.
#
# The operator is made once and all runs of the pipeline share it, so it must keep nothing of a single call.

# %%
operator = ops.workshop.text_embedding()
embedding = pipe.input("words").map("words", "meaning", operator).output("meaning")
print(embedding("a big striped cat").get()[0].shape)

# %% [markdown]
# What if nobody registered the name? Towhee then asks its *hub*, the website towhee.io, for code of that name. Examples on
# the web use such operators. To see the same with and without a network, we give Towhee an address at which nothing listens.

# %%
import logging
import os

from workshop import paths

os.environ["TOWHEE_URL"] = "http://127.0.0.1:9"  # nothing listens there
os.environ["TOWHEE_HOME"] = str(paths.home() / "towhee")  # nothing fetched before is used
logging.getLogger("towhee").setLevel(logging.CRITICAL)  # else each failure logs a page

# %%
sbert = ops.sentence_embedding.sbert(model_name="all-MiniLM-L6-v2")
from_hub = pipe.input("text").map("text", "vector", sbert)
try:
    from_hub.output("vector")
except RuntimeError as error:
    print(str(error).strip().splitlines()[-1])

# %% [markdown]
# Towhee could not load the operator. With a network it would download the operator's code as it is today, install with
# `pip` what it requires, and run it on your machine. The ready-made pipelines that examples call `AutoPipes` ask the hub too. But
# names that you have registered come first.

# %% [markdown]
# ### ✍️ Your turn 5.3 · 9 min: break it, fix it: a hub operator without the hub
#
# Leave `sbert` above as it is. Write `install()`, without arguments. It registers an operator under the name that `sbert` asks for, so that
# `from_hub.output("vector")` works without the hub.
#
# - It is made with `model_name`, a str. Any other than `"all-MiniLM-L6-v2"` raises `ValueError` when the operator is made.
# - Called with a text (str), it returns the vector of our `TextEncoder`, shape `(384,)`.
# - A `batch` of eight texts makes at most one operator: it does not make one for each text.


# %%
def install():
    """Register sentence_embedding/sbert with our TextEncoder."""

    # BEGIN SOLUTION
    @register(name="sentence_embedding/sbert")
    class Sbert:
        def __init__(self, model_name):
            if model_name != "all-MiniLM-L6-v2":
                raise ValueError(f"only all-MiniLM-L6-v2 is here, not {model_name}")
            self.encoder = TextEncoder(threads=1)

        def __call__(self, text):
            return self.encoder.encode([text])[0]

    # END SOLUTION


# %% tags=["check"]
check("5.3", install)

# %% [markdown]
# ## What we saw · 1 min
#
# Small steps with named columns, windows as batches, one heavy object shared by all runs: that shape is worth keeping, with Towhee
# or with plain functions and loops.
#
# **Recall:**
#
# 1. How does a photo come to stand beside another photo's vector?
# 2. What does `batch` hand to the model?
# 3. What happens when an operator is not registered?
#
# <details><summary>Answers</summary>
#
# 1. A step dropped or made rows in one column, and did not name the other.
# 2. One input a run. Many in one call need a window.
# 3. Towhee asks its hub: it fetches and runs code from the network, or fails without one.
#
# </details>
#
# **On your own data:** find the cuts in a video of yours.
#
# **Next:** [06 · One search API, twice](06_flask_and_fastapi.ipynb) ·
# **Before:** [04 · Indexes: recall against speed](04_indexes.ipynb)

# %% [markdown]
# ## Going deeper
#
# About 12 min more: which step takes the time, what a step costs, and operators that are made again for each run.
#
# ### Which step takes the time?
#
# The *profiler* counts seconds by node. Which step would you make faster?

# %% tags=["nbval-ignore-output"]
hop.debug("a big striped cat", profiler=True).profiler.show()

# %% [markdown]
# Each line is a node, each column a time in seconds. `call_op` is the work itself. `wait_data` is waiting for the step before,
# and `total_time` has both, so it grows down the list whatever a step does. The largest `call_op` is where to look.
#
# ### What a step costs
#
# Three steps take the absolute value of a number, which is almost no work.
#
# **Predict before you run:** 100 numbers. How many times as long as a loop does each other way take?


# %%
import timeit


def thrice(step, first):
    """The pipeline first, then the same step three times."""
    return first.map("n", "a", step).map("a", "b", step).map("b", "c", step).output("c")


def compare(loop, others):
    """Print how long each function takes, as a multiple of the time of loop; the best of five."""
    base = min(timeit.repeat(loop, number=1, repeat=5))
    for name, way in others.items():
        ratio = min(timeit.repeat(way, number=1, repeat=5)) / base
        print(f"{name:10} {ratio:9,.1f} × the loop")


# %% tags=["nbval-ignore-output"]
hundred = list(range(100))
one_by_one, in_one_run = thrice(abs, pipe.input("n")), thrice(abs, numbers)
ways = {
    "each": lambda: [one_by_one(number) for number in hundred],
    "batch": lambda: one_by_one.batch(hundred),
    "one run": lambda: in_one_run(100),
}
compare(lambda: [abs(abs(abs(number))) for number in hundred], ways)

# %% [markdown]
# Every run builds its queues and starts a task for each node. `each` and `batch` pay that for every number, `one run` pays it
# once. Beside `abs` the price is ruinous. Beside a model, whose call takes milliseconds, it is small.
#
# What do the threads give back? Now each step only waits, as for a disk or a network.
#
# **Predict before you run:** three steps, 20 items. What part of the loop's time does the pipeline take?


# %%
import time


def wait(number):
    """The number, five milliseconds later."""
    time.sleep(0.005)
    return number


# %% tags=["nbval-ignore-output"]
waiting = thrice(wait, numbers)
compare(
    lambda: [wait(wait(wait(number))) for number in range(20)], {"one run": lambda: waiting(20)}
)

# %% [markdown]
# It takes nearer to a third than to the whole. While the third step waits for one item, the second waits for the next, and the
# first for the one after. That is what a pipeline is for.
#
# ### Operators that are made for each run
#
# Towhee has a base class for operators, `PyOperator`. Ours did without it.
#
# **Predict before you run:** how often is each kind made, for a batch of eight?

# %%
from towhee.operator import PyOperator

made = []


class Length:
    """Called with a text, returns its length; notes that it was made."""

    def __init__(self):
        made.append("plain class")

    def __call__(self, words):
        return len(words)


# %%
class LengthOperator(PyOperator):
    """The same as a PyOperator."""

    def __init__(self):
        made.append("PyOperator")

    def __call__(self, words):
        return len(words)


# %%
register(name="workshop/length")(Length)
register(name="workshop/length_operator")(LengthOperator)
made.clear()
for operator in (ops.workshop.length(), ops.workshop.length_operator()):
    measure = pipe.input("words").map("words", "length", operator).output("length")
    print([queue.get()[0] for queue in measure.batch(eight)])
print({kind: made.count(kind) for kind in sorted(set(made))})

# %% [markdown]
# `register` works without the `@` too: it is given the class in a second pair of brackets.
#
# A `PyOperator` is *not shareable* by default: each run gets its own, and `batch` prepares all runs before it collects the first. Eight
# models of 500 MB end a laptop. A plain class is *shareable*: one object for all threads.
