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
# **You need** chapter 01 · **Time** 37 min reading, 23 min exercises
#
# ## Where we are going · 3 min
#
# Chapter 01 searched by pixels. An [[embedding]] is a vector that a model has computed for a thing, so that
# similar things get similar vectors. The encoder of the next cell computes embeddings of our 430 pictures. It takes some
# seconds and shows a bar.

# %%
from workshop import ImageEncoder, check, datasets, plots

photos = datasets.photos()
image_encoder = ImageEncoder()
vectors, class_shares = image_encoder.run([photo.path for photo in photos])
vectors.shape

# %% [markdown]
# Each picture has 1,280 numbers. `class_shares` is a second result, which we need at the end.
#
# For comparison we also make vectors of pixels, as in chapter 01. Every picture is fitted into a white square of 64 × 64
# pixels. Each pixel has three numbers: red, green and blue.

# %%
import numpy as np
from PIL import ImageOps

squares = [ImageOps.pad(photo.open(), (64, 64), color="white") for photo in photos]
pixels = np.stack([np.asarray(square).ravel() for square in squares]).astype(np.float32)
pixels.shape


# %%
def nearest(table, number):
    """Row numbers of the five rows of a table (n, d) nearest to one of its rows, shape (5,)."""
    far = np.linalg.norm(table - table[number], axis=1)
    return far.argsort(kind="stable")[1:6]


# %% [markdown]
# `[1:6]` leaves out place 0, which is the query itself. Now the same search with both kinds of vectors, for five
# pictures.

# %%
number_of = {photo.id: number for number, photo in enumerate(photos)}
animals = ["mammals-giraffe", "mammals-tiger", "birds-magellanic-penguin", "birds-heron-greatblue"]
queries = [number_of[f"animals-{animal}"] for animal in animals]
queries.append(number_of["hobbies-music-cello"])
found = [[row, *nearest(pixels, row), *nearest(vectors, row)] for row in queries]
parts = {"query": 1, "nearest by pixels": 5, "nearest by the encoder": 5}
plots.photo_lines(photos, found, parts)

# %% [markdown]
# Left is the query. In the middle stand the five nearest by pixels, on the right the five nearest by the encoder.
#
# Pixels want the same colours at the same places. To them a penguin is like a teddy bear or a dustbin. The encoder
# finds grazing animals, birds, instruments with strings. The tiger's neighbours even include a hornet, which has
# stripes. Nobody told the encoder about stripes.

# %% [markdown]
# ## What a model is · 2 min
#
# A [[model]] is a function with very many numbers in it that are not written by a person but found by training.
# Our picture encoder has about five million of them.
#
# [[Training|training]] is the search for numbers with which a model gives the right answers to many examples. One
# shows the model an example, compares its answer with the right one, and changes all numbers a little so that the
# answer becomes better. This is repeated very often.
#
# Our models were trained by others. We only run them, and nothing changes in them.

# %% [markdown]
# ## A sentence becomes numbers · 4 min
#
# We begin with text, and do by hand what `TextEncoder` does. A [[token]] is a word or a piece of a word that a model
# has a number for. A [[tokenizer]] is the program that cuts a text into tokens.

# %%
from tokenizers import Tokenizer

from workshop import paths

models = paths.DATA / "models"
tokenizer = Tokenizer.from_file(str(models / "all-MiniLM-L6-v2.tokenizer.json"))
tokenizer.no_padding()
tokenizer.get_vocab_size()

# %%
for sentence in ["The kitten is asleep.", "Kookaburras sleep.", "Milvus stores embeddings."]:
    pieces = tokenizer.encode(sentence)
    print(*pieces.tokens)
    print("  ", *pieces.ids)

# %% [markdown]
# The tokenizer's list has 30,522 tokens. Below each sentence stand the numbers of its tokens in this list.
#
# A common word is one token. A rare word is cut into several, and `##` marks those that continue a word. So no word
# is unknown. `[CLS]` and `[SEP]` stand around every sentence, because they did so in training.
#
# Now the model. It is a file that the package `onnxruntime` can run.

