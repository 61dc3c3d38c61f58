"""`python -m workshop.bench`: numbers that can be trusted, and a clear line where there are none."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import h5py
import numpy as np
import pytest

from workshop.bench import config, data, engines, measure
from workshop.bench.__main__ import DEFAULT, main
from workshop.errors import WorkshopError

ROWS, QUERIES, DIM = 1_000, 40, 16
GRPC_LOG = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\]"
)

QUICK = """
repeats = 2
requests = 4
seconds = 0.01
batch_sizes = [1, 20]
clients = [1, 2]
engines = {engines}
[[data]]
{data}
"""
IVF = '[[index]]\ntype = "IVF_FLAT"\nbuild = { nlist = 20 }\nsearch = { nprobe = [1, 3, 20] }\n'
HNSW = (
    '[[index]]\ntype = "HNSW"\nbuild = { M = 4, efConstruction = 20 }\nsearch = { ef = [10, 40] }\n'
)
FLAT = '[[index]]\ntype = "FLAT"\n'


def toml(folder: Path, *indexes: str, data: str = "", engines: str = '["faiss"]', more: str = ""):
    path = folder / "mine.toml"
    data = data or f"synthetic = {ROWS}\ndim = {DIM}\nqueries = {QUERIES}"
    path.write_text(more + QUICK.format(engines=engines, data=data) + "".join(indexes or [FLAT]))
    return path


def command(path: Path) -> list[str]:
    return [sys.executable, "-m", "workshop.bench", str(path), "--out", str(path.parent / "out")]


def bench(path: Path, **env: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "MILVUS_URI"} | env
    return subprocess.run(command(path), env=environment, capture_output=True, text=True)


def results(path: Path) -> dict:
    return json.loads((path.parent / "out" / "results.json").read_text())


@pytest.fixture
def refused(monkeypatch, capfd) -> Callable[[Path], str]:
    """refused(path) is the one line that it says, before any work is done, with exit code 2."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def run(path: Path) -> str:
        monkeypatch.setattr(sys, "argv", command(path)[2:])
        assert main() == 2
        assert not list(path.parent.glob("out/cells/*")), "it measured before it complained"
        lines = capfd.readouterr().err.strip().splitlines()
        # gRPC writes here, too, when the servers of other tests in this process have gone
        lines = [line for line in lines if not GRPC_LOG.match(line)]
        assert len(lines) == 1, lines
        return lines[0]

    return run


@pytest.fixture
def vectors() -> np.ndarray:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(20, DIM))
    return (centres[rng.integers(20, size=ROWS)] + rng.normal(size=(ROWS, DIM))).astype(np.float32)


# ------------------------------------------------------------------------------ what is measured


METRICS = {"COSINE": faiss.METRIC_INNER_PRODUCT, "IP": faiss.METRIC_INNER_PRODUCT}
METRICS["L2"] = faiss.METRIC_L2


