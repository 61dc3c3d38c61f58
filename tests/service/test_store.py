"""Items at rest: a search finds all that there is, and a failed write costs no other item."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from app_snippets.service.store import LOOSE, SPARSE, New, Store
from workshop.milvus import _lite_collection, _lite_rows

DIM, COPIES, OF_A_CATEGORY = 16, 60, 10
SPACES = {"look": 4096, "words": 8}


@pytest.fixture(params=["Milvus Lite", "server"])
def place(request, home, monkeypatch) -> str:
    if request.param == "server":
        monkeypatch.setenv("MILVUS_URI", request.getfixturevalue("milvus_server"))
    return request.param


def filled(folder: Path, count: int) -> tuple[Store, np.ndarray]:
    """A store of `count` items, COPIES of them alike, and their vectors (count, DIM).

    The rows go in by the thousand, and the media folder is left out: 100,000 files say nothing more.
    """
    random = np.random.default_rng(0)
    vectors = random.standard_normal((count, DIM)).astype(np.float32)
    vectors[count // 2 : count // 2 + COPIES] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = Store("exact", folder, {"look": DIM}, ".webp", 60)
    groups = count // OF_A_CATEGORY
    rows = [
        {
            "id": f"{n:032x}",
            "category": f"c{n % groups}",
            "created_ns": n,
            "payload": {"name": str(n), "category": f"c{n % groups}"},
            "vector": vector,
        }
        for n, vector in enumerate(vectors.tolist())
    ]
    for start in range(0, count, 5_000):
        with store._milvus.writing() as client:
            client.insert(store._collections["look"], rows[start : start + 5_000])
    store._categories = {row["id"]: row["category"] for row in rows}
    store._loose = count
    store.settle()
    return store, vectors


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
def test_a_search_finds_all_that_there_is(place, tmp_path, count):
    store, vectors = filled(tmp_path / "folder", count)
    try:
        groups = count // OF_A_CATEGORY
        query = vectors[1] + vectors[2]
        query /= np.linalg.norm(query)
        scores = vectors @ query

        def best(rows: np.ndarray) -> list[str]:
            order = sorted(rows, key=lambda n: (-np.round(scores[n], 6), n))
            return [f"{n:032x}" for n in order]

        for group in range(0, groups, groups // 25):
            found = store.search("look", query, 100, f"c{group}")
            assert sorted(hit.id for hit in found) == sorted(best(np.arange(group, count, groups)))
            scored = [hit.score for hit in found]
            assert scored == sorted(scored, reverse=True)
        found = store.search("look", query, 100)
        assert {hit.id for hit in found[:90]} <= set(best(np.argsort(-scores)[:110]))
        assert len({hit.id for hit in found} & set(best(np.arange(count))[:100])) >= 99

        # All copies and the one that they are of; of equal ones those of the smallest ids.
        alike = [f"{n:032x}" for n in (0, *range(count // 2, count // 2 + COPIES))]
        found = store.search("look", vectors[0], 100)
        assert [hit.id for hit in found[: COPIES + 1]] == alike
        assert [hit.id for hit in store.search("look", vectors[0], 5)] == alike[:5]
        assert [hit.id for hit in store.search("look", vectors[0], 5, but=[alike[2]])] == [
            alike[n] for n in (0, 1, 3, 4, 5)
        ]
    finally:
        store.clear()
        store.close()


BEGIN = """
import os, resource, signal
from pathlib import Path
import numpy as np
from app_snippets.service.store import New, Store

folder, home, spaces = Path({folder!r}), Path({home!r}), {spaces}
store = Store("torn", folder, spaces, ".webp", 10)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

def add(n):
    vectors = {{space: np.eye(dim, dtype=np.float32)[n % dim] for space, dim in spaces.items()}}
    with store.adding() as put:
        put([New(f"{{n:032x}}", {{"name": str(n), "category": "c"}}, b"x", vectors)])

def found():
    return len(store.search("words", np.ones(8, np.float32), 100))

for n in range(5):
    add(n)
