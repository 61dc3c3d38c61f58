"""Finds molecules that are like one: `uvicorn app_snippets.molecule_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from app_snippets.calls.molecules import MoleculeTexts, add_molecule_calls, exact
from app_snippets.service.names import shown_line
from workshop import drugs, molecules
from workshop.retrieval import NAME_DIM, name_vector, unit

PIECE = 64  # molecules of one sample: sixty pieces, so that a load can be watched and stopped


class Settings(service.ServiceSettings):
    """Read from variables such as `MOLECULE_SEARCH_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="MOLECULE_SEARCH_")
    name: service.ServiceName = "molecule_search"
    max_item_text: int = Field(molecules.MAX_LENGTH, gt=0, le=molecules.MAX_LENGTH)  # of a SMILES
    max_atoms: int = Field(molecules.MAX_ATOMS, gt=0, le=1_000)  # without hydrogens
    max_decode_seconds: float = Field(300.0, gt=0)  # a file of 50,000 rows takes minutes


class Molecule(service.TextPayload):
    """`text` is its SMILES, as RDKit writes it; morgan and maccs count the bits that it sets."""

    atoms: int = 0  # without hydrogens
    morgan: int = 0
    maccs: int = 0


class MoleculeHit(service.Hit):
    """By what it was found; what was asked, if that is a SMILES or a file; or why it is none."""

    by: str | None = None
    asked: str | None = None
    note: str | None = None


Hits = list[service.Found]
By = StrEnum("By", ["morgan", "maccs", "name"])  # what molecules are compared by


class Fingerprints(MoleculeTexts):
    """A molecule by the bits of two fingerprints, and by its name. An item has SMILES, name, bits."""

    name = "Morgan fingerprints of radius 2, MACCS keys, and letters of names"
    spaces: Mapping[str, int] = {
        "morgan": molecules.MORGAN_BITS,
        "maccs": molecules.MACCS_BITS,
        "name": NAME_DIM,
    }
    optional = ("maccs",)
    names = "name"
    modes = By
    depth = 200  # candidates by cosine, which are ranked by Tanimoto

    def entries(self, source: service.Source, stopped: Callable[[], bool]) -> service.Entries:
        """The drugs of a piece, or what was sent."""
        if not isinstance(source.content, list):
            yield from super().entries(source, stopped)
            return
        for drug in source.content:
            unique = uuid5(NAMESPACE_URL, f"b3db/{drug.smiles}").hex
            label = drug.label.replace("−", "-")
            yield self.entry(drug.smiles, drug.name, label, {}, unique)

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> service.Entry:
        """A molecule with its bits, and how many of them are set."""
        mol = molecules.Chem.MolFromSmiles(text)
        bits = {"morgan": molecules.morgan([mol])[0], "maccs": molecules.maccs([mol])[0]}
        counts = {kind: int(row.sum()) for kind, row in bits.items()}
        about = {**about, "atoms": mol.GetNumAtoms(), **counts}
        made = super().entry(text, shown_line(name) or text, category, about, id)
        return replace(made, item={**bits, "name": made.name})

    def encode(self, items: Sequence[Mapping[str, Any]]) -> Mapping[str, service.Vectors]:
        """morgan (n, 2048), maccs (166,) or None for each, name (n, 512)."""
        maccs = unit(np.array([item["maccs"] for item in items]))
        return {
            "morgan": unit(np.array([item["morgan"] for item in items])),
            "maccs": [row if row.any() else None for row in maccs],
            "name": np.array([name_vector(item["name"]) for item in items]),
        }

    def compared(self, mode: By | None) -> str:
        """The space of the mode."""
        return str(mode or By.morgan)

    def rank(self, asked: service.Asked, found: Mapping[str, Hits]) -> Hits:
        """By exact Tanimoto; names, and what is like several items, by cosine."""
        ((space, hits),) = found.items()
        smiles, note = self.meant(asked)
        if smiles is not None:
            hits = exact(hits, self.entry(smiles, "", "", {}).about[space], space)
        elif space != "name" and len(asked.like_ids) == 1 and not asked.unlike_ids:
            hits = exact(hits, np.count_nonzero(asked.likes), space)
        more = {"by": space, "asked": smiles, "note": note}
        return [replace(hit, more=more) for hit in hits]

    def samples(self) -> Iterator[service.Source]:
        """The 3,897 drugs of B3DB, in pieces."""
        known = drugs.drugs()
        for piece in (known[first : first + PIECE] for first in range(0, len(known), PIECE)):
            name = f"{piece[0].name or piece[0].smiles} and more"
            yield service.Source(None, name, "BBB+", content=piece)


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return service.create_service(
        settings,
        title="Molecule search",
        description="Finds drugs that are like a molecule. Scores are exact Tanimoto; by name, and for several items, cosines.",
        encoder=Fingerprints,
        payload=Molecule,
        hit=MoleculeHit,
        page="molecule_search.html",
        calls=partial(add_molecule_calls, payload=Molecule),
    )


app = create_app(Settings())