def test_recall_of_faiss_is_that_of_a_direct_run(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    sets = [f'file = "v.npy"\nqueries = {QUERIES}\nmetric = "{metric}"' for metric in METRICS]
    path = toml(tmp_path, IVF, HNSW, data="\n[[data]]\n".join(sets))
    done = bench(path)
    assert done.returncode == 0, done.stderr
    ours = {
        (cell["data"].split(", ")[1], cell["type"], *search["params"].values()): search["recall"]
        for cell in results(path)["cells"]
        for search in cell["searches"]
    }
    direct = {}
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    for metric, kind in METRICS.items():
        # with faiss alone, and recall as the share of names in common
        held = np.linspace(0, ROWS - 1, QUERIES, dtype=int)
        base, queries = np.delete(vectors, held, axis=0), vectors[held]
        if metric == "COSINE":
            faiss.normalize_L2(base)
            faiss.normalize_L2(queries)
        exact = faiss.IndexFlat(DIM, kind)
        exact.add(base)
        truth = exact.search(queries, 10)[1]
        ivf = faiss.index_factory(DIM, "IVF20,Flat", kind)
        hnsw = faiss.index_factory(DIM, "HNSW4,Flat", kind)
        hnsw.hnsw.efConstruction = 20
        found = {}
        for index in (ivf, hnsw):
            index.train(base)
            index.add(base)
        for ivf.nprobe in (1, 3, 20):
            found[metric, "IVF_FLAT", ivf.nprobe] = ivf.search(queries, 10)[1]
        for hnsw.hnsw.efSearch in (10, 40):
            found[metric, "HNSW", hnsw.hnsw.efSearch] = hnsw.search(queries, 10)[1]
        for way, names in found.items():
            common = [len(set(n) & set(t)) for n, t in zip(names, truth, strict=True)]
            direct[way] = np.mean(common) / 10
    faiss.omp_set_num_threads(threads)
    assert ours == pytest.approx(direct, abs=5e-4)
    assert all(ours[metric, "IVF_FLAT", 1] < 0.9 for metric in METRICS), "too easy to err on"
    assert all(ours[metric, "IVF_FLAT", 20] == 1 for metric in METRICS)


def test_recall_counts_a_row_just_as_near_and_no_row_twice():
    base = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    it = data.Vectors(base, base[:1], None, "COSINE")
    truth = np.array([[0, 1]])
    for found, expected in (
        ([2, 1], 1.0),
        ([0, 3], 0.5),
        ([0, 0], 0.5),
        ([0, -1], 0.5),
        ([3, -1], 0.0),
    ):
        assert data.recall(it, truth, np.array([found])) == expected


def test_milvus_lite_is_measured_in_every_way_of_the_grid(tmp_path):
    path = toml(tmp_path, FLAT, IVF, engines='["faiss", "lite"]')
    done = bench(path)
    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr
    found = results(path)
    assert [(c["engine"], c["type"]) for c in found["cells"]] == [
        ("faiss", "FLAT"),
        ("faiss", "IVF_FLAT"),
        ("lite", "FLAT"),
        ("lite", "IVF_FLAT"),
    ]
    by_engine = {}
    for cell in found["cells"]:
        assert cell["disk_bytes"] > ROWS * DIM * 4
        assert cell["memory_bytes"] is not None
        assert cell["seconds"]["index"] > 0
        if cell["engine"] == "lite":
            assert set(cell["seconds"]) == {"load", "flush", "index"}
            assert cell["version"].startswith("Milvus Lite")
        for search in cell["searches"]:
            ways = [(m["batch_size"], m["clients"]) for m in search["measures"]]
            assert ways == [(1, 1), (1, 2), (20, 1), (20, 2)]
            for m in search["measures"]:
                assert m["requests"] >= 2 * 3 * m["clients"]
                for key in ("p50_ms", "p95_ms", "p99_ms", "queries_per_second"):
                    assert 0 < m[key]["min"] <= m[key]["median"] <= m[key]["max"]
                assert m["p50_ms"]["median"] <= m["p99_ms"]["median"]
        recalls = {str(s["params"]): s["recall"] for s in cell["searches"]}
        by_engine.setdefault(cell["type"], []).append(recalls)
    assert by_engine["FLAT"] == [{"{}": 1.0}, {"{}": 1.0}]
    ours, lites = by_engine["IVF_FLAT"]
    # A recall of 1.000 with one of twenty cells would mean that no index was asked.
    assert lites["{'nprobe': 1}"] < 0.9
    assert lites["{'nprobe': 20}"] == ours["{'nprobe': 20}"] == 1.0
    assert not list((Path(os.environ["WORKSHOP_HOME"]) / "milvus").glob("bench.db")), "left behind"


def test_an_index_that_does_not_cover_every_row_is_not_measured(home):
    engine = engines.create("lite")
    base = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    engine.build(base, "IVF_FLAT", {"nlist": 10}, "COSINE")
    engine.require_complete_index(ROWS)
    engine._insert(ROWS, base[:100])
    with pytest.raises(WorkshopError, match=r"covers 1,000 of 1,100 rows"):
        engine.require_complete_index(ROWS + 100)
    engine.close()


def test_a_client_that_fails_fails_the_cell_and_does_not_hang(tmp_path):
    def search(queries, k, params):
        raise ValueError("gone")

    it = config.read(toml(tmp_path))
    with pytest.raises(ValueError, match="gone"):
        measure._run(search, np.ones((20, 4), np.float32), 1, 2, it, {})


def test_the_threads_are_pinned_in_the_process_that_measures(tmp_path):
    """Seen from inside: faiss of the child says how many it would use."""
    path = toml(tmp_path, more="threads = 2\n")
    code = (
        "import sys; sys.argv = ['bench', *sys.argv[1:]]\n"
        "from workshop.bench import run\n"
        "before = run._in_a_process\n"
        "def instead(function, args, say):\n"
        "    if function is run.measure: print('threads', before(seen, (), say))\n"
        "    return before(function, args, say)\n"
        "def seen(say):\n"
        "    import faiss; return faiss.omp_get_max_threads()\n"
        "run._in_a_process = instead\n"
        "if __name__ == '__main__':\n"
        "    from workshop.bench.__main__ import main; sys.exit(main())\n"
    )
    script = tmp_path / "seen.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script), *command(path)[3:]],
        env={**os.environ, "OMP_NUM_THREADS": "7"},
        capture_output=True,
        text=True,
    )
    assert "threads 2" in done.stdout, done.stdout + done.stderr


