# %% [markdown]
# # 03 · A first collection in Milvus
#
# *Part I · Vectors*
#
# **You will be able to** describe rows in a schema, load them, and search, filter, change and delete
# them; say what a score means; and guard a collection against the rows that spoil it without a word.
#
# **You need** chapter 02: a photo becomes a vector of 1,280 numbers, and similar photos get similar
# vectors · **Time** 20 min reading, 25 min exercises

# %% [markdown]
# ## Where we are going
#
# Ask for the photo most like a tiger, and you get another tiger. A stranger question: which *insect* is
# most like a tiger? Which bird, which road sign? Each answer is one call to a database that knows both
# the vectors and the facts beside them.
#
# First the vectors of all 430 photos; this takes a few seconds.

# %%
import math
import timeit

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from workshop import ImageEncoder, check, connect, datasets, plots, wait_for_index

photos = datasets.photos()
vectors = ImageEncoder().encode([photo.path for photo in photos])
print(vectors.shape, vectors.dtype)

# %%
client = connect("03_milvus")
client.create_collection("quick", dimension=1280, consistency_level="Strong")
numbered = list(enumerate(photos))
client.insert("quick", [dict(id=n, vector=vectors[n], category=p.category) for n, p in numbered])

tiger = next(n for n, photo in numbered if photo.id == "animals-mammals-tiger")
best = []
for kind in ("animals/mammals", "animals/insects", "animals/birds", "town/roadsigns"):
    rule = f'category == "{kind}" and id != {tiger}'
    best += client.search("quick", data=[vectors[tiger]], filter=rule, limit=1)[0]
found = [photos[hit["id"]] for hit in best]
images, scores = [photo.open() for photo in found], [hit["distance"] for hit in best]
plots.hits(photos[tiger].open(), images, scores, [photo.name for photo in found], size=1.4)

# %% [markdown]
# ## Why not an array?
#
# Stripes it is: another tiger, a hornet, a turkey, a traffic cone. NumPy would find the same photos with
# `vectors @ query`, and on 430 rows faster. A database earns its place by what an array lacks: rows with
# names and facts, filters inside the search, changes while others read, and everything still there
# tomorrow.
#
# Given little but a dimension, `create_collection` chose the rest: integer ids, cosine as the measure,
# any extra field allowed. Now we choose.

# %% [markdown]
# ## A schema is a promise
#
# It says which fields every row has, of which type, and which one is the *primary key*: the name by
# which a row is found, replaced and deleted.
#
# `consistency_level="Strong"` lets each read see every write before it. Milvus Lite always does; a server
# makes the search wait for it, and its default, `Bounded`, may miss what was just inserted.

# %%
from pymilvus import DataType, MilvusException

schema = client.create_schema(enable_dynamic_field=False)
schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
schema.add_field("name", DataType.VARCHAR, max_length=100)
schema.add_field("category", DataType.VARCHAR, max_length=100)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1280)
client.create_collection("photos", schema=schema, consistency_level="Strong")
print(client.list_collections())

# %% [markdown]
# **Predict before you run:** somebody types `categry`. Which of the two collections will notice?

# %%
typo = {"name": "Unicorn", "categry": "animals/mammals", "vector": vectors[tiger]}
for collection, id in (("quick", 430), ("photos", "unicorn")):
    try:
        client.insert(collection, [{"id": id, **typo}])
        print(f"{collection}: accepted")
    except MilvusException as refusal:
        print(f"{collection}: {refusal.message}")

# %% [markdown]
# The quick collection took it: with *dynamic fields* on, an unknown name is a new field, and whoever
# searches among the mammals will never find this unicorn. Ours refused, which is what a schema is for.
#
# ## Insert in batches
#
# One call per row pays a round trip each time; one call for everything can exceed a server's message
# limit. A thousand rows a call is usual; we take 100 to see several.

# %%
rows = [
    {"id": p.id, "name": p.name, "category": p.category, "vector": v}
    for p, v in zip(photos, vectors.tolist(), strict=True)
]
inserted = 0
for start in tqdm(range(0, len(rows), 100), desc="insert"):
    inserted += client.insert("photos", rows[start : start + 100])["insert_count"]
print(inserted, "rows inserted")

# %% [markdown]
# ## The life of a row
#
# All 430 are in, and safe: each insert was written to a log on disk. New rows live in a *growing
# segment*. `flush` closes it: a *sealed segment* is a file that never changes, and only what no longer
# changes gets a lasting index.

