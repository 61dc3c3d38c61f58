"""Items at rest: their vectors and payloads in Milvus, what they look like as files.

Milvus 2.3 servers take one vector field a collection, so each vector space of a service is a
collection of its own. An item is there when all of its parts are: a row in each collection that is
not optional, and a file where the service keeps one.

A file that ends in `.part` says what is being put in or taken out. `ID.part` is an item that goes: it
has that name until its last row is removed. `list-….part` lists the items that are coming in, one a line,
from before their first row until after their last. `forget-….part` has the vectors that are being forgotten.
So what a killed process leaves half-done is known, and is removed at the next start. Nothing else is: rows or files that lack their other half may
belong together with what is in another Milvus, in a copy, or on a disk that is not there today. They
are not shown, and left alone.

Search compares with every row. A graph (HNSW) would lose items that are there: those of a category
that few have, and copies of one another.
"""

import contextlib
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from grpc import RpcError
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException
from pymilvus.milvus_client.index import IndexParams

from app_snippets.service.connection import Connection
from app_snippets.service.jobs import ID
from app_snippets.service.problems import why
from workshop import wait_for_index
from workshop.errors import WorkshopError
from workshop.milvus import lite_place

BATCH = 1_000
LOOSE = 2_000  # rows that Milvus may search one by one until it is told to index them
MAX_HITS = 16_384  # of one search; Milvus gives no more
EXACTLY = {"metric_type": "COSINE", "params": {"nprobe": 1}}
SPARSE = 0  # instead of a dimension: a space of sparse vectors
NOTHING = {
    2**32 - 2: 1e-6
}  # Milvus takes no empty sparse vector: a dimension that nobody else uses
SPARSE_SINCE = (2, 4)  # version of the Milvus server
SCORE_DIGITS = 6  # of a cosine in 32 bits; what differs after them is the same
NEW = "_new"  # of a collection that takes another one's place
LIST = re.compile(r"list-[0-9a-f]{32}")
# Rows may be read in any order but must be read at once: what was written must be seen.
CONSISTENCY = "Strong"

Sparse = Mapping[int, float]  # of each dimension that is not zero, its value

log = logging.getLogger(__name__)
# An iterator first asks for a timestamp that Milvus Lite does not give, and works without. Both of
# its ends would log that as an error each time.
logging.getLogger("pymilvus.client.iterator.query_iterator").setLevel(logging.ERROR)
logging.getLogger("grpc._server").addFilter(
    lambda record: "Method not implemented" not in record.getMessage()
)


@dataclass(frozen=True)
class Found:
    """A hit: larger scores are better, a cosine in [-1, 1] or an inner product of sparse vectors."""

    id: str
    score: float
    payload: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)  # further fields of the hit


@dataclass(frozen=True)
class New:
    """An item to put in.

    media    the file to keep, or None
    vectors  space to vector, of shape (dim,) or sparse; an optional space may be missing
    """

    id: str
    payload: dict[str, Any]
    media: bytes | None
    vectors: Mapping[str, np.ndarray | Sparse]