# -------------------------------------------------------------------------- the page, and resuming


def test_the_page_needs_nothing_but_itself(tmp_path, vectors):
    np.save(tmp_path / "a<b>&c.npy", vectors)
    about = f'file = "a<b>&c.npy"\nmetric = "IP"\n[[data]]\nsynthetic = {2 * ROWS}\ndim = 8'
    path = toml(tmp_path, IVF, data=about)
    assert bench(path).returncode == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r"<(script|link|img|iframe)\b|\bsrc=|@import|url\((?!#)", page)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert {re.search(r"[^/.]+\.org", a)[0] for a in addresses} <= {
        "w3.org",
        "purl.org",
        "creativecommons.org",
    }, "names of formats"
    assert page.count("<svg") == 3, "curves of each data set, and how cost grows"
    assert "How cost grows" in page
    for text in ("recall (1 is exact)", "IVF_FLAT nlist=20", "nprobe=3", "queries a second"):
        assert text in page
    assert "a&lt;b&gt;&amp;c.npy" in page
    assert "a<b>" not in page, "a file's name is text"


def test_a_file_whose_name_the_console_cannot_write_is_measured(tmp_path, vectors):
    np.save(tmp_path / "向量.npy", vectors)
    path = toml(tmp_path, data='file = "向量.npy"')
    path.write_text(path.read_text(), encoding="utf-8")
    done = bench(path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    path = toml(tmp_path, FLAT, IVF, HNSW)
    path.write_text(path.read_text().replace("seconds = 0.01", "seconds = 0.5"))
    path.write_text(path.read_text().replace("requests = 4", "requests = 100000"))
    # in the background of a shell script, Ctrl-C would be ignored from the start
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command(path), stderr=subprocess.PIPE, text=True, **heard)
    cells = tmp_path / "out" / "cells"
    end = time.monotonic() + 600
    while not list(cells.glob("*.json")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    kept = {file: file.stat().st_mtime_ns for file in cells.glob("*.json")}
    assert 1 <= len(kept) < 3
    done = bench(path)
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} of 3 cells are kept" in done.stdout
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(results(path)["cells"]) == 3


def test_what_changed_is_measured_again(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    path = toml(tmp_path, FLAT, data='file = "v.npy"')
    assert bench(path).returncode == 0
    assert "1 of 1 cells are kept" in bench(path).stdout
    np.save(tmp_path / "v.npy", vectors[:500])
    path.write_text("k = 5\n" + path.read_text())
    assert "kept" not in bench(path).stdout
    assert results(path)["data"][0]["rows"] == 300, "what the file holds now"


def test_a_failed_cell_is_told_and_tried_again(tmp_path, vectors):
    """More clients than this process may have threads."""
    path = toml(tmp_path, FLAT)
    limited = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))\n"
        "sys.argv = sys.argv[1:]\n"
        "if __name__ == '__main__':\n"
        "    from workshop.bench.__main__ import main; sys.exit(main())\n"
    )
    (tmp_path / "limited.py").write_text(limited)
    text = path.read_text()
    path.write_text(text.replace("clients = [1, 2]", "clients = [1, 20000]"))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "limited.py"), *command(path)[2:]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "can't start new thread" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(results(path)["failed"]) == 1
    assert "Not measured" in (tmp_path / "out" / "report.html").read_text()
    path.write_text(text)
    assert bench(path).returncode == 0
    assert results(path)["failed"] == []


# ------------------------------------------------------------------------------------- formats


def write_vecs(path: Path, matrix: np.ndarray) -> None:
    kind = {".fvecs": "<f4", ".bvecs": "u1", ".ivecs": "<i4"}[path.suffix]
    with path.open("wb") as file:
        for row in matrix:
            file.write(np.array([len(row)], "<i4").tobytes() + row.astype(kind).tobytes())


def test_fvecs_bvecs_npy_and_hdf5_of_the_same_rows_are_the_same(tmp_path):
    rng = np.random.default_rng(0)
    base, queries = rng.integers(0, 256, size=(200, 8)), rng.integers(0, 256, size=(10, 8))
    truth = np.argsort(np.square(base[None] - queries[:, None]).sum(2), kind="stable")[:, :20]
    for suffix in (".fvecs", ".bvecs"):
        write_vecs(tmp_path / f"b{suffix}", base)
        write_vecs(tmp_path / f"q{suffix}", queries)
    write_vecs(tmp_path / "t.ivecs", truth)
    np.save(tmp_path / "b.npy", base.astype(np.float16))
    np.save(tmp_path / "q.npy", queries)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"], file["neighbors"] = base.astype("f4"), queries, truth
    read = [
        data.read(config.Data(file=tmp_path / f"b{s}", queries=tmp_path / f"q{s}", metric="L2"))
        for s in (".fvecs", ".bvecs", ".npy")
    ]
    read.append(data.read(config.Data(file=tmp_path / "a.hdf5")))
    for one in read:
        assert one.metric == "L2"
        assert one.base.dtype == one.queries.dtype == np.float32
        assert np.array_equal(one.base, base)
        assert np.array_equal(one.queries, queries)
        assert data.recall(one, truth[:, :10], data.exact(one, 10)) == 1.0
    assert np.array_equal(read[-1].truth, truth), "given, so not found by comparing"
    given = config.Data(
        file=tmp_path / "b.fvecs", queries=tmp_path / "q.fvecs", truth=tmp_path / "t.ivecs"
    )
    assert np.array_equal(data.exact(data.read(given), 10), truth[:, :10])


