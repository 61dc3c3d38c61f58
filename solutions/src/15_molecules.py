# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 15 · Molecules
#
# *Part III · Systems*
#
# **You will be able to** read molecules and compare them exactly, search them in Milvus without losing one, and say what it is worth
# that two molecules are alike.
#
# **You need** chapters 01, 03 and 04; no chemistry · **Time** 45 min reading, 15 min exercises
#
# ## Where we are going · 2 min
#
# A chemist has a drug and asks: which others are like it? We search 3,897 drugs for the ones most like *diazepam*, which calms people.

# %%
from workshop import check, drugs, molecules, plots

every = drugs.drugs()
plots.similar_drugs(every, "diazepam", k=5)

# %% [markdown]
# In a drawing each corner or end is a carbon atom, each line a bond, a double line a double bond. Letters are other atoms: N is nitrogen, O oxygen, Cl chlorine.
# Hydrogen atoms at carbon are not drawn.
#
# The number is the similarity; a molecule has 1 with itself. Orange atoms lie in *some* surrounding that the query has too: that is not the number. The names end alike too, see the end.
#
# ## A molecule is a line of text · 5 min
#
# [[SMILES]] is a way to write a molecule as one line of text. Here is aspirin.

# %%
text = "CC(=O)Oc1ccccc1C(=O)O"
aspirin = molecules.read(text)
plots.molecule(aspirin, "aspirin")

# %% [markdown]
# Read the line from left to right, atom by atom. `=` is a double bond. What stands in round brackets is a branch. Square brackets hold an atom with its charge; a dot parts two pieces that no bond joins. A digit opens a ring, and the same digit closes
# it. Small letters are atoms of an *aromatic* ring, here the one with three double lines.
#
# One molecule can be written in many ways. We may begin at any atom, or write the ring with `=`. Many drugs are
# salts, with a sodium atom beside them.

# %%
ways = ["CC(=O)Oc1ccccc1C(=O)O", "OC(=O)C1=CC=CC=C1OC(C)=O", "[Na+].[O-]C(=O)c1ccccc1OC(=O)C"]
for way in ways:
    print(molecules.canonical(molecules.read(way)), "←", way)

# %% [markdown]
# `read` lets the library RDKit read the line. Then it brings the molecule to one form, which is called *standardising*: salts go, charges are evened out, and
# the *stereo* form is forgotten, such as mirror images. At last RDKit writes it in its own one way.
#
# A [[canonical SMILES]] is the one line that a program always writes for a molecule, however the molecule was written before.
#
# Forgetting stereo loses something: levodopa helps against Parkinson's disease, its mirror image does not. Forms in which only a hydrogen atom moves,
# *tautomers*, stay two here. Another program writes other lines.

# %% tags=["raises-exception"]
molecules.read("CC(C)(C)(C)C")

# %% [markdown]
# A carbon atom has four bonds. RDKit knows such rules and refuses. `workshop` says in a sentence what is wrong.
#
# ## What the data says · 4 min
#
# *B3DB* is a table of drugs that was put together from 50 publications. It says of each whether it passes from the blood into the brain:
# *BBB+* for yes, *BBB−* for no. BBB is the blood–brain barrier. For some drugs this was measured. For others it was read from the literature, often because the drug is known
# to act in the brain.

# %%
raw = drugs.raw_rows()
structures = [row.structure for row in raw]
print(len(raw), "rows,", len(set(structures)), "structures")
labels_of = {}
for row in raw:
    labels_of.setdefault(row.structure, set()).add(row.passes)
both = [structure for structure, labels in labels_of.items() if len(labels) == 2]
print(len(both), "structures have rows of both labels:", both[0])

# %% [markdown]
# Nearly half of the rows repeat a structure: as a salt, in another stereo form, or from another publication. For 130 structures the
# rows disagree. We leave those out. Twelve more rows could not be read: they hold two molecules, or one that cannot be.

# %%
names = [drug.name for drug in every]
print(len(every), "drugs,", sum(drug.passes for drug in every), "pass into the brain")
print(every[names.index("diazepam")])

# %% [markdown]
# The field `rows` says how many rows were this structure. We come to the `scaffold` later.
#
# ## A molecule becomes bits · 5 min
#
# A *fingerprint* of a molecule is a row of bits. Each bit says whether some pattern is in the molecule. We look at one atom of aspirin, and at what lies
# around it, zero, one and two bonds wide.

