"""What the course does in Milvus Lite, on a real Milvus 2.3.5 server; where that differs is said.

`connect` and `wait_for_index` are tested in both places in test_milvus.py, the server's own start
and end in test_server.py.
"""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from pymilvus import DataType, MilvusException

from app_snippets import reverse_image_search
from workshop import connect, datasets, launch, wait_for_index
from workshop.bench import config, data, run
from workshop.errors import WorkshopError
from workshop.paths import ROOT


@pytest.fixture(autouse=True)
def on_server(milvus_server, home, monkeypatch):
    monkeypatch.setenv("MILVUS_URI", milvus_server)
    return milvus_server


# -------------------------------------------------------------------------- chapter 04, indexes

ROWS, DIM = 3_000, 32


@pytest.fixture(scope="module")
def vectors() -> data.Vectors:
    return data.read(config.Data(synthetic=ROWS, dim=DIM, queries=50))


def collection(client, name="rows", **fields):
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("group", DataType.INT64)
    schema.add_field("name", DataType.VARCHAR, max_length=20)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    for field, about in fields.items():
        schema.add_field(field, **about)
    client.create_collection(name, schema=schema, consistency_level="Strong")


def rows(vectors: np.ndarray) -> list[dict]:
    return [
        {"id": n, "group": n % 10, "name": f"row {n}", "vector": v}
        for n, v in enumerate(vectors.tolist())
    ]


def create_index(client, type, params):
    index = client.prepare_index_params()
    index.add_index("vector", index_type=type, metric_type="COSINE", params=params)
    client.create_index("rows", index)


def test_each_index_covers_every_row_with_its_parameters_and_trades_recall(vectors):
    client = connect("04_indexes")
    collection(client)
    for start in range(0, ROWS, 1_000):
        client.insert("rows", rows(vectors.base)[start : start + 1_000])
    client.flush("rows")
    truth = data.exact(vectors, 10)

    def recall(**search) -> float:
        answer = client.search(
            "rows",
            data=vectors.queries.tolist(),
            limit=10,
            search_params={"params": search},
            output_fields=["id"],
        )
        return data.recall(vectors, truth, np.array([[h["id"] for h in hits] for hits in answer]))

    def build(type, params):
        if client.list_indexes("rows"):
            client.release_collection("rows")
            client.drop_index("rows", "vector")
        create_index(client, type, params)
        wait_for_index(client, "rows")
        return client.describe_index("rows", "vector")

    about = build("FLAT", {})
    assert about["indexed_rows"] == ROWS
    assert recall() == 1.0
    # any rows that are not in the group have no place among the hits
    hits = client.search(
        "rows",
        data=vectors.queries[:5].tolist(),
        filter="group == 3",
        limit=10,
        output_fields=["group"],
    )
    members = np.arange(3, ROWS, 10)
    for query, found in zip(vectors.queries, hits, strict=False):
        near = data.normalised(vectors.base[members]) @ query
        assert [h["id"] for h in found] == members[np.argsort(-near)[:10]].tolist()
        assert {h["entity"]["group"] for h in found} == {3}

    for type in ("IVF_FLAT", "IVF_SQ8"):
        about = build(type, {"params": {"nlist": 50}})
        assert int(about["params"]["nlist"]) == 50
        assert about["pending_index_rows"] == 0
        curve = [recall(nprobe=nprobe) for nprobe in (1, 5, 50)]
        assert curve[0] < 0.9 < curve[2], "one of fifty cells cannot be enough: the index was asked"
        assert curve == sorted(curve)

    about = build("HNSW", {"params": {"M": 4, "efConstruction": 8}})
    assert (int(about["params"]["M"]), int(about["params"]["efConstruction"])) == (4, 8)
    assert recall(ef=10) < recall(ef=400)

    # Given flat, Milvus Lite drops them without a word; this server takes them.
    client.release_collection("rows")
    client.drop_index("rows", "vector")
    create_index(client, "HNSW", {"M": 4, "efConstruction": 8})
    about = client.describe_index("rows", "vector")
    assert (about["M"], about["efConstruction"]) == ("4", "8")