@pytest.mark.parametrize(
    "theirs, ours", [("angular", "COSINE"), ("euclidean", "L2"), ("dot", "IP")]
)
def test_hdf5_says_which_metric(tmp_path, theirs, ours):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = theirs
        file["train"], file["test"] = np.eye(5, dtype="f4"), np.eye(2, 5, dtype="f4")
    assert data.read(config.Data(file=tmp_path / "a.hdf5")).metric == ours


def test_rows_held_out_are_not_searched_among(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    it = data.read(config.Data(file=tmp_path / "v.npy", queries=100, rows=300))
    assert it.base.shape == (300, DIM)
    assert len(np.unique(it.queries, axis=0)) == 100
    assert (it.queries == vectors[[0, -1]][:, None]).all(2).any(1).all(), "from end to end"
    assert not (it.queries[:, None] == it.base[None]).all(2).any()


def test_the_truth_of_all_rows_is_not_that_of_the_first(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "q.npy", vectors[:3])
    np.save(tmp_path / "t.npy", np.full((3, 10), 999))
    files = {name: tmp_path / f"{name[0]}.npy" for name in ("queries", "truth")}
    it = data.read(config.Data(file=tmp_path / "v.npy", rows=50, **files))
    assert it.truth is None
    assert data.exact(it, 1)[:, 0].tolist() == [0, 1, 2]


# ----------------------------------------------------------------- one line before any work is done


@pytest.mark.parametrize(
    "change, line",
    [
        (("repeats", "repeat"), "unknown key repeat; known are k, threads, repeats"),
        (("synthetic", "syntetic"), "unknown key data.0.syntetic; known are file, synthetic"),
        (("repeats = 2", "repeats = 1"), "repeats: .*2.*given: 1"),
        (("[1, 20]", "[0]"), "batch_sizes.0: .*greater than 0"),
        (("[1, 20]", "[1, 1]"), "batch_sizes: each only once"),
        (('"faiss"', '"fais"'), "'fais' is no engine. Known are faiss, lite, server"),
        (('"faiss"', '"me:Sec"'), "'…' is no engine. Known are faiss, lite, server"),
        (('"faiss"', '"http://me:Sec@lab:1"'), "The engine http://…@lab:1 holds a login"),
        (("repeats = 2", "repeats = "), "is not TOML"),
        (("nlist = 20", "nlst = 20"), "IVF_FLAT has no build parameter 'nlst'; it has: nlist"),
        (("build = { nlist = 20 }", ""), "IVF_FLAT needs the build parameter 'nlist'"),
        (("nlist = 20", "nlist = 2000"), "nlist 2,000 is more than the 1,000 rows"),
        (("[[index]]", "[[data]]\nsynthetic = 1000\ndim = 16\n[[index]]"), "two sets .* the name"),
        (("[1, 3, 20]", "[21]"), "every nprobe is larger than nlist 20"),
        (("ef = [10", "ef = [9"), "ef 9 is smaller than k, which is 10"),
        (("synthetic = 1000", "synthetic = 9"), "k is 10, and .* has 9 rows"),
        (('type = "HNSW"', 'typ = "HNSW"'), "unknown key index.1.typ|index.1.type is missing"),
        (("synthetic = 1000", 'file = "no.npy"'), "dim goes with synthetic"),
        (("nlist = 20", 'nlist = "20"'), "nlist is a whole number from 1 .given: '20'"),
        (("[1, 3, 20]", '["1"]'), "nprobe is a whole number from 1 .given: '1'"),
        (("nlist = 20", "nlist = []"), "index.0.build.nlist: .*at least 1"),
        (("[1, 3, 20]", "[3, 3]"), "index.0.search.nprobe: each only once"),
        (("repeats = 2", "repeats = true"), "repeats: .*whole|repeats: .*integer.*given: True"),
        (("seconds = 0.01", "seconds = inf"), "seconds: .*finite"),
        (("[[data]]", "[data]"), r"write \[\[data\]\], with two brackets"),
        (("synthetic = 1000\ndim = 16", "file = 3"), "data.0.file: .*path of a file, in quotes"),
        (("dim = 16", 'metric = "hamming"'), "metric: should be COSINE, IP or L2 .*'hamming'"),
        (("repeats = 2", "repeats = " + "[" * 5000), "is not TOML that can be read here"),
    ],
)
def test_a_bad_toml_is_one_line(tmp_path, refused, change, line):
    path = toml(tmp_path, IVF, HNSW)
    before = path.read_text()
    path.write_text(before.replace(*change))
    assert path.read_text() != before
    assert re.search(line, refused(path))


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"], ids=str
)
def test_a_toml_as_windows_writes_it_is_read(tmp_path, encoding):
    text = toml(tmp_path, IVF, HNSW).read_text()
    path = tmp_path / "windows.toml"
    path.write_bytes(f"# München\n{text}".replace("\n", "\r\n").encode(encoding))
    assert config.read(path) == config.read(tmp_path / "mine.toml")