# %%
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # one core, so that times compare
text_model = str(models / "all-MiniLM-L6-v2.int8.onnx")
session = onnxruntime.InferenceSession(text_model, options)

# %%
numbers = np.array([tokenizer.encode("The kitten is asleep.").ids])
real = np.ones_like(numbers)
token_vectors = session.run(None, {"input_ids": numbers, "attention_mask": real})[0]
numbers.shape, token_vectors.shape

# %% [markdown]
# In go the numbers of 7 tokens, for 1 sentence. Out comes one vector of 384 numbers for each token. To compute it,
# the model has also looked at all other tokens. `attention_mask` is explained soon.
#
# A search wants one vector for the whole sentence. So we take the mean of the seven vectors, and divide it by its
# length.

# %%
from workshop import TextEncoder

text_encoder = TextEncoder()
mean = token_vectors[0].mean(axis=0)
kitten = mean / np.linalg.norm(mean)
same = text_encoder.encode(["The kitten is asleep."])[0]
print("same as TextEncoder:", np.allclose(kitten, same, atol=1e-5))

# %% [markdown]
# `mean(axis=0)` takes the mean down the columns, over the tokens. The result has 384 numbers and is the same as that
# of `TextEncoder`. That is all it does.
#
# ## No word in common · 3 min
#
# Here are four pairs of sentences that say nearly the same. The two sentences of a pair share no word.
#
# **Predict before you run:** a search for equal words would find nothing in common. What will this one find?

# %%
sentences = [
    "I forgot my password.",
    "The login page keeps me out.",
    "Where can I buy bread?",
    "Is there a bakery nearby?",
    "The kitten is asleep.",
    "A young cat takes a nap.",
    "Share prices fell.",
    "The stock market is down.",
]

# %%
sentence_vectors = text_encoder.encode(sentences)
plots.similarity_table(sentences, sentence_vectors @ sentence_vectors.T)

# %% [markdown]
# Each line and each column is a sentence, in the same order. The number is their cosine, and darker means more. On the
# diagonal each sentence meets itself: 1.00.
#
# Beside the diagonal each partner stands out, and all others are near 0. Nobody wrote down that a kitten is a young cat.
# The model was trained on a billion pairs of texts that belong together. It learned to tell them from pairs that do not
# (Reimers and Gurevych, 2019).

# %% [markdown]
# ## About, not what it claims · 2 min
#
# **Predict before you run:** which of three sentences is nearest to *The shop is open*, and which to *The dog bit the
# man*?


# %%
def rank(asked, others):
    """Print the other sentences with their cosine to the asked one, best first."""
    print(asked)
    found = text_encoder.encode(others) @ text_encoder.encode([asked])[0]
    for row in found.argsort()[::-1]:
        print(f"   {found[row]:.2f} {others[row]}")


shop = ["The store welcomes customers.", "The cat is asleep.", "The shop is closed."]
rank("The shop is open.", shop)
bite = ["The man was attacked.", "A man sees a dog.", "The man bit the dog."]
rank("The dog bit the man.", bite)

# %% [markdown]
# The *opposite* comes first, with 0.82. The sentence that means the same has 0.56. Who bit whom hardly matters: 0.97.
#
# A vector says what a sentence is *about*, not what it claims. Never ask it for a yes or no.
#
# ## Many sentences at once · 3 min
#
# A [[batch]] is a group of inputs that a model gets in one call. It is
# a table, so all must be equally long. [[Padding|padding]] is filling short sentences
# up with the token `[PAD]`. An [[attention mask]] is a table of 1 for each real token and 0 for each padding.

# %%
long_sentence = "The share price is falling, and nobody on the third floor can say for how long."
tokenizer.enable_padding()
batch = tokenizer.encode_batch(["The kitten is asleep.", long_sentence])
numbers = np.array([one.ids for one in batch])
real = np.array([one.attention_mask for one in batch])
print(*batch[0].tokens)
print(*real[0])

