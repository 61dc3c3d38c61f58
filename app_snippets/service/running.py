"""A service while it runs: its encoder, its items and its jobs."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, Request

from app_snippets.service.encoder import Asked, BadRow, Encoder, Entry, Vector
from app_snippets.service.jobs import TOLD_ROWS, Jobs, Loaded, Source
from app_snippets.service.problems import ProblemError
from app_snippets.service.settings import ServiceSettings
from app_snippets.service.store import SPARSE, New, Store
from workshop.errors import Stopped, WorkshopError
from workshop.paths import home


class Service:
    """What a running service holds."""

    def __init__(self, settings: ServiceSettings, encoder: Encoder) -> None:
        own = next(iter(encoder.spaces))
        if encoder.spaces[own] == SPARSE:
            raise ValueError(
                f"The first space, {own!r}, must have a dimension: in it items are compared."
            )
        self.settings, self.encoder = settings, encoder
        self.turns = asyncio.Semaphore(settings.max_decodes)  # of searches by file
        with ExitStack() as opened:
            opened.callback(encoder.close)
            folder = home() / settings.name
            folder.mkdir(exist_ok=True)
            # The jobs first: their table keeps a second process out before it can touch an item.
            self.jobs = Jobs(folder, self.load, self.settle, settings.max_queued_jobs)
            opened.callback(self.jobs.close)
            self.store = Store(
                settings.name,
                folder,
                encoder.spaces,
                encoder.media_suffix,
                settings.milvus_timeout,
                encoder.changed if _listens(encoder) else None,
                encoder.optional,
            )
            encoder.kept = self.store.media
            self._opened = opened.pop_all()
        self._opened.callback(self.store.close)
        self.jobs.start()

    def close(self) -> None:
        """Stop what is being done and let go of everything."""
        self.jobs.close()  # before the store, which it writes to
        self._opened.close()

    def load(self, source: Source, stopped: Callable[[], bool]) -> Loaded:
        """Put in what a source holds, all of it or nothing.

        Raises WorkshopError if it cannot be read, and Stopped.
        """
        if source.id in self.store:  # a sample that is already here
            return Loaded()
        bad: list[BadRow] = []
        here = 0  # items that came in, or were in already

        def good() -> Iterator[Entry]:
            for entry in self.encoder.entries(source, stopped):
                if stopped():
                    raise Stopped
                if isinstance(entry, BadRow):
                    bad.append(entry)
                else:
                    yield entry

        entries = good()
        with self.store.adding() as put:
            while batch := list(islice(entries, self.encoder.batch)):
                here += len(batch)
                if new := [entry for entry in batch if entry.id not in self.store]:
                    put(self._encoded(new))
        if not here and not bad:
            raise WorkshopError(f"{source.name} holds nothing that could be taken in.")
        told = [(row.number, row.reason) for row in bad[:TOLD_ROWS]]
        if more := len(bad) - len(told):
            told.append((bad[TOLD_ROWS].number, f"and {more} more rows from here on are no items"))
        return Loaded(here, told)

    def _encoded(self, entries: Sequence[Entry]) -> list[New]:
        spaces = self.encoder.encode([entry.item for entry in entries])
        keeps = self.encoder.media_suffix is not None
        return [
            New(
                id=entry.id,
                payload={"name": entry.name, "category": entry.category, **entry.about},
                media=self.encoder.media(entry.item) if keeps else None,
                vectors={s: v[number] for s, v in spaces.items() if v[number] is not None},
            )
            for number, entry in enumerate(entries)
        ]

    def settle(self) -> None:
        """Make searches fast after a load."""
        self.store.settle()

    def search(self, asked: Asked, item: Callable[[], Any] | None = None) -> dict[str, Any]:
        """What is found for it, and what each step took.

        item   makes `asked.item`: decoding a file is a part of encoding it
        """
        start = time.perf_counter()
        if item:
            asked = Asked(item=item(), mode=asked.mode, limit=asked.limit, category=asked.category)
        queries = self._held(asked, self.encoder.query(asked))
        encoded = time.perf_counter()
        wanted = max(asked.limit, self.encoder.depth)
        but = (*asked.like_ids, *asked.unlike_ids)
        found = {
            space: self.store.search(space, vector, wanted, asked.category, but)
            for space, vector in queries.items()
        }
        searched = time.perf_counter()
        ranked = self.encoder.rank(asked, found)[: asked.limit]
        took = {"encode": encoded - start, "search": searched - encoded}
        if self.encoder.depth:
            took["rank"] = time.perf_counter() - searched
        return {
            "hits": [
                {"id": h.id, "score": h.score, "payload": h.payload, **h.more} for h in ranked
            ],
            "took_ms": {step: round(seconds * 1000, 2) for step, seconds in took.items()},
        }

    def _held(self, asked: Asked, queries: dict[str, Vector]) -> dict[str, Vector]:
        """Those in spaces that this Milvus has; all of them, as a rule."""
        held = {s: vector for s, vector in queries.items() if s not in self.store.lacks}
        if not held:
            raise ProblemError(
                422,
                f"The Milvus server here knows no sparse vectors, so there is no search with the "
                f"mode {asked.mode}. Choose another mode.",
            )
        return held


def _listens(encoder: Encoder) -> bool:
    """Whether it wants to know what comes in and goes: then each item is read at the start."""
    return type(encoder).changed is not Encoder.changed


async def _service(request: Request) -> Service:  # a plain def would cost a trip to a thread
    return request.app.state.service


Running = Annotated[Service, Depends(_service)]