def test_a_toml_in_another_encoding_is_one_line(tmp_path, refused):
    path = toml(tmp_path)
    path.write_bytes("# München\n".encode("latin-1") + path.read_bytes())
    assert "is not text in UTF-8" in refused(path)


@pytest.mark.parametrize("metric", ["cosine", "Cosine", "Angular", "COSINE"])
def test_names_are_understood_however_their_letters_are(tmp_path, metric):
    text = toml(tmp_path, IVF, data=f'synthetic = 100\nmetric = "{metric}"').read_text()
    text = text.replace('"IVF_FLAT"', '"ivf_flat"').replace('["faiss"]', '"FAISS"')
    path = tmp_path / "mine.toml"
    path.write_text(text)
    it = config.read(path)
    assert (it.data[0].metric, it.index[0].type, it.engines) == ("COSINE", "IVF_FLAT", ["faiss"])


def test_an_index_that_this_engine_does_not_know_is_one_line(tmp_path, refused):
    path = toml(
        tmp_path,
        FLAT,
        '[[index]]\ntype = "SCANN"\nbuild = { nlist = 8 }\nsearch = { nprobe = 2, reorder_k = 20 }\n',
    )
    assert re.search(r"faiss .* refuses the index SCANN nlist=8.*known are", refused(path))
    lite = path.read_text().replace('"faiss"', '"lite"')
    path.write_text(lite)
    assert re.search(r"Milvus Lite .* refuses the index SCANN nlist=8.*unknown", refused(path))
    path.write_text(lite.replace("SCANN", "CAGRA"))
    assert re.search(r"refuses the index CAGRA nlist=8.*unknown", refused(path))


def test_a_server_that_does_not_answer_is_one_line(tmp_path, refused, monkeypatch):
    path = toml(tmp_path, engines='["faiss", "server"]')
    monkeypatch.setenv("MILVUS_URI", "http://127.0.0.1:1")
    assert "No Milvus server answers at http://127.0.0.1:1" in refused(path)
    done = bench(path)
    assert done.returncode == 0
    assert "Left out: server" in done.stdout


FILES = [
    (None, "Cannot read .*v.npy: No such file"),
    (b"", "broken"),
    (b"not numpy", "broken"),
    (np.array([{"a": 1}], dtype=object), "broken"),
    (np.ones(7, np.float32), r"of shape \(7,\)"),
    (np.ones((5, 4), complex), "holds complex128"),
    (np.ones((5, 4), np.float32), "has 5 rows: too few to hold out 200"),
    (np.full((300, 4), np.nan, np.float32), "number 0 holds no finite number"),
    (b"PK\x03\x04 half an archive", "broken"),
    (b"\x93NUMPY\x01\x00\xf0\x20" + b"[" * 8432, "broken"),
    (np.ones((5, 4), bool), "holds bool of shape"),
    (np.ones((5, 0)), r"holds float64 of shape \(5, 0\)"),
    (np.zeros((300, 4), np.float32), "number 0 holds only zeros"),
]


@pytest.mark.parametrize("content, line", FILES)
def test_a_bad_file_is_one_line(tmp_path, content, line):
    if isinstance(content, bytes):
        (tmp_path / "v.npy").write_bytes(content)
    elif content is not None:
        np.save(tmp_path / "v.npy", content, allow_pickle=True)
    with pytest.raises(WorkshopError, match=line) as error:
        data.read(config.Data(file=tmp_path / "v.npy", metric="COSINE"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, content, line",
    [
        ("v.fvecs", b"", "it is empty"),
        ("v.fvecs", b"\x04\x00\x00\x00" + b"\x00" * 15, "no whole number of vectors of 4"),
        ("v.fvecs", np.array([2, 0, 0, 3, 0, 0], "<i4").tobytes(), "differ in length"),
        ("v.fvecs", b"\xff\xff\xff\xff" + b"\x00" * 12, "broken"),
        ("v.csv", b"1,2", "format that is not read here. Read are .npy, .fvecs, .bvecs and .hdf5"),
        ("v.hdf5", b"not hdf5", "broken or not HDF5"),
    ],
)
def test_a_bad_file_of_another_format_is_one_line(tmp_path, name, content, line):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WorkshopError, match=line):
        data.read(config.Data(file=tmp_path / name))


