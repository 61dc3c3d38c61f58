# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · A first collection in Milvus
#
# *Part I · Vectors*
#
# **You will be able to** put vectors and facts into a database, search them together, change and delete rows,
# and notice the mistakes that a database does not report.
#
# **You need** chapter 02: a photo becomes a vector of 1,280 numbers, and similar photos get similar
# vectors · **Time** 34 min reading, 25 min exercises

# %% [markdown]
# ## Which insect is most like a tiger? · 4 min
#
# Which *insect* is most like a tiger? To answer this, one needs the vectors and the categories of the photos.
#
# [[Milvus]] is a database for vectors: it keeps rows of vectors and facts, and finds the rows whose vectors are
# close to a given one. [[Milvus Lite]] is a small Milvus, which runs inside our own program and keeps everything
# on the disk. The large form is a server that takes the same commands.
#
# First we encode all 430 photos. This takes a few seconds and shows a bar.

# %%
from workshop import ImageEncoder, datasets

photos = datasets.photos()
vectors = ImageEncoder().encode([photo.path for photo in photos])
vectors.shape

# %% [markdown]
# The table has 430 rows, one for each photo, and 1,280 columns. Every row has length 1.
#
# A [[client]] is the object through which a program talks to a database. `connect` gives us one. It opens a place
# that belongs to this chapter alone, and it starts empty.

# %%
from workshop import check, connect

client = connect("03_milvus")
client.list_collections()

# %% [markdown]
# A [[collection]] is the database's word for a table: a set of rows that have the same fields. The empty list says
# that there is none yet. The next cell makes one with the name `quick`. Its ids are strings of at most 100
# letters, and its vectors have 1,280 numbers.
#
# The cell first removes what an earlier run of it has made. So you can run it again.

# %%
client.drop_collection("quick")
client.create_collection(
    "quick", dimension=1280, id_type="str", max_length=100, consistency_level="Strong"
)

# %% [markdown]
# `consistency_level="Strong"` means that every search sees all rows that were written before it. Milvus Lite
# always works so. A server does not, unless we ask for it.
#
# Each row is a dictionary. `zip` goes through the photos and their vectors side by side.

# %%
quick_rows = []
for photo, vector in zip(photos, vectors, strict=True):
    quick_rows.append({"id": photo.id, "category": photo.category, "vector": vector})

answer = client.insert("quick", quick_rows)
answer["insert_count"]

# %% [markdown]
# 430 rows are in. Now the question. `data` is a list of queries: here it holds one, the tiger's vector. `filter` says
# which rows may be found, and `limit` how many. `[0]` takes the hits of our only query. More about them comes later.

# %%
from workshop import plots

number_of = {photo.id: number for number, photo in enumerate(photos)}
tiger = number_of["animals-mammals-tiger"]
insects = client.search(
    "quick", data=[vectors[tiger]], filter='category == "animals/insects"', limit=4
)[0]
plots.photo_hits(photos[tiger], insects, photos)

# %% [markdown]
# The framed picture on the left is the query. Right of it stand the four insects that are most like it, best
# first, with their scores. The hornet wins, and it has stripes. Change the category to `animals/birds` or
# `town/roadsigns`, and run the cell again.
#
# ## Why not an array? · 1 min
#
# NumPy would find the same photos with `vectors @ query`. A database offers what an array lacks: facts beside the
# vectors, filters inside the search, changes while others read, and data that is still there tomorrow.

# %% [markdown]
# ## A schema is a promise · 4 min
#
# We told `quick` only the size of its vectors, and Milvus chose the rest. Now we choose ourselves.
#
# A [[schema]] is the list of fields that every row has, each with its type. A [[primary key]] is the field by
# which a row is found, replaced and deleted, so every row needs its own. In our schema the key is `id`.

# %%
from pymilvus import DataType

schema = client.create_schema(enable_dynamic_field=False)
schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
schema.add_field("name", DataType.VARCHAR, max_length=100)
schema.add_field("category", DataType.VARCHAR, max_length=100)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1280)
[field.name for field in schema.fields]