# %%
plots.surroundings(aspirin, atom=1)

# %% [markdown]
# Atoms are counted from 0 along the line, so atom 1 is the second one, the carbon with `=O`. Orange is what belongs to its surrounding.
#
# A [[Morgan fingerprint]] has a bit for each such surrounding of each atom of a molecule. A hash function turns a
# surrounding into a number below 2,048, and the bit with that number becomes 1. Two surroundings may get the same number by accident.

# %%
aspirin_bits = molecules.morgan([aspirin])[0]
print(aspirin_bits.shape, "bits, set:", aspirin_bits.sum())
print(aspirin_bits.nonzero()[0])

# %% [markdown]
# [[MACCS keys]] are 166 bits for patterns that chemists chose by hand, such as "a ring of four atoms". Any drug has many of them.

# %%
mols = [drug.mol for drug in every]
bits, maccs = molecules.morgan(mols), molecules.maccs(mols)
print(f"bits set on average: Morgan {bits.sum(axis=1).mean():.0f} of 2048")
print(f"                     MACCS  {maccs.sum(axis=1).mean():.0f} of 166")

# %% [markdown]
# `axis=1` sums each row. A Morgan fingerprint is mostly empty, while MACCS has more than a quarter of its bits set. This will matter for the next picture.
#
# ## How alike are two rows of bits? · 3 min
#
# [[Tanimoto similarity]] is the number of bits that two fingerprints have in common, divided by the number of bits that at least one of the two has.
# It is also called Jaccard similarity.

# %%
import numpy as np

salicylic = molecules.read("OC(=O)c1ccccc1O")
a = set(molecules.morgan([aspirin])[0].nonzero()[0].tolist())
b = set(molecules.morgan([salicylic])[0].nonzero()[0].tolist())
in_both, in_either = len(a & b), len(a | b)
tanimoto = in_both / in_either
print(len(a), "and", len(b), "bits,", in_both, "in common,", in_either, "in either")
print(f"Tanimoto {tanimoto:.2f}")

# %% [markdown]
# Salicylic acid is what the body makes of aspirin. Sets are good to understand the formula, and slow for thousands of drugs. With NumPy, the
# product of two rows of 0 and 1 counts the bits in common. If `c` are in common, and one has `a` bits and the other `b`, then `a + b - c` are in either.

# %% [markdown]
# ### ✍️ Your turn 15.1 · 5 min: one against all
#
# Write `jaccard(mine, others)` without a loop.
#
# - `mine`: a row of bits, shape `(d,)`, type `uint8`, each 0 or 1. `others`: many rows, shape `(n, d)`, the same type.
# - Return the Tanimoto similarity of `mine` with each row, shape `(n,)`, floats.
# - Where neither has a bit, the similarity is 0.
# - A `uint8` counts to 255 and then begins at 0 again. Fingerprints may have more bits in common than that.


# %%
def jaccard(mine, others):
    """Tanimoto of one row (d,) with each row of others (n, d): floats, shape (n,)."""
    # BEGIN SOLUTION
    in_common = others.astype(int) @ mine.astype(int)
    in_any = others.sum(axis=1, dtype=int) + mine.sum(dtype=int) - in_common
    return in_common / np.maximum(in_any, 1)
    # END SOLUTION


# %% tags=["check"]
check("15.1", jaccard)

# %% [markdown]
# ## How alike are two random drugs? · 5 min
#
# Is 0.5 much? A number says little until we know what strangers get. So we draw pairs of drugs at random.
#
# **Predict before you run:** below which number do 95 of 100 random pairs lie, for Morgan and for MACCS?

# %%
rng = np.random.default_rng(0)
one, other = rng.integers(len(every), size=(2, 20_000))
different = one != other
one, other = one[different], other[different]
random_scores = {}
for name, table in (("Morgan", bits), ("MACCS", maccs)):
    shared = (table[one] & table[other]).sum(axis=1)
    any_of_both = (table[one] | table[other]).sum(axis=1)
    random_scores[name] = shared / any_of_both
plots.random_pairs(random_scores)

# %%
for name, values in random_scores.items():
    middle, most, nearly_all = np.quantile(values, [0.5, 0.95, 0.99])
    print(f"{name:6} 50 % below {middle:.2f}, 95 % below {most:.2f}, 99 % below {nearly_all:.2f}")