def test_rows_are_inserted_read_changed_and_deleted():
    client = connect("rows")
    collection(client)
    create_index(client, "FLAT", {})
    client.load_collection("rows")
    mine = rows(np.eye(20, DIM, dtype=np.float32) + 0.01)
    assert client.insert("rows", mine)["insert_count"] == 20
    (hits,) = client.search("rows", [mine[7]["vector"]], limit=3, output_fields=["name"])
    assert (hits[0]["id"], hits[0]["entity"]["name"]) == (7, "row 7")
    assert hits[0]["distance"] == pytest.approx(1, abs=1e-5)
    assert [r["id"] for r in client.query("rows", filter="group == 3", output_fields=["id"])] == [
        3,
        13,
    ]
    client.upsert("rows", [{**mine[3], "name": "changed"}])
    (row,) = client.get("rows", ids=[3], output_fields=["name"])
    assert row["name"] == "changed"
    client.delete("rows", filter="group in [1, 3]")
    client.delete("rows", ids=[0])
    (count,) = client.query("rows", filter="", output_fields=["count(*)"])
    assert count["count(*)"] == 15
    assert client.get("rows", ids=[0, 3, 13]) == []


# ------------------------------------------------------------------- what this server cannot do


def test_what_milvus_2_3_5_lacks():
    """A newer server has most of it."""
    client = connect("lacks")
    with pytest.raises(MilvusException, match="multiple vector fields is not supported"):
        collection(client, second={"datatype": DataType.FLOAT_VECTOR, "dim": 4})
    assert client.list_collections() == []
    collection(client)
    with pytest.raises(MilvusException, match="invalid index type: HNSW_SQ"):
        create_index(client, "HNSW_SQ", {"params": {"M": 4, "efConstruction": 8}})
    create_index(client, "FLAT", {})
    client.load_collection("rows")
    client.insert("rows", rows(np.eye(12, DIM, dtype=np.float32)))
    assert len(client.query("rows", filter='name like "row 1%"')) == 3
    with pytest.raises(MilvusException, match="like"):
        client.query("rows", filter='name like "%1"')
    # a key that comes twice is kept twice
    client.insert("rows", rows(np.eye(1, DIM, dtype=np.float32)))
    (count,) = client.query("rows", filter="", output_fields=["count(*)"])
    assert count["count(*)"] == 13


# -------------------------------------------------------------------------------- the benchmark


def test_the_benchmark_measures_a_server(tmp_path):
    it = config.Config(
        repeats=2,
        requests=3,
        seconds=0.01,
        batch_sizes=[1],
        engines=["server"],
        data=[config.Data(synthetic=2_000, dim=DIM, queries=40)],
        index=[config.Index(type="IVF_FLAT", build={"nlist": 40}, search={"nprobe": [1, 40]})],
    )
    (cell,) = run.run(it, tmp_path)["cells"]
    assert cell["version"].startswith("Milvus 2.3.5")
    assert set(cell["seconds"]) == {"load", "flush", "index"}
    assert cell["memory_bytes"] is None, "another home's server"
    few, all = (search["recall"] for search in cell["searches"])
    assert few < 0.9 < all == 1.0
    unknown = it.model_copy(update={"index": [config.Index(type="NOPE")]})
    with pytest.raises(WorkshopError, match=r"refuses the index NOPE .* invalid index type: NOPE"):
        run.run(unknown, tmp_path)
    assert connect("bench", fresh=False).list_collections() == [], "left behind"


# ----------------------------------------------------------------------------- the image service


def served(home: Path):
    app = reverse_image_search.create_app(reverse_image_search.Settings())
    return launch(app, name=str(home), timeout=60)


