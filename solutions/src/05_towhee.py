# %% [markdown]
# # 05 · Pipelines with Towhee
#
# *Part I · Vectors*
#
# **You will be able to** write an ingest and a search as one pipeline, see inside it, and tell which of its
# comforts cost time, rows or truth.
#
# **You need** chapter 03 · **Time** 20 min reading, 20 min exercises
#
# ## Where we are going
#
# A film has cuts, and nobody wrote them down. One expression of the library Towhee finds them. (Its import
# warns of what the chapter's end explains; we hide that.)

# %%
import logging
import time
import timeit
import warnings
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np

from workshop import ImageEncoder, TextEncoder, check, connect, datasets, plots, wait_for_index

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
from towhee import AutoPipes, ops, pipe, register

print("towhee", version("towhee"))

# %%
photos = datasets.photos()
by_id = {photo.id: photo for photo in photos}
image_encoder, text_encoder = ImageEncoder(threads=1), TextEncoder(threads=1)


def pan(image, frames=6):  # a camera that moves over a photo
    side = int(0.7 * min(image.size))
    for left in np.linspace(0, image.width - side, frames).astype(int):
        yield image.crop((left, 0, left + side, side))


shots = ["animals-mammals-tiger", "animals-birds-owl", "household-rubberduck"]
film = [f for id in [*shots, "vehicles-flight-balloon360"] for f in pan(by_id[id].open())]


# %%
def likeness(pair):
    return float(pair[0] @ pair[1]) if len(pair) == 2 else None


find_cuts = (
    pipe.input("film")
    .flat_map("film", "frame", lambda film: film)
    .map("frame", "vector", lambda frame: image_encoder.encode([frame])[0])
    .window("vector", "likeness", 2, 1, likeness)
    .output("likeness")
)
values = [row[0] for row in find_cuts(film).to_list()][:-1]
cuts = [n + 1 for n, value in enumerate(values) if value < 0.5]
print("a new shot begins at frames", cuts)

# %%
strip = np.hstack([np.asarray(frame.resize((40, 40))) for frame in film])
fig, (top, below) = plt.subplots(2, 1, figsize=(9, 2.3), height_ratios=[1, 2.2], sharex=True)
top.imshow(strip, extent=(-0.5, len(film) - 0.5, 0, 1), aspect="auto")
top.set_axis_off()
below.plot(np.arange(len(values)) + 0.5, values, marker="o", markersize=4)
for axis in (top, below):
    for cut in cuts:
        axis.axvline(cut - 0.5, color=plots.COLOURS[1], linewidth=2)
below.set(xticks=range(0, 24, 2), ylim=(0, 1), xlabel="frame", ylabel="cosine")
plt.show()

# %% [markdown]
# Within a shot neighbours are alike, across a cut they are not. Read `find_cuts` from the top: data is a
# table of named *columns*; `flat_map` turns one film into many rows, `map` adds a column, `window` takes
# two rows at a time and moves on by one.
#
# ## First as a loop
#
# The ingest of chapter 03, down to its bones: read, encode, collect, insert.

# %%
client = connect("05_towhee")
strings = {"id_type": "str", "max_length": 100, "consistency_level": "Strong"}
for name, dim in {"by_loop": 1280, "pictures": 1280, "names": 384}.items():
    client.create_collection(name, dimension=dim, **strings)

rows = []
for photo in photos[:80:2]:
    rows.append({"id": photo.id, "vector": image_encoder.encode([photo.path])[0]})
client.upsert("by_loop", rows)["upsert_count"]

# %% [markdown]
# ## Then as a pipeline
#
# An *operator* is what a step calls: a function, or an object that keeps something heavy, such as a model.
# `@register` gives it a name, and `ops.` with that name makes one. In `ingest`, a window of 100 rows,
# moved on by 100, is a batch.
#
# **Predict before you run:** to take in texts instead of pictures, how much must change?


# %%
class Embedding:
    def __call__(self, thing):
        return self.encoder.encode([thing])[0]


@register(name="workshop/image_embedding")
class ImageEmbedding(Embedding):
    def __init__(self):
        self.encoder = ImageEncoder(threads=1)