# %%
states = ["growing segment\nread row by row", "sealed segment\na file that stays"]
states += ["index\nbeside the file", "loaded\nready to answer"]
calls = ["insert", "flush", "create_index", "load"]
fig, ax = plt.subplots(figsize=(9, 1.1))
for x, (call, state) in enumerate(zip(calls, states, strict=True)):
    colour = plots.COLOURS[1] if x == 0 else plots.COLOURS[2]
    box = {"boxstyle": "round,pad=0.6", "facecolor": "white", "edgecolor": colour, "linewidth": 2}
    ax.annotate(state, (x, 0), ha="center", va="center", fontsize=9, bbox=box)
    ax.annotate("", (x - 0.3, 0), (x - 0.7, 0), arrowprops={"arrowstyle": "-|>"})
    ax.annotate(call, (x - 0.5, 0.1), ha="center", fontsize=8, family="monospace")
ax.axis((-0.8, 3.4, -0.5, 0.5))
_ = ax.axis("off")

# %% [markdown]
# `create_index` says which structure sealed segments get. `FLAT` compares the query with every row:
# exact, and fast enough for thousands. Other structures give up a little exactness for speed.
#
# **Predict before you run:** we search before the flush and after it. Will the first find anything? Will
# it be as fast?

# %% tags=["nbval-ignore-output"]
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="COSINE")
client.create_index("photos", index)
client.load_collection("photos")


def ask():
    hits = client.search("photos", data=[vectors[tiger]], limit=8, output_fields=["name"])[0]
    return [hit["id"] for hit in hits]


first = ask()
before = min(timeit.repeat(ask, number=5)) / 5
client.flush("photos")
after = min(timeit.repeat(ask, number=5)) / 5
print(f"{1000 * before:.1f} ms, then {1000 * after:.1f} ms; same hits: {first == ask()}")

# %% [markdown]
# The same hits, and before the flush they took many times as long. A forgotten flush raises no error and
# loses no row: Milvus Lite just reads all unflushed rows again at every search. Flush once, after the last
# batch. From here on `wait_for_index` does what follows an insert: flush, wait for the index, load.
#
# ## Search by photo
#
# A search takes a list of queries, and answers with one list of hits for each.

# %%
wait_for_index(client, "photos")
hits = client.search("photos", data=[vectors[tiger]], limit=4, output_fields=["name"])[0]
for hit in hits:
    print(hit["id"], "·", hit["entity"]["name"])
by_hand = np.argsort(-(vectors @ vectors[tiger]))[:4]
print("as with NumPy:", [photos[n].id for n in by_hand] == [hit["id"] for hit in hits])

by_id = {photo.id: photo for photo in photos}
images, scores = [by_id[hit["id"]].open() for hit in hits], [hit["distance"] for hit in hits]
plots.hits(photos[tiger].open(), images, scores)

# %% [markdown]
# ## What a score means
#
# A hit has an `id`, a `distance`, here under each picture, and an `entity`: the fields we asked for. The
# tiger finds itself at 1.00, then another tiger, then a zebra. So larger is better, whatever the name
# `distance` says: with COSINE it is a similarity.
#
# **Predict before you run:** one query, (2, 0), three rows, three measures. Will all three agree on the
# best row?

# %%
toy = {"twice as long": [4, 0], "close by": [2, 0.8], "short": [0.5, 0.1]}
for metric in ("COSINE", "IP", "L2"):
    name = f"toy_{metric}"
    strings = {"id_type": "str", "max_length": 20, "consistency_level": "Strong"}
    client.create_collection(name, dimension=2, metric_type=metric, **strings)
    client.insert(name, [{"id": id, "vector": vector} for id, vector in toy.items()])
    toy_hits = client.search(name, data=[[2, 0]], limit=3, output_fields=["id"])[0]
    print(f"{metric:6}", *[f"{hit['id']} {hit['distance']:.2f}" for hit in toy_hits], sep="   ")

# %% [markdown]
# Three orders. COSINE sees only direction. IP, the inner product, rewards length. For both, larger is
# better. L2 is a distance, so smaller is better, and it is *squared*: "close by" is 0.8 away, and 0.8² is
# 0.64. On vectors of length 1, as ours are, all three give the same order.
#
# ## Say which fields you want
#
# **Predict before you run:** what comes back if you do not say?

# %%
for fields in (None, ["name"], ["name", "vector"]):
    hit = client.search("photos", data=[vectors[tiger]], limit=1, output_fields=fields)[0][0]
    size = len(hit["entity"].get("vector", [])) * 4
    print(f"output_fields={fields}: {sorted(hit['entity'])}, {size:,} bytes of vector a hit")

