"""DNA as vectors: reading sequences, counting k-mers, translating, voting and aligning.

A sequence is a str of the letters A, C, G, T and N (unknown). Its reverse complement says the same
on the other strand, so k-mers are counted in their canonical form: of the two the smaller one.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from Bio.Align import PairwiseAligner
from Bio.Seq import Seq
from Bio.SeqIO.FastaIO import SimpleFastaParser

from workshop.errors import TooLarge, WorkshopError
from workshop.paths import DATA
from workshop.retrieval import unit

BASES = "ACGT"
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
# What stands for more than one base (IUPAC 1970), and X, which programs write for what they hid.
AMBIGUOUS = "RYSWKMBDHVNX"
GAP = "[ \\t\\r\\n.*0-9-]"  # also the numbers that GenBank writes before lines
MAX_LENGTH = 20_000  # bases of one sequence
K = 5  # of the letters
PROTEIN_K = 2  # of the translated protein
LETTERS_DIM, PROTEIN_DIM = 4**K // 2, 20**PROTEIN_K  # for an odd K half of the k-mers are canonical
# What `clean` takes and `kmer_counts` finds a k-mer in.
_KNOWN, _ANY = "[ACGTUacgtu]", f"[ACGTU{AMBIGUOUS}Nacgtu{AMBIGUOUS.lower()}n \\t\\r\\n.*0-9-]"
PATTERN = f"^{_ANY}*" + f"{_KNOWN}{GAP}*" * K + f"{_ANY}*$"
ALIGNED = 5_000  # bases of a sequence that is aligned, at most

_BASE = np.full(256, -1, np.int64)
_BASE[[ord(base) for base in BASES]] = range(4)
_AMINO = np.full(256, -1, np.int64)
_AMINO[[ord(letter) for letter in AMINO_ACIDS]] = range(20)
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@dataclass(frozen=True)
class Gene:
    """A resistance gene of ResFinder.

    name      as ResFinder writes it, such as "blaTEM-1B_1_AY458016"
    kind      class of antibiotics that it resists, such as "beta-lactam"
    family    what genes of one name have in common, such as "blaTEM"
    cluster   number of the group of genes that share 12-mers (see tools/build_dna.py)
    sequence  its letters
    """

    name: str
    kind: str
    family: str
    cluster: int
    sequence: str


@cache
def genes() -> tuple[Gene, ...]:
    """The 3,182 genes of 12 classes that the course ships, in the order of their file."""
    with gzip.open(DATA / "dna" / "genes.fasta.gz", "rt", encoding="ascii") as file:
        found = []
        for title, sequence in SimpleFastaParser(file):
            name, kind, family, cluster = title.split("\t")
            found.append(Gene(name, kind, family, int(cluster), sequence))
    return tuple(found)


# --------------------------------------------------------------------------------------- reading


def clean(text: str, name: str = "The sequence", longest: int = MAX_LENGTH) -> str:
    """A sequence as people paste it, as letters A, C, G, T and N.

    Small letters, RNA, gaps, spaces and numbers of lines are taken; what may be several bases is N.
    Raises WorkshopError for what is no DNA, and TooLarge.
    """
    letters = re.sub(GAP, "", text).upper().replace("U", "T")
    if not letters:
        raise WorkshopError(f"{name} is empty: there is no base in it.")
    other = sorted(set(letters) - set(BASES) - set(AMBIGUOUS))
    if other and set(other) <= set(AMINO_ACIDS):
        raise WorkshopError(
            f"{name} looks like a protein: {', '.join(other)} stand for amino acids. Give the DNA "
            "that it was translated from."
        )
    if other:
        raise WorkshopError(
            f"{name} is no DNA: {', '.join(other[:5])} stand for no base. Give A, C, G, T and N."
        )
    if len(letters) > longest:
        raise TooLarge(
            f"{name} has {len(letters):,} bases, and the most here is {longest:,}. Give a gene or a "
            "part of it."
        )
    if not set(letters) & set(BASES):
        raise WorkshopError(f"{name} has no base that is known: all of it is N.")
    return re.sub(f"[{AMBIGUOUS}]", "N", letters)


@dataclass(frozen=True)
class Record:
    """A sequence in a FASTA file: the line of its title from 1, its name, and its letters as written."""

    line: int
    name: str
    text: str


def read_fasta(text: str) -> Iterator[Record]:
    """The records of a FASTA file, as they are written: `clean` says whether one is DNA.

    Text without a line that begins with ">" is one sequence without a name.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    titles = [number for number, line in enumerate(lines, start=1) if line.startswith(">")]
    if not titles:
        yield Record(1, "", text)
        return
    if before := "".join(lines[: titles[0] - 1]).strip():
        yield Record(1, "", before)
    records = SimpleFastaParser(iter(f"{line}\n" for line in lines[titles[0] - 1 :]))
    for number, (title, letters) in zip(titles, records, strict=True):
        yield Record(number, title.strip(), letters)