# %% [markdown]
# `&` and `|` are *and* and *or* of bits. Such a picture is called a [[null distribution]]: it shows which scores appear by chance alone.
#
# With MACCS half of all strangers reach 0.32, and one in twenty reaches 0.55. With Morgan, 0.25 is already rare. So no threshold
# serves both, and *"similar means above 0.7"* says nothing without the name of the fingerprint. Left of each dashed line lie 95 of 100 pairs. Rows in which a quarter of the bits is set
# meet often by chance; rows with some 40 of 2,048 hardly ever. From here on we use Morgan.

# %% [markdown]
# ## Pause
#
# You can compare molecules exactly. From here you can start anew after a break: run the next cell.

# %% tags=["pause"]
import numpy as np

from workshop import check, connect, drugs, molecules, plots, wait_for_index

every = drugs.drugs()
names = [drug.name for drug in every]
mols = [drug.mol for drug in every]
passes = np.array([drug.passes for drug in every])
bits = molecules.morgan(mols)
counts = bits.sum(axis=1, dtype=int)
query = names.index("diazepam")

# %% [markdown]
# ## Exact search in Milvus · 6 min
#
# A Milvus server stores bits, in a BINARY_VECTOR, and searches by JACCARD. Milvus Lite does not. But it knows floats and
# cosine. We store the bits as floats, and beside them how many each molecule has.

# %%
from pymilvus import DataType

client = connect("15_molecules")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("count", DataType.INT64)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2048)
index = client.prepare_index_params()
index.add_index("vector", index_type="FLAT", metric_type="COSINE")

# %%
client.drop_collection("drugs")
about = {"schema": schema, "index_params": index, "consistency_level": "Strong"}
client.create_collection("drugs", **about)
vectors = bits.astype(np.float32)
for start in range(0, len(bits), 250):
    batch = range(start, min(start + 250, len(bits)))
    rows = [{"id": n, "count": int(counts[n]), "vector": vectors[n].tolist()} for n in batch]
    client.insert("drugs", rows)
wait_for_index(client, "drugs")


# %%
def arrays(hits):
    """Ids, cosines and numbers of bits of the hits of one search: three arrays."""
    ids = np.array([hit["id"] for hit in hits], dtype=int)
    cosines = np.array([hit["distance"] for hit in hits])
    return ids, cosines, np.array([hit["entity"]["count"] for hit in hits], dtype=int)


def ask(queries, limit, **where):
    """Search for some drugs by cosine: for each a list of hits."""
    wanted = {"data": vectors[queries].tolist(), "output_fields": ["count"]}
    return client.search("drugs", limit=limit, **wanted, **where)


# %%
ids, cosines, sizes = arrays(ask([query], limit=4)[0])
for place in range(4):
    print(f"cosine {cosines[place]:.3f}, {sizes[place]} bits:", names[ids[place]])

# %% [markdown]
# Cosine is not Tanimoto, and its order is not quite the same. But from a cosine the Tanimoto can be had *exactly*. For rows of 0 and 1, the length of a vector
# is the root of its number of bits:
#
# $\text{cosine} = \dfrac{c}{\sqrt{a \cdot b}}$
#
# We know `a` and `b`, so we get `c`, the bits in common. It must be a whole number, so rounding removes what float32 got wrong.

# %% [markdown]
# ### ✍️ Your turn 15.2 · 4 min: Tanimoto from cosine
#
# Write `from_cosine(cosine, own, theirs)`.
#
# - `cosine`: floats, shape `(n,)`, which may be wrong by 0.00001. `own`: the number of bits of the query, an integer, at least 1. `theirs`: the
#   number of bits of each hit, integers at least 1, shape `(n,)`.
# - Return the Tanimoto of each hit, shape `(n,)`: exactly `c / (a + b - c)`, with `c` rounded to a whole number.


# %%
def from_cosine(cosine, own, theirs):
    """Exact Tanimoto (n,) from cosines (n,) and numbers of bits."""
    # BEGIN SOLUTION
    in_common = np.round(cosine * np.sqrt(own * theirs))
    return in_common / (own + theirs - in_common)
    # END SOLUTION


# %% tags=["check"]
check("15.2", from_cosine)

# %% [markdown]
# Now a search has two steps. Milvus gives *candidates*, more than we want, by cosine. We compute the exact Tanimoto of each and sort
# again: we *re-rank*. `molecules.tanimoto_from_cosine` is the function of your exercise.