# %% [markdown]
# Everything came back, the vector included: 100 hits would carry half a megabyte that nobody reads. A
# Milvus server does the opposite and returns ids and scores alone. Say `output_fields` always, and both
# do the same.
#
# ## Filters
#
# A filter is a condition on the other fields. What resembles a rubber duck, and belongs to Easter? To
# the kitchen? To sports and space?

# %%
duck = photos.index(by_id["household-rubberduck"])
rules = ['category == "seasonal/easter"', 'category like "food/%"']
rules += ['category in ["sports", "space/planets"]']
rules += ['name like "Yellow%" and not (category like "food/%")']
best = []
for rule in rules:
    passed = client.query("photos", filter=rule, output_fields=["id"])
    best += client.search("photos", [vectors[duck]], rule, limit=1, output_fields=["name"])[0]
    print(f"{len(passed):3} rows pass {rule}")
found, scores = [by_id[hit["id"]] for hit in best], [hit["distance"] for hit in best]
images, names = [photo.open() for photo in found], [photo.name for photo in found]
plots.hits(photos[duck].open(), images, scores, names)

# %% [markdown]
# `==`, `in`, and `like` with `%` for "anything", joined by `and`, `or`, `not`. A chick, a pepper, Saturn, a
# flower: all yellow, and only the last filter asked for the word.
#
# ## Filter first, or afterwards?
#
# One could search for the best 10 and then throw away what is not wanted.
#
# **Predict before you run:** we want the five planets most like the tiger. How many remain of its best 10?


# %%
def nearest(limit, rule=""):
    return client.search("photos", [vectors[tiger]], rule, limit, output_fields=["category"])[0]


for limit in (10, 100, 430):
    left = [hit for hit in nearest(limit) if hit["entity"]["category"] == "space/planets"]
    print(f"search for {limit:3}, then filter: {len(left[:5])} planets")
inside = nearest(5, 'category == "space/planets"')
print(f"filter inside the search:   {len(inside)} planets")

# %% [markdown]
# Filtering afterwards loses hits, the more so the rarer they are; here only fetching *everything* helped.
# Inside the search, rows that fail the filter never take part.
#
# ### ✍️ Your turn 3.1 · 3 min: say it in a filter
#
# `no_reds`: a string that keeps what is in `food/fruit` and in `food/vegetables`, except what has a name
# that begins with "Red".

# %%
# BEGIN SOLUTION
no_reds = 'category in ["food/fruit", "food/vegetables"] and not (name like "Red%")'
# END SOLUTION

# %% tags=["check"]
check("3.1", no_reds)

# %% [markdown]
# ## Rows come, change and go
#
# `get` fetches rows by key, `query` by filter; neither compares vectors. `upsert` replaces the row of
# that key, or inserts it. `delete` takes keys or a filter.
#
# **Predict before you run:** how many rows are there after the upsert?


# %%
def count(collection):
    return client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]


def owl():
    return client.get("photos", ids=["animals-birds-owl"], output_fields=["*"])


print(owl()[0]["name"], "·", count("photos"), "rows")
client.upsert("photos", [{**owl()[0], "name": "Eagle owl"}])
print(owl()[0]["name"], "·", count("photos"), "rows")
client.delete("photos", filter='category like "animals/%"')
print(len(owl()), "owls ·", count("photos"), "rows")
client.upsert("photos", rows)
print(owl()[0]["name"], "·", count("photos"), "rows")

# %% [markdown]
# The upsert changed a name and no count. One short filter removed 128 rows at once. Upserting the 430
# original rows mended both, and could be run again without harm: that is why loaders use it.
#
# ### ✍️ Your turn 3.2 · 6 min: more like this one
#
# `more_like(client, collection, id, k)`: the ids of the `k` rows nearest to the row `id`, best first,
# without that row itself. Two rows may hold the same vector. An unknown id raises `KeyError`.


# %%
def more_like(client, collection, id, k):
    # BEGIN SOLUTION
    rows = client.get(collection, ids=[id], output_fields=["vector"])
    if not rows:
        raise KeyError(id)
    vector = rows[0]["vector"]
    others = f'id != "{id}"'
    hits = client.search(collection, data=[vector], filter=others, limit=k, output_fields=["id"])
    return [hit["id"] for hit in hits[0]]
    # END SOLUTION


# %% tags=["check"]
check("3.2", more_like)