# %% [markdown]
# `VARCHAR` is text of at most `max_length` letters (a server counts bytes, and é has two). `FLOAT_VECTOR` is a vector of `dim` numbers.
#
# An [[index]] is a structure beside the rows that lets a search find the nearest ones. We take the simplest kind,
# `FLAT`: it compares the query with every row, so it is exact. Chapter 04 is about the faster kinds. `COSINE` is
# the measure: the score of two vectors is their cosine.

# %%
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="COSINE")

client.drop_collection("photos")
client.create_collection("photos", schema=schema, index_params=index, consistency_level="Strong")
sorted(client.list_collections())

# %% [markdown]
# **Predict before you run:** somebody writes `categry` instead of `category`. Which of the two collections will
# notice?

# %%
typo = {"id": "unicorn", "name": "Unicorn", "categry": "animals/mammals", "vector": vectors[0]}
client.insert("quick", [typo])["insert_count"]

# %% tags=["raises-exception"]
client.insert("photos", [typo])

# %% [markdown]
# `quick` took the row. A [[dynamic field]] is a field that a row brings along and that nobody announced, and `quick`
# allows such fields. So `categry` became a field of this one row. Whoever searches among the mammals will never find the unicorn.
#
# `photos` refused the row, and the last line of the error says why: nobody announced a field `categry`. That is what
# a schema is for.

# %% [markdown]
# ## Insert in batches · 2 min
#
# One call for each row is slow, because each call is a trip to the database and back. One call for everything can
# be larger than a server accepts. So we insert in batches, which are groups of rows. A thousand rows in a call is
# usual. We take 100, to see several.

# %%
from tqdm import tqdm

rows = []
for photo, vector in zip(photos, vectors.tolist(), strict=True):
    rows.append({"id": photo.id, "name": photo.name, "category": photo.category, "vector": vector})
for start in tqdm(range(0, len(rows), 100), desc="insert"):
    client.insert("photos", rows[start : start + 100])

# %% [markdown]
# `range(0, 430, 100)` gives 0, 100, 200, 300 and 400: the places where the batches begin. The last batch has
# only 30 rows. A slice that goes beyond the end, such as `rows[400:500]`, simply stops at the end.
#
# Did all rows arrive? The database itself can count them. `query` reads rows without comparing vectors.


# %%
def count(database, name):
    """How many rows a collection has."""
    answer = database.query(name, filter="", output_fields=["count(*)"])
    return answer[0]["count(*)"]


count(client, "photos")

# %% [markdown]
# ## The life of a row · 4 min
#
# All 430 rows are in, and they are safe, because each insert was also written to a log on the disk. But they are
# not yet where they will stay.

# %%
plots.life_of_a_row()

# %% [markdown]
# A [[growing segment]] is where new rows wait: it still changes, and a search reads it row by row. A
# [[sealed segment]] is a file of rows that never changes again. The call `flush` turns the first into the second.
# Only what no longer changes gets an index, and Milvus then builds it by itself.
#
# **Predict before you run:** we search before the flush and after it. Will the first search find the same photos?
# Will it be as fast?


# %%
def ask():
    """The ids of the eight rows nearest to the tiger."""
    found = client.search("photos", data=[vectors[tiger]], limit=8, output_fields=["name"])[0]
    return [hit["id"] for hit in found]


before_flush = ask()
len(before_flush)

# %% tags=["nbval-ignore-output"]
import timeit

slow = timeit.timeit(ask, number=10) / 10
client.flush("photos")
fast = timeit.timeit(ask, number=10) / 10
print(f"before the flush {slow:.4f} seconds, after it {fast:.4f} seconds")

# %%
ask() == before_flush

# %% [markdown]
# The photos are the same. Before the flush, one search took many times as long: Milvus Lite read all unflushed rows
# again. A forgotten flush raises no error and loses no row. So flush once, after the last batch. From here on
# `wait_for_index` does it, and waits until the index is in use.
#
# ## Search by photo · 3 min
#
# A search takes a list of queries, and it gives one list of hits for each query. We ask one question, so we take
# list number 0. A [[hit]] is a row that a search has found, with its score.