@register(name="workshop/text_embedding")
class TextEmbedding(Embedding):
    def __init__(self):
        self.encoder = TextEncoder(threads=1)


# %%
def ingest(operator, collection):
    def insert(ids, vectors):
        rows = [{"id": i, "vector": v} for i, v in zip(ids, vectors, strict=True)]
        return client.upsert(collection, rows)["upsert_count"]

    steps = pipe.input("items").flat_map("items", ("id", "thing"), lambda items: items)
    steps = steps.map("thing", "vector", operator)
    steps = steps.window(("id", "vector"), "inserted", 100, 100, insert)
    return steps.output("inserted")


# %%
pictures = ingest(ops.workshop.image_embedding(), "pictures")
names = ingest(ops.workshop.text_embedding(), "names")
print("pictures", pictures([(photo.id, photo.path) for photo in photos[::2]]).to_list())
print("names   ", names([(photo.id, photo.name) for photo in photos[::2]]).to_list())
wait_for_index(client, "pictures")
wait_for_index(client, "names")

loop = {row["id"]: row["vector"] for row in rows}
piped = client.get("pictures", ids=list(loop), output_fields=["vector"])
same = [np.allclose(row["vector"], loop[row["id"]], atol=1e-4) for row in piped]
print("as the loop:", sum(same), "of", len(rows))

# %% [markdown]
# One operator. A run answers with a queue of rows, here one for each window; the last holds what was left.
#
# ## Searching inside a pipeline
#
# A search is an operator too. Its arguments are copied whenever a step is added, so they are names and
# numbers; a client cannot be copied. Then a chain: from words to the nearest *name*, from the name to its
# photo, from the photo to those that look like it.


# %%
@register(name="workshop/milvus_search")
class MilvusSearch:
    def __init__(self, collection, limit):
        self.collection, self.limit = collection, limit

    def __call__(self, vector):
        hits = client.search(self.collection, [vector], limit=self.limit, output_fields=["id"])[0]
        return [(hit["id"], round(hit["distance"], 2)) for hit in hits]


# %%
hop = (
    pipe.input("words")
    .map("words", "meaning", ops.workshop.text_embedding())
    .map("meaning", "named", ops.workshop.milvus_search("names", 1))
    .map("named", "path", lambda named: by_id[named[0][0]].path)
    .map("path", "look", ops.workshop.image_embedding())
    .map("look", "hits", ops.workshop.milvus_search("pictures", 6))
    .output("hits")
)
hits = hop("a big striped cat").get()[0]
found, scores = [by_id[id] for id, _ in hits], [score for _, score in hits]
plots.hits("a big striped cat", [p.open() for p in found], scores, [p.name for p in found])

# %% [markdown]
# A lamb, a yak and a Christmas hat. The collection holds a tiger: at which of the five steps did it get
# lost?
#
# ## Seeing inside
#
# `debug` with `tracer=True` keeps what passed each *node*. For each we print the columns that it hands on.
#
# **Predict before you run:** each step adds a column. How many does the last hand on?


# %%
def brief(value):
    if isinstance(value, np.ndarray):
        return f"vector {value.shape}"
    return value[:1] if isinstance(value, list) else getattr(value, "name", value)


trace = hop.debug("a big striped cat", tracer=True).tracer[0]
for name in trace.nodes:
    columns = vars(trace[name].outputs[0][0])
    print(f"{name:28}", *[f"{column} = {brief(columns[column])}" for column in sorted(columns)])

# %% [markdown]
# One: a column that no later step reads is dropped.
#
# The third line is to blame. Among the *names*, "Black cat" is nearest to the words, at 0.61; names know
# nothing of stripes, and from there on every step did its work.
#
# And the time? The *profiler* counts seconds by node. Which step would you make faster?

# %% tags=["nbval-ignore-output"]
hop.debug("a big striped cat", profiler=True).profiler.show()

# %% [markdown]
# `call_op` is the work itself. `wait_data` is waiting for the step before, and `total_time` has both, so it
# grows down the list whatever a step does. The largest `call_op` is where to look.
#
# ## Columns run side by side
#
# A column is a queue of its own. A step takes from the queues that it names, and lets the others pass.
#
# **Predict before you run:** both filters keep even numbers. What stands beside them in the second
# result?