@pytest.mark.parametrize(
    "distance, keys, line",
    [
        ("hamming", ("train", "test"), "for the distance 'hamming'"),
        ("angular", ("rows", "test"), "no dense vectors under `train`"),
    ],
)
def test_hdf5_of_another_kind_is_one_line(tmp_path, distance, keys, line):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = distance
        for key in keys:
            file[key] = np.eye(3)
    with pytest.raises(WorkshopError, match=line):
        data.read(config.Data(file=tmp_path / "a.hdf5"))


def test_files_that_do_not_fit_each_other_are_one_line(tmp_path, refused, vectors):
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "q.npy", vectors[:5, :7])
    np.save(tmp_path / "t.npy", np.full((5, 10), ROWS))
    about = 'file = "v.npy"\nqueries = "q.npy"'
    assert "rows of" in (said := refused(toml(tmp_path, data=about)))
    assert "16 numbers and its queries 7" in said
    np.save(tmp_path / "q.npy", vectors[:5])
    about += '\ntruth = "t.npy"'
    assert "ground truth of" in (said := refused(toml(tmp_path, data=about)))
    assert "rows from 0 to 999" in said


@pytest.mark.parametrize("kind", ["rows", "queries"])
def test_a_refused_row_has_its_number_in_the_file(tmp_path, vectors, kind):
    """Whether it would have been searched among or held out, which row 0 and every 4th are."""
    wrong = 33 if kind == "rows" else 0
    vectors[wrong, 2] = np.inf
    np.save(tmp_path / "v.npy", vectors[:300])
    with pytest.raises(WorkshopError, match=rf"v.npy, counted from 0: number {wrong} holds no fin"):
        data.read(config.Data(file=tmp_path / "v.npy", queries=60))


@pytest.mark.parametrize(
    "arrays, line",
    [
        ({"a": np.ones((300, 4))}, None),
        ({"a": np.ones((300, 4)), "b": np.ones(3)}, "holds the arrays a, b, and one is read"),
        ({}, r"holds the arrays \(none\)"),
    ],
)
def test_an_npz_is_read_if_it_holds_one_matrix(tmp_path, arrays, line):
    np.savez(tmp_path / "v.npz", **arrays)
    it = config.Data(file=tmp_path / "v.npz")
    if line is None:
        assert data.read(it).base.shape == (100, 4)
    else:
        with pytest.raises(WorkshopError, match=line):
            data.read(it)


def test_an_archive_with_the_name_of_an_array_is_one_line(tmp_path):
    np.savez(tmp_path / "v.npz", np.ones((300, 4)))
    (tmp_path / "v.npz").rename(tmp_path / "v.npy")
    with pytest.raises(WorkshopError, match=r"is an archive of arrays: give it the name v\.npz"):
        data.read(config.Data(file=tmp_path / "v.npy"))


def test_endings_are_read_in_capitals_too(tmp_path, vectors):
    np.save((tmp_path / "V.NPY").open("wb"), vectors)
    write_vecs(tmp_path / "v.fvecs", vectors)
    (tmp_path / "v.fvecs").rename(tmp_path / "V.FVECS")
    for name in ("V.NPY", "V.FVECS"):
        assert data.read(config.Data(file=tmp_path / name)).base.shape == (ROWS - 200, DIM)


def with_distance(value):
    def fill(file):
        file["train"], file["test"] = np.eye(60, 4) + 1, np.eye(5, 4) + 1
        file.attrs["distance"] = value

    return fill


def with_parts(**parts):
    def fill(file):
        parts.setdefault("test", np.eye(5, 4) + 1)
        for name, part in parts.items():
            file[name] = part

    return fill