def test_the_image_service_keeps_its_photos_on_a_server(home):
    photos = [*datasets.photos("animals/birds")[:5], *datasets.photos("food/fruit")[:3]]
    with served(home) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        files = [("files", (p.name, p.path.read_bytes(), "image/webp")) for p in photos]
        accepted = client.post("items", files=files)
        assert accepted.status_code == 202, accepted.text
        while not (job := client.get(accepted.headers["location"]).json())["finished_at"]:
            time.sleep(0.05)
        assert (job["state"], job["done"], job["failed"]) == ("done", 8, [])
        assert client.get("count").json() == {"count": 8}

        owl = {"file": (photos[0].name, photos[0].path.read_bytes())}
        found = client.post("search/file", files=owl, data={"limit": 3}).json()["hits"]
        assert found[0]["payload"]["name"] == photos[0].name
        assert found[0]["score"] > 0.99
        by_words = client.post("search", json={"text": "fruit", "limit": 3}).json()["hits"]
        names = {p.name for p in photos[5:]}
        assert {hit["payload"]["name"] for hit in by_words} & names

        first = found[0]["id"]
        assert client.delete(f"items/{first}").status_code == 204
        assert client.get("count").json() == {"count": 7}
        again = client.post("search/file", files=owl, data={"limit": 8}).json()["hits"]
        assert first not in [hit["id"] for hit in again]
        lost = again[0]["id"]

    # What lost a part while nobody served is gone at the next start; the rest is there.
    (media,) = (home / "reverse_image_search" / "media").glob(f"{lost}.*")
    media.unlink()
    with served(home) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        assert client.get("count").json() == {"count": 6}
        items = client.get("items", params={"limit": 10}).json()["items"]
        assert len(items) == 6
        assert lost not in [item["id"] for item in items]
        client.delete("items", params={"confirm": "true"})
        assert client.get("count").json() == {"count": 0}


# ----------------------------------------------------------------------------- chapter 03, whole

# The only cells whose output is another than on Milvus Lite: a line of the cell, and what it says.
DIFFERENT = {
    "unsaid = client.search(": r"\(\[\], 0\)",  # ids and scores alone
    "broken = {": r"value 'NaN' is not a number[^\n]*\n\(430, ",  # refused
    "claimed = load(client": r"\(430, 400\)",  # a repeated key is kept twice
    'connect("03_milvus", fresh=False)': r"\(430, 400\)",
}


def texts(cell: dict) -> str:
    """What a cell prints or shows as text; in how many pieces it comes is chance."""
    found = ""
    for output in cell.get("outputs", []):
        shown = output.get("data", {}).get("text/plain", "")
        found += output.get("text", "") or ("" if shown.startswith("<Figure") else shown)
        assert output.output_type != "error" or "raises-exception" in cell.metadata.get("tags", [])
    return found


@pytest.fixture(scope="module", autouse=True)
def chapter_03(request, milvus_server, tmp_path_factory) -> Iterator[Future]:
    """The chapter as run on the server, beside the other tests: mostly it waits for the server."""
    wanted = any(
        item.path == request.path and "chapter" in item.name for item in request.session.items
    )
    notebook = nbformat.read(ROOT / "solutions" / "03_milvus.ipynb", as_version=4)
    resources = {"metadata": {"path": str(ROOT / "solutions")}}
    own = {"WORKSHOP_HOME": str(tmp_path_factory.mktemp("chapter")), "MILVUS_URI": milvus_server}
    client = NotebookClient(notebook, timeout=120, resources=resources)
    with ThreadPoolExecutor(1) as pool:
        env = {**os.environ, **own, "TQDM_DISABLE": "1"}
        yield pool.submit(client.execute, env=env) if wanted else Future()


def test_chapter_03_runs_as_a_whole_and_passes_its_checks(chapter_03):
    now_cells = chapter_03.result().cells
    stored = nbformat.read(ROOT / "solutions" / "03_milvus.ipynb", as_version=4).cells
    differ, passed = {}, 0
    for before, now in zip(stored, now_cells, strict=True):
        if now.cell_type != "code" or "nbval-ignore-output" in now.metadata.get("tags", []):
            continue
        passed += texts(now).startswith("✅")
        if texts(before) != texts(now):
            differ[now.source + "\n"] = texts(now)
    assert passed >= 4
    unexpected = [s for s in differ if not any(line in s for line in DIFFERENT)]
    assert not unexpected, "\n\n".join(f"{s}-> {differ[s]}" for s in unexpected)
    for line, said in DIFFERENT.items():
        assert any(line in s and re.search(said, text) for s, text in differ.items()), differ