# %% [markdown]
# The mask is needed twice. The *model* needs it so that no token looks at padding. The *mean* needs it so that padding
# does not count. `np.average` takes the mask as weights: a token with weight 0 does not count.


# %%
def kitten_in_batch(for_model, for_mean):
    """Vector of the first sentence (384,), with masks (2, t) for the model and for the mean."""
    found = session.run(None, {"input_ids": numbers, "attention_mask": for_model})[0]
    mean = np.average(found[0], axis=0, weights=for_mean[0])
    return mean / np.linalg.norm(mean)


# %% [markdown]
# **Predict before you run:** we forget one mask or both. How similar is the kitten to itself then? (The young cat above
# has 0.66.)

# %%
ones = np.ones_like(real)
ways = {"both masks": (real, real), "not for the mean": (real, ones)}
ways |= {"not for the model": (ones, real), "no mask": (ones, ones)}
for way, (for_model, for_mean) in ways.items():
    cosine = kitten_in_batch(for_model, for_mean) @ kitten
    print(f"{way:17} {cosine:.2f}")

# %% [markdown]
# With both masks it is 0.99 and not 1, because our model rounds the numbers of a batch together. That does no harm.
#
# Without any mask the kitten is less similar to itself (0.45) than to the young cat. No error comes, all shapes are
# right, and a try with one sentence works, because it has no padding.

# %% [markdown]
# ### ✍️ Your turn 2.1 · 5 min: padding does not count
#
# `mean_pool(tokens, mask)` takes token vectors `(n, t, d)`, float32, and a mask `(n, t)` of whole numbers 0 and 1. It returns
# the mean over each row's real tokens: `(n, d)`, float32. Zeros of the mask may stand anywhere. A row without any real token
# gives zeros.
#
# No loop and no comprehension: the number of Python steps must not grow with `n`.