@pytest.mark.parametrize(
    "fill, said",
    [
        (with_distance("Angular"), "COSINE"),
        (with_distance(np.array([b"angular"])), "COSINE"),
        (with_distance(["dot"]), "IP"),
        (with_distance(np.array(["angular", "dot"], dtype="S9")), "for the distance array"),
        (with_distance(h5py.Empty("S1")), "for the distance Empty"),
        (with_distance(np.bytes_(b"\xff\xfe")), "for the distance"),
        (with_distance(3), "for the distance"),
        (lambda file: file.create_group("train"), "`train`, holds group"),
        (with_parts(train=3.0), r"`train`, holds float64 of shape \(\)"),
        (with_parts(train=h5py.Empty("f4")), "`train`, holds float32 of shape None"),
        (with_parts(train=np.eye(60, 4), test=h5py.SoftLink("/no")), "`test` is a link that leads"),
        (with_parts(train=h5py.ExternalLink("no.h5", "/x")), "`train` is a link that leads"),
        (with_parts(train=np.eye(60, 4), test=np.eye(5)), "4 numbers and its queries 5"),
        (with_parts(train=np.eye(60, 4), neighbors=np.zeros((5, 0), int)), "`neighbors`, holds"),
        (with_parts(train=np.eye(60, 4), neighbors=np.zeros(5, int)), "`neighbors`, holds"),
        (with_parts(train=np.eye(60, 4), neighbors=np.zeros((4, 2), int)), "since it has 4 rows"),
        (with_parts(train=np.eye(60, 4), neighbors=np.full((5, 2), -1)), "its row 0 has -1"),
        (with_parts(train=np.eye(60, 4), neighbors=np.full((5, 2), 60)), "row 0 has 60.*0 to 59"),
        (with_parts(train=np.eye(60, 4), neighbors=np.full((5, 2), 0.5)), "its row 0 has 0.5"),
        (with_parts(train=np.eye(60, 4), neighbors=np.full((5, 2), np.nan)), "its row 0 has nan"),
        (with_parts(train=np.eye(60, 4), neighbors=np.zeros((5, 2), "f4")), "L2"),
    ],
)
def test_an_hdf5_of_any_shape_is_read_or_one_line(tmp_path, fill, said):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        fill(file)
    try:
        assert data.read(config.Data(file=tmp_path / "a.hdf5")).metric == said
    except WorkshopError as error:
        assert re.search(said, str(error)), error
        assert "\n" not in str(error)


def test_the_metric_asked_for_stands_over_that_of_the_file(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        with_distance("jaccard")(file)
    assert data.read(config.Data(file=tmp_path / "a.hdf5", metric="ip")).metric == "IP"


# ------------------------------------------------------------------------------- the ground truth


@pytest.fixture
def with_truth(tmp_path, vectors):
    """with_truth(metric, change) is a grid of vectors whose own ground truth was changed so."""

    def make(metric: str, change: Callable[[np.ndarray, data.Vectors], np.ndarray]) -> Path:
        it = data.Vectors(vectors[30:], vectors[:30], None, metric)
        parts = {"v": it.base, "q": it.queries, "t": change(data.exact(it, 20), it)}
        for name, part in parts.items():
            np.save(tmp_path / f"{name}.npy", part)
        about = 'file = "v.npy"\nqueries = "q.npy"\ntruth = "t.npy"\n'
        return toml(tmp_path, data=f'{about}metric = "{metric}"')

    return make


def of_another_metric(right, it):
    other: config.Metric = "IP" if it.metric == "L2" else "L2"
    return data.exact(data.Vectors(it.base, it.queries, None, other), 20)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "change, line",
    [
        (lambda right, it: np.minimum(right + 1, 969), "counts the rows from 1"),
        (lambda right, it: np.random.default_rng(0).integers(0, 970, (30, 20)), "does not belong"),
        (of_another_metric, "does not belong to these vectors: for query .* by "),
        (lambda right, it: right[:, ::-1], "does not belong"),
        (lambda right, it: right[:, [0] * 20], "does not belong"),
        (lambda right, it: np.where(np.arange(30)[:, None] == 29, 0, right), "for query 29 "),
    ],
    ids=["from 1", "random", "other metric", "worst first", "one row", "one query"],
)
def test_a_truth_that_is_not_of_the_data_is_refused(with_truth, refused, change, line, metric):
    said = refused(with_truth(metric, change))
    assert re.search(line, said), said
    assert "v.npy" in said


@pytest.mark.parametrize("metric", METRICS)
def test_a_truth_of_the_data_is_taken_whatever_its_numbers_are_and_its_ties(with_truth, metric):
    path = with_truth(metric, lambda right, it: right.astype(np.float32))
    it = data.read(config.read(path).data[0])
    data.check_truth(it, data.exact(it, 10))
    base = np.repeat(it.base[:5], 3, axis=0)  # each row three times
    twins = data.Vectors(base, it.base[:2], np.array([[2, 0], [5, 4]]), metric)
    if metric != "IP":
        data.check_truth(twins, data.exact(twins, 2))


