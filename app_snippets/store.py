"""Items at rest: their vectors and payloads in Milvus, what they look like as files.

Milvus 2.3 servers take one vector field a collection, so each vector space of a service is a
collection of its own. An item is there when all of its parts are. It is written file first and
removed rows first, so whatever a killed process leaves is incomplete, and is removed at start.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from pymilvus import DataType, MilvusClient

from workshop import connect, wait_for_index

BATCH = 1_000
# Rows may be read in any order but must be read at once: what was written must be seen.
CONSISTENCY = "Strong"

log = logging.getLogger(__name__)
# An iterator first asks for a timestamp that Milvus Lite does not give, and works without. Both of
# its ends would log that as an error each time.
logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
logging.getLogger("grpc._server").addFilter(
    lambda record: "Method not implemented" not in record.getMessage()
)


@dataclass(frozen=True)
class Found:
    """A hit: larger scores are better, cosine in [-1, 1]."""

    id: str
    score: float
    payload: dict[str, Any]


class Store:
    """The items of one service.

    name      of the service; its place in Milvus is `workshop.connect(name)`
    folder    for media files; made if missing
    spaces    vector space to dimension; the first is the one in which items are compared
    suffix    of media files, such as ".webp"
    timeout   seconds that a call to Milvus may take

    Raises WorkshopError if Milvus cannot be opened. Every method may raise MilvusException.
    """

    def __init__(
        self, name: str, folder: Path, spaces: Mapping[str, int], suffix: str, timeout: float
    ) -> None:
        self._media, self._suffix, self._timeout = folder / "media", suffix, timeout
        self._media.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._client: MilvusClient = connect(name, fresh=False)
        # Several folders may share one Milvus server, so each has collections of its own.
        owner = folder / "owner"
        if not owner.exists():
            owner.write_text(uuid4().hex[:8])
        self._collections = {space: f"{space}_{owner.read_text()}" for space in spaces}
        self._own = next(iter(spaces))
        for space, dim in spaces.items():
            self._create(self._collections[space], dim)
        self._categories = self._reconcile()  # id to category, oldest first

    def _create(self, collection: str, dim: int) -> None:
        if self._client.has_collection(collection, timeout=self._timeout):
            return
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=32)
        schema.add_field("category", DataType.VARCHAR, max_length=256)
        schema.add_field("created_ns", DataType.INT64)
        schema.add_field("payload", DataType.JSON)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = self._client.prepare_index_params()
        index.add_index(
            "vector",
            index_type="HNSW",
            metric_type="COSINE",
            # Nested, or pymilvus 3.0 drops them without a word.
            params={"params": {"M": 16, "efConstruction": 200}},
        )
        self._client.create_collection(
            collection, schema=schema, index_params=index, consistency_level=CONSISTENCY
        )

    def _rows(self, space: str, *fields: str) -> Iterator[dict[str, Any]]:
        rows = self._client.query_iterator(
            self._collections[space], batch_size=BATCH, output_fields=["id", *fields]
        )
        while batch := rows.next():
            yield from batch
        rows.close()

    def _reconcile(self) -> dict[str, str]:
        """Remove every item that has lost a part, and every part that has lost its item."""
        own = {row["id"]: row for row in self._rows(self._own, "category", "created_ns")}
        rows = {space: {row["id"] for row in self._rows(space)} for space in self._collections}
        files = {path.stem for path in self._media.glob(f"*{self._suffix}")}
        whole = files.intersection(*rows.values())
        for space, ids in rows.items():
            self._delete_rows(space, ids - whole)
        for path in self._media.iterdir():
            if path.suffix != self._suffix or path.stem not in whole:
                path.unlink()
        if incomplete := (files.union(*rows.values()) - whole):
            log.warning("removed %d incomplete items of an interrupted load", len(incomplete))
        ordered = sorted((own[i] for i in whole), key=lambda row: row["created_ns"])
        return {row["id"]: row["category"] for row in ordered}

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._categories

    def count(self) -> int:
        """How many items there are, as Milvus counts them."""
        collection = self._collections[self._own]
        rows = self._client.query(collection, output_fields=["count(*)"], timeout=self._timeout)
        return rows[0]["count(*)"]

    def categories(self) -> dict[str, int]:
        """Each category and how many items it has, in order of name."""
        with self._lock:
            return dict(sorted(Counter(self._categories.values()).items()))

    def page(
        self, limit: int, offset: int, category: str | None
    ) -> tuple[list[tuple[str, dict[str, Any]]], int]:
        """(id, payload) of items, newest first, and how many there are in all."""
        with self._lock:
            ids = [i for i, own in reversed(self._categories.items()) if category in (None, own)]
        payloads = self._payloads(ids[offset : offset + limit])
        return list(payloads.items()), len(ids)

    def payload(self, item_id: str) -> dict[str, Any] | None:
        """What is known of an item."""
        return self._payloads([item_id]).get(item_id) if item_id in self else None

    def _payloads(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        if not ids:
            return {}
        rows = self._client.get(
            self._collections[self._own], ids, output_fields=["payload"], timeout=self._timeout
        )
        payloads = {row["id"]: row["payload"] for row in rows}
        return {i: payloads[i] for i in ids if i in payloads}

    def media(self, item_id: str) -> Path | None:
        """The item's file; its name is made of an id that we know, not of one we were told."""
        return self._path(item_id) if item_id in self else None

    def _path(self, item_id: str) -> Path:
        return self._media / f"{item_id}{self._suffix}"

    def vector(self, item_id: str) -> np.ndarray | None:
        """The item's vector in the first space, shape (dim,)."""
        if item_id not in self:
            return None
        rows = self._client.get(
            self._collections[self._own],
            [item_id],
            output_fields=["vector"],
            timeout=self._timeout,
        )
        return np.asarray(rows[0]["vector"], np.float32) if rows else None

    def search(
        self, space: str, vector: np.ndarray, limit: int, category: str | None, but: str | None
    ) -> list[Found]:
        """The items closest to the vector, best first.

        vector     (dim,) of that space
        category   only items of this one; checked by the caller, since it goes into the filter
        but        id of an item that is not to be found: the one searched by
        """
        conditions = [f'category == "{category}"'] if category is not None else []
        conditions += [f'id != "{but}"'] if but else []
        (hits,) = self._client.search(
            self._collections[space],
            [vector.tolist()],
            filter=" and ".join(conditions),
            limit=limit,
            output_fields=["payload"],
            search_params={"metric_type": "COSINE", "params": {"ef": max(64, 2 * limit)}},
            timeout=self._timeout,
        )
        return [Found(h["id"], h["distance"], h["entity"]["payload"]) for h in hits]

    def add(
        self,
        item_id: str,
        payload: dict[str, Any],
        media: bytes,
        vectors: Mapping[str, np.ndarray],
    ) -> None:
        """Put an item in: when this returns it can be found, and a kill does not lose it.

        vectors   space to vector of shape (dim,)
        """
        row = {
            "id": item_id,
            "category": payload["category"],
            "created_ns": time.time_ns(),
            "payload": payload,
        }
        self._write(self._path(item_id), media)
        with self._lock:
            try:
                # The space in which items are read and counted comes last.
                for space in reversed(self._collections):
                    self._client.insert(
                        self._collections[space],
                        [{**row, "vector": vectors[space].tolist()}],
                        timeout=self._timeout,
                    )
            except Exception:
                self._undo(item_id)
                raise
            self._categories[item_id] = payload["category"]

    def _write(self, path: Path, content: bytes) -> None:
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def _undo(self, item_id: str) -> None:
        try:
            self._remove([item_id])
        except Exception:
            log.warning("item %s is incomplete and will be removed at the next start", item_id)

    def delete(self, item_id: str) -> bool:
        """Remove an item; False if there is none of that id."""
        with self._lock:
            if item_id not in self:
                return False
            self._remove([item_id])
            return True

    def clear(self) -> None:
        """Remove every item."""
        with self._lock:
            ids = list(self._categories)
            for start in range(0, len(ids), BATCH):
                self._remove(ids[start : start + BATCH])

    def _remove(self, ids: list[str]) -> None:
        for space in self._collections:
            self._delete_rows(space, ids)
        for item_id in ids:
            self._categories.pop(item_id, None)
            self._path(item_id).unlink(missing_ok=True)

    def _delete_rows(self, space: str, ids: "set[str] | list[str]") -> None:
        ids = list(ids)
        for start in range(0, len(ids), BATCH):
            self._client.delete(
                self._collections[space], ids=ids[start : start + BATCH], timeout=self._timeout
            )

    def settle(self) -> None:
        """Build the indexes over what was added: from here on searches are fast."""
        for collection in self._collections.values():
            wait_for_index(self._client, collection)