class Store:
    """The items of one service.

    name      of the service; its place in Milvus is `workshop.connect(name)`
    folder    for media files; made if missing
    spaces    vector space to dimension, or to SPARSE; the first has one
    suffix    of media files, such as ".webp", or None where none are kept
    timeout   seconds that a call to Milvus may take
    changed   if given, told of each item (id, payload, 1) at the start and when it is in, and of each that goes
              (id, payload, -1), one after the other
    optional  spaces in which an item may have no vector

    Its `lacks` names the spaces that this Milvus cannot hold: sparse ones, on an old server.

    Raises WorkshopError if Milvus cannot be opened or the folder cannot be written. Every method may
    raise MilvusException or OSError.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        spaces: Mapping[str, int],
        suffix: str | None,
        timeout: float,
        changed: Callable[[str, Mapping[str, Any], int], None] | None = None,
        optional: Sequence[str] = (),
    ) -> None:
        self._suffix, self._timeout, self._changed = suffix, timeout, changed
        self._optional = frozenset(optional)
        self._newest = 0  # nanoseconds: when the newest item came in
        self._going_in: int | None = None  # from this time on rows belong to no item yet
        self._loose = 0  # rows that came in since Milvus was last told to index them
        self._lock = threading.Lock()
        self._own = next(iter(spaces))
        self._milvus = Connection(name)
        try:
            with self._milvus.writing() as client:
                place = self._find_place(client, folder)
                self._media = folder / f"media{place}"
                self._media.mkdir(parents=True, exist_ok=True)
                owner = _identity(folder / "owner")
                self._is_lite = lite_place(client) is not None
                self.lacks = [] if _knows_sparse(client) else [s for s in spaces if not spaces[s]]
                if self.lacks:
                    log.warning(
                        "This Milvus knows no sparse vectors, so that %s cannot be searched. Milvus "
                        "Lite and servers from 2.4 on know them.",
                        " and ".join(self.lacks),
                    )
                held = [space for space in spaces if space not in self.lacks]
                self._collections = {space: f"{space}_{owner}{place}" for space in held}
                self._metrics = {space: "COSINE" if spaces[space] else "IP" for space in held}
                self._dims = {space: spaces[space] for space in held}
                for space in held:
                    _finish_moving(client, self._collections[space])
                    _create(client, self._collections[space], spaces[space])
            self._categories: dict[str, str] = {}  # of each whole item, oldest first
            self._half: set[str] = set()  # ids whose removal is not finished
            self._hidden: set[str] = set()  # ids that have rows and are not whole
            self._lists: list[Path] = []  # of items that came in, whose removal is not finished
            self._read()
        except OSError as error:
            self._milvus.close()
            raise WorkshopError(f"{folder} cannot be used. {why(error)}.") from error
        except MilvusException as error:
            self._milvus.close()
            raise WorkshopError(
                f"Milvus cannot do what the service {name!r} asks at its start: {why(error)}."
            ) from error
        except BaseException:
            self._milvus.close()
            raise

    def _find_place(self, client: MilvusClient, folder: Path) -> str:
        """What the names of this Milvus's collections and of its media folder end in.

        Several folders may share one Milvus server: an identity in the folder keeps them apart. And
        one folder may be used with several Milvus, one after the other, each with media of its own.
        The first of them has `media`; a later one's name goes into the names of its collections, so
        that it is found in that Milvus again, and nowhere else.
        """
        own = f"{self._own}_{_identity(folder / 'owner')}"
        known = client.list_collections(timeout=self._timeout)
        if places := [n.removeprefix(own) for n in known if n == own or n.startswith(f"{own}_")]:
            return min(places)
        first = folder / "media"
        try:
            first.mkdir()
            return ""
        except FileExistsError:
            place = f"_{uuid4().hex[:8]}"
            log.warning(
                "%s belongs to another Milvus than this one and is left alone: its items are back "
                "when MILVUS_URI is as it was. Media of this Milvus go into %s.",
                first,
                first.with_name(f"media{place}"),
            )
            return place

    def _rows(self, space: str, *fields: str) -> Iterator[dict[str, Any]]:
        with self._milvus.reading() as client:
            rows = client.query_iterator(
                self._collections[space], batch_size=BATCH, output_fields=["id", *fields]
            )
            while batch := rows.next():
                yield from batch
            rows.close()

    def _read(self) -> None:
        """Learn which items are whole; remove those that were being put in or taken out."""
        for path in self._media.glob("*.part"):
            if ID.fullmatch(path.stem):
                self._half.add(path.stem)
            elif LIST.fullmatch(path.stem):
                self._half |= set(filter(ID.fullmatch, path.read_text().splitlines()))
                self._lists.append(path)
        try:
            self._finish_forgetting()
            self._finish_removals()
        except (MilvusException, RpcError, OSError) as error:
            log.warning(
                "%d items that an interrupted load left half-done are hidden, and removed when "
                "that is possible: %s",
                len(self._half),
                why(error),
            )
        told = ["payload"] if self._changed else []
        own = {row["id"]: row for row in self._rows(self._own, "category", "created_ns", *told)}
        rows = {
            space: {row["id"] for row in self._rows(space)} if space != self._own else set(own)
            for space in self._collections
        }
        files = self._files()
        needed = [ids for space, ids in rows.items() if space not in self._optional]
        whole = set.intersection(*needed) - self._half
        if self._suffix:
            whole &= files
        self._hidden = set().union(*rows.values()) - whole
        if lonely := len(self._hidden | files - whole - self._half):
            log.warning(
                "%d items in %s or in Milvus lack their other half: one of the two was lost, or is "
                "an older copy. They are not shown, and left alone: put them in again, or remove "
                "everything with DELETE /items.",
                lonely,
                self._media,
            )
        ordered = sorted((own[i] for i in whole), key=lambda row: row["created_ns"])
        self._categories = {row["id"]: row["category"] for row in ordered}
        self._newest = ordered[-1]["created_ns"] if ordered else 0
        if self._changed:
            for row in ordered:
                self._changed(row["id"], row["payload"], 1)

    def _files(self) -> set[str]:
        """The ids of which there is a file."""
        if not self._suffix:
            return set()
        return {path.stem for path in self._media.glob(f"*{self._suffix}") if path.is_file()}

    def close(self) -> None:
        """Give the connection back."""
        self._milvus.close()

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._categories

    def count(self) -> int:
        """How many items there are. Milvus is asked too, so that it is known to be there."""
        collection = self._collections[self._own]
        with self._milvus.reading() as client:
            client.query(collection, output_fields=["count(*)"], timeout=self._timeout)
        return len(self._categories)

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
        rows = self._get(ids, "payload")
        payloads = {row["id"]: row["payload"] for row in rows}
        return {i: payloads[i] for i in ids if i in payloads}

    def _get(self, ids: list[str], field: str, space: str = "") -> list[dict[str, Any]]:
        collection = self._collections[space or self._own]
        with self._milvus.reading() as client:
            return client.get(collection, ids, output_fields=[field], timeout=self._timeout)

    def media(self, item_id: str) -> Path | None:
        """The item's file; its name is made of an id that we know, not of one we were told."""
        return self._path(item_id) if self._suffix and item_id in self else None

    def _path(self, item_id: str) -> Path:
        return self._media / f"{item_id}{self._suffix}"

    def _part(self, item_id: str) -> Path:
        return self._media / f"{item_id}.part"

    def payloads(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is known of those of these items that are there, in their order."""
        return self._payloads([item_id for item_id in ids if item_id in self])

    def vectors(self, ids: Sequence[str], space: str = "") -> dict[str, np.ndarray]:
        """The vectors, of shape (dim,), of those of these items that are there and have one.

        space   one with a dimension; the first if none is named
        """
        known = [item_id for item_id in ids if item_id in self]
        rows = self._get(known, "vector", space) if known else []
        vectors = {row["id"]: np.asarray(row["vector"], np.float32) for row in rows}
        return {item_id: vectors[item_id] for item_id in known if item_id in vectors}

    def search(
        self,
        space: str,
        vector: np.ndarray | Sparse,
        limit: int,
        category: str | None = None,
        but: Sequence[str] = (),
        above: float | None = None,
    ) -> list[Found]:
        """The items closest to the vector, best first; of equal ones the smaller id first.

        vector     (dim,) of that space, or sparse
        category   only items of this one; checked by the caller, since it goes into the filter
        but        ids of items that are not to be found: those searched by
        above      only items whose score is larger, as Milvus has it: a range search
        """
        sparse = isinstance(vector, Mapping)
        if sparse and not vector:  # nothing has anything in common with nothing
            return []
        conditions = [] if category is None else [f'category == "{category}"']
        if self._going_in is not None:
            conditions.append(f"created_ns < {self._going_in}")
        # Rows that are no items are left out here, and one may be just going in or out.
        searched = EXACTLY | {"metric_type": self._metrics[space]}
        if above is not None:
            searched["params"] = {**EXACTLY["params"], "radius": above}
        ask = limit + len(self._hidden) + 1 + len(but)
        while True:
            ask = min(ask, MAX_HITS)
            with self._milvus.reading() as client:
                (hits,) = client.search(
                    self._collections[space],
                    [vector if sparse else vector.tolist()],
                    filter=" and ".join(conditions),
                    limit=ask,
                    anns_field="vector",
                    output_fields=["payload"],
                    search_params=searched,
                    timeout=self._timeout,
                )
            found = [
                Found(h["id"], round(h["distance"], SCORE_DIGITS), h["entity"]["payload"])
                for h in hits
                if h["id"] in self and h["id"] not in but
            ]
            found.sort(key=lambda hit: (-hit.score, hit.id))
            if len(hits) < ask or ask == MAX_HITS:
                return found[:limit]
            # Those that share the last place must all be seen, or chance would choose among them.
            seen_to = round(hits[-1]["distance"], SCORE_DIGITS)
            if len(found) >= limit and found[limit - 1].score > seen_to:
                return found[:limit]
            ask *= 4

    @contextlib.contextmanager
    def adding(self) -> Iterator[Callable[[Sequence[New]], None]]:
        """Put in what belongs together: `with store.adding() as put: put(items)`, as often as needed.

        When the block has ended all of it can be found, and a kill does not lose it. If the block
        fails, or is killed, nothing of it is there.
        """
        listed = self._media / f"list-{uuid4().hex}.part"
        came: list[tuple[str, dict[str, Any]]] = []
        start = max(time.time_ns(), self._newest + 1)

        def put(items: Sequence[New]) -> None:
            created = start + len(came)
            came.extend((item.id, item.payload) for item in items)
            _write(listed, "ab", "".join(f"{item.id}\n" for item in items).encode())
            for item in items:
                if item.media is not None:
                    _write(self._path(item.id), "wb", item.media)
            with self._lock:
                self._finish_removals()
                if again := [item.id for item in items if item.id in self._hidden]:
                    self._delete_rows(again)
                self._going_in = start
                self._insert(items, created)
            self._loose += len(items)
            if self._loose > LOOSE and self._is_lite:
                self._index()

        try:
            yield put
            with self._lock:
                listed.unlink(missing_ok=True)
                for item_id, payload in came:
                    self._hidden.discard(item_id)
                    self._categories[item_id] = payload["category"]
                    if self._changed:
                        self._changed(item_id, payload, 1)
                self._newest = start + len(came)
                self._going_in = None
        except BaseException:
            self._undo([item_id for item_id, _ in came], listed)
            raise

    def _insert(self, items: Sequence[New], created: int) -> None:
        rows = [
            {
                "id": item.id,
                "category": item.payload["category"],
                "created_ns": created + number,
                "payload": item.payload,
            }
            for number, item in enumerate(items)
        ]
        with self._milvus.writing() as client:
            for space, collection in self._collections.items():
                whole = [
                    row | {"vector": _plain(item.vectors[space])}
                    for row, item in zip(rows, items, strict=True)
                    if space in item.vectors or space not in self._optional
                ]
                if whole:
                    client.insert(collection, whole, timeout=self._timeout)

    def _undo(self, ids: Sequence[str], listed: Path) -> None:
        with self._lock:
            self._half.update(ids)
            self._hidden.update(ids)
            self._lists.append(listed)
            self._going_in = None
            try:
                self._finish_removals()
            except (MilvusException, RpcError, OSError):
                log.warning(
                    "%d items did not go in; what is there of them is removed later", len(ids)
                )

    def delete(self, item_id: str) -> bool:
        """Remove an item; False if there is none of that id."""
        with self._lock:
            if item_id not in self and item_id not in self._half:
                return False
            self._remove([item_id])
            return True

    def forget(self, vectors: Mapping[str, Collection[str]]) -> None:
        """Take vectors out of optional spaces: of each space those of some ids. The items stay.

        What is to go is written down first, so that after a kill or an error the next start takes out
        the rest. Milvus keeps deleted rows on the disk for a while. Here the others move to a new
        collection, and the old one goes. A server's own storage is cleaned by the server, when it likes.
        """
        for space in set(vectors) - self._optional:
            raise ValueError(f"The space {space!r} is not optional: an item needs its vector.")
        plan = json.dumps({space: sorted(ids) for space, ids in vectors.items() if ids})
        with self._lock:
            _write(self._media / f"forget-{uuid4().hex}.part", "wb", plan.encode())
            self._finish_forgetting()

    def _finish_forgetting(self) -> None:
        plans = list(self._media.glob("forget-*.part"))
        ids: dict[str, set[str]] = {}
        for plan in plans:
            # one that was not written to its end was not begun
            with contextlib.suppress(ValueError):
                for space, some in json.loads(plan.read_bytes()).items():
                    ids.setdefault(space, set()).update(some)
        for space in ids.keys() & self._collections.keys():
            self._forget(self._collections[space], self._dims[space], sorted(ids[space]))
        for plan in plans:
            plan.unlink()

    def _forget(self, collection: str, dim: int, ids: Sequence[str]) -> None:
        with self._milvus.writing() as client:
            for start in range(0, len(ids), BATCH):
                client.delete(collection, ids=ids[start : start + BATCH], timeout=self._timeout)
            _finish_moving(client, collection)
            _create(client, f"{collection}{NEW}", dim)
            rows = client.query_iterator(collection, batch_size=BATCH, output_fields=["*"])
            while batch := rows.next():
                client.insert(f"{collection}{NEW}", batch, timeout=self._timeout)
            rows.close()
            wait_for_index(client, f"{collection}{NEW}")
            client.drop_collection(collection)
            _finish_moving(client, collection)

    def clear(self) -> None:
        """Remove every item, and what lacks its other half."""
        with self._lock:
            ids = list(self._hidden.union(self._categories, filter(ID.fullmatch, self._files())))
            for start in range(0, len(ids), BATCH):
                self._remove(ids[start : start + BATCH])

    def _remove(self, ids: list[str]) -> None:
        going = self.payloads(ids) if self._changed else {}
        for item_id in ids:
            if self._suffix:
                with contextlib.suppress(FileNotFoundError):
                    self._path(item_id).replace(self._part(item_id))
            else:
                self._part(item_id).touch()
            self._half.add(item_id)
            self._hidden.add(item_id)
            if self._categories.pop(item_id, None) is not None and item_id in going:
                self._changed(item_id, going[item_id], -1)
        self._finish_removals()

    def _finish_removals(self) -> None:
        """Remove what is left of items that were being put in or taken out."""
        ids = list(self._half)
        if ids:
            self._delete_rows(ids)
        for item_id in ids:
            if self._suffix:
                self._path(item_id).unlink(missing_ok=True)
            self._part(item_id).unlink(missing_ok=True)
            self._hidden.discard(item_id)
            self._half.discard(item_id)
        while self._lists:
            self._lists[-1].unlink(missing_ok=True)
            self._lists.pop()

    def _delete_rows(self, ids: list[str]) -> None:
        with self._milvus.writing() as client:
            for collection in self._collections.values():
                for start in range(0, len(ids), BATCH):
                    client.delete(collection, ids=ids[start : start + BATCH], timeout=self._timeout)

    def settle(self) -> None:
        """Finish what could not be finished before, and make searches fast over what was added.

        A server indexes by itself in the end, and being told to takes seconds a collection: it is told
        when there are many new rows. Few are compared one by one until then, and found as well.
        """
        with self._lock:
            self._finish_forgetting()
            self._finish_removals()
        if self._is_lite or self._loose > LOOSE:
            self._index()

    def _index(self) -> None:
        self._loose = 0
        with self._milvus.writing() as client:
            for collection in self._collections.values():
                wait_for_index(client, collection)


def _write(path: Path, mode: str, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _plain(vector: np.ndarray | Sparse) -> list[float] | dict[int, float]:
    if isinstance(vector, Mapping):
        return dict(vector) or NOTHING
    return vector.tolist()


def _knows_sparse(client: MilvusClient) -> bool:
    if lite_place(client):
        return True
    version = re.search(r"(\d+)\.(\d+)", client.get_server_version())
    return version is None or tuple(map(int, version.groups())) >= SPARSE_SINCE


def exact_index(client: MilvusClient, sparse: bool = False) -> IndexParams:
    """An index of the field "vector" that compares with every row; to be searched with EXACTLY.

    Milvus Lite does that in numpy for FLAT, and many times faster in faiss for IVF_FLAT with a
    single cell. A 2.3 server loses rows with that one: there it is FLAT.
    """
    index = client.prepare_index_params()
    if sparse:
        index.add_index("vector", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    elif lite_place(client):
        params = {"params": {"nlist": 1}}  # nested, or pymilvus drops it without a word
        index.add_index("vector", index_type="IVF_FLAT", metric_type="COSINE", params=params)
    else:
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    return index


def _finish_moving(client: MilvusClient, collection: str) -> None:
    """The new collection takes the old one's place if that is gone; else it may be half, and goes."""
    if not client.has_collection(f"{collection}{NEW}"):
        return
    if client.has_collection(collection):
        client.drop_collection(f"{collection}{NEW}")
    else:
        client.rename_collection(f"{collection}{NEW}", collection)
        client.load_collection(collection)


def _create(client: MilvusClient, collection: str, dim: int) -> None:
    index = exact_index(client, sparse=dim == SPARSE)
    if client.has_collection(collection):
        _make_exact(client, collection, index)
        return
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=32)
    schema.add_field("category", DataType.VARCHAR, max_length=256)
    schema.add_field("created_ns", DataType.INT64)
    schema.add_field("payload", DataType.JSON)
    if dim == SPARSE:
        schema.add_field("vector", DataType.SPARSE_FLOAT_VECTOR)
    else:
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection(
        collection, schema=schema, index_params=index, consistency_level=CONSISTENCY
    )


def _make_exact(client: MilvusClient, collection: str, index: IndexParams) -> None:
    """An earlier version of this service built a graph."""
    names = client.list_indexes(collection)
    types = [client.describe_index(collection, name)["index_type"] for name in names]
    if types == [param.index_type for param in index]:
        return
    client.release_collection(collection)
    for name in names:
        client.drop_index(collection, name)
    client.create_index(collection, index)
    client.load_collection(collection)


def _identity(path: Path) -> str:
    """What the file says; a new one is made if it is missing or empty, whole or not at all."""
    if not path.exists() or not path.read_text().strip():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(uuid4().hex[:8])
        unfinished.replace(path)
    return path.read_text().strip()
