# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · From things to vectors
#
# *Part I · Vectors*
#
# **You will be able to** turn sentences and pictures into vectors by hand, measure what they are worth,
# find mistakes that nothing reports, and search pictures by words.
#
# **You need** chapter 01 · **Time** 22 min reading, 23 min exercises
#
# ## Where we are going
#
# Chapter 01 searched by pixels. An *encoder*, a trained network, makes vectors of what a picture shows.
# The search is the same. (430 pictures take some seconds.)

# %%
from time import process_time
from timeit import repeat

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps

from workshop import ImageEncoder, TextEncoder, check, datasets, encoders, paths, plots

photos = datasets.photos()
row_of = {photo.id: row for row, photo in enumerate(photos)}
image = ImageEncoder()
vectors, probabilities = image.run([photo.path for photo in photos])


# %%
def on_white(picture, side):
    small = ImageOps.contain(picture, (side, side))
    square = Image.new("RGB", (side, side), "white")
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return square


thumbs = np.stack([np.asarray(on_white(photo.open(), 64)) for photo in photos])
pixels = thumbs.reshape(len(photos), -1).astype(np.float32)
print("pixels ", pixels.shape)
print("encoder", vectors.shape)


# %%
def nearest(vectors, row):
    return np.linalg.norm(vectors - vectors[row], axis=1).argsort(kind="stable")[:6]


ids = ["mammals-giraffe", "mammals-tiger", "birds-magellanic-penguin", "birds-heron-greatblue"]
rows = [row_of[f"animals-{id}"] for id in ids] + [row_of["hobbies-music-cello"]]
lines = [[*nearest(pixels, row), *nearest(vectors, row)[1:]] for row in rows]
fig, ax = plt.subplots(figsize=(8.2, 3.9))
ax.imshow(np.vstack([np.hstack(thumbs[line]) for line in lines]))
ax.vlines([64, 6 * 64], 0, 5 * 64, color=plots.QUERY, linewidth=2)
ax.set_xticks([32, 224, 544], ["query", "nearest by pixels", "nearest by the encoder"])
ax.set(yticks=[], frame_on=False)
ax.grid(visible=False)

# %% [markdown]
# Pixels want ink in the same places: to them a penguin is a teddy bear, or a dustbin. The encoder finds
# grazing animals, birds, strings. And look at the tiger's fifth neighbour, a hornet: nobody told the
# encoder about stripes.
#
# ## A sentence becomes numbers
#
# We begin with text, and take `TextEncoder` apart. First a *tokenizer* cuts the sentence into pieces from
# a fixed list; each piece becomes its number in that list.

# %%
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(str(paths.DATA / "models" / "all-MiniLM-L6-v2.tokenizer.json"))
tokenizer.no_padding()  # the file asks for padding to 128; we come to that
print(f"{tokenizer.get_vocab_size():,} pieces")
for sentence in ["The kitten is asleep.", "Kookaburras sleep.", "Milvus stores embeddings."]:
    encoding = tokenizer.encode(sentence)
    print(*encoding.tokens)
    print("  ", *encoding.ids)

# %% [markdown]
# A common word is one piece. A rare one is spelled from several, `##` marking those that continue, so
# nothing is unknown. `[CLS]` and `[SEP]` frame every sentence because they did in training.
#
# Now the model: in go the numbers, out comes a vector for each token, which has looked at all others. A
# search wants one vector a sentence: take the *mean*, then scale it to length 1.

# %%
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # one core, so that speeds compare at the end
model = str(paths.DATA / "models" / "all-MiniLM-L6-v2.int8.onnx")
session = onnxruntime.InferenceSession(model, options)