"""
END = """
print("all in", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def after_a_kill(home, tmp_path):
    """after_a_kill(code) runs it on a store with five items, and returns the ids that are there."""

    def run(code: str) -> list[int]:
        begin = BEGIN.format(folder=str(tmp_path), home=str(home), spaces=SPACES)
        done = subprocess.run(
            [sys.executable, "-c", begin + code + END],
            env=os.environ | {"WORKSHOP_HOME": str(home)},
            capture_output=True,
            text=True,
        )
        assert "all in" in done.stdout, done.stderr
        assert "File too large" in done.stdout
        store = Store("torn", tmp_path, SPACES, ".webp", 10)
        hits = store.search("words", np.ones(8, np.float32), 100)
        assert store.count() == len(hits)
        store.close()
        return sorted(int(hit.id, 16) for hit in hits)

    return run


def test_a_write_that_failed_half_way_costs_no_other_item(after_a_kill):
    """Milvus Lite reads its log only up to half a record: what follows must go into another."""
    assert after_a_kill("""
(log,) = home.glob("**/look_*/wal/wal_data*")
room(log.stat().st_size + 300)
try:
    add(5)
except Exception as error:
    print(error)
room(hard)
assert store.count() == found() == 5
for n in range(6, 10):
    add(n)
""") == [*range(5), *range(6, 10)]


def test_a_flush_that_failed_costs_no_item(after_a_kill):
    """Milvus Lite would forget the rows, and remove their log with the next flush."""
    assert after_a_kill("""
room(0)
try:
    store.settle()
except Exception as error:
    print(error)
assert store.count() == found() == 5
room(hard)
add(5)
assert found() == 6
store.settle()
assert found() == 6
""") == [*range(6)]


# ------------------------------------------------------------------------ what belongs together


def new(number: int, name: str = "n") -> New:
    vector = np.eye(8, dtype=np.float32)[number % 8]
    payload = {"name": f"{name}{number}", "category": "c"}
    return New(f"{number:032x}", payload, None, {"dense": vector, "words": {number: 1.0, 7: 0.5}})


@pytest.fixture
def heard() -> list[tuple[str, int]]:
    """What the store told of items that came in and went."""
    return []


@pytest.fixture
def texts(tmp_path, home, heard):
    """texts() opens a store of items without files, with a sparse space."""

    def changed(item_id: str, payload: dict, by: int) -> None:
        heard.append((payload["name"], by))

    opened = []

    def open_store() -> Store:
        spaces = {"dense": 8, "words": SPARSE}
        opened.append(Store("texts", tmp_path / "texts", spaces, None, 10, changed))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


ONES = np.ones(8, np.float32)


def test_items_of_one_block_are_found_when_it_has_ended_and_not_before(texts, heard):
    store = texts()
    with store.adding() as put:
        put([new(1), new(2)])
        assert store.search("dense", ONES, 10) == []
        put([new(3)])
        assert (store.count(), heard) == (0, [])
    assert {hit.payload["name"] for hit in store.search("dense", ONES, 10)} == {"n1", "n2", "n3"}
    assert heard == [("n1", 1), ("n2", 1), ("n3", 1)]
    assert [payload["name"] for _, payload in store.page(10, 0, None)[0]] == ["n3", "n2", "n1"]
    with store.adding() as put:
        put([new(4)])
        assert len(store.search("dense", ONES, 10)) == 3, "what was there is found meanwhile"
    assert store.count() == 4


def test_an_item_may_lack_a_vector_in_an_optional_space(tmp_path, home):
    spaces = {"look": 8, "face": 8}

    def opened() -> Store:
        return Store("films", tmp_path / "films", spaces, None, 10, optional=["face"])

    def item(number: int, *, face: bool) -> New:
        vectors = {"look": ONES, "face": ONES} if face else {"look": ONES}
        return New(new(number).id, new(number).payload, None, vectors)

    store = opened()
    with store.adding() as put:
        put([item(1, face=True), item(2, face=False)])
        put([item(3, face=False)])
    store.close()
    store = opened()
    try:
        assert store.count() == 3, "none is taken for half an item"
        assert {hit.payload["name"] for hit in store.search("look", ONES, 10)} == {"n1", "n2", "n3"}
        assert [hit.payload["name"] for hit in store.search("face", ONES, 10)] == ["n1"]
        ids = [new(number).id for number in (1, 2)]
        assert list(store.vectors(ids, "face")) == ids[:1] and list(store.vectors(ids)) == ids
        for number in (1, 2):
            assert store.delete(new(number).id)
        assert store.search("face", ONES, 10) == [] and len(store.search("look", ONES, 10)) == 1
    finally:
        store.close()


FACES = ("look", "first", "second")


def films(folder: Path | str) -> Store:
    """A store whose items may have two faces."""
    return Store(
        "films", Path(folder) / "films", dict.fromkeys(FACES, 8), None, 10, optional=FACES[1:]
    )


def faces(number: int) -> New:
    """An item with both."""
    return New(new(number).id, new(number).payload, None, dict.fromkeys(FACES, ONES))


@pytest.mark.parametrize("step", ["delete", "insert", "rename_collection"])
def test_a_forgetting_that_is_killed_is_finished_at_the_next_start(tmp_path, home, step):
    """In the second of two spaces: before its rows go, or while the others move to their new collection."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pymilvus import MilvusClient
from test_store import faces, films, new
store = films({str(tmp_path)!r})
with store.adding() as put:
    put([faces(n) for n in range(4)])

def killed(client, collection, *args, **kwargs):
    if collection.startswith("second"):
        print("half-way", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(client, collection, *args, **kwargs)

real = MilvusClient.{step}
MilvusClient.{step} = killed
ids = [new(n).id for n in (1, 2)]
store.forget({{"first": ids[:1], "second": ids}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "half-way" in done.stdout, done.stderr
    store = films(tmp_path)
    try:
        kept = {space: {h.payload["name"] for h in store.search(space, ONES, 9)} for space in FACES}
        assert kept["first"] == {"n0", "n2", "n3"} and kept["second"] == {"n0", "n3"}
        assert store.count() == len(kept["look"]) == 4 and list(store._media.iterdir()) == []
        with store._milvus.reading() as client:
            assert len(client.list_collections()) == len(FACES)
    finally:
        store.close()


def test_a_forgetting_that_was_not_written_to_its_end_is_none(tmp_path, home):
    store = films(tmp_path)
    with store.adding() as put:
        put([faces(1)])
    torn = f'{{"first": ["{new(1).id}"'
    (store._media / "forget-0.part").write_text(torn)
    store.close()
    store = films(tmp_path)
    assert len(store.search("first", ONES, 9)) == 1 and list(store._media.iterdir()) == []
    with pytest.raises(ValueError, match="'look' is not optional"):
        store.forget({"look": [new(1).id]})
    store.close()


def test_after_an_error_none_of_the_block_is_there(texts, heard):
    store = texts()
    with pytest.raises(ZeroDivisionError), store.adding() as put:
        put([new(n) for n in range(5)])
        raise ZeroDivisionError
    assert (store.count(), heard, store.search("dense", ONES, 10)) == (0, [], [])
    assert list((store._media).iterdir()) == []
    with store.adding() as put:
        put([new(1)])
    assert store.count() == 1


def test_after_a_kill_none_of_the_block_is_there_and_the_others_are(home, tmp_path, texts, heard):
    code = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import New, SPARSE, Store, new
store = Store("texts", Path({str(tmp_path)!r}) / "texts", {{"dense": 8, "words": SPARSE}}, None, 10)
with store.adding() as put:
    put([new(1), new(2)])
with store.adding() as put:
    put([new(n) for n in range(3, 300)])
    put([new(n) for n in range(300, 600)])
    print("half in", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "half in" in done.stdout, done.stderr
    store = texts()
    assert store.count() == 2
    assert sorted(heard) == [("n1", 1), ("n2", 1)]
    assert len(store.search("dense", ONES, 100)) == 2
    assert list((store._media).iterdir()) == []
    with store._milvus.reading() as client:
        for name in client.list_collections():
            assert len(client.query(name, limit=1000, output_fields=["id"])) == 2


def test_an_item_that_goes_is_told_with_what_was_known_of_it(texts, heard):
    store = texts()
    with store.adding() as put:
        put([new(1), new(2)])
    heard.clear()
    assert store.delete(new(1).id)
    assert heard == [("n1", -1)]
    store.clear()
    assert heard == [("n1", -1), ("n2", -1)]
    store.close()
    heard.clear()
    assert texts().count() == 0
    assert heard == []


def test_sparse_vectors_are_found_by_inner_product_without_loss(texts):
    store = texts()
    random = np.random.default_rng(0)
    rows = (random.random((3_000, 50)) < 0.1) * random.random((3_000, 50))
    dense = np.tile(ONES, (3_000, 1))
    items = [
        New(
            f"{n:032x}",
            {"name": str(n), "category": "c"},
            None,
            {"dense": dense[n], "words": {int(i): float(row[i]) for i in np.flatnonzero(row)}},
        )
        for n, row in enumerate(rows)
        if row.any()
    ]
    with store.adding() as put:
        put(items)
    store.settle()
    query = rows[17]
    scores = rows @ query
    found = store.search("words", {int(i): float(query[i]) for i in np.flatnonzero(query)}, 50)
    best = np.argsort(-scores)[:50]
    assert [int(hit.id, 16) for hit in found] == best.tolist()
    assert [hit.score for hit in found] == pytest.approx(scores[best], abs=1e-5)
    assert store.search("words", {}, 50) == []
    assert store.search("words", {49_999: 1.0}, 50) == []


def test_an_old_server_is_said_to_lack_sparse_spaces_and_the_others_work(
    milvus_server, monkeypatch, texts, caplog
):
    monkeypatch.setenv("MILVUS_URI", milvus_server)
    store = texts()
    assert store.lacks == ["words"]
    assert "words cannot be searched" in caplog.text
    with store.adding() as put:
        put([new(1), new(2)])
    assert len(store.search("dense", ONES, 10)) == 2
    store.clear()


def test_of_a_long_load_only_some_rows_are_ever_searched_one_by_one(texts):
    """Milvus Lite takes 40 times as long for rows without an index: searches would crawl meanwhile."""
    store = texts()
    most = 0
    with store.adding() as put:
        for start in range(0, 6_000, 500):
            put([new(n) for n in range(start, start + 500)])
            with store._milvus.reading() as client:
                for name in client.list_collections():
                    rows, pending = _lite_rows(_lite_collection(client, name))
                    indexed = rows - max(pending.values(), default=0)
                    most = max(most, start + 500 - indexed)
    assert 0 < most <= LOOSE + 500
    assert store.count() == 6_000


def test_an_item_without_a_word_is_found_by_its_meaning_alone(texts):
    store = texts()
    item = new(1)
    with store.adding() as put:
        put([New(item.id, item.payload, None, {**item.vectors, "words": {}}), new(2)])
    assert [hit.payload["name"] for hit in store.search("words", {7: 1.0}, 10)] == ["n2"]
    assert len(store.search("dense", ONES, 10)) == 2


def test_a_server_is_told_to_index_many_rows_and_finds_few_without(
    tmp_path, monkeypatch, milvus_server
):
    monkeypatch.setenv("MILVUS_URI", milvus_server)
    store = Store("few", tmp_path / "few", {"look": DIM}, None, 60)
    try:
        payload = {"name": "few", "category": "c"}
        for count, indexed in ((10, 0), (LOOSE, LOOSE + 10)):
            vectors = np.random.default_rng(count).standard_normal((count, DIM))
            with store.adding() as put:
                put([New(uuid4().hex, payload, None, {"look": vector}) for vector in vectors])
            store.settle()
            with store._milvus.reading() as client:
                segments = client.list_persistent_segments(store._collections["look"])
            assert sum(segment.num_rows for segment in segments) == indexed
            (hit,) = store.search("look", vectors[0], 1)
            assert hit.score > 0.999
    finally:
        store.close()