# %%
from workshop import wait_for_index

wait_for_index(client, "photos")
hits = client.search("photos", data=[vectors[tiger]], limit=4, output_fields=["name"])[0]
hits[0]

# %% [markdown]
# The first hit is the tiger itself. `id` is its key. `distance` is its score, 1.0, and larger is better: with
# `COSINE` this number is a similarity, whatever its name says. `entity` holds the fields that we asked for with
# `output_fields`.

# %%
plots.photo_hits(photos[tiger], hits, photos)

# %% [markdown]
# After the tiger itself come another tiger and a zebra. Is this really what NumPy would find? `argsort` puts the
# smallest number first, so we sort the negative scores.

# %%
import numpy as np

by_hand = np.argsort(-(vectors @ vectors[tiger]))[:4]
[photos[number].id for number in by_hand] == [hit["id"] for hit in hits]

# %% [markdown]
# `True`: the four ids are the same, in the same order.
#
# ## Filters · 4 min
#
# A [[filter]] is a condition on the fields of a row, written as a string. Only rows that meet it can be found. What
# resembles a rubber duck, and belongs to Easter?

# %%
duck = number_of["household-rubberduck"]


def most_like_the_duck(rule):
    """The row nearest to the rubber duck among the rows that pass a filter, a list of one hit."""
    return client.search("photos", data=[vectors[duck]], filter=rule, limit=1)[0]


easter = most_like_the_duck('category == "seasonal/easter"')
plots.photo_hits(photos[duck], easter, photos)

# %% [markdown]
# A yellow chick. `==` asks for an equal value. Note the two kinds of quotes: the whole filter is a Python string
# in single quotes, and the value inside has double quotes.
#
# `like` compares with a pattern, in which `%` stands for any letters. `"food/%"` fits every value that begins with
# `food/`. `in` asks whether the value is in a list.

# %%
food = most_like_the_duck('category like "food/%"')
sports_or_space = most_like_the_duck('category in ["sports", "space/planets"]')
plots.photo_hits(photos[duck], food + sports_or_space, photos)

# %% [markdown]
# A yellow pepper is the food that is most like a rubber duck, and Saturn comes first among sports and planets.
#
# Conditions are joined by `and`, `or` and `not`. As in Python, `and` binds more tightly than `or`: `a or b and c`
# means `a or (b and c)`. Brackets make it clear. The next filter asks for a name that begins with "Yellow", but
# not for food.

# %%
yellow = most_like_the_duck('name like "Yellow%" and not (category like "food/%")')
plots.photo_hits(photos[duck], yellow, photos)

# %% [markdown]
# ### ✍️ Your turn 3.1 · 4 min: say it in a filter
#
# Write a filter as a string and call it `no_reds`. It keeps the rows whose category is exactly `food/fruit` or
# `food/vegetables`, except those whose name begins with the letters `Red`, such as "Redcurrant". A name with
# `Red` at another place is kept.

# %%
# BEGIN SOLUTION
no_reds = 'category in ["food/fruit", "food/vegetables"] and not (name like "Red%")'
# END SOLUTION

# %% tags=["check"]
check("3.1", no_reds)

# %% [markdown]
# ## Pause
#
# This is a good place for a break. To go on later, from here and without the cells above, run the next cell. It
# takes some seconds and makes everything anew that the second half needs. `photo_collection` makes a collection with
# the schema and the index that you have just made by hand.

# %% tags=["pause"]
from workshop import ImageEncoder, check, connect, datasets, plots, wait_for_index
from workshop.milvus import photo_collection

photos = datasets.photos()
vectors = ImageEncoder().encode([photo.path for photo in photos])
rows = []
for photo, vector in zip(photos, vectors.tolist(), strict=True):
    rows.append({"id": photo.id, "name": photo.name, "category": photo.category, "vector": vector})
client = connect("03_milvus")
photo_collection(client, "photos", dim=1280)
client.insert("photos", rows)["insert_count"]