# %%
numbers = pipe.input("upto").flat_map("upto", "n", lambda upto: list(range(upto)))
squared = numbers.map("n", "square", lambda n: n * n)
for columns in (("n", "square"), ("square",)):
    kept = squared.filter(columns, columns, "n", lambda n: n % 2 == 0).output("n", "square")
    print(f"filter {columns}: {kept(6).to_list()}")

# %% [markdown]
# The second dropped squares and let every `n` pass: 1 stands beside 4, and no error was raised. A photo
# beside another photo's vector looks just like that. Name *every* column of the row.
#
# ### ✍️ Your turn 5.1 · 5 min: whose line is it?
#
# `broken` slips too. Write `lines`, with the same input, so that each `line` stands beside its own
# `title`.

# %%
poems = [("Rain", "It falls.\nIt stops.\nIt falls."), ("Cat", "It sleeps."), ("Sea", "In.\nOut.")]
opened = pipe.input("poems").flat_map("poems", ("title", "text"), lambda poems: poems)
broken = opened.flat_map("text", "line", str.splitlines).output("title", "line")
print(*broken(poems).to_list(), sep="\n")

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
# ## The end of a window
#
# A film rarely ends where a window does.
#
# **Predict before you run:** seven frames, windows of four, moved on by two. How many windows, and what
# is in the last?

# %%
windows = numbers.window("n", "window", 4, 2, lambda window: list(window)).output("window")
for row in windows(7).to_list():
    print(row[0])

# %% [markdown]
# Two whole windows, then two short ones; nothing says which is which. That is why `likeness` asked for the
# length of its pair.
#
# ### ✍️ Your turn 5.2 · 6 min: only whole clips
#
# A clip's vector is the mean of its frames' vectors. `clips(size, step)` returns a pipeline that takes a
# list of vectors and gives one row, `mean`, for each window of exactly `size` frames.


# %%
def clips(size, step):
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
# ## What `batch` does, and what it does not
#
# `batch` runs a pipeline on a list of inputs. An operator notes how many texts it is handed at a time.
#
# **Predict before you run:** eight names, through `batch` and through a window of eight. What does the
# model see?

# %%
handed = []


def embed(texts):
    handed.append(len(texts))
    return text_encoder.encode(list(texts))


eight = [photo.name for photo in photos[:8]]
single = pipe.input("text").map("text", "vector", lambda text: embed([text])[0]).output("vector")
many = pipe.input("texts").flat_map("texts", "text", lambda texts: texts)
many = many.window("text", "vectors", 8, 8, embed).output("vectors")
print(len(single.batch(eight)), "runs, texts handed over:", handed)
handed.clear()
print(many(eight).size, "run, texts handed over:", handed)

# %% [markdown]
# `batch` starts eight runs on a pool of threads, each with one text. What a model calls a batch is a window.
#
# Towhee has a base class for operators, `PyOperator`. Ours above did without it.
#
# **Predict before you run:** how often is each kind made, for a batch of eight?

# %%
from towhee.operator import PyOperator

made = []
for base in (object, PyOperator):

    class Length(base):
        def __init__(self):
            made.append(type(self).__base__)

        def __call__(self, text):
            return len(text)

    register(name="workshop/length")(Length)
    measure = pipe.input("text").map("text", "length", ops.workshop.length()).output("length")
    print([run.get()[0] for run in measure.batch(eight)], base.__name__, "made", made.count(base))

# %% [markdown]
# A `PyOperator` is *not shareable* by default: each run gets its own, and `batch` prepares all runs before
# it collects the first. Eight models of 500 MB end a laptop. A plain class is *shareable*: one for all
# threads, so it keeps nothing of a single call in `self`.
#
# ## What a step costs
#
# **Predict before you run:** three steps that do next to nothing. How many times the loop is each other
# way?


# %% tags=["nbval-ignore-output"]
def compare(items, **ways):
    rounds = [[timeit.timeit(run, number=1) for run in ways.values()] for _ in range(5)]
    for name, seconds, ratio in zip(ways, best := np.min(rounds, 0), best / best[0], strict=True):
        print(f"{name:10}{1000 * seconds / len(items):9.4f} ms an item{ratio:9,.1f} × the loop")


