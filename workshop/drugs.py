"""The drugs of B3DB: which pass from the blood into the brain, and how well that is told from what is alike.

`tools/build_molecules.py` has made one structure of all rows that are the same without salt and stereo.
"""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.ML.Scoring import Scoring
from scipy.spatial.distance import cdist
from sklearn.metrics import matthews_corrcoef

from workshop.errors import WorkshopError
from workshop.molecules import TanimotoIndex
from workshop.paths import DATA

MOLECULES = DATA / "molecules"
NEIGHBOURS = 5  # that vote; odd, so that no vote is a tie

# Ends (and one beginning) of names that the WHO gives to drugs of one kind, and what kind it is
STEMS = {
    "-azepam": "calm, like diazepam",
    "-olol": "slow the heart, like propranolol",
    "-oxacin": "kill bacteria, like ofloxacin",
    "-caine": "numb, like lidocaine",
    "-tidine": "lessen acid, like cimetidine",
    "-pril": "lower blood pressure, like captopril",
    "-triptan": "act against migraine, like sumatriptan",
    "-barbital": "bring sleep, like phenobarbital",
    "-setron": "act against sickness, like ondansetron",
    "-sartan": "lower blood pressure, like losartan",
    "-conazole": "kill fungi, like ketoconazole",
    "-cillin": "kill bacteria, like ampicillin",
    "cef-": "kill bacteria, like cefuroxime",
}


# They end as a kind does and are none of it, or their structure in B3DB is another drug's.
NOT_OF_KIND = {"stanozolol", "famotidine", "2',3'-dideoxy-3'-hydroxymethylcytidine"}


@dataclass(frozen=True)
class Drug:
    """One structure of B3DB.

    smiles    of the standardised molecule, as RDKit writes it
    name      in small letters, or empty
    passes    whether it passes from the blood into the brain (BBB+)
    scaffold  its rings and what joins them, as SMILES; empty if it has no ring
    rows      how many rows of B3DB are this structure: salts, stereo forms, repetitions
    """

    smiles: str
    name: str
    passes: bool
    scaffold: str
    rows: int

    @property
    def mol(self) -> Chem.Mol:
        """RDKit's molecule."""
        return Chem.MolFromSmiles(self.smiles)

    @property
    def label(self) -> str:
        """BBB+ or BBB−."""
        return "BBB+" if self.passes else "BBB−"


def drugs() -> list[Drug]:
    """The structures of B3DB, by their SMILES; those with both labels are left out.

    Raises WorkshopError when a file is missing or altered.
    """
    return [
        Drug(row["smiles"], row["name"], row["label"] == "BBB+", row["scaffold"], int(row["rows"]))
        for row in _table("drugs.csv.gz")
    ]


class RawRow(NamedTuple):
    """One row of B3DB as its makers wrote it, and which structure it is.

    number     of the row in B3DB, from 1
    passes     its label: whether it passes into the brain
    structure  SMILES of the standardised molecule
    """

    number: int
    passes: bool
    structure: str


def raw_rows() -> list[RawRow]:
    """All rows of B3DB in their order, repetitions, stereo forms and contradictions too."""
    return [
        RawRow(int(row["number"]), row["label"] == "BBB+", row["structure"])
        for row in _table("rows.csv.gz")
    ]