ids = np.array([tokenizer.encode("The kitten is asleep.").ids])
(tokens,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
kitten = tokens[0].mean(axis=0) / np.linalg.norm(tokens[0].mean(axis=0))
text = TextEncoder()
print(ids.shape, "->", tokens.shape, "->", kitten.shape)
print("as TextEncoder:", np.allclose(kitten, text.encode(["The kitten is asleep."])[0], atol=1e-5))

# %% [markdown]
# That is all `TextEncoder` does.
#
# ## No word in common
#
# Below are four pairs that say nearly the same. In no pair do the two sentences share a word.
#
# **Predict before you run:** a search for equal words scores all four pairs 0. What does this one?

# %%
pairs = """I forgot my password. / The login page keeps me out.
Where can I buy bread? / Is there a bakery nearby?
The kitten is asleep. / A young cat takes a nap.
Share prices fell. / The stock market is down."""
sentences = pairs.replace(" / ", "\n").split("\n")
scores = text.encode(sentences) @ text.encode(sentences).T
fig, ax = plt.subplots(figsize=(7.5, 3.6))
ax.imshow(scores, cmap="Blues", vmin=0, vmax=1.5)
for (y, x), score in np.ndenumerate(scores):
    ax.text(x, y, f"{score:.2f}", ha="center", va="center", fontsize=8)
ax.set(yticks=range(8), yticklabels=sentences, xticks=[], frame_on=False)
ax.grid(visible=False)

# %% [markdown]
# Every partner stands out, all else is near 0. Nobody wrote down that a kitten is a young cat: the model
# was trained on a billion pairs of texts that belong together, to tell them from pairs that do not (the
# method: Reimers and Gurevych, 2019).
#
# **Predict before you run:** which of three sentences is nearest to *The shop is open*, and which to
# *The dog bit the man*?

# %%
for query, others in {
    "The shop is open.": "The store welcomes customers./The cat is asleep./The shop is closed.",
    "The dog bit the man.": "The man was attacked./A man sees a dog./The man bit the dog.",
}.items():
    others = others.split("/")
    found = text.encode(others) @ text.encode([query])[0]
    print(query)
    for row in (-found).argsort():
        print(f"   {found[row]:.2f} {others[row]}")

# %% [markdown]
# The opposite comes first, far before the paraphrase; who bit whom hardly matters. A vector says
# what a sentence is *about*, not what it claims: never ask it for a yes or no.
#
# ## Many at once
#
# A model takes a table, so short sentences are filled up with `[PAD]`. A *mask* says which tokens are
# real: to the model, so none looks at padding, and to the mean.
#
# **Predict:** forget one or both. How like itself is the kitten?

# %%
sentence = "The share price is falling, and nobody on the third floor can say for how long."
tokenizer.enable_padding()
batch = tokenizer.encode_batch(["The kitten is asleep.", sentence])
ids, mask = np.array([e.ids for e in batch]), np.array([e.attention_mask for e in batch])
print(*batch[0].tokens, "\n", *mask[0])
uses = {"with mask": mask, "without": np.ones_like(mask)}
for name, in_model in uses.items():
    (tokens,) = session.run(None, {"input_ids": ids, "attention_mask": in_model})
    for other, in_mean in uses.items():
        pooled = np.average(tokens[0], axis=0, weights=in_mean[0])
        similarity = pooled @ kitten / np.linalg.norm(pooled)
        print(f"model {name:9}  mean {other:9}  {similarity:.2f}")

# %% [markdown]
# Without any mask the kitten is less like itself, 0.45, than like the young cat above, 0.66; how much less
# depends on its batch. No error, right shapes, and a demo with one sentence works.
#
# ### ✍️ Your turn 2.1 · 5 min: padding does not count
#
# `mean_pool(tokens, mask)` takes token vectors `(n, t, d)`, float32, and a mask `(n, t)` of 0 and 1. It
# returns means over real tokens, `(n, d)`, float32, without a loop. A row without any: zeros.


# %%
def mean_pool(tokens, mask):
    # BEGIN SOLUTION
    weights = mask[:, :, None].astype(tokens.dtype)
    return (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    # END SOLUTION


# %% tags=["check"]
check("2.1", mean_pool)

# %% [markdown]
# ## A picture becomes numbers
#
# The same steps. Where a tokenizer cut, *preprocessing* makes what the network saw in training: a square
# of 224 pixels padded with white, values from −1 to 1, and the three colours as first axis. Then run,
# then normalise.

# %%
looker = onnxruntime.InferenceSession(
    str(paths.DATA / "models" / "efficientnet-lite0.int8.onnx"), options
)


def prepare(picture):
    values = (np.asarray(on_white(picture, 224), np.float32) - 127) / 128
    return values.transpose(2, 0, 1)[None]


tiger = row_of["animals-mammals-tiger"]
embedding, logits = looker.run(["embedding", "logits"], {"pixels": prepare(photos[tiger].open())})
by_hand = embedding[0] / np.linalg.norm(embedding[0])
print(embedding.shape, "the same:", np.allclose(by_hand, vectors[tiger], atol=1e-4))
print("best class:", image.class_names[logits[0].argmax()])

# %% [markdown]
# The network learned to name 1,000 kinds of things (*ImageNet*); `logits` are its scores for them.
# `embedding` is the layer before: what it has to know in order to name anything, 1,280 numbers that also
# serve for things it has no name for.
#
# ## A map of 430 pictures
#
# To see 1,280 dimensions we keep the two along which the vectors differ most, their *principal
# components*.

# %%
from sklearn.decomposition import PCA

pca = PCA(2, random_state=0)
points = pca.fit_transform(vectors)
print(f"share of the differences that the map keeps: {pca.explained_variance_ratio_.sum():.2f}")
places = (points - points.min(axis=0)) / np.ptp(points, axis=0) * (836, 496)
canvas = np.full((532, 872, 3), 255, np.uint8)
for thumb, (x, y) in zip(thumbs, places.astype(int), strict=True):
    part = canvas[496 - y : 528 - y, x : x + 32]
    part[:] = np.minimum(part, thumb[::2, ::2])  # the darker of the two: white is transparent
plt.figure(figsize=(8.7, 5.3)).add_subplot(frame_on=False, xticks=[], yticks=[]).imshow(canvas)
plt.show()

# %% [markdown]
# Animals left, road signs below, tools between; among the oranges at the top right lie Jupiter and the
# moon. Enjoy the map, and do not trust it: it keeps 9 % of the differences, and many neighbours on it
# are none.
#
# ## Is it any good?
#
# *Precision at 5*: of a picture's five nearest, how many are of its category? Every picture is asked whose
# category has at least five.

# %%
categories = np.array([photo.category for photo in photos])
known, counts = np.unique(categories, return_counts=True)
asked = np.flatnonzero(np.isin(categories, known[counts >= 5]))
labels = categories[asked]
pictures = [photos[row].open() for row in asked]


def precision(vectors, labels, k=5):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -np.inf)  # a query must not find itself
    hits = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (labels[hits] == labels[:, None]).mean(axis=1)  # one figure for each query


# %%
def histogram(picture):  # red, green and blue in 8 steps each: 512 colours
    return np.bincount((np.asarray(picture) // 32 @ np.array([64, 8, 1])).ravel(), minlength=512)


results = {
    "encoder": precision(vectors[asked], labels),
    "colour histogram": precision(np.sqrt([histogram(p) for p in pictures]), labels),
    "pixels": precision(pixels[asked], labels),
    "categories dealt out": precision(vectors[asked], np.random.default_rng(1).permutation(labels)),
}
for name, result in results.items():
    print(f"{name:22} {result.mean():.2f} ± {result.std() / len(result) ** 0.5:.2f}")

# %%
names, sizes = np.unique(labels, return_counts=True)
by_category = {n: [r[labels == name].mean() for name in names] for n, r in results.items()}
order = np.argsort(by_category["encoder"])
fig, ax = plt.subplots(figsize=(7.5, 4.6))
for (name, means), marker in zip(list(by_category.items())[:2], "os", strict=True):
    ax.plot(np.array(means)[order], range(len(names)), marker, label=name)
ticks = [f"{names[i]} ({sizes[i]})" for i in order]
ax.set(yticks=range(len(names)), yticklabels=ticks, xlabel="precision at 5", xlim=(-0.02, 1))
ax.tick_params(axis="y", labelsize=8)
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# Three of five are right; colours get little more than one, chance a third of one. (After ±: how far other
# pictures might move it.) Averages hide who pays: flowers are nearly perfect, and for `clothes`,
# mostly drawings in grey, colours do better.
#
# ### ✍️ Your turn 2.2 · 4 min: what guessing would score
#
# `chance(labels)` returns the precision at 5 to expect from neighbours drawn at random among the *other*
# pictures: one exact number. Why need it not know that it is five?


# %%
def chance(labels):
    # BEGIN SOLUTION
    _, counts = np.unique(labels, return_counts=True)
    n = len(labels)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))
    # END SOLUTION


# %% tags=["check"]
check("2.2", chance)

# %% [markdown]
# ## Nothing complains
#
# Six ways to feed a picture wrongly, all of them common. One is even recommended: the README of this
# model's package scales by ImageNet's mean and standard deviation, as other models want it.
#
# **Predict before you run:** which does the most damage, and which the least? (The bar says how
# long it takes.)

# %%
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def raw(picture):
    return np.asarray(on_white(picture, 224), np.float32)


feeds = {
    "as in training": lambda p: ((raw(p) - 127) / 128).transpose(2, 0, 1),
    "stretched to the square": lambda p: prepare(p.resize((224, 224)))[0],
    "divided by 255 only": lambda p: (raw(p) / 255).transpose(2, 0, 1),
    "red and blue swapped": lambda p: prepare(p)[0, ::-1],
    "mean and std of the README": lambda p: ((raw(p) / 255 - MEAN) / STD).transpose(2, 0, 1),
    "never scaled": lambda p: raw(p).transpose(2, 0, 1),
    "reshape for transpose": lambda p: ((raw(p) - 127) / 128).reshape(3, 224, 224),
}

# %%
from tqdm import tqdm

first = None
print("precision at 5   same best class")
for name, feed in feeds.items():
    outputs = []
    for picture in tqdm(pictures, desc=name, leave=False):
        x = np.ascontiguousarray(feed(picture)[None], np.float32)
        outputs.append(looker.run(["embedding", "logits"], {"pixels": x}))
    embeddings, logits = (np.vstack(part) for part in zip(*outputs, strict=True))
    best = logits.argmax(axis=1)
    first = best if first is None else first
    print(f"{precision(embeddings, labels).mean():14.2f} {np.mean(best == first):17.2f}   {name}")

# %% [markdown]
# Even the worst, pictures torn to shreds, keeps up with the colour histogram: vectors that are all wrong
# alike still find each other. Names forgive less: the README's scaling changes half. Compare with an
# original, as `np.allclose` did.
#
# ### ✍️ Your turn 2.3 · 7 min: break it, fix it, a year in service
#
# Five mistakes; one needs a transparent picture to show. Write `repaired(picture)`: any picture in,
# grey or transparent, float32 `(1, 3, 224, 224)` out. What it makes of the tiger:


# %%
def in_service(picture):
    square = picture.convert("RGB").resize((224, 224))
    values = np.asarray(square, np.float32)[:, :, ::-1]
    return values.reshape(1, 3, 224, 224) / 255


seen = in_service(photos[tiger].open())[0].transpose(1, 2, 0)
plt.figure(figsize=(2.4, 2.4)).add_subplot(xticks=[], yticks=[]).imshow(seen)
plt.show()


def repaired(picture):
    # BEGIN SOLUTION
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return prepare(Image.alpha_composite(white, picture).convert("RGB"))
    # END SOLUTION


# %% tags=["check"]
check("2.3", repaired)

# %% [markdown]
# ## Words find pictures
#
# Sentences have 384 numbers, pictures 1,280, from two networks that never met. The bridge is names: a
# picture gives each of 1,000 class names a probability, and names have text vectors. Add these up,
# weighted.
#
# Take the dolphin. ImageNet has no dolphin, so whatever the network calls it is wrong. **Predict:** to which
# words is the sum near?

# %%
class_vectors = text.encode(image.class_names)

dolphin = probabilities[row_of["animals-mammals-dolphin"]]
best = np.argsort(-dolphin, kind="stable")[:10]
mixed = dolphin[best] @ class_vectors[best]
words = np.array(["dolphin", "whale", "shark", "fish", "lion", "hammer", "tree", "teapot"])
near = text.encode(list(words)) @ mixed / np.linalg.norm(mixed)
print("probability of a class         similarity of the sum to a word")
for i, j in zip(best[:8], near.argsort()[::-1], strict=True):
    print(f"{dolphin[i]:5.2f} {image.class_names[i]:24} {near[j]:5.2f} {words[j]}")

# %% [markdown]
# Wrong names, and yet the sum says large, at sea, alive: even *dolphin*, a name it never
# learned, is near. But names are words, and drag in what they contain: a *hammerhead* brings the
# hammer, a *sea lion* the lion.
#
# ### ✍️ Your turn 2.4 · 7 min: all pictures at once
#
# `conse(probabilities, class_vectors, top)` takes `(n, c)` and `(c, d)`. It does the same for each picture
# with its `top` best classes, and returns `(n, d)`, rows of length 1.


# %%
def conse(probabilities, class_vectors, top):
    # BEGIN SOLUTION
    best = np.argsort(-probabilities, axis=1)[:, :top]
    weights = np.take_along_axis(probabilities, best, axis=1)
    mixed = (weights[:, :, None] * class_vectors[best]).sum(axis=1)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    # END SOLUTION


# %% tags=["check"]
check("2.4", conse)

# %% [markdown]
# `encoders.conse` does it for all 430: *convex combination of semantic embeddings* (Norouzi and others,
# 2014). Now type words.
#
# **Predict before you run:** the first five go mostly well. What will *a hammer* find besides hammers? And what
# *blue* and *planet*?

# %%
worded = encoders.conse(probabilities, class_vectors)
lines = ["a wild cat with stripes", "makes music", "it can fly", "a sea animal"]
lines += ["a sign for drivers", "a hammer", "blue", "planet"]
queries = text.encode(lines)
best = np.argsort(-queries @ worded.T)[:, :8]
fig, ax = plt.subplots(figsize=(7.5, 5.6))
ax.imshow(np.vstack([np.hstack(thumbs[rows]) for rows in best]))
ax.set(yticks=np.arange(8) * 64 + 32, yticklabels=lines, xticks=[], frame_on=False)
ax.grid(visible=False)
plt.show()
for line, near in zip(lines[5:], np.argsort(-queries[5:] @ class_vectors.T)[:, :2], strict=True):
    print(f"{line} is near to:", ", ".join(image.class_names[i] for i in near))

# %% [markdown]
# Insects fly, and so do jets; and there is the dolphin among the hammers. The bridge carries only what
# ImageNet has names for: *orange* is the only one that is just a colour, and of our planets none is found.
#
# ## How fast
#
# Sentences of three lengths, on one core, in batches of 1, 2, 4 and so on to 32, a dot each.
# **Predict:** does company help a long sentence as much as a short one?

# %%
fig, ax = plt.subplots()
for length in (6, 24, 96):
    sizes, speeds = 2 ** np.arange(6), []
    for size in sizes:
        ids = np.full((size, length), 2000)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        times = repeat(lambda f=feed: session.run(None, f), timer=process_time, number=1, repeat=5)
        speeds.append(ids.size / min(times) / 1000)
    ax.semilogx(length * sizes, speeds, "o-", base=2, label=f"{length} tokens a sentence")
ax.set(xlabel="tokens in one run", ylabel="thousand tokens a second", ylim=0)
_ = ax.legend()

# %% [markdown]
# What counts is the tokens in a run: a long sentence is a batch already. On the left the model's weights
# come from memory for a few tokens, chapter 01's roofline; on the right the tables outgrow the cache.
#
# Company has a price. Our model computes in 8-bit integers and rounds a batch together, hence the 0.99
# above. `TextEncoder` takes one text at a time unless told otherwise.

# %% [markdown]
# ## What we saw
#
# A vector holds what a thing is about, as far as its network was taught. Mistakes on the way make no noise:
# compare with the original and with chance.
#
# **Recall:** Where does the mask go, and what happens without? Why did precision hardly notice swapped
# colours? Why does *blue* find oranges?
#
# **On your own data:** deal the labels out again; does the score fall?
#
# **Next:** [03 · A first collection in Milvus](03_milvus.ipynb) ·
# **Before:** [01 · Vectors and similarity](01_vectors.ipynb)
