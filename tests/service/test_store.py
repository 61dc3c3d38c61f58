"""Items at rest: a search finds all that there is, and a failed write costs no other item."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app_snippets.service.store import Store

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