@cache
def _table(name: str) -> tuple[dict[str, str], ...]:
    mend = "Put the committed files back with: git checkout -- data/molecules"
    try:
        known = json.loads((MOLECULES / "molecules.json").read_text(encoding="utf-8"))["files"]
        content = (MOLECULES / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != known[name]["sha256"]:
            raise WorkshopError(f"{MOLECULES / name} is altered. {mend}")
        text = gzip.decompress(content).decode("utf-8")
        return tuple(csv.DictReader(io.StringIO(text)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkshopError(f"Cannot read {MOLECULES} ({error}). {mend}") from error


# ------------------------------------------------------------------------------ splits


class Split(NamedTuple):
    """Rows to learn from and rows to test with, (n,) and (m,) int."""

    train: np.ndarray
    test: np.ndarray


def folds(groups: Sequence[str] | Sequence[int], count: int = 5, seed: int = 0) -> list[Split]:
    """Cross-validation: `count` splits of n rows, so that each row is tested once.

    groups  (n,) which group a row is of; no group is on both sides of a split. With `range(n)` each row is
            a group of its own, and the split is random

    Groups come in a random order, and each fold takes its share of the rows.
    """
    single, rows = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(single))
    before = np.zeros(len(single), int)  # rows that come in the groups before
    sizes = np.bincount(rows)[order]
    before[order] = np.cumsum(sizes) - sizes
    fold = (before * count // len(rows))[rows]
    return [Split(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(count)]


# ------------------------------------------------------------------------------ told by neighbours


def vote(scores: np.ndarray, labels: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """What most of the k most similar say: (q,) bool.

    scores  (q, n) similarity of each query to each row, larger is more alike
    labels  (n,) bool
    """
    near = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return labels[near].mean(axis=1) > 0.5


def by_bits(bits: np.ndarray, split: Split) -> np.ndarray:
    """Tanimoto of each test row with each train row, (m, n), of bits for all rows."""
    return TanimotoIndex(bits[split.train]).scores(bits[split.test])


def by_numbers(numbers: np.ndarray, split: Split) -> np.ndarray:
    """Minus the distance of each test row to each train row, (m, n), of a few numbers for all rows.

    Each column is first brought to mean 0 and deviation 1, as the train rows have it.
    """
    train = numbers[split.train]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return -cdist((numbers[split.test] - mean) / deviation, (train - mean) / deviation)


def mcc(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Matthews's correlation of two yes-or-no columns: 1 always right, 0 no better than chance."""
    return float(matthews_corrcoef(truth, predicted))


def mcc_interval(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """`mcc`, and the interval in which it lies for 95 % of 1,000 draws of so many rows: (mcc, low, high)."""
    pairs = (
        2 * truth.astype(int) + predicted
    )  # 0: rightly no, 1: wrongly yes, 2: wrongly no, 3: rightly yes
    shares = np.bincount(pairs, minlength=4) / len(pairs)
    no, wrong_yes, wrong_no, yes = np.random.default_rng(0).multinomial(len(pairs), shares, 1000).T
    product = (yes + wrong_yes) * (yes + wrong_no) * (no + wrong_yes) * (no + wrong_no)
    draws = (yes * no - wrong_yes * wrong_no) / np.sqrt(np.maximum(product, 1))
    low, high = np.quantile(draws, [0.025, 0.975])
    return mcc(predicted, truth), float(low), float(high)


class Told(NamedTuple):
    """What neighbours said of the tested rows of several splits: three arrays (q,), split after split.

    similarity  of the most similar known row
    said        bool
    truth       bool
    """

    similarity: np.ndarray
    said: np.ndarray
    truth: np.ndarray


def told(
    scores_of: Callable[[Split], np.ndarray],
    labels: np.ndarray,
    splits: Sequence[Split],
    k: int = NEIGHBOURS,
) -> Told:
    """Let the k most similar known rows vote on each tested row of each split.

    scores_of  gives for a split the similarity (m, n) of its tested rows to its known ones
    labels     (r,) bool of all rows
    """
    found = []
    for split in splits:
        scores = scores_of(split)
        said = vote(scores, labels[split.train], k)
        found.append((scores.max(axis=1), said, labels[split.test]))
    return Told(*map(np.concatenate, zip(*found, strict=True)))


# ------------------------------------------------------------------------------ pairs and stems


def similar_pairs(bits: np.ndarray, threshold: float) -> np.ndarray:
    """All pairs of rows whose Tanimoto is at least `threshold`: (p, 2) int, the smaller row first."""
    index, found = TanimotoIndex(bits), []
    for row in range(0, len(bits), 500):  # a square of all rows would take much memory
        scores = np.triu(index.scores(bits[row : row + 500]), k=row + 1)
        one, other = np.nonzero(scores >= threshold)
        found.append(np.column_stack([one + row, other]))
    return np.concatenate(found)


def has_stem(name: str, stem: str) -> bool:
    """Whether a name ends, or begins, with a stem such as "-azepam" or "cef-", and means that kind."""
    if name in NOT_OF_KIND:
        return False
    bare = stem.strip("-")
    return any(
        word.endswith(bare) if stem.startswith("-") else word.startswith(bare)
        for word in name.split()
    )


class Screening(NamedTuple):
    """How early a ranking brings what is wanted.

    enrichment  EF1 %: how many times as many of the wanted are in the first hundredth as by chance
    bedroc      BEDROC with alpha 20 (Truchon & Bayly 2007), 0 to 1: the first places count most
    """

    enrichment: float
    bedroc: float


def screen(scores: np.ndarray, wanted: np.ndarray) -> Screening:
    """EF1 % and BEDROC of a ranking by score, as RDKit computes them.

    scores  (n,) of each row; of equal ones the first row comes first
    wanted  (n,) bool
    """
    order = np.argsort(-scores, kind="stable")
    ranked = [(bool(is_wanted),) for is_wanted in wanted[order]]
    (enrichment,) = Scoring.CalcEnrichment(ranked, 0, [0.01])
    return Screening(float(enrichment), float(Scoring.CalcBEDROC(ranked, 0, 20.0)))