# %%
ids, cosines, sizes = arrays(ask([query], limit=50)[0])
exact = molecules.tanimoto_from_cosine(cosines, counts[query], sizes)
order = molecules.nearest(exact, 5)
for place in order:
    print(f"Tanimoto {exact[place]:.3f}, place {place} by cosine:", names[ids[place]])

# %% [markdown]
# Is the best molecule always among 50 candidates? We compare with NumPy, which looks at all drugs, for 200 queries.

# %%
sample = np.random.default_rng(1).choice(len(every), 200, replace=False)
truth = molecules.TanimotoIndex(bits).scores(bits[sample])
truth = -np.sort(-truth, axis=1)[:, :10]
candidates = ask(sample, limit=50)
by_cosine, again = [], []
for row, hits in zip(sample, candidates, strict=True):
    ids, cosines, sizes = arrays(hits)
    exact = molecules.tanimoto_from_cosine(cosines, counts[row], sizes)
    by_cosine.append(exact[:10])
    again.append(np.sort(exact)[::-1][:10])

# %%
for name, scores in (("by cosine alone", by_cosine), ("ranked again", again)):
    worst = truth[:, 9:] - 1e-6
    recall = np.mean(np.array(scores) >= worst)
    print(f"recall@10 {name}: {recall:.2f}")

# %% [markdown]
# A hit is right if its Tanimoto reaches that of the tenth best: of equals, any will do. By cosine alone a few percent are lost. Ranked again, nothing is.
#
# Can we be sure without looking at all drugs? Yes. For two numbers, $a + b \ge 2\sqrt{ab}$ always holds. From this follows: **if the Tanimoto is at least t, then the
# cosine is at least 2t / (1 + t).** The other way round: call the cosine s. Then √(ab) is c / s, so a + b − c is at least 2c / s − c, and the Tanimoto is at most s / (2 − s).

# %% [markdown]
# A [[range search]] is a search for everything that is nearer than some limit, the *radius*, and not for the best ten. With this radius it loses nothing.

# %%
threshold = 0.35
nearer = {"search_params": {"params": {"radius": molecules.radius(threshold)}}}
ids, cosines, sizes = arrays(ask([query], limit=1000, **nearer)[0])
exact = molecules.tanimoto_from_cosine(cosines, counts[query], sizes)
all_scores = molecules.tanimoto(bits[query], bits)
print(f"radius {molecules.radius(threshold):.3f}: {len(ids)} candidates")
print((exact >= threshold).sum(), "reach 0.35; NumPy finds", (all_scores >= threshold).sum())

# %% [markdown]
# The candidates that are not similar enough are thrown away after the exact Tanimoto. If as many candidates come back as `limit` allows, there may be more:
# ask again with a larger limit.
#
# ## Similar, so active? · 10 min
#
# *Similar molecules do similar things* is the belief behind all this. We test it. For a drug we hide whether it passes into the brain, and let its
# five most similar drugs vote.
#
# The baseline knows three numbers for each drug: its weight, how well it dissolves in fat, and the surface that likes water. Such numbers are called [[descriptors]].

# %%
maccs = molecules.maccs(mols)
numbers = molecules.descriptors(mols)
aspirin = molecules.read("CC(=O)Oc1ccccc1C(=O)O")
weight, in_fat, surface = molecules.descriptors([aspirin])[0]
print(
    f"aspirin: {weight:.1f} g/mol, logP {in_fat:.1f} (an estimate), {surface:.1f} square angstroms"
)

# %% [markdown]
# How do we split the drugs into known and tested ones? At random, or so that no *scaffold* is on both sides. The [[scaffold]] of
# a molecule are its rings and the chains between them. New drugs often have new scaffolds, so the second way is nearer to what a chemist needs.


# %%
def by_morgan(split):
    """Tanimoto of tested and known drugs by Morgan fingerprints: shape (m, n)."""
    return drugs.by_bits(bits, split)


def by_maccs(split):
    """The same by MACCS keys: shape (m, n)."""
    return drugs.by_bits(maccs, split)


def by_three_numbers(split):
    """How near the three numbers of tested and known drugs are: shape (m, n)."""
    return drugs.by_numbers(numbers, split)


