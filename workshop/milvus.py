"""One way to Milvus for every chapter: an embedded file, or a server behind `MILVUS_URI`.

| `MILVUS_URI` | where the chapter's collections live | what a fresh start removes |
| --- | --- | --- |
| not set | the chapter's own Milvus Lite file, `.workshop/milvus/NAME.db` | that file |
| `path/to/file.db` | database `workshop_NAME` in that Milvus Lite file | what is in that database |
| `http://host:19530` | database `workshop_NAME` on that server (Milvus 2.2.9 or later) | what is in that database |

A server that asks for a login reads `MILVUS_TOKEN`, "user:password" or an API key. So a chapter
never touches another's collections, nor anything else that lives on the server. No message shows any
part of a login.
"""

import json
import logging
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import faiss
import grpc
from milvus_lite.db import MilvusLite
from milvus_lite.engine.collection import Collection
from milvus_lite.exceptions import DataDirLockedError
from milvus_lite.index import faiss_ivf_flat
from milvus_lite.schema.types import DataType
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType as ColumnType
from pymilvus import MilvusClient
from pymilvus.client.connection_manager import ConnectionManager
from pymilvus.exceptions import MilvusException
from tqdm import tqdm

from workshop.environment import prepare
from workshop.errors import WorkshopError, without_login
from workshop.paths import home

CONNECT_TIMEOUT = 5.0  # seconds; a server that is there answers in well under one