# %% [markdown]
# ## Filter first, or afterwards? · 3 min
#
# Instead of a filter, one could search for the best 10 rows and then throw away what is not wanted.
#
# **Predict before you run:** ten of the pictures are in `space/planets`. We want these ten, the one most like the
# tiger first. How many of them are among its best 10 pictures?

# %%
wait_for_index(client, "photos")
tiger = [photo.id for photo in photos].index("animals-mammals-tiger")


def planets_among_the_best(limit):
    """How many of the rows nearest to the tiger are planets, and how many rows were found."""
    found = client.search("photos", data=[vectors[tiger]], limit=limit, output_fields=["category"])
    planets = [hit for hit in found[0] if hit["entity"]["category"] == "space/planets"]
    return len(planets), len(found[0])


for limit in (10, 100, 200, 430):
    planets, in_all = planets_among_the_best(limit)
    print(planets, "planets among", in_all)

# %% [markdown]
# The best 100 hold no planet, and the best 200 hold one. Only a search for *everything* finds all ten. Filtering
# afterwards loses what one looks for, and the more so the rarer it is.

# %%
inside = client.search(
    "photos", data=[vectors[tiger]], filter='category == "space/planets"', limit=20
)[0]
len(inside)

# %% [markdown]
# With the filter inside the search we asked for 20 rows and get all ten planets. Rows that fail the filter take no part in this search.
#
# ## Rows come, change and go · 4 min
#
# Four commands work on rows without comparing vectors. `get` reads rows by their keys, and `query` reads them by a
# filter. `upsert` replaces the row that has the same key, or inserts it if there is none. `delete` takes keys or a
# filter.


# %%
def count(database, name):
    """How many rows a collection has."""
    answer = database.query(name, filter="", output_fields=["count(*)"])
    return answer[0]["count(*)"]


owl = client.get("photos", ids=["animals-birds-owl"], output_fields=["*"])[0]
owl["name"], count(client, "photos")

# %% [markdown]
# `"*"` asks for all fields. The row of the owl is now a dictionary of ours. We change its name and write the row
# back.
#
# **Predict before you run:** how many rows are there after the upsert?

# %%
owl["name"] = "Eagle owl"
client.upsert("photos", [owl])
changed = client.get("photos", ids=["animals-birds-owl"], output_fields=["name"])[0]
changed["name"], count(client, "photos")

# %% [markdown]
# The name has changed, and there are still 430 rows. An [[upsert]] is an update where the key exists and an insert
# where it does not.

# %%
client.delete("photos", filter='category like "animals/%"')
count(client, "photos")

# %% [markdown]
# One short filter removed 128 rows at once. We still have all rows in a list, so we upsert the whole list.

# %%
client.upsert("photos", rows)
restored = client.get("photos", ids=["animals-birds-owl"], output_fields=["name"])[0]
restored["name"], count(client, "photos")

# %% [markdown]
# All 430 rows are back, and the owl has its old name. The sealed file stays as it was: Milvus notes beside it which of
# its rows are gone, and an upsert writes a new row. The same cell could run again without harm. That is why many
# programs that load data use `upsert`.

# %% [markdown]
# ### ✍️ Your turn 3.2 · 7 min: more like this one
#
# Write `more_like(milvus, collection, key, k)`. `milvus` is a client, `collection` the name of a collection as in
# this chapter (its `id` is a string, its vectors are in the field `vector`), `key` is the id of one of its rows, and
# `k` a whole number from 1 on.
#
# Return a list of the ids of the `k` rows whose vectors are nearest to that row's vector, best first. The row itself
# is not in the list. Two rows may hold the same vector. If no row has this key, raise `KeyError`.


# %%
def more_like(milvus, collection, key, k):
    """Ids of the k rows nearest to the row of a key, best first, a list of strings."""
    # BEGIN SOLUTION
    found = milvus.get(collection, ids=[key], output_fields=["vector"])
    if not found:
        raise KeyError(key)
    others = f'id != "{key}"'
    answer = milvus.search(collection, data=[found[0]["vector"]], filter=others, limit=k)
    return [hit["id"] for hit in answer[0]]
    # END SOLUTION


# %% tags=["check"]
check("3.2", more_like)