def test_no_truth_makes_a_poor_answer_look_good(vectors):
    """Even if it is not checked: recall is against what comparing finds."""
    right = data.Vectors(vectors[30:], vectors[:30], None, "L2")
    wrong = data.Vectors(vectors[30:], vectors[:30], np.zeros((30, 10), int), "L2")
    poor = np.random.default_rng(1).integers(0, 970, (30, 10))
    honest = data.recall(right, data.exact(right, 10), poor)
    assert honest < 0.1
    assert data.recall(wrong, data.exact(wrong, 10), poor) == honest


def test_a_truth_needs_the_queries_that_it_is_of(tmp_path, refused, vectors):
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "t.npy", np.zeros((200, 10), int))
    path = toml(tmp_path, data='file = "v.npy"\ntruth = "t.npy"')
    assert "A ground truth goes with the queries that it is of" in refused(path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train"], file["neighbors"] = vectors, np.zeros((200, 10), int)
    with pytest.raises(WorkshopError, match="goes with the queries that it is of"):
        data.read(config.Data(file=tmp_path / "a.h5"))


def test_a_number_of_queries_beside_queries_is_one_line(tmp_path, vectors):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train"], file["test"] = vectors, vectors[:5]
    with pytest.raises(WorkshopError, match=r"has queries of its own, .*leave out queries = 20"):
        data.read(config.Data(file=tmp_path / "a.h5", queries=20))


def test_what_is_not_taken_from_the_files_is_said(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors * 1e20)
    np.save(tmp_path / "q.npy", vectors[:20] * 1e20)
    np.save(tmp_path / "t.npy", np.zeros((20, 10), int))
    about = 'file = "v.npy"\nqueries = "q.npy"\ntruth = "t.npy"\nrows = 500'
    done = bench(toml(tmp_path, data=about))
    assert done.returncode == 0, done.stderr
    assert re.search(r"Note: the ground truth of .* left aside for the first 500; ", done.stdout)
    assert "scaled by powers of two, which changes no neighbour by L2" in done.stdout


# --------------------------------------------------------------------------- sizes of all kinds


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-42, 1e-25, 1e-8, 1e20, 1e37])
def test_vectors_of_any_size_are_measured_like_others(tmp_path, vectors, metric, size):
    vectors = vectors[:300] + 3
    np.save(tmp_path / "v.npy", vectors)
    right = data.read(config.Data(file=tmp_path / "v.npy", queries=20, metric=metric))
    np.save(tmp_path / "s.npy", vectors.astype(np.float64) * size)
    it = data.read(config.Data(file=tmp_path / "s.npy", queries=20, metric=metric))
    found = data.exact(it, 10)
    assert (found == data.exact(right, 10)).mean() > 0.99
    assert data.recall(it, found, found) == 1.0
    assert data.recall(it, found, (found + 1) % 200) < 0.5, "not all is as near as all else"


def test_rows_of_most_different_sizes_have_a_cosine(tmp_path, vectors):
    np.save(tmp_path / "v.npy", vectors[:300])
    sizes = np.resize([1e-25, 1.0, 1e20], 300)[:, None]
    np.save(tmp_path / "s.npy", vectors[:300] * sizes)
    same, it = (
        data.read(config.Data(file=tmp_path / f"{name}.npy", queries=20, metric="COSINE"))
        for name in "vs"
    )
    assert (data.exact(it, 10) == data.exact(same, 10)).mean() > 0.99


def test_exact_is_exact_far_from_zero(vectors):
    """float32 loses a distance that is small beside the vectors' own lengths."""
    base = (vectors[20:] + 1000).astype(np.float32)
    queries = (vectors[:20] + 1000).astype(np.float32)
    distances = np.square(base[None].astype(float) - queries[:, None].astype(float)).sum(2)
    right = np.argsort(distances, axis=1)[:, :10]
    assert np.array_equal(data.exact(data.Vectors(base, queries, None, "L2"), 10), right)


def test_exact_is_the_same_in_pieces(monkeypatch, vectors):
    for metric in METRICS:
        it = data.Vectors(vectors[20:], vectors[:20], None, metric)
        whole = data.exact(it, 10)
        monkeypatch.setattr(data, "BLOCK", 7 * DIM)
        assert np.array_equal(data.exact(it, 10), whole)
        monkeypatch.undo()


def test_the_default_grid_is_a_valid_one_that_names_every_key():
    it = config.read(DEFAULT)
    assert it.engines == ["faiss", "lite", "server"]
    text = DEFAULT.read_text()
    for name in (
        *config.Config.model_fields,
        *config.Data.model_fields,
        *config.Index.model_fields,
    ):
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("path", sorted(DEFAULT.parent.glob("*.toml")), ids=lambda p: p.name)
def test_every_grid_that_comes_along_can_be_read(path):
    config.read(path)