# %%
def mean_pool(tokens, mask):
    """Mean of the token vectors (n, t, d) where the mask (n, t) is 1, shape (n, d)."""
    # BEGIN SOLUTION
    weights = mask[:, :, None].astype(tokens.dtype)
    return (tokens * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    # END SOLUTION


# %% tags=["check"]
check("2.1", mean_pool)

# %% [markdown]
# ## Pause
#
# From here you can start anew after a break: run the next cell. It takes some seconds and shows a bar.

# %% tags=["pause"]
import numpy as np
from PIL import Image, ImageOps

from workshop import ImageEncoder, TextEncoder, check, datasets, paths, plots

photos = datasets.photos()
number_of = {photo.id: number for number, photo in enumerate(photos)}
text_encoder = TextEncoder()
image_encoder = ImageEncoder()
vectors, class_shares = image_encoder.run([photo.path for photo in photos])
squares = [ImageOps.pad(photo.open(), (64, 64), color="white") for photo in photos]
pixels = np.stack([np.asarray(square).ravel() for square in squares]).astype(np.float32)

# %% [markdown]
# ## A picture becomes numbers · 3 min
#
# The steps are the same as for text. [[Preprocessing|preprocessing]] is bringing an input into the form that the model
# saw in training. For our picture model this is a white square of 224 × 224 pixels, values from −1 to 1, and the three
# colours as the first axis.


# %%
def prepare(photo):
    """A picture as its model wants it: float32 (1, 3, 224, 224)."""
    square = ImageOps.pad(photo, (224, 224), color="white")
    values = (np.asarray(square, np.float32) - 127) / 128
    return values.transpose(2, 0, 1)[np.newaxis]


tiger = photos[number_of["animals-mammals-tiger"]].open()
prepare(tiger).shape

# %% [markdown]
# `transpose(2, 0, 1)` moves the colours from the last axis to the first. `np.newaxis` adds an axis in front: a table
# of one picture. Now the model.

# %%
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
image_model = str(paths.DATA / "models" / "efficientnet-lite0.int8.onnx")
looker = onnxruntime.InferenceSession(image_model, options)
embedding, logits = looker.run(["embedding", "logits"], {"pixels": prepare(tiger)})
embedding.shape, logits.shape

# %%
by_hand = embedding[0] / np.linalg.norm(embedding[0])
agreement = by_hand @ vectors[number_of["animals-mammals-tiger"]]
print(f"cosine with ImageEncoder: {agreement:.2f}")
print("best class:", image_encoder.class_names[logits[0].argmax()])

# %% [markdown]
# The cosine with the vector of `ImageEncoder` is 1: we have done the same by hand.
#
# The model learned to name 1,000 kinds of things, the classes of a collection called *ImageNet*. A [[logit]] is a model's score
# for one class, before the scores become probabilities. `embedding` is what the model knows one step earlier. These 1,280
# numbers say what one must know to name anything, and they also serve for things that have no name among the 1,000.

# %% [markdown]
# ## A map of 430 pictures · 2 min
#
# Nobody can see 1,280 dimensions. [[Principal components|principal components]] are the directions along which the vectors
# of a set differ most. We keep two of them and draw the pictures there.

# %%
from sklearn.decomposition import PCA

pca = PCA(2, random_state=0)
points = pca.fit_transform(vectors)
kept = pca.explained_variance_ratio_.sum()
print(f"share of the differences that the map keeps: {kept:.2f}")
plots.photo_map(photos, points)

# %% [markdown]
# Similar pictures lie close together: animals on the left, fruit at the top right, road signs below, tools between.
#
# Enjoy the map, and do not trust it. It keeps only 9 % of the differences. So many pictures that are neighbours on the
# map are none in the 1,280 dimensions.
#
# ## Is it any good? · 5 min
#
# Each picture has a category, such as `animals/birds`. [[Precision at k|precision at k]] is the share of a query's
# `k` nearest neighbours that are of its own category. We take `k` = 5, and ask with every picture whose category has at
# least five pictures.

# %%
all_categories = np.array([photo.category for photo in photos])
known, counts = np.unique(all_categories, return_counts=True)
asked = np.flatnonzero(np.isin(all_categories, known[counts >= 5]))
categories = all_categories[asked]
len(asked)


# %%
def precision(table, names):
    """Precision at 5 of each row of a table (n, d) with the categories names (n,), shape (n,)."""
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
    return (names[best] == names[:, np.newaxis]).mean(axis=1)


# %% [markdown]
# `fill_diagonal` hides each query from itself. The last line compares the categories of the five with the query's own.
#
# We compare with three others: pixels; the encoder with categories that were mixed at random; and a colour histogram. A
# [[colour histogram]] is a count of how many pixels of a picture have each colour.


# %%
def colour_histogram(photo):
    """How many pixels have each of 512 colours, shape (512,)."""
    steps = np.asarray(photo).astype(int) // 32  # red, green and blue in 8 steps each
    colours = steps[:, :, 0] * 64 + steps[:, :, 1] * 8 + steps[:, :, 2]
    return np.bincount(colours.ravel(), minlength=512)


# %% [markdown]
# The root of the counts lets small areas have a say too.
#
# **Predict before you run:** in which order will the four come?

# %%
histograms = np.sqrt([colour_histogram(photos[number].open()) for number in asked])
mixed = np.random.default_rng(1).permutation(categories)
results = {
    "encoder": precision(vectors[asked], categories),
    "colour histogram": precision(histograms, categories),
    "pixels": precision(pixels[asked], categories),
    "mixed categories": precision(vectors[asked], mixed),
}

# %%
for name, result in results.items():
    error = result.std() / np.sqrt(len(result))
    print(f"{name:17} {result.mean():.2f} ± {error:.2f}")

# %% [markdown]
# With the encoder about three of five neighbours are right. Colours get a little more than one of five right, and pixels
# less than one. The last line is what guessing gets.
#
# The number after ± is the standard error. It says how far the mean might move with other pictures. The differences
# between the lines are much larger, so they are not chance.

# %% [markdown]
# ### ✍️ Your turn 2.2 · 4 min: what guessing would score
#
# Somebody draws five neighbours of a query at random among the *other* pictures. `chance(labels)` takes the categories,
# an array `(n,)` of texts or numbers, `n` at least 2. It returns the precision at 5 to expect, as the mean over all `n`
# queries: one exact number, without drawing any. Why does it not matter that it is five?


# %%
def chance(labels):
    """Expected precision of random neighbours for labels (n,), one number."""
    # BEGIN SOLUTION
    _, counts = np.unique(labels, return_counts=True)
    n = len(labels)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))
    # END SOLUTION