# %% [markdown]
# ## Not a number, and not noticed · 2 min
#
# A page may be blank, or a model may fail on one photo. Then a vector can come out as zeros. Scaling divides it by
# its length, and 0 / 0 gives [[NaN]]. NaN means "not a number": a value that is neither larger nor smaller than
# any number.
#
# **Predict before you run:** will Milvus Lite accept a row of NaN? Will a search ever show it?

# %%
import numpy as np
from pymilvus import MilvusException

broken = {"id": "broken", "name": "Broken", "category": "none", "vector": [np.nan] * 1280}
try:
    client.insert("photos", [broken])
except MilvusException as refusal:
    print(refusal.message)
everything = client.search("photos", data=[vectors[tiger]], limit=431)[0]
last = everything[-1]
count(client, "photos"), last["id"], last["distance"]

# %% [markdown]
# The row was accepted without a word: there are 431 rows. It comes last, behind all 430 photos, so nobody would notice it. A Milvus
# server refuses such a row. The next cell removes it.

# %%
client.delete("photos", ids=["broken"])
count(client, "photos")

# %% [markdown]
# ### ✍️ Your turn 3.3 · 6 min: guard the door
#
# Write `bad_rows(new_rows, dim)`. `new_rows` is a list of dictionaries with the keys `id` (a string) and `vector` (a
# list of numbers). It returns a list of the positions, in order, of the rows that must be refused. A row is refused if
#
# - its vector does not have exactly `dim` numbers,
# - or its vector holds NaN or an infinity,
# - or all numbers of its vector are zero,
# - or its id is empty,
# - or an earlier row, refused or not, has the same id.


# %%
def bad_rows(new_rows, dim):
    """Positions of the rows that must be refused, a list of int in order."""
    # BEGIN SOLUTION
    refused = []
    seen = set()
    for position, row in enumerate(new_rows):
        vector = row["vector"]
        sound = len(vector) == dim and np.isfinite(vector).all() and np.any(vector)
        if not sound or row["id"] == "" or row["id"] in seen:
            refused.append(position)
        seen.add(row["id"])
    return refused
    # END SOLUTION


# %% tags=["check"]
check("3.3", bad_rows)

# %% [markdown]
# ### ✍️ Your turn 3.4 · 8 min: break it, fix it: the loader that loses photos
#
# The function below says that it has loaded 430 photos, and that is not true. It holds four mistakes, and each of them
# is easily made. Run it and compare the two numbers.


# %%
def load(client, collection, photos, vectors, batch):
    """Should insert all photos in batches and return how many rows Milvus then counts."""
    rows = []
    for photo, vector in zip(photos, vectors, strict=True):
        row = {"id": photo.name, "name": photo.name, "category": photo.category, "vector": vector}
        rows.append(row)
    for start in range(0, len(rows) - batch, batch):
        client.insert(collection, rows[start : start + batch])
    return len(rows)


# %%
photo_collection(client, "again", dim=1280)
claimed = load(client, "again", photos, vectors.tolist(), 100)
claimed, count(client, "again")

# %% [markdown]
# Now write it as `load_photos`. `some_photos` is a list of photos, `some_vectors` a list of as many lists of numbers,
# and `batch` a whole number from 1 on. The collection is made already and may hold rows. Use the client that
# you are given.
#
# - Every photo has its own row, under `photo.id`, with its own name, category and vector.
# - No call carries more than `batch` rows, and all photos arrive, whatever the batch size.
# - Flush once, at the end.
# - Return the number of rows that *Milvus* then counts in this collection, as a whole number.


# %%
def load_photos(milvus, collection, some_photos, some_vectors, batch):
    """Insert all photos in batches; returns how many rows the collection then has."""
    # BEGIN SOLUTION
    new_rows = []
    for photo, vector in zip(some_photos, some_vectors, strict=True):
        row = {"id": photo.id, "name": photo.name, "category": photo.category, "vector": vector}
        new_rows.append(row)
    for start in range(0, len(new_rows), batch):
        milvus.upsert(collection, new_rows[start : start + batch])
    milvus.flush(collection)
    return milvus.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]
    # END SOLUTION