# ------------------------------------------------------------------------------------- k-mers


def reverse_complement(sequence: str) -> str:
    """The other strand, read in its own direction."""
    return sequence.translate(_COMPLEMENT)[::-1]


def kmer_counts(sequence: str, k: int, canonical: bool = True) -> np.ndarray:
    """How often each k-mer comes, shape (4**k,): A before C before G before T.

    A k-mer with N in it is not counted. With `canonical` a k-mer and its reverse complement are
    counted at the place of the smaller one.
    """
    codes = _BASE[np.frombuffer(sequence.encode("ascii"), np.uint8)]
    count = max(len(codes) - k + 1, 0)
    forward, backward = np.zeros(count, np.int64), np.zeros(count, np.int64)
    known = np.ones(count, bool)
    for place in range(k):
        part = codes[place : place + count]
        known &= part >= 0
        forward = 4 * forward + part
        backward += (3 - part) * 4**place
    smaller = np.minimum(forward, backward) if canonical else forward
    return np.bincount(smaller[known], minlength=4**k)


def translate(sequence: str) -> str:
    """The longest stretch of amino acids without a stop, over the six reading frames.

    Of equally long ones the first: three frames of the strand as given, then three of the other.
    """
    found = ""
    for strand in (sequence, reverse_complement(sequence)):
        for start in range(3):
            end = len(strand) - (len(strand) - start) % 3
            for part in str(Seq(strand[start:end]).translate()).split("*"):
                found = max(found, part, key=len)
    return found


def protein_counts(protein: str, k: int = PROTEIN_K) -> np.ndarray:
    """How often each k-mer of amino acids comes, shape (20**k,); one with X in it is not counted."""
    codes = _AMINO[np.frombuffer(protein.encode("ascii"), np.uint8)]
    count = max(len(codes) - k + 1, 0)
    place, known = np.zeros(count, np.int64), np.ones(count, bool)
    for start in range(k):
        part = codes[start : start + count]
        known &= part >= 0
        place = 20 * place + part
    return np.bincount(place[known], minlength=20**k)


def roots(counts: np.ndarray) -> np.ndarray:
    """The roots of the frequencies, float32, of counts (n, d): so that common k-mers do not drown the rest.

    Their inner product is the Bhattacharyya coefficient of two distributions. Rows of zeros stay so.
    """
    frequencies = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.sqrt(frequencies).astype(np.float32)