# %% [markdown]
# ## Not a number, and not noticed
#
# A blank page (chapter 01), a model that fails on one photo: the vector comes out as zeros, and
# normalising divides it by its length. 0 / 0 is NaN, *not a number*: neither larger nor smaller than any.
#
# **Predict before you run:** will Milvus Lite take such a row? Will a search ever show it?

# %%
with np.errstate(invalid="ignore"):
    nan = (np.zeros(1280) / np.linalg.norm(np.zeros(1280))).tolist()
try:
    client.insert("photos", [{**rows[0], "id": "broken", "vector": nan}])
    print("accepted,", count("photos"), "rows")
except MilvusException as refusal:
    print("refused:", refusal.message)
hits = client.search("photos", [vectors[tiger]], limit=431, output_fields=["id"])[0]
print("last of", len(hits), "hits:", hits[-1]["id"], hits[-1]["distance"])
hits = client.search("photos", [nan], limit=3, output_fields=["id"])[0]
print("as a query:", [hit["distance"] for hit in hits])
_ = client.delete("photos", ids=["broken"])

# %% [markdown]
# Accepted, counted, and last in every search. As a query, NaN gets three hits that mean nothing, and no
# error. A server refuses such a row.
#
# ### ✍️ Your turn 3.3 · 6 min: guard the door
#
# `bad_rows(rows, dim)` returns a list: the positions, in order, of the rows to refuse. Their vector has
# not `dim` numbers, holds NaN or an infinity, or is all zeros; or their id is empty, or used by any
# earlier row, good or bad.


# %%
def bad_rows(rows, dim):
    # BEGIN SOLUTION
    bad, seen = [], set()
    for number, row in enumerate(rows):
        vector = row["vector"]
        sound = len(vector) == dim and all(map(math.isfinite, vector)) and any(vector)
        if not sound or not row["id"] or row["id"] in seen:
            bad.append(number)
        seen.add(row["id"])
    return bad
    # END SOLUTION


# %% tags=["check"]
check("3.3", bad_rows)

# %% [markdown]
# ### ✍️ Your turn 3.4 · 10 min: break it, fix it: the loader that loses photos
#
# This loader reports 430, and holds four mistakes, each easily made. Mend it as `load_photos`, with the
# same arguments, so that
#
# - every photo has its row, whatever the batch size, and no call carries more than `batch` rows;
# - it flushes once, at the end, and returns how many rows *Milvus* then counts.


# %%
def load(client, collection, photos, vectors, batch):
    names = [photo.name for photo in photos]
    kinds = [photo.category for photo in photos]
    columns = zip(names, kinds, vectors, strict=True)
    rows = [{"id": n, "name": n, "category": c, "vector": v} for n, c, v in columns]
    for start in range(0, len(rows) - batch, batch):
        client.insert(collection, rows[start : start + batch])
    return len(rows)


client.create_collection("again", schema=schema, index_params=index, consistency_level="Strong")
said = load(client, "again", photos, vectors.tolist(), 100)
print(f"the loader says {said}, Milvus holds {count('again')}")


# %%
def load_photos(client, collection, photos, vectors, batch):
    # BEGIN SOLUTION
    rows = [
        {"id": p.id, "name": p.name, "category": p.category, "vector": v}
        for p, v in zip(photos, vectors, strict=True)
    ]
    for start in range(0, len(rows), batch):
        client.upsert(collection, rows[start : start + batch])
    client.flush(collection)
    return client.query(collection, filter="", output_fields=["count(*)"])[0]["count(*)"]
    # END SOLUTION


# %% tags=["check"]
check("3.4", load_photos)

# %% [markdown]
# Where did they go? The last batch was never sent. And some photos share their name with an earlier one,
# so they shared its key: Milvus Lite replaces the earlier row without a word. A server keeps both under
# one key, and `get` returns one of them.
#
# ## Close, and open again
#
# **Predict before you run:** `quick` and `again` were never flushed. What will be left of them?

# %%
client.close()
client = connect("03_milvus", fresh=False)
print(client.list_collections())
print(count("photos"), "photos,", count("quick"), "in quick,", count("again"), "from the loader")

# %% [markdown]
# ## What we saw
#
# Every row came back, the unflushed ones from the log. The same code runs on a server: only `MILVUS_URI`
# changes.
#
# **Recall:** What does a forgotten flush cost? Why does filtering after the search lose hits? What
# happens in Milvus Lite when a key comes twice?
#
# **On your own data:** load a folder of your pictures, and find near doubles with `more_like`.
#
# **Next:** [04 · Indexes: recall against speed](04_indexes.ipynb) ·
# **Before:** [02 · From things to vectors](02_embeddings.ipynb)