# %%
scaffolds = [drug.scaffold or drug.smiles for drug in every]
at_random, whole_scaffolds = drugs.folds(range(len(every))), drugs.folds(scaffolds)
for scores_of in (by_morgan, by_maccs, by_three_numbers):
    first = drugs.told(scores_of, passes, at_random)
    second = drugs.told(scores_of, passes, whole_scaffolds)
    first_mcc, second_mcc = drugs.mcc(first.said, first.truth), drugs.mcc(second.said, second.truth)
    print(f"{scores_of.__name__:16} random {first_mcc:.2f}, by scaffold {second_mcc:.2f}")

# %% [markdown]
# `folds` cuts the drugs into five parts. Each part is tested once, and the other four are known; `k` is five.
#
# [[MCC]], Matthews's correlation coefficient, is 1 if all answers are right, and 0 for answers no better than chance, also if one answer is much more
# frequent. Neighbours beat the three numbers. With unknown scaffolds all are a little lower. But two scaffolds may differ by one
# atom, so we look how similar the nearest drug is. **Predict before you run:** does a neighbour help if it is not very similar?

# %%
nearest = drugs.told(by_morgan, passes, whole_scaffolds, k=1)
simple = drugs.told(by_three_numbers, passes, whole_scaffolds, k=1)
range_of = np.digitize(nearest.similarity, [0.3, 0.4, 0.5, 0.6, 0.7])
bins = ["below 0.3", "0.3–0.4", "0.4–0.5", "0.5–0.6", "0.6–0.7", "from 0.7"]
worth = {}
for name, told in (("nearest by Morgan", nearest), ("nearest by numbers", simple)):
    groups = [range_of == number for number in range(6)]
    worth[name] = [drugs.mcc_interval(told.said[here], told.truth[here]) for here in groups]
plots.by_similarity(bins, worth, np.bincount(range_of))

# %% [markdown]
# The ranges are those of the nearest by Morgan, for both lines. The upright lines are intervals: 95 of 100 draws of the tested drugs would lie there. At the left nobody is near: the nearest knows no more than the three
# numbers do. Orange rises too: drugs with near relatives are easier for both. What likeness adds is the gap, and it grows.
#
# So *similar, so active* is half of the truth. The other half is: a neighbour that is *not similar* knows little, and no more than three numbers.

# %%
from workshop.retrieval import paired_bootstrap

right, simply_right = nearest.said == nearest.truth, simple.said == simple.truth
for name, here in (("below 0.3", range_of == 0), ("from 0.7", range_of == 5)):
    print(name, paired_bootstrap(right[here], simply_right[here], rounds=2000))

# %% [markdown]
# These are the shares of right answers, Morgan less numbers, with intervals as in chapter 10. Below 0.3 zero is inside: no difference can be told. From 0.7 on,
# neighbours are clearly better. Relatives are right or wrong together, so the true intervals are somewhat wider.

# %% [markdown]
# ### ✍️ Your turn 15.3 · 6 min: break it, fix it: similar, so active
#
# This is the vote that we used: `near = np.argsort(-scores, axis=1, kind="stable")[:, :k]`, then `labels[near].mean(axis=1) > 0.5`. It always says something, even where all five are strangers. That is the
# mistake to mend. Write `vote_or_silent(likeness, known, least)`, which can say nothing.
#
# - `likeness`: floats, shape `(q, n)`: the similarity of q drugs to n known ones. `known`: bool, shape `(n,)`: which of these pass. `least`: a number.

# %% [markdown]
# - For each of the q drugs only known drugs whose likeness is at least `least` may vote, and of these the five most alike. Of equals the smaller column comes
#   first.
# - Return a list of q answers: `True` if more than half of the votes are for passing, `False` if fewer than half are, and `None` if nobody may vote or the votes are
#   equal.


# %%
def vote_or_silent(likeness, known, least):
    """What up to five near ones say of each of q drugs: a list of True, False or None."""
    # BEGIN SOLUTION
    answers = []
    for line in likeness:
        order = np.argsort(-line, kind="stable")
        near = [column for column in order if line[column] >= least][:5]
        votes = known[near]
        if len(near) == 0 or 2 * votes.sum() == len(votes):
            answers.append(None)
        else:
            answers.append(bool(votes.mean() > 0.5))
    return answers
    # END SOLUTION


# %% tags=["check"]
check("15.3", vote_or_silent)

# %% [markdown]
# What does silence bring? Here the nearest alone speaks, and only if it is similar enough.

