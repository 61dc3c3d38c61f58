"""Says what a gene resists, by its nearest neighbours: `uvicorn app_snippets.dna_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from app_snippets.calls.classifying import add_classify
from app_snippets.service.texts import Rows, decoded
from workshop import dna
from workshop.errors import WorkshopError
from workshop.retrieval import NAME_DIM, name_vector

PIECE = 64  # genes of one sample: fifty pieces, so that a load can be watched and stopped


class Settings(service.ServiceSettings):
    """Read from variables such as `DNA_SEARCH_MAX_FILES`."""

    model_config = SettingsConfigDict(env_prefix="DNA_SEARCH_")
    name: service.ServiceName = "dna_search"
    max_item_text: int = Field(dna.MAX_LENGTH, gt=0, le=dna.MAX_LENGTH)  # bases, and gaps
    at_least: float = Field(0.4, ge=-1, le=1)  # cosine of the nearest gene; below it: "unknown"


class Gene(service.TextPayload):
    """A sequence: `text` has its letters A, C, G, T and N. Its category is the class that it resists."""

    family: str = ""
    length: int = 0


By = StrEnum("By", ["protein", "letters"])  # what sequences are compared by


@cache
def means() -> dict[str, np.ndarray]:
    """The mean vectors of the course's genes, which are taken away from every vector."""
    texts = [gene.sequence for gene in dna.genes()]
    return {"letters": dna.letters(texts).mean(axis=0), "protein": dna.proteins(texts).mean(axis=0)}


class Kmers(service.NamedTexts):
    """A sequence by its k-mers: of the translated protein, and of the letters; and by its name."""

    name = "2-mers of the protein and 5-mers of the letters, centred"
    spaces: Mapping[str, int] = {
        "letters": dna.LETTERS_DIM,
        "protein": dna.PROTEIN_DIM,
        "names": NAME_DIM,
    }
    optional = ("protein",)
    names = "names"
    modes = By
    columns = ("family",)

    def checked(self, text: str, name: str) -> str:
        """The letters of a sequence."""
        letters = dna.clean(text, name, self.settings.max_item_text)
        if not dna.kmer_counts(letters, dna.K).any():
            raise WorkshopError(f"{name} is too short: give at least {dna.K} known bases in a row.")
        return letters

    def rows(self, text: str, name: str) -> Rows:
        """The records of a FASTA file, or the rows of a table."""
        if not text.lstrip().startswith(">"):
            yield from super().rows(text, name)
            return
        for record in dna.read_fasta(text):
            yield record.line, {"text": record.text, "name": record.name or name}

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> str:
        """The one sequence of a file, to search by."""
        found = list(dna.read_fasta(decoded(content, name)))
        if len(found) > 1:
            raise WorkshopError(f"{name} has {len(found):,} sequences. Search with one of them.")
        return self.checked(found[0].text, name)

    def entry(
        self, text: str, name: str, category: str, about: Any, id: str | None = None
    ) -> service.Entry:
        """A sequence and its length; its vector needs its name as well."""
        made = super().entry(text, name, category, {**about, "length": len(text)}, id)
        return service.Entry((text, made.name), made.name, category, made.id, made.about)

    def encode(self, items: Sequence[tuple[str, str]]) -> Mapping[str, service.Vectors]:
        """letters (n, 512), protein (400,) or None for each, and names (n, 512)."""
        texts = [text for text, _ in items]
        letters = dna.unit(dna.letters(texts) - means()["letters"])
        counts = [dna.protein_counts(dna.translate(text)) for text in texts]
        protein = [dna.unit(dna.roots(c) - means()["protein"]) if c.any() else None for c in counts]
        return {
            "letters": letters,
            "protein": protein,
            "names": np.array([name_vector(n) for _, n in items]),
        }

    def compared(self, mode: By | None) -> str:
        """The space of the mode."""
        return str(mode or By.protein)

    def samples(self) -> Iterator[service.Source]:
        """The 3,182 resistance genes, in pieces."""
        genes = dna.genes()
        for piece in (genes[first : first + PIECE] for first in range(0, len(genes), PIECE)):
            yield service.Source(None, f"{piece[0].name} and more", piece[0].kind, content=piece)

    def entries(self, source: service.Source, stopped: Callable[[], bool]) -> service.Entries:
        """The genes of a piece, or what was sent."""
        if not isinstance(source.content, tuple):
            yield from super().entries(source, stopped)
            return
        for gene in source.content:
            unique = uuid5(NAMESPACE_URL, f"resfinder/{gene.name}").hex
            yield self.entry(gene.sequence, gene.name, gene.kind, {"family": gene.family}, unique)


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return service.create_service(
        settings,
        title="DNA search",
        description="Finds genes that are like a sequence, and says which antibiotics they resist. Scores are cosines.",
        encoder=Kmers,
        payload=Gene,
        page="dna_search.html",
        calls=partial(add_classify, payload=Gene, modes=By),
    )


app = create_app(Settings())