@cache
def _canonical(k: int) -> np.ndarray:
    """The places of the canonical k-mers among all."""
    forward, backward = np.arange(4**k), np.zeros(4**k, np.int64)
    for place in range(k):
        backward += (3 - forward // 4**place % 4) * 4 ** (k - 1 - place)
    return np.flatnonzero(forward <= backward)


def letters(sequences: Sequence[str], k: int = K) -> np.ndarray:
    """Roots of the frequencies of canonical k-mers, a column for each: (n, 512) for k = 5."""
    places = _canonical(k)
    return roots(np.array([kmer_counts(sequence, k)[places] for sequence in sequences]))


def proteins(sequences: Sequence[str], k: int = PROTEIN_K) -> np.ndarray:
    """Roots of the frequencies of k-mers of the translated protein, shape (n, 20**k)."""
    return roots(np.array([protein_counts(translate(sequence), k) for sequence in sequences]))


# --------------------------------------------------------------------------------- classifying


def folds(labels: Sequence[str], groups: Sequence[object] | None = None) -> np.ndarray:
    """A number 0 to 4 for each gene, shape (n,): its part in a test of five parts.

    Without groups the parts are random, with the same share of each label. With groups all genes of
    a group are in one part.
    """
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    if groups is None:
        parts = StratifiedKFold(5, shuffle=True, random_state=0).split(labels, labels)
    else:
        parts = GroupKFold(5).split(labels, labels, groups)
    numbers = np.empty(len(labels), int)
    for number, (_, tested) in enumerate(parts):
        numbers[tested] = number
    return numbers


def linked(*groupings: Sequence[object]) -> list[int]:
    """A number for each gene: those that share a group in any of the groupings, or are linked so, have the same."""
    rows, columns, width = [], [], len(groupings[0])
    for groups in groupings:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        rows.append(np.arange(len(groups)))
        columns.append(group + width)
        width += group.max() + 1
    numbers = components(np.concatenate(rows), np.concatenate(columns), width)
    return numbers[: len(groupings[0])].tolist()


def components(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """A number for each of `count` things, (count,): those that pairs link have the same; both (pairs,) int."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = coo_matrix((np.ones(len(one)), (one, other)), (count, count))
    return connected_components(pairs, directed=False)[1]


def neighbours(
    vectors: np.ndarray, part: np.ndarray, k: int, centred: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """For each gene the k nearest ones in the other parts, nearest first: rows and cosines, both (n, k).

    vectors  (n, d)
    part     (n,), as `folds` gives it
    centred  whether the mean of the other parts is taken away before
    """
    rows = np.empty((len(vectors), k), int)
    cosines = np.empty((len(vectors), k), np.float32)
    for number in np.unique(part):
        tested, others = np.flatnonzero(part == number), np.flatnonzero(part != number)
        mean = vectors[others].mean(axis=0) if centred else 0
        products = unit(vectors[tested] - mean) @ unit(vectors[others] - mean).T
        best = np.argsort(-products, axis=1, kind="stable")[:, :k]
        rows[tested], cosines[tested] = others[best], np.take_along_axis(products, best, axis=1)
    return rows, cosines


def nearest(
    vectors: np.ndarray, part: np.ndarray, centred: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """For each gene the nearest one in the other parts, and its cosine: both (n,); see `neighbours`."""
    rows, cosines = neighbours(vectors, part, 1, centred)
    return rows[:, 0], cosines[:, 0]


def macro_f1(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """The mean over the classes of 2 hits / (predicted + true): each class counts the same."""
    truth, predicted = np.asarray(truth, str), np.asarray(predicted, str)
    scores = []
    for label in np.unique(truth):
        hits = np.sum((truth == label) & (predicted == label))
        scores.append(2 * hits / (np.sum(truth == label) + np.sum(predicted == label)))
    return float(np.mean(scores))


def between(
    truth: Sequence[str], one: Sequence[str], other: Sequence[str], groups: Sequence[object]
):
    """macro-F1 of `one` minus that of `other`, with the interval in which 95 % of 500 resamples lie.

    Whole groups are drawn again, since genes of one group go right or wrong together.
    Returns (difference, low, high).
    """
    truth, one, other = (np.asarray(labels, str) for labels in (truth, one, other))
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    random = np.random.default_rng(0)
    differences = []
    for _ in range(500):
        drawn = random.integers(0, len(members), len(members))
        rows = np.concatenate([members[number] for number in drawn])
        differences.append(macro_f1(truth[rows], one[rows]) - macro_f1(truth[rows], other[rows]))
    low, high = np.quantile(differences, [0.025, 0.975])
    return macro_f1(truth, one) - macro_f1(truth, other), float(low), float(high)


def vote(
    labels: Sequence[str], cosines: Sequence[float], at_least: float = 0.0
) -> tuple[str | None, dict[str, float]]:
    """The class of the neighbours, or None for "unknown", and what each class got, most first.

    labels    classes of the neighbours
    cosines   how near they are; a negative one counts as 0
    at_least  the nearest must have this cosine, or the answer is None

    Each neighbour gives its cosine to its class. Of equal sums the class of the nearer neighbour.
    """
    votes: dict[str, float] = {}
    for label, cosine in sorted(zip(labels, cosines, strict=True), key=lambda pair: -pair[1]):
        votes[label] = votes.get(label, 0.0) + max(float(cosine), 0.0)
    ordered = dict(sorted(votes.items(), key=lambda pair: -pair[1]))
    sure = len(cosines) > 0 and max(cosines) >= at_least and max(votes.values()) > 0
    return (next(iter(ordered)) if sure else None), ordered


# ------------------------------------------------------------------------------------ aligning


@dataclass(frozen=True)
class Alignment:
    """Two sequences, one above the other.

    first, second  letters and gaps ("-"), equally long
    start, end     of the first sequence: the bases that are shown, from 0
    reverse        whether the second is shown as its reverse complement
    identity       share of the columns in which both have the same letter
    """

    first: str
    second: str
    start: int
    end: int
    reverse: bool
    identity: float

    @property
    def marks(self) -> str:
        """A | where both have the same letter."""
        pairs = zip(self.first, self.second, strict=True)
        return "".join("|" if a == b else " " for a, b in pairs)


def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local", match_score=2, mismatch_score=-3)
    aligner.open_gap_score, aligner.extend_gap_score = -5, -2  # as BLAST's defaults for DNA
    return aligner


def align(first: str, second: str) -> Alignment | None:
    """The best local alignment (Smith and Waterman 1981) of first with second or its reverse complement.

    Only the first 5,000 bases of each are looked at. None if no base agrees.
    """
    first, second = first[:ALIGNED], second[:ALIGNED]
    aligner = _aligner()
    strands = {False: second, True: reverse_complement(second)}
    scores = {reverse: aligner.score(first, strand) for reverse, strand in strands.items()}
    reverse = scores[True] > scores[False]
    if scores[reverse] <= 0:
        return None
    best = aligner.align(first, strands[reverse])[0]
    above, below = best[0], best[1]
    same = sum(a == b for a, b in zip(above, below, strict=True))
    start, end = int(best.coordinates[0][0]), int(best.coordinates[0][-1])
    return Alignment(above, below, start, end, reverse, same / len(above))