# %% tags=["check"]
check("3.4", load_photos)

# %% [markdown]
# Where did the photos go? The last batch was never sent, and nothing was flushed. The number that came back was the
# length of a list, and nobody asked Milvus. And some photos share their name with another one, so they
# shared a key. Milvus Lite replaces the earlier row without a word. A server keeps both rows under one key, and
# `get` returns one of them.
#
# ## Close, and open again · 1 min
#
# **Predict before you run:** the rows in `again` were never flushed. What is left of them after the file was closed?

# %%
client.close()
client = connect("03_milvus", fresh=False)
count(client, "photos"), count(client, "again")

# %% [markdown]
# Every row came back. Milvus Lite read the unflushed ones from its log. The same cells run on a server: only the
# address in `MILVUS_URI` changes, as the README says.

# %% [markdown]
# ## What we saw · 2 min
#
# A database keeps vectors and facts together and searches them together. A schema refuses mistakes that a
# collection without one accepts. A flush makes searches fast. A filter belongs inside the search.
#
# **Recall:** What does a forgotten flush cost? Why does filtering after the search lose hits? What happens in Milvus
# Lite when a key comes twice?
#
# <details><summary>Answers</summary>
#
# 1. Time, and nothing else: every search reads all unflushed rows again.
# 2. A search returns only its best rows. If what we want is not among them, no filter brings it back.
# 3. The later row replaces the earlier one, without an error.
#
# </details>
#
# **On your own data:** load a folder of your own pictures, and find near doubles with `more_like`.
#
# **Next:** [04 · Indexes: recall against speed](04_indexes.ipynb) ·
# **Before:** [02 · From things to vectors](02_embeddings.ipynb)

# %% [markdown]
# ## Going deeper
#
# This part takes about 8 minutes. No later chapter needs it.
#
# ### Three measures, three orders
#
# Milvus knows three measures for vectors. `COSINE` sees only the direction. `IP` is the inner product. `L2` is the
# distance between two points.
#
# **Predict before you run:** we ask with the vector (2, 0), and there are three rows. Will all three measures find
# the same best row?

# %%
few = [
    {"id": "twice as long", "vector": [4, 0]},
    {"id": "close by", "vector": [2, 0.8]},
    {"id": "short", "vector": [0.5, 0.1]},
]


# %%
def order_by(measure):
    """The hits for (2, 0) among the three rows by a measure, best first."""
    client.drop_collection("few")
    client.create_collection("few", dimension=2, id_type="str", max_length=20, metric_type=measure)
    client.insert("few", few)
    return client.search("few", data=[[2, 0]], limit=3, consistency_level="Strong")[0]


# %%
for measure in ("COSINE", "IP", "L2"):
    for hit in order_by(measure):
        print(f"{measure:7} {hit['id']:14} {hit['distance']:.2f}")

# %% [markdown]
# There are three different orders. For `COSINE`, "twice as long" is best, because it has the same direction as the
# query. For `IP` it is best because it is long. For both, a larger number is better.
#
# `L2` is a distance, so a smaller number is better, and "close by" wins. Milvus gives the *square* of the distance:
# "close by" is 0.8 away, and 0.8 × 0.8 = 0.64. On vectors of length 1, as ours are, all three measures give the
# same order.

# %% [markdown]
# ### Say which fields you want
#
# **Predict before you run:** which fields come back if we do not say which we want?

# %%
unsaid = client.search("photos", data=[vectors[tiger]], limit=1)[0][0]
sorted(unsaid["entity"]), len(unsaid["entity"].get("vector", [])) * 4

# %% [markdown]
# Milvus Lite returned everything, also the vector: 1,280 numbers of 4 bytes are 5,120 bytes. With 100 hits this is
# half a megabyte that nobody reads. A Milvus server does the opposite and returns only ids and scores. Say
# `output_fields` always, and both do the same.

# %%
said = client.search("photos", data=[vectors[tiger]], limit=1, output_fields=["name"])[0][0]
sorted(said["entity"])