# %%
for limit in (0, 0.3, 0.5, 0.7):
    speaks = nearest.similarity >= limit
    value = drugs.mcc(nearest.said[speaks], nearest.truth[speaks])
    print(f"similar from {limit}: speaks of {speaks.mean():.0%}, MCC {value:.2f}")

# %% [markdown]
# Who speaks of fewer drugs is right more often. Where to stop is not for the program to say: it depends on what a wrong answer costs.

# %% [markdown]
# ## The service · 3 min
#
# The course's molecule search is a service on the frame of chapter 09. It takes a SMILES, a name, a file or a drawing, and colours in each hit what it shares.

# %%
import httpx

from app_snippets.molecule_search import Settings, create_app
from workshop import launch

service = launch(create_app(Settings(name="chapter_15")), height=640, timeout=120)
api = httpx.Client(base_url=service.url, timeout=120)
service

# %% [markdown]
# Its button for samples loads all drugs, which takes half a minute. We send forty, those most like diazepam, and a line that is no molecule: it is named, and the others go in. Then we ask with another way to write diazepam, and
# for all that are at least 0.65 similar.

# %%
import time

near = molecules.nearest(molecules.tanimoto(bits[query], bits), 40)
items = [{"text": every[row].smiles, "name": names[row] or every[row].smiles} for row in near]
items.append({"text": "C1CC", "name": "half a ring"})
api.delete("/items", params={"confirm": True})
load = api.post("/items", json={"items": items}).headers["location"]
while api.get(load).json()["finished_at"] is None:
    time.sleep(0.2)
job = api.get(load).json()
print(api.get("/count").json()["count"], "molecules;", job["failed"][0]["reason"])

# %%
other_way = {"text": "c1ccccc1C2=NCC(=O)N(C)c3ccc(Cl)cc32", "limit": 3}
hits = api.post("/search", json=other_way).json()["hits"]
for hit in hits:
    print(f"{hit['score']:.3f} {hit['payload']['name']}")
found = api.get(f"/items/{hits[0]['id']}/similar", params={"at_least": 0.65}).json()
print(len(found["hits"]), "at least 0.65 similar; all of them:", found["complete"])

# %% [markdown]
# These are the scores of our own search, exact, and the second call is our range search. A similar structure is no advice to take one drug for another.

# %%
service.stop()
service.running

# %% [markdown]
# ## What we saw · 2 min
#
# Standardise first, or one molecule is on both sides. A store that knows only cosine can search exactly. A similarity is worth something where it is high, and the
# fingerprint says what is high.
#
# **Recall:**
#
# 1. Why is 0.5 much with Morgan and little with MACCS?
# 2. What must be known besides the cosine to get the Tanimoto?
# 3. When does a neighbour say nothing?
#
# <details><summary>Answers</summary>
#
# 1. Of random pairs nearly none reaches it with Morgan; with MACCS one in twenty reaches 0.55.
# 2. How many bits each of the two has.
# 3. Below 0.3 it says no more than three numbers do.
#
# </details>
#
# **On your own data:** write what is in a medicine at home as SMILES, and search for it.
#
# **Next:** [16 · DNA classification](16_dna.ipynb) · **Before:** [14 · Audio](14_audio.ipynb)

# %% [markdown]
# ## Going deeper
#
# About 40 min more: one structure on both sides of a split, a proof for the best ten, cliffs, drugs of one kind, and what a search costs.

# %% [markdown]
# ### ✍️ Your turn 15.4 · 7 min: break it, fix it: one structure on both sides
#
# The table has 7,795 rows for 4,027 structures. Many people split its *rows* at random. We do the same.

# %%
from rdkit import Chem

raw = drugs.raw_rows()
structures = np.array([row.structure for row in raw])
row_passes = np.array([row.passes for row in raw])
unique, which = np.unique(structures, return_inverse=True)
unique_bits = molecules.morgan([Chem.MolFromSmiles(smiles) for smiles in unique])
row_bits = unique_bits[which]
leaky = drugs.folds(range(len(raw)))[0]
row_said = drugs.vote(drugs.by_bits(row_bits, leaky), row_passes[leaky.train], k=1)
row_truth = row_passes[leaky.test]