def thrice(step, first):
    return first.map("n", "a", step).map("a", "b", step).map("b", "c", step).output("c")


ns, one_by_one, flat = list(range(100)), thrice(abs, pipe.input("n")), thrice(abs, numbers)
runs = {"each": lambda: [one_by_one(n) for n in ns], "batch": lambda: one_by_one.batch(ns)}
compare(ns, loop=lambda: [abs(abs(abs(n))) for n in ns], **runs, one_run=lambda: flat(100))

# %% [markdown]
# Every run builds its queues and starts a task for each node: `each` and `batch` pay that for every item,
# `one_run` once. Ruinous beside `abs`, but lay it beside the `call_op` of a model, above.
#
# What do the threads give back? Now each step only waits, as for a disk or a network.
#
# **Predict before you run:** three steps, 20 items. What part of the loop's time?


# %% tags=["nbval-ignore-output"]
def wait(n):
    time.sleep(0.005)
    return n


waiting = thrice(wait, numbers)
compare(
    range(20), loop=lambda: [wait(wait(wait(n))) for n in range(20)], one_run=lambda: waiting(20)
)

# %% [markdown]
# Nearer to a third than to the whole: while the third step waits for one item, the second waits for the
# next, and the first for the one after. That is what a pipeline is for.
#
# ## When something breaks
#
# **Predict before you run:** the step fails for one number out of six. How many results come back?


# %%
def half(n):
    if n == 3:
        raise ValueError("three is odd")
    return n / 2


try:
    print(numbers.map("n", "half", half).output("half")(6).to_list())
except RuntimeError as error:
    print(str(error).splitlines()[0])

# %% [markdown]
# None: one bad item ends the run, and nothing takes back what an earlier window has inserted. `half-1` is
# the function and its place, counted from 0.
#
# ## What needs the network
#
# Examples on the web name operators that nobody registered here. Towhee then asks its *hub*, towhee.io. We
# give it a closed door instead, so that you see the same with or without a network.

# %%
import os

from workshop import paths

os.environ["TOWHEE_URL"] = "http://127.0.0.1:9"  # nothing listens there
os.environ["TOWHEE_HOME"] = str(paths.home() / "towhee")  # and nothing fetched before is used
logging.getLogger("towhee").setLevel(logging.CRITICAL)  # else a page of log for each failure
sbert = ops.sentence_embedding.sbert(model_name="all-MiniLM-L6-v2")
from_hub = pipe.input("text").map("text", "vector", sbert)
for ask in (lambda: from_hub.output("vector"), lambda: AutoPipes.pipeline("sentence_embedding")):
    try:
        ask()
    except RuntimeError as error:
        print(str(error).strip().splitlines()[-1])

# %% [markdown]
# With a network, Towhee downloads the operator's code as it is today, runs `pip install` on its
# requirements, and executes it. But registered names come first.
#
# ### ✍️ Your turn 5.3 · 9 min: break it, fix it: a hub operator without the hub
#
# Leave `sbert` above as it is. `install()` registers what it asks for, with our `TextEncoder`:
#
# - a text gives a vector, shape `(384,)`;
# - another `model_name` raises `ValueError` when the operator is made;
# - a batch of eight makes one operator.


# %%
def install():
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
# ## Should you use it?
#
# Towhee 1.1.3 is of 4 December 2023, the newest as this is written. It imports `pkg_resources`, which
# setuptools is giving up (the warning at the top); so this course stays below setuptools 81.
#
# A pipeline earns its keep when steps wait for different things, or when one chain runs with many
# operators. A loop is better when it is fast enough, when one bad item must not end it, or when you want
# results early.

# %% [markdown]
# ## What we saw
#
# The shape outlives the library: small steps with named inputs, windows as batches, one heavy object shared.
# Functions and generators can do it too.
#
# **Recall:** How does a photo come to stand beside another photo's vector? What does `batch` hand to the
# model? What happens when an operator is not registered?
#
# **On your own data:** find the cuts in a video of yours.
#
# **Next:** [09 · Launch a service from a cell](09_launch.ipynb) ·
# **Before:** [04 · Indexes: recall against speed](04_indexes.ipynb)
