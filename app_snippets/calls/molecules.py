"""What molecules alone need: reading them, their drawing, and all that are at least so similar."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import chain, islice
from typing import Annotated, Generic, TypeVar

import numpy as np
from fastapi import FastAPI, Query, Response
from pydantic import BaseModel

from app_snippets.service.encoder import Asked, BadRow, Entries
from app_snippets.service.items import unknown
from app_snippets.service.jobs import Source
from app_snippets.service.models import Hit, ItemId, Payload
from app_snippets.service.names import Category, like_a_category
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running
from app_snippets.service.searches import like
from app_snippets.service.settings import ServiceSettings
from app_snippets.service.store import MAX_HITS, Found
from app_snippets.service.texts import NamedTexts, limited
from workshop import decoding, molecules
from workshop.errors import WorkshopError

P = TypeVar("P", bound=Payload)
SVG = "image/svg+xml"
# RDKit writes no script into a drawing; were there one, no browser would run it.
DRAWING = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600",
}
Bits = StrEnum("Bits", ["morgan", "maccs"])  # fingerprints that have a Tanimoto


class MoleculeTexts(NamedTexts):
    """Texts that are SMILES; files of molecules are read in processes that can be ended."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.files = decoding.FileReader(
            "workshop.molecules:read_many",
            settings.max_decodes,
            options={"max_atoms": settings.max_atoms},
            max_seconds=settings.max_decode_seconds,
            max_bytes=settings.max_decode_bytes,
            kind="molecules",
            program="a program for molecules",
        )
        self.close = self.files.close

    def checked(self, text: str, name: str) -> str:
        """The SMILES as RDKit writes it, without salt and stereo."""
        super().checked(text, name)
        return molecules.canonical(molecules.read(text.strip(), name, self.settings.max_atoms))

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> str:
        """The one molecule of a file, to search by."""
        rows = list(islice(self.files.stream(content, name, stopped), 2))
        if len(rows) != 1:
            many = "several molecules" if rows else "no molecule"
            raise WorkshopError(f"{name} has {many}. Search with a file of one.")
        if rows[0]["reason"]:
            raise WorkshopError(f"{name}: {rows[0]['reason']}")
        return rows[0]["smiles"]

    def entries(self, source: Source, stopped: Callable[[], bool]) -> Entries:
        """The molecules of a file, or the one of a request."""
        if source.path is None:
            yield from super().entries(source, stopped)
            return
        read = self.files.stream(source.path.read_bytes(), source.name, stopped)
        rows = limited(read, self.settings.max_rows, source.name)
        first = list(islice(rows, 2))
        if len(first) == 1 and first[0]["reason"]:
            raise WorkshopError(f"{source.name}: {first[0]['reason']}")
        for row in chain(first, rows):
            name = row["name"] or (source.name if len(first) == 1 else row["smiles"])
            try:
                if row["reason"]:
                    raise ValueError(row["reason"].rstrip("."))
                if len(row["category"]) > 64:
                    raise ValueError("its category has more than 64 characters")
                category = _category(row["category"] or source.category)
                yield self.entry(row["smiles"], name, category, source.about)
            except ValueError as error:
                yield BadRow(row["number"], f"{error}")

    def meant(self, asked: Asked) -> tuple[str | None, str | None]:
        """The SMILES of the molecule asked for, or None; and why a text is none."""
        # names have spaces, and a SMILES has none
        if asked.text is not None and (asked.mode == self.names or len(asked.text.split()) > 1):
            return None, None
        return super().meant(asked)


def _category(text: str) -> str:
    try:
        return like_a_category(text)
    except ValueError as error:
        raise ValueError(f"its category {text!r} does not fit: {error}") from None


class Similar(BaseModel, Generic[P]):
    """Every item that is at least so similar, most similar first."""

    hits: list[Hit[P]]
    complete: bool  # false when Milvus gave as many candidates as it gives at most


def exact(found: Sequence[Found], count: int, space: str) -> list[Found]:
    """Hits of a search by cosine, by exact Tanimoto instead; of equal ones the smaller id first.

    count   bits of the molecule searched by; payloads say how many the hits have, in that space
    """
    scored = [
        replace(
            hit,
            score=float(molecules.tanimoto_from_cosine(hit.score, count, hit.payload[space])),
        )
        for hit in found
    ]
    return sorted(scored, key=lambda hit: (-hit.score, hit.id))


def add_molecule_calls(app: FastAPI, payload: type[Payload]) -> None:
    """`/items/{id}/drawing` and `/items/{id}/similar`."""

    @app.get(
        "/items/{item_id}/drawing",
        tags=["items"],
        response_class=Response,
        responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}, **documented(404, 422)},
    )
    def drawing(
        item_id: ItemId,
        service: Running,
        like: Annotated[str | None, Query(max_length=molecules.MAX_LENGTH)] = None,
    ) -> Response:
        """The molecule as SVG; in orange what it shares with `like`, the SMILES of another."""
        about = service.store.payload(item_id)
        if about is None:
            raise unknown(item_id)
        mol = molecules.Chem.MolFromSmiles(about["text"])
        try:
            other = molecules.read(like, "like") if like else None
        except WorkshopError as error:
            raise ProblemError(422, f"{error}") from error
        lit = molecules.shared_atoms(mol, other) if other else ()
        return Response(molecules.draw(mol, lit), media_type=SVG, headers=DRAWING)

    @app.get(
        "/items/{item_id}/similar",
        tags=["search"],
        response_model=Similar[payload],
        responses=documented(404, 422),
    )
    def similar(
        item_id: ItemId,
        service: Running,
        at_least: Annotated[float, Query(ge=0.2, le=1)] = 0.5,
        mode: Annotated[Bits, Query()] = Bits.morgan,
        category: Annotated[Category | None, Query()] = None,
    ) -> Similar:
        """All items whose Tanimoto with this one is `at_least` or more; none is lost.

        Milvus gives every item within the cosine that such a Tanimoto implies; exact ones are chosen.
        """
        vector = like(service, [item_id], [], mode)["likes"][0]
        near = service.store.search(
            mode, vector, MAX_HITS, category, (item_id,), molecules.radius(at_least)
        )
        hits = [
            Hit[payload](id=hit.id, score=hit.score, payload=hit.payload)
            for hit in exact(near, np.count_nonzero(vector), mode)
            if hit.score >= at_least
        ]
        return Similar[payload](hits=hits, complete=len(near) < MAX_HITS - 1)