# %%
seen = np.isin(structures[leaky.test], structures[leaky.train])
groups_of_rows = {
    "all tested rows": np.ones(len(seen), dtype=bool),
    "structure seen before": seen,
    "structure is new": ~seen,
}
for name, here in groups_of_rows.items():
    value = drugs.mcc(row_said[here], row_truth[here])
    print(f"{name}: {here.mean():.0%}, MCC {value:.2f}")

# %% [markdown]
# Two of three tested rows are a structure that the program has already seen with its answer: it had only to look it up. The number for all rows is
# mostly praise for a good memory. It is a leak, as in chapter 12.

# %% [markdown]
# Write `keep_together(groups, share, random_state)`.
#
# - `groups`: an array of n strings; rows with the same string are the same structure. `share`: a number between 0 and 1. `random_state`: an integer.
# - Return an array of bool, shape `(n,)`: True for the rows to test with. Rows of one group are never on both sides.
# - At most `share * n` rows are tested, and at least `share * n` less the size of the largest group.
# - The same `random_state` gives the same answer, also in another kernel. Which groups are tested is random: over many states each group that fits is tested now and then.


# %%
def keep_together(groups, share, random_state):
    """Which rows to test with, so that no group is on both sides: bool, shape (n,)."""
    # BEGIN SOLUTION
    single, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(random_state).permutation(len(single))
    fits = np.cumsum(sizes[order]) <= share * len(groups)
    return np.isin(group_of_row, order[fits])
    # END SOLUTION


# %% tags=["check"]
check("15.4", keep_together)

# %% [markdown]
# ### Are the best ten complete?
#
# The proof of the range search serves the best ten too. What is not among 50 candidates has at most the cosine of the last one. If the tenth best has at least the Tanimoto that this
# cosine allows, nothing was missed.

# %%
proven = 0
for row, hits in zip(sample, candidates, strict=True):
    ids, cosines, sizes = arrays(hits)
    exact = molecules.tanimoto_from_cosine(cosines, counts[row], sizes)
    proven += np.sort(exact)[-10] >= molecules.highest_tanimoto(cosines[-1])
print("proven for", proven, "of", len(sample), "queries")

# %% [markdown]
# Here it is proven for all. Where it is not, one asks for more candidates. `data/README.md` tells of 100,000 molecules, among which a few queries had no proof.
#
# %% [markdown]
# ### Cliffs
#
# An [[activity cliff]] is a pair of molecules that are very similar, and do something very different.

# %%
pairs = drugs.similar_pairs(bits, 0.85)
differ = passes[pairs[:, 0]] != passes[pairs[:, 1]]
print(len(pairs), "pairs from 0.85 on,", differ.sum(), "of them with different labels")
for one, other in pairs[differ]:
    said_of_one, said_of_other = every[one].label, every[other].label
    print(names[one] or "(no name)", said_of_one, "·", names[other] or "(no name)", said_of_other)

# %%
short, long = names.index("1-pentanol"), names.index("1-hexadecanol")
score = molecules.tanimoto(bits[short], bits[[long]])
plots.similar_molecules(mols[short], [mols[long]], score, ["1-hexadecanol"])

# %% [markdown]
# One is an alcohol with five carbon atoms, the other has sixteen. A bit says *that* a surrounding is there, not how often. So the two have nearly the same bits,
# and one is a thin liquid, the other a wax. This is a blind spot of the fingerprint. How far does it go?

# %%
twins = drugs.similar_pairs(bits, 1.0)
print(len(twins), "pairs of different molecules have Tanimoto 1")
named = [pair for pair in twins if names[pair[0]] and names[pair[1]]]
for one, other in named[:3]:
    print(names[one], "and", names[other])

# %% [markdown]
# A Tanimoto of 1 does not mean *the same molecule*. For that one compares the canonical SMILES. Fingerprints that count how often a surrounding comes do not have this blind spot.

# %%
first, second = names.index("famotidine"), names.index("teniposide")
score = molecules.tanimoto(bits[first], bits[[second]])
plots.similar_molecules(mols[first], [mols[second]], score, ["teniposide"])

# %% [markdown]
# This cliff is none: the data is wrong. Famotidine is a small molecule against too much acid, and this is not it. Teniposide's own row has one carbon atom too many. Names in tables that were collected
# are often wrong. So look at a cliff twice: it is either what is interesting, or a mistake.

# %% [markdown]
# ### Drugs of one kind
#
# Chemists test a search so: they ask with one drug of a kind, and look how early the others of the kind come. Here a kind is the end of a name,
# which the World Health Organization gives.