# %% tags=["check"]
check("2.2", chance)

# %% [markdown]
# ## Nothing complains · 4 min
#
# (It does not matter that it is five, because each of the five is drawn alike: one draw has the same chance.)
#
# What if we prepare the pictures wrongly? We write the steps as three functions, and leave out or change one at a time.


# %%
def raw(photo):
    """A picture in a white square, (224, 224, 3), from 0 to 255."""
    return np.asarray(ImageOps.pad(photo, (224, 224), color="white"), np.float32)


def to_scale(values):
    """From 0 … 255 to −1 … 1, any shape."""
    return (values - 127) / 128


def colours_first(values):
    """(h, w, 3) to (3, h, w)."""
    return values.transpose(2, 0, 1)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# %%
feeds = {
    "as in training": lambda p: colours_first(to_scale(raw(p))),
    "stretched": lambda p: colours_first(to_scale(raw(p.resize((224, 224))))),
    "divided by 255": lambda p: colours_first(raw(p) / 255),
    "red, blue swapped": lambda p: colours_first(to_scale(raw(p)[:, :, ::-1])),
    "mean and std": lambda p: colours_first((raw(p) / 255 - MEAN) / STD),
    "never scaled": lambda p: colours_first(raw(p)),
    "reshape": lambda p: to_scale(raw(p)).reshape(3, 224, 224),
}

# %% [markdown]
# A `lambda` is a small function without a name: the picture `p` goes in, and the prepared numbers come out.
#
# *Stretched* changes the proportions. *Mean and std* scales as other models want it, and the README of this model's
# package recommends it. *Reshape* has the right shape, but it cuts the numbers up and does not turn the axes.
#
# **Predict before you run:** which does the most damage, and which the least? This takes about half a minute, and a bar
# shows it.


# %%
def fed(feed, photo):
    """Embedding (1280,) and number of the best class of a photo that was prepared by `feed`."""
    x = np.ascontiguousarray(feed(photo)[np.newaxis], np.float32)
    one, scores = looker.run(["embedding", "logits"], {"pixels": x})
    return one[0], scores[0].argmax()


# %%
from tqdm import tqdm

opened = [photos[number].open() for number in asked]
embeddings = {}
classes = {}
for name, feed in feeds.items():
    answers = [fed(feed, photo) for photo in tqdm(opened, desc=name, leave=False)]
    embeddings[name] = np.stack([answer[0] for answer in answers])
    classes[name] = np.array([answer[1] for answer in answers])

# %%
print("precision  same class")
for name in feeds:
    mean_precision = precision(embeddings[name], categories).mean()
    unchanged = np.mean(classes[name] == classes["as in training"])
    print(f"{mean_precision:9.2f} {unchanged:11.2f}   {name}")

# %% [markdown]
# The left column is the precision at 5. The right column says how many pictures keep their best class.
#
# Precision hardly falls: even pictures torn by `reshape` do as well as the colour histogram. All vectors are wrong in the
# same way, so similar pictures still find each other. Names forgive less: the scaling of the README changes half
# of them. So compare with an original, vector by vector, as we did with the tiger.

# %% [markdown]
# ### ✍️ Your turn 2.3 · 7 min: break it, fix it, a year in service
#
# `in_service` prepares pictures with five mistakes. One of them is seen only with a transparent picture.


# %%
def in_service(photo):
    """A picture as somebody's service has fed it: float32 (1, 3, 224, 224)."""
    square = photo.convert("RGB").resize((224, 224))
    values = np.asarray(square, np.float32)[:, :, ::-1]
    return values.reshape(1, 3, 224, 224) / 255