# pymilvus pings an idle server every ten seconds. Milvus Lite, like any gRPC server that is not told
# otherwise, takes that for an attack and hangs up: GOAWAY, too_many_pings. On this machine nothing
# needs the pings: a connection that breaks is noticed at once.
NO_PINGS = {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": 0}

# Each logs a failed call with its traceback, which is raised as well: once is enough to read.
for _logger in (
    "pymilvus.decorators",
    "pymilvus.client.connection_manager",
    "milvus_lite.adapter",
    "grpc._server",
):
    logging.getLogger(_logger).setLevel(logging.CRITICAL)


def _ivf(*args: Any) -> faiss.IndexIVFFlat:
    """As faiss makes it. It would warn on the screen, past `logging`, of fewer than 39 rows a cell."""
    index = faiss.IndexIVFFlat(*args)
    index.cp.min_points_per_centroid = 1
    return index


# What Milvus Lite builds its IVF indexes with; faiss itself stays as it is.
faiss_ivf_flat.faiss = SimpleNamespace(**{**vars(faiss), "IndexIVFFlat": _ivf})


def connect(name: str, *, fresh: bool = True) -> MilvusClient:
    """Open the chapter's own place in Milvus; the table above says where that is.

    name    the chapter, such as "03_milvus": ASCII letters, digits and "_", 64 at most
    fresh   True starts empty, so that a chapter can run again; False keeps the rows and loads
            every collection that has an index. Reopened in the same process, a Milvus Lite file
            is read from the disk again once all of its clients are closed.

    Raises WorkshopError if the name does not fit, another process holds the file, the server does
    not answer or refuses, or `MILVUS_URI` is neither a server's address nor a `.db` file.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise WorkshopError(
            f"connect() got the name {name!r}. Give the chapter's name in letters a–z, digits "
            'and "_", 64 at most, such as connect("03_milvus").'
        )
    prepare()  # a cell may have named a proxy since
    uri = os.environ.get("MILVUS_URI", "").strip()
    try:
        if not uri:
            folder = home() / "milvus"
            folder.mkdir(exist_ok=True)
            client = _open_file(folder / f"{name}.db", fresh)
        else:
            client = _open_database(uri, f"workshop_{name}", fresh)
        if not fresh:
            _load_all(client)
    except (MilvusException, grpc.RpcError) as error:
        reason = error.message if isinstance(error, MilvusException) else error.details()
        raise WorkshopError(
            f"Milvus at {_shown(uri) if uri else folder} cannot do what connect() asks: "
            f"{_without_secrets(reason, uri)}."
        ) from error
    return client


def _load_all(client: MilvusClient) -> None:
    for collection in client.list_collections():
        if not client.list_indexes(collection):
            continue
        try:
            client.load_collection(collection)
        except MilvusException:
            # A kill or a full disk may have cut an index short. It is made again from the rows.
            if not (place := lite_place(client)):
                raise
            path, database = place
            folder = path / "databases" / database if database else path
            for index in (folder / "collections" / collection).glob("partitions/*/indexes/*"):
                index.unlink()
            client.load_collection(collection)


def lite_place(client: MilvusClient) -> tuple[Path, str] | None:
    """The Milvus Lite file and the database in it, if this process serves them to the client."""
    for path, (_, _, port) in server_manager_instance._servers.items():
        if client._config.address == f"127.0.0.1:{port}":
            return Path(path), client._config.db_name or ""
    return None


def open_lite(path: Path, database: str) -> MilvusClient:
    """Open a `lite_place` again; it is read from the disk if none of its clients is left.

    Raises WorkshopError as connect() does, or MilvusException.
    """
    client = _open_file(path, db_name=database)
    try:
        _load_all(client)
    except MilvusException:
        client.close()
        raise
    return client


def _open_file(path: Path, fresh: bool = False, **options: Any) -> MilvusClient:
    """Open a Milvus Lite file (a folder, in fact) that no other process holds."""
    if not path.parent.is_dir():
        raise WorkshopError(
            f"MILVUS_URI names the file {path}, but the folder {path.parent} does not exist. "
            "Make the folder, or unset MILVUS_URI to use a file of the course's own."
        )
    if fresh or not has_clients(path):
        # Closing the clients does not free the file: the server inside this process goes on.
        server_manager_instance.release_server(str(path))
        try:
            MilvusLite(str(path)).close()  # takes the lock, so what is removed is ours
            if fresh:
                shutil.rmtree(path)
            else:
                _ensure_whole(path)
        except DataDirLockedError as error:
            raise WorkshopError(
                f"{path} is open in another process, and a Milvus Lite file belongs to one at a "
                "time. Shut down the other notebook's kernel (in JupyterLab: Running Terminals "
                "and Kernels, on the left) and run this cell again."
            ) from error
        except OSError as error:
            raise WorkshopError(
                f"Cannot open {path} ({error.strerror}). Check that it is a Milvus Lite folder that "
                "you may write to and that the disk is not full, or set WORKSHOP_HOME to another "
                "folder."
            ) from error
    try:
        return MilvusClient(str(path), grpc_options=NO_PINGS, **options)
    except MilvusException as error:
        if "Fail connecting" not in error.message:
            raise
        # It starts in a thread of this process: a very busy machine may take longer than pymilvus waits.
        return MilvusClient(str(path), grpc_options=NO_PINGS, **options)


def _ensure_whole(path: Path) -> None:
    """Raise WorkshopError if a part of a Milvus Lite file is missing or cut short.

    Milvus Lite opens it without a word, with fewer rows or with those of an earlier day, and then
    removes the files that it no longer knows.
    """
    for folder in (*path.glob("collections/*"), *path.glob("databases/*/collections/*")):
        schema, manifest = folder / "schema.json", folder / "manifest.json"
        flushed = manifest.exists() or manifest.with_suffix(".json.prev").exists()
        if not flushed and not schema.exists():
            continue  # whoever made it was killed while at it
        part = schema
        try:
            json.loads(schema.read_bytes())
            if not flushed:
                continue  # all rows are in its log
            part = manifest
            for name, files in json.loads(manifest.read_bytes())["partitions"].items():
                for file in (*files["data_files"], *files["delta_files"]):
                    part = folder / "partitions" / name / file
                    with part.open("rb") as content:
                        content.seek(max(0, part.stat().st_size - 4))
                        if content.read() != b"PAR1":  # how a Parquet file ends
                            raise ValueError(part)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkshopError(
                f"The Milvus Lite file {path} is damaged: its part {part.relative_to(path)} is "
                f"{'cut short' if part.exists() else 'missing'}. Nothing in it was changed. Put a "
                "copy of it back if you have one. If not, move it away and load its rows again: "
                "a chapter does that when it is run from the top."
            ) from error


def has_clients(path: Path) -> bool:
    """Whether a client in this process has the file open, such as a launched service's."""
    server = server_manager_instance._servers.get(str(path))
    if server is None:
        return False
    address = f"127.0.0.1:{server[2]}"
    connections = ConnectionManager.get_instance().get_stats()["connections"]
    return any(c["address"] == address and c["client_count"] for c in connections)


def _open_server(uri: str, **options: Any) -> MilvusClient:
    shown = without_login(uri)
    rest = uri.partition("://")[2] or uri
    if re.search(r"[/?#\s].*@", rest):
        raise WorkshopError(
            "The login in MILVUS_URI holds a character that would end it in an address. Leave it out "
            'there, and put it into MILVUS_TOKEN as "user:password".'
        )
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is no number
        known = False
    if not known or re.search(r"\s", uri):
        raise WorkshopError(
            f"MILVUS_URI is {shown!r}, which is no address of a Milvus server. Write it as "
            "http://host:19530 (https for an encrypted one) or as a file path/to/name.db, or unset "
            "it to use Milvus Lite."
        )
    if parts.path.strip("/"):
        raise WorkshopError(
            f"MILVUS_URI is {shown!r}. Leave out the database, all that follows the port: each "
            "chapter makes one of its own."
        )
    if parts.hostname == "localhost" or parts.hostname.startswith(("127.", "::1")):
        options["grpc_options"] = NO_PINGS  # it may be a Milvus Lite of another process
    token = os.environ.get("MILVUS_TOKEN", "").strip()
    try:
        return MilvusClient(uri, token=token, timeout=CONNECT_TIMEOUT, **options)
    except MilvusException as error:
        if "auth" in error.message.lower():
            raise WorkshopError(
                f"The Milvus server at {shown} refused the login. Set MILVUS_TOKEN to "
                '"user:password" or to your API key.'
            ) from error
        raise WorkshopError(
            f"No Milvus server answers at {shown}. Start it, correct MILVUS_URI, or unset "
            "MILVUS_URI to use Milvus Lite, which needs no server."
        ) from error


def _open_database(uri: str, database: str, fresh: bool) -> MilvusClient:
    """Open a database of the chapter's own on a server, or in a file, that others share."""
    if is_file(uri):
        open_uri = partial(_open_file, Path(uri).expanduser().resolve())
    else:
        open_uri = partial(_open_server, uri)
    whole = open_uri()
    if database not in whole.list_databases():
        whole.create_database(database)
    client = open_uri(db_name=database)
    whole.close()
    if fresh:
        for collection in client.list_collections():
            client.drop_collection(collection)
    return client


def is_file(uri: str) -> bool:
    """Whether `MILVUS_URI` names a Milvus Lite file, and not a server with a path or a login."""
    return uri.endswith(".db") and not re.match(r"\w*://|[^/\\:]{2,}:.*@", uri)


def _shown(uri: str) -> str:
    return uri if is_file(uri) else without_login(uri)


def _without_secrets(text: str, uri: str) -> str:
    """What Milvus says, without the login if it repeats that."""
    token = os.environ.get("MILVUS_TOKEN", "").strip()
    login = "" if is_file(uri) else uri.rpartition("@")[0].rpartition("://")[2]
    secrets = {part for secret in (token, login) for part in (secret, secret.partition(":")[2])}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def photo_collection(client: MilvusClient, name: str, dim: int) -> None:
    """Make the collection of chapter 03 anew: id, name, category and vector, by FLAT and COSINE.

    dim   of the vectors
    """
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", ColumnType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("name", ColumnType.VARCHAR, max_length=100)
    schema.add_field("category", ColumnType.VARCHAR, max_length=100)
    schema.add_field("vector", ColumnType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.drop_collection(name)
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def wait_for_index(client: MilvusClient, collection: str, timeout: float = 60.0) -> None:
    """Flush, wait until every index of the collection covers every row, and load the collection.

    Until then a search compares with all rows one by one, so its time and its recall say nothing
    about the index. A wait of more than five seconds shows a progress bar.

    A server counts the rows that wait for an index in `describe_index()`. Milvus Lite 3.2 always
    says 0 there while it builds in the background, so its own state is read instead.

    collection   its name
    timeout      seconds to wait for the indexes

    Raises WorkshopError if the collection does not exist or has no index, if building one failed,
    or if rows are still pending after `timeout`.
    """
    if not client.has_collection(collection):
        known = ", ".join(client.list_collections()) or "none"
        raise WorkshopError(f"There is no collection {collection!r}. Those there are: {known}.")
    if not client.list_indexes(collection):
        raise WorkshopError(
            f"Collection {collection!r} has no index to wait for. Create one first: "
            f'client.create_index("{collection}", index_params).'
        )
    end = time.monotonic() + timeout
    client.flush(collection)
    lite = _lite_collection(client, collection)
    # Lite builds what is missing while it loads, and answers only when that is done.
    loading = ThreadPoolExecutor(1).submit(client.load_collection, collection) if lite else None
    with tqdm(desc=f"indexing {collection}", unit="row", delay=5, leave=False) as bar:
        while True:
            idle = lite is None or (loading.done() and _is_idle(lite))
            total, pending = _lite_rows(lite) if lite else _server_rows(client, collection)
            if idle and not any(pending.values()):
                break
            bar.total = total * len(pending)
            bar.update(bar.total - sum(pending.values()) - bar.n)
            if time.monotonic() > end:
                rows = ", ".join(f"{n:,} of {total:,} rows in {i!r}" for i, n in pending.items())
                raise WorkshopError(
                    f"After {timeout:g} s the index of {collection!r} is not complete; waiting: "
                    f"{rows}. It goes on in the background. Give it longer: "
                    f'wait_for_index(client, "{collection}", timeout={max(2 * timeout, 60):g}).'
                )
            time.sleep(0.05)
    if loading:
        loading.result()
    else:
        client.load_collection(collection)
        _wait_for_segments(client, collection, total, end)


def _server_rows(client: MilvusClient, collection: str) -> tuple[int, dict[str, int]]:
    """Rows of the collection, and for each index how many of them it does not cover yet."""
    indexes = [client.describe_index(collection, n) for n in client.list_indexes(collection)]
    for index in indexes:
        if index["state"] == "Failed":
            raise WorkshopError(
                f"Building the index {index['index_name']!r} of {collection!r} failed: "
                f"{index.get('index_state_fail_reason') or 'the server gives no reason'}. "
                "Drop it and create it with other parameters."
            )
    total = max(index["total_rows"] for index in indexes)
    return total, {index["index_name"]: index["pending_index_rows"] for index in indexes}


def _wait_for_segments(client: MilvusClient, collection: str, total: int, end: float) -> None:
    """A server goes on searching row by row until it has swapped the indexed segments in."""
    while True:
        try:
            loaded = sum(s.num_rows for s in client.list_loaded_segments(collection))
        except (MilvusException, grpc.RpcError):
            return  # a Milvus Lite of another process does not know the call
        if loaded >= total:
            return
        if time.monotonic() > end:
            raise WorkshopError(
                f"The index of {collection!r} is built, but the server searches with it in only "
                f"{loaded:,} of {total:,} rows so far. Give it longer: call wait_for_index again."
            )
        time.sleep(0.1)


def _lite_collection(client: MilvusClient, name: str) -> Collection | None:
    """The collection itself, if the client's Milvus Lite runs in this process."""
    for _, database, port in server_manager_instance._servers.values():
        if client._config.address == f"127.0.0.1:{port}":
            return database.get_collection(name, client._config.db_name or "default")
    return None


def _is_idle(lite: Collection) -> bool:
    """Whether no merging of segments and no building of indexes goes on in the background."""
    try:
        lite._wait_for_bg(timeout=0.05)
    except TimeoutError:
        return False
    return True


def _lite_rows(lite: Collection) -> tuple[int, dict[str, int]]:
    """As _server_rows; sparse fields have no index of their own to wait for."""
    sparse = {f.name for f in lite.schema.fields if f.dtype == DataType.SPARSE_FLOAT_VECTOR}
    segments = lite._segments_snapshot()
    pending = {
        name: sum(s.num_rows for s in segments if name not in {*s.indexes, *s.scalar_indexes})
        for name in lite._index_specs
        if name not in sparse
    }
    return sum(s.num_rows for s in segments), pending