# %%
stem = "-azepam"
wanted = np.array([drugs.has_stem(name, stem) for name in names])
rest = np.arange(len(every)) != query
scores = molecules.tanimoto(bits[query], bits)[rest]
ranked = wanted[rest][np.argsort(-scores, kind="stable")]
print(wanted[rest].sum(), "others end so; among the best 39:", ranked[:39].sum())

# %% [markdown]
# 39 is one in a hundred of the others, rounded up. The [[enrichment factor]] is how many times as many wanted things are in the first part of a
# ranking as one would find by chance. For the first hundredth it is written EF 1 %.

# %%
enrichment = ranked[:39].mean() / ranked.mean()
by_rdkit = drugs.screen(scores, wanted[rest])
print(f"EF 1 %: by hand {enrichment:.1f}, by RDKit {by_rdkit.enrichment:.1f}")

# %% [markdown]
# [[BEDROC]] is a number from 0 to 1 that counts each wanted thing by how early it comes, the first places most (Truchon and Bayly 2007).
#
# We ask with each drug of five kinds, and with random scores for comparison. A name's end is not yet a kind: *stanozolol* is a steroid. `has_stem` leaves out three names that only sound so.

# %%
for stem in ("-azepam", "-olol", "-pril", "-caine", "-tidine"):
    wanted = np.array([drugs.has_stem(name, stem) for name in names])
    results = []
    for row in np.flatnonzero(wanted):
        rest = np.arange(len(every)) != row
        scores = molecules.tanimoto(bits[row], bits)[rest]
        results.append(drugs.screen(scores, wanted[rest]))
    ef, bedroc = np.mean(results, axis=0)
    print(f"{stem:8} {wanted.sum():2} drugs, EF 1 % {ef:3.0f}, BEDROC {bedroc:.2f}")

# %%
rng = np.random.default_rng(0)
results = [drugs.screen(rng.random(len(every)), wanted) for _ in range(200)]
ef, bedroc = np.mean(results, axis=0)
print(f"random scores: EF 1 % {ef:.1f}, BEDROC {bedroc:.2f}")

# %% [markdown]
# These numbers are splendid, and *circular*. The World Health Organization gives `-azepam` to relatives of diazepam, which means to a
# structure. `-olol` and `-pril` are named after what they do, and are chemical families all the same. We looked for similar structures, and found the family again. How high the EF is says how uniform
# the family is.
#
# Less circular is what was not read off the molecule. Here it is whether a drug passes.

# %%
results = []
for row in np.flatnonzero(passes)[::20]:
    rest = np.arange(len(every)) != row
    scores = molecules.tanimoto(bits[row], bits)[rest]
    results.append(drugs.screen(scores, passes[rest]).enrichment)
highest = 1 / passes.mean()
print(f"EF 1 % {np.mean(results):.2f}, at most {highest:.2f}")

# %% [markdown]
# Most drugs pass, so no list can hold more than 1.58 times the usual share. Such an EF cannot be compared with one of a rare kind: say the highest possible one too.
#
# ### What a search costs
#
# We compare Milvus Lite with NumPy.


# %%
def show_time(name, work):
    """Call a function five times, and print what one call takes."""
    begin = time.perf_counter()
    for _ in range(5):
        work()
    each = (time.perf_counter() - begin) / 5
    milliseconds = 1000 * each
    print(f"{name:14} {milliseconds:.1f} ms")


# %% tags=["nbval-ignore-output"]
table = molecules.TanimotoIndex(bits)
show_time("50 candidates", lambda: ask([query], limit=50))
show_time("range search", lambda: ask([query], limit=1000, **nearer))
show_time("NumPy", lambda: table.scores(bits[[query]]))

# %% [markdown]
# For four thousand drugs NumPy is far ahead, and all fits into memory. A database is for what NumPy lacks: rows that stay, filters, several who ask. `data/README.md` says what
# 100,000 and a million molecules cost.
#
# On a Milvus server the whole trick is not needed. It takes the bits, 256 bytes a molecule instead of 8,192, and JACCARD gives 1 − Tanimoto:
#
# ```python
# schema.add_field("vector", DataType.BINARY_VECTOR, dim=2048)
# index.add_index("vector", index_type="BIN_FLAT", metric_type="JACCARD")
# client.search("drugs", data=molecules.packed(bits[query : query + 1]), limit=10)
# ```