shown = in_service(tiger)[0].transpose(1, 2, 0) * 255
plots.gallery([shown.astype(np.uint8)], size=2.4, alt="Pale, wrong colours under a fine grid.")

# %% [markdown]
# This is what the model gets to see of the tiger, with the axes turned back.
#
# Write `repaired(picture)`. It takes a PIL picture of any of these modes: `RGB`, `L` (grey), `P` (a palette), and the
# transparent ones, `RGBA`, `LA` and `P` with transparency. It returns what the model saw in training, as float32 `(1, 3, 224, 224)`.
# Transparent places show white, and half-transparent ones a mixture. The cell may use `prepare` and `Image` from above.


# %%
def repaired(picture):
    """Any picture as its model wants it: float32 (1, 3, 224, 224)."""
    # BEGIN SOLUTION
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return prepare(Image.alpha_composite(white, picture).convert("RGB"))
    # END SOLUTION


# %% tags=["check"]
check("2.3", repaired)

# %% [markdown]
# ## Words find pictures · 4 min
#
# Sentences have 384 numbers and pictures 1,280, from two models that never met. They can be joined by names. The
# picture model gives each of 1,000 class names a probability: that is `class_shares`. And a name is a text, so it has a text
# vector.
#
# We add the vectors of the ten most probable names, each multiplied by its probability. Take the dolphin: ImageNet has no
# class for it, so each name that it gets is wrong.

# %%
name_vectors = text_encoder.encode(image_encoder.class_names)
dolphin = class_shares[number_of["animals-mammals-dolphin"]]
best_ten = np.argsort(-dolphin, kind="stable")[:10]
for row in best_ten[:6]:
    print(f"{dolphin[row]:.2f} {image_encoder.class_names[row]}")

# %% [markdown]
# These are the six most probable names, with their probabilities.
#
# **Predict before you run:** to which of eight words is the sum near?

# %%
name_sum = dolphin[best_ten] @ name_vectors[best_ten]
name_sum = name_sum / np.linalg.norm(name_sum)
words = ["dolphin", "whale", "shark", "fish", "lion", "hammer", "tree", "teapot"]
near = text_encoder.encode(words) @ name_sum
for row in near.argsort()[::-1]:
    print(f"{near[row]:.2f} {words[row]}")

# %% [markdown]
# All names were wrong, and yet the sum says: large, at sea, alive. Even *dolphin* is near, a name that the picture
# model never learned.
#
# But names are words, and bring what they contain. A *hammerhead shark* brings the hammer, and a *sea lion* the lion.

# %% [markdown]
# ### ✍️ Your turn 2.4 · 7 min: all pictures at once
#
# `conse(probabilities, class_vectors, top)` does it for all pictures. It takes float32 probabilities `(n, c)`, one row for each
# picture and no two equal in a row, and the vectors of the names `(c, d)`. For each picture it adds the vectors of
# its `top` most probable classes, `top` from 1 to `c`, each multiplied by its probability. It divides each sum by its length,
# and returns them as `(n, d)`. A loop is allowed.


# %%
def conse(probabilities, class_vectors, top):
    """Weighted sums of the `top` best class vectors of each picture, (n, d), rows of length 1."""
    # BEGIN SOLUTION
    best = np.argsort(-probabilities, axis=1)[:, :top]
    weights = np.take_along_axis(probabilities, best, axis=1)
    mixed = (weights[:, :, None] * class_vectors[best]).sum(axis=1)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    # END SOLUTION


# %% tags=["check"]
check("2.4", conse)

# %% [markdown]
# The course has this function too, as `workshop.encoders.conse`. The method's name is *convex combination of semantic
# embeddings* (Norouzi and others, 2014). Now type words.
#
# **Predict before you run:** the first five go mostly well. What will *a hammer* find besides hammers? And what will *blue*
# and *planet* find?

# %%
from workshop import encoders

