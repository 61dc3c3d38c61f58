"""Pictures of chapter 15: molecules and what they share, and what a similarity is worth."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from rdkit import Chem

from workshop import molecules
from workshop.drugs import Drug
from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, MARKERS, Picture, count, done, gallery, hits

SIDE = 300  # pixels of a drawing, before it is made as small as its place


def molecule(mol: Chem.Mol, name: str, size: float = 2.0) -> Picture:
    """One molecule, its name underneath.

    size  width and height in inches of 100 pixels
    """
    drawn = molecules.picture(mol, width=SIDE, height=SIDE)
    atoms = mol.GetNumAtoms()
    return gallery(
        [drawn], [name], columns=1, size=size, alt=f"A drawing of {name}, which has {atoms} atoms."
    )


def surroundings(mol: Chem.Mol, atom: int, bonds: Sequence[int] = (0, 1, 2)) -> Picture:
    """One molecule several times, with what lies around one atom in orange, wider and wider.

    atom   its number in the molecule
    bonds  how many bonds wide
    """
    around = [molecules.around(mol, atom, wide) for wide in bonds]
    drawn = [molecules.picture(mol, lit, width=SIDE, height=SIDE) for lit in around]
    titles = [f"{wide} bonds" if wide != 1 else "1 bond" for wide in bonds]
    said = ", ".join(
        f"{t}: {count(len(lit), 'atom')}" for t, lit in zip(titles, around, strict=True)
    )
    alt = (
        f"The same molecule {len(bonds)} times, with the surrounding of one atom in orange. {said}."
    )
    return gallery(drawn, titles, columns=len(bonds), size=2.1, alt=alt)


def similar_molecules(
    query: Chem.Mol, found: Sequence[Chem.Mol], scores: Sequence[float], names: Sequence[str]
) -> Picture:
    """A molecule, and what was found for it, best first; what each shares with it is orange.

    scores  and
    names   of what was found
    """
    drawn = [
        molecules.picture(mol, molecules.shared_atoms(mol, query), width=SIDE, height=SIDE)
        for mol in found
    ]
    own = molecules.picture(query, width=SIDE, height=SIDE)
    picture = hits(own, drawn, scores, names, columns=3, size=1.9)
    shares = [len(molecules.shared_atoms(mol, query)) / mol.GetNumAtoms() for mol in found]
    said = ", ".join(
        f"{name} (Tanimoto {score:.2f}, {share:.0%} of its atoms are orange)"
        for name, score, share in zip(names, scores, shares, strict=True)
    )
    picture.alt = f"The query is a molecule. Found, best first: {said or 'nothing'}."
    return picture


def similar_drugs(every: Sequence[Drug], name: str, k: int = 5) -> Picture:
    """`similar_molecules` for one of the drugs, and the k others that are most like it (Morgan, Tanimoto).

    name  of the drug; raises WorkshopError if none has it
    """
    names = [drug.name for drug in every]
    if name not in names:
        raise WorkshopError(
            f"No drug is called {name!r}. Names are in small letters, as in 'diazepam'."
        )
    bits = molecules.morgan(drug.mol for drug in every)
    query = names.index(name)
    scores = molecules.tanimoto(bits[query], bits)
    scores[query] = -1
    best = molecules.nearest(scores, k)
    shown = [names[row] or "(no name)" for row in best]
    return similar_molecules(
        every[query].mol, [every[row].mol for row in best], scores[best], shown
    )


def random_pairs(scores: Mapping[str, np.ndarray]) -> Picture:
    """How alike two molecules are that were drawn at random: a histogram for each fingerprint.

    scores  fingerprint -> (p,) Tanimoto of pairs; a dashed line has 95 of 100 pairs at its left
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    bins = np.linspace(0, 1, 51)
    said = []
    for (name, values), colour in zip(scores.items(), COLOURS, strict=False):
        axis.hist(values, bins, color=colour, alpha=0.55, label=name)
        limit = float(np.quantile(values, 0.95))
        axis.axvline(limit, color=colour, linestyle="--")
        said.append(f"{name} has its middle at {np.median(values):.2f}, 95 % below {limit:.2f}")
    axis.set(xlabel="Tanimoto similarity", ylabel="pairs of drugs", xlim=(0, 1))
    axis.legend()
    return done(figure, f"Histograms of the similarity of random pairs: {'; '.join(said)}.")


def by_similarity(
    bins: Sequence[str],
    values: Mapping[str, Sequence[tuple[float, float, float]]],
    counts: Sequence[int],
) -> Picture:
    """How well each way of telling does, by how alike the most similar molecule is.

    bins    (b,) names of ranges of similarity
    values  way -> (b,) Matthews's correlation with its interval: (value, low, high)
    counts  (b,) how many molecules each range has
    """
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    said = []
    for number, (name, row) in enumerate(values.items()):
        value, low, high = np.array(row).T
        places = np.arange(len(bins)) + 0.06 * (number - (len(values) - 1) / 2)
        bars = np.abs(np.array([value - low, high - value]))
        axis.errorbar(places, value, bars, marker=MARKERS[number], capsize=3, label=name)
        rows = zip(bins, row, strict=True)
        said.append(
            f"{name}: " + ", ".join(f"{b} {v:.2f} ({a:.2f} to {z:.2f})" for b, (v, a, z) in rows)
        )
    ticks = [f"{name}\n{number:,}" for name, number in zip(bins, counts, strict=True)]
    axis.set_xticks(range(len(bins)), ticks)
    axis.set(xlabel="Tanimoto of the nearest neighbour, and drugs tested", ylabel="MCC")
    lowest = min(low for row in values.values() for _, low, _ in row)
    axis.set_ylim(min(0.0, lowest), 1)
    axis.legend()
    return done(
        figure,
        f"MCC by the similarity of the nearest neighbour, with intervals. {'; '.join(said)}.",
    )