worded = encoders.conse(class_shares, name_vectors)
typed = ["a wild cat with stripes", "makes music", "it can fly", "a sea animal"]
typed = [*typed, "a sign for drivers", "a hammer", "blue", "planet"]
typed_vectors = text_encoder.encode(typed)
for words_typed, vector in zip(typed[5:], typed_vectors[5:], strict=True):
    near_names = np.argsort(-name_vectors @ vector)[:2]
    print(words_typed, *[image_encoder.class_names[row] for row in near_names], sep=" / ")
best_photos = np.argsort(-typed_vectors @ worded.T, axis=1)[:, :8]
plots.photo_lines(photos, best_photos, names=typed)

# %% [markdown]
# After each of the last three inputs stand the two class names nearest to it. Each line of pictures shows the eight best for the words
# on its left. Insects fly, and so do jets. Among the hammers is
# the dolphin, for the reason above.
#
# *Blue* and *planet* fail. This way carries only what ImageNet has names for. The only name that is just a colour is
# *orange*, so blue finds oranges. For *planet* the nearest names are a planetarium and a zucchini, and of our planets
# none is found.

# %% [markdown]
# ## What we saw · 2 min
#
# A vector holds what a thing is about, as far as its model was taught. Mistakes on the way make no noise. So compare
# with the original, and with chance.
#
# **Recall:** Where is the mask needed, and what happens without it? Why did precision hardly notice swapped colours? Why
# does *blue* find oranges?
#
# <details><summary>Answers</summary>
#
# 1. In the model and in the mean. Without it, a sentence's vector depends on its neighbours in the batch.
# 2. All pictures were wrong in the same way, so similar ones stayed similar.
# 3. *Orange* is the only class name that is just a colour, and *blue* is a colour too.
#
# </details>
#
# **On your own data:** mix the labels at random. Does your score fall?
#
# **Next:** [03 · A first collection in Milvus](03_milvus.ipynb) ·
# **Before:** [01 · Vectors and similarity](01_vectors.ipynb)

# %% [markdown]
# ## Going deeper
#
# This part takes about 8 minutes. No later chapter needs it.
#
# ### A mean hides who pays
#
# The encoder's precision is a mean over all categories. Here it is for each of them.

# %%
chosen = {name: results[name] for name in ("encoder", "colour histogram")}
plots.precision_by_category(chosen, categories)

# %% [markdown]
# Each line is a category, with the number of its pictures. The blue circles are the encoder, and the orange squares the
# colour histogram. The farther right, the better.
#
# Flowers are nearly perfect. For `clothes`, mostly drawings in grey, colours do better than the encoder. Always
# look at the parts of a mean.

# %% [markdown]
# ### How fast
#
# We time the text model for sentences of three lengths, on one core, in batches of 1, 2, 4 and so on to 32 sentences.
#
# **Predict before you run:** does a batch help a long sentence as much as a short one?

# %%
from time import process_time
from timeit import repeat

text_model = str(paths.DATA / "models" / "all-MiniLM-L6-v2.int8.onnx")
text_session = onnxruntime.InferenceSession(text_model, options)


def seconds(size, length):
    """Shortest of five processor times for a batch of `size` sentences of `length` tokens."""
    ids = np.full((size, length), 2000)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return min(repeat(lambda: text_session.run(None, inputs), timer=process_time, number=1))


# %% tags=["nbval-ignore-output"]
measured = []
for length in (6, 24, 96):
    for size in (1, 2, 4, 8, 16, 32):
        measured.append((length, size * length, seconds(size, length)))
plots.tokens_and_speed(measured)

# %% [markdown]
# Each mark is a batch, each colour a length. Higher is faster. The steps on the axis below are doublings.
#
# What counts is the number of tokens in a run: a long sentence is a batch already. On the left the model's own numbers
# come from memory for only a few tokens, as in chapter 01.
#
# A batch has a price too. Our model computes with whole numbers of 8 bits and rounds a batch together. So the same
# sentence gets a slightly different vector in a batch. `TextEncoder` takes one text at a time unless told otherwise.
