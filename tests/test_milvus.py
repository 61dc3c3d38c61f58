"""workshop.connect and wait_for_index, and the facts about Milvus that chapters rely on."""

import math
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import faiss
import numpy as np
import pytest
from grpc import ChannelConnectivity
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from workshop import milvus
from workshop.environment import proxies
from workshop.errors import WorkshopError
from workshop.health import doctor
from workshop.milvus import connect, wait_for_index

ROOT = Path(__file__).resolve().parent.parent
DIM = 8


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))
    monkeypatch.delenv("MILVUS_URI", raising=False)
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)
    yield tmp_path
    server_manager_instance.release_all()


SHARED = ["Lite file that is shared", "server"]


@pytest.fixture(params=["Lite", *SHARED])
def place(request, home, monkeypatch):
    """Each kind of place that connect() knows."""
    if request.param == "Lite file that is shared":
        monkeypatch.setenv("MILVUS_URI", str(home / "shared.db"))
    elif request.param == "server":
        monkeypatch.setenv("MILVUS_URI", request.getfixturevalue("milvus_server"))
    return request.param


def rows(n=10, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, DIM)).astype("float32").tolist()
    return [{"id": i, "vector": v, "word": f"w{i}"} for i, v in enumerate(vectors)]


def ids(client, collection="words"):
    found = client.query(
        collection, filter="id >= 0", output_fields=["id"], consistency_level="Strong"
    )
    return sorted(row["id"] for row in found)


def filled(client, collection="words", n=10):
    client.create_collection(collection, DIM)
    client.insert(collection, rows(n))
    return client


def without_index(client, collection="words"):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("word", DataType.VARCHAR, max_length=20)
    client.create_collection(collection, schema=schema)
    return client


def hnsw(client, params):
    index = client.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="COSINE", params=params)
    return index


def run_python(code, *, wait=True):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if wait:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        return out
    return process


# --- connect: a place of its own -------------------------------------------------------------


def test_a_rerun_starts_clean_with_the_same_collection_name(place):
    for _ in range(2):
        client = connect("ch_a")
        assert client.list_collections() == []
        assert ids(filled(client)) == list(range(10))
    assert connect("ch_a").list_collections() == []


def test_other_chapters_are_untouched(place):
    other = filled(connect("ch_b"), n=3)
    filled(connect("ch_a"))
    connect("ch_a")
    assert ids(other) == [0, 1, 2]
    assert ids(connect("ch_b", fresh=False)) == [0, 1, 2]
    connect("ch_b")


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_what_else_lives_in_a_shared_place_is_untouched(place):
    owner = MilvusClient(os.environ["MILVUS_URI"])
    if owner.has_collection("precious"):
        owner.drop_collection("precious")
    filled(owner, "precious", n=2)
    assert connect("ch_a").list_collections() == []
    assert ids(owner, "precious") == [0, 1]
    owner.drop_collection("precious")


def test_fresh_false_keeps_the_rows_and_loads_the_collection(place):
    client = filled(connect("ch_a"))
    client.flush("words")
    client.release_collection("words")
    client.close()
    again = connect("ch_a", fresh=False)
    assert ids(again) == list(range(10))
    connect("ch_a")


def test_fresh_false_opens_a_new_place_too(place):
    connect("ch_new")
    assert connect("ch_new", fresh=False).list_collections() == []


def test_fresh_false_leaves_a_collection_without_index_as_it_is(place):
    without_index(connect("ch_a"))
    assert connect("ch_a", fresh=False).list_collections() == ["words"]
    connect("ch_a")


def test_the_file_is_the_chapters_own(home):
    connect("03_milvus")
    assert [p.name for p in (home / "milvus").iterdir()] == ["03_milvus.db"]


def test_fresh_removes_all_that_the_file_held(home):
    filled(connect("ch_a")).flush("words")
    (home / "milvus" / "ch_a.db" / "left over").write_text("from an older version")
    connect("ch_a")
    names = {p.name for p in (home / "milvus" / "ch_a.db").rglob("*")}
    assert not {"left over", "words"} & names


def test_clients_of_one_process_share_the_file():
    first = filled(connect("ch_a"))
    second = connect("ch_a", fresh=False)
    second.insert("words", rows(12)[10:])
    assert ids(first) == ids(second) == list(range(12))


def test_the_file_is_read_from_the_disk_again_once_all_clients_are_closed(home):
    path = str(home / "milvus" / "ch_a.db")
    first = filled(connect("ch_a"))
    server = server_manager_instance._servers[path]
    second = connect("ch_a", fresh=False)
    assert server_manager_instance._servers[path] is server
    first.close()
    second.close()
    assert ids(connect("ch_a", fresh=False)) == list(range(10))
    assert server_manager_instance._servers[path] is not server


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a.db", "ä", "a b", "x" * 65, None, "a\n"])
def test_a_name_that_does_not_fit_is_refused(name, home):
    with pytest.raises(WorkshopError, match=r"connect\(\) got the name"):
        connect(name)
    assert list(home.iterdir()) == []


# --- connect: what goes wrong ----------------------------------------------------------------


def test_a_file_that_another_process_holds_is_named_at_once_and_kept(home):
    holder = run_python(
        """
        from workshop.milvus import connect
        client = connect("ch_a")
        client.create_collection("words", 8)
        client.insert("words", [{"id": 1, "vector": [1.0] * 8}])
        client.close()  # which does not free the file
        print("held", flush=True)
        input()
        """,
        wait=False,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        for fresh in (True, False):
            with pytest.raises(WorkshopError, match=r"ch_a\.db is open in another process.*kernel"):
                connect("ch_a", fresh=fresh)
        assert connect("ch_b").list_collections() == []
    finally:
        holder.communicate("\n", timeout=20)
    assert ids(connect("ch_a", fresh=False)) == [1]


def test_a_file_where_the_folder_should_be_is_named(home):
    (home / "milvus").mkdir()
    (home / "milvus" / "ch_a.db").write_text("not a Milvus Lite folder")
    with pytest.raises(WorkshopError, match=r"Cannot open .*ch_a\.db"):
        connect("ch_a")


@pytest.mark.parametrize(
    ("uri", "fragment"),
    [
        ("nonsense", "no address"),
        ("ftp://host:19530", "no address"),
        ("http://", "no address"),
        ("http://host name:19530", "no address"),
        ("http://host:port", "no address"),
        ("http://127.0.0.1:19530/default", "Leave out the database"),
        ("/no/such/folder/x.db", r"folder /no/such/folder does not exist"),
        ("http://127.0.0.1:1", "No Milvus server answers at http://127.0.0.1:1"),
        ("http://no-such-host.invalid:19530", "No Milvus server answers"),
    ],
)
def test_a_wrong_uri_gives_one_sentence_that_says_what_to_do(uri, fragment, monkeypatch):
    for name in proxies():  # rightly asked for another machine, but not in a test
        monkeypatch.delenv(name)
    monkeypatch.setenv("MILVUS_URI", uri)
    with pytest.raises(WorkshopError, match=fragment) as caught:
        connect("ch_a")
    assert "\n" not in str(caught.value)


def test_a_server_that_accepts_and_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("workshop.milvus.CONNECT_TIMEOUT", 0.5)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MILVUS_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(WorkshopError, match="No Milvus server answers"):
            connect("ch_a")
    assert time.monotonic() - started < 8  # pymilvus by itself waits for 10 s


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://root:Sec@127.0.0.1:1", "at http://…@127.0.0.1:1."),
        ("http://root:Sec@ret9@127.0.0.1:1", "at http://…@127.0.0.1:1."),
        ("http://root:Sec@ret9@127.0.0.1:1/name", "is 'http://…'. Leave out the database"),
        ("http://root:Sec@127.0.0.1:1/ret9.db", "is 'http://…'. Leave out the database"),
        ("http://root:Sec/ret9@127.0.0.1:1", "MILVUS_TOKEN"),
        ("http://root:1/ret9@127.0.0.1:1", "MILVUS_TOKEN"),
        ("http://root:Sec#ret9@127.0.0.1:1", "MILVUS_TOKEN"),
        ("http://root:Sec ret9@127.0.0.1:1", "MILVUS_TOKEN"),
        ("http://root:Sec", "is 'http://…', which is no address"),
        ("root:Sec", "is '…', which is no address"),
        ("root:Sec@127.0.0.1:1", "is '…@127.0.0.1:1', which is no address"),
        ("root:Sec@ret9/x.db", "is '…', which is no address"),
        ("tcp://root:Sec://ret9@127.0.0.1:1", "MILVUS_TOKEN"),
        ("http://127.0.0.1:1/?token=Sec", "is 'http://…'|at http://…"),
    ],
)
def test_no_part_of_a_password_is_shown(uri, shown, monkeypatch):
    monkeypatch.setenv("MILVUS_URI", uri)
    with pytest.raises(WorkshopError, match=shown) as caught:
        connect("ch_a")
    assert not re.search("Sec|ret9", str(caught.value))
    assert not re.search("Sec|ret9", str(doctor()))


def test_what_milvus_says_is_passed_on_without_the_login(monkeypatch):
    """A server of the learner's may repeat what it was sent."""
    monkeypatch.setenv("MILVUS_TOKEN", "root:Sec")
    said = milvus._without_secrets("user root:Sec, key c2Vj, Sec, me:ret9", "http://me:ret9@host")
    assert said == "user …, key c2Vj, …, …"


def test_no_client_pings_a_milvus_lite_until_it_hangs_up(home, monkeypatch):
    """Seen: GOAWAY, too_many_pings after some 40 s without a call, or within a long one."""
    served = connect("ch_a")
    port = served._config.address.rpartition(":")[2]
    monkeypatch.setenv("MILVUS_URI", str(home / "shared.db"))
    clients = [served, connect("ch_b")]
    for host in ("127.0.0.1", "localhost"):  # of another process it is reached like this
        monkeypatch.setenv("MILVUS_URI", f"http://{host}:{port}")
        clients.append(connect("ch_c"))
    for client in clients:
        options = client._handler._grpc_options
        assert options["grpc.keepalive_time_ms"] > 2 * 3600 * 1000  # what gRPC's servers allow
        assert not options["grpc.keepalive_permit_without_calls"]


def test_failed_calls_raise_and_write_no_log():
    """In a process of its own: pytest's handlers would swallow what a notebook shows."""
    done = run_python("""
        import logging, os
        logging.basicConfig()
        from pymilvus.exceptions import MilvusException
        from workshop import WorkshopError, connect
        client = connect("ch_a")
        client.create_collection("words", 8)
        try:
            client.query("nowhere", filter="id >= 0")
        except MilvusException:
            print("no collection")
        os.environ["MILVUS_URI"] = "http://127.0.0.1:1"
        try:
            connect("ch_a")
        except WorkshopError:
            print("no server")
    """)
    assert done == "no collection\nno server\n"


def test_milvus_lite_hangs_up_on_whom_pings_it_and_not_on_our_clients(monkeypatch):
    """pymilvus's pings, only faster: when they have ended their connection, ours is still there."""
    ours = connect("ch_a")
    states = []
    ours._handler._channel.subscribe(states.append)
    pings = {"grpc.keepalive_time_ms": 20, "grpc.http2.max_pings_without_data": 0}
    pinging = MilvusClient(f"http://{ours._config.address}", dedicated=True, grpc_options=pings)
    hung_up = threading.Event()
    pinging._handler._channel.subscribe(
        lambda state: hung_up.set() if state is not ChannelConnectivity.READY else None
    )
    assert hung_up.wait(60)
    assert states == [ChannelConnectivity.READY]
    pinging.close()


# --- wait_for_index --------------------------------------------------------------------------


def test_wait_for_index_leaves_no_row_pending_and_the_collection_loaded(place):
    client = without_index(connect("ch_a"))
    client.insert("words", rows(3000))
    client.create_index("words", hnsw(client, {"params": {"M": 16, "efConstruction": 200}}))
    wait_for_index(client, "words")
    index = client.describe_index("words", "vector")
    assert (index["total_rows"], index["pending_index_rows"]) == (3000, 0)
    hits = client.search("words", [rows()[7]["vector"]], limit=1, output_fields=["word"])
    assert hits[0][0]["entity"]["word"] == "w7"
    connect("ch_a")


def test_wait_for_index_covers_rows_that_came_after_the_index(place):
    client = filled(connect("ch_a"))
    wait_for_index(client, "words")
    client.insert("words", rows(20)[10:])
    wait_for_index(client, "words")
    assert client.describe_index("words", "vector")["indexed_rows"] == 20
    connect("ch_a")


def slow_index(client, n=2000, dim=128):
    """An index of seconds: rows, flushed to a loaded collection, with a careful HNSW."""
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = hnsw(client, {"params": {"M": 64, "efConstruction": 2000}})
    client.create_collection("slow", schema=schema, index_params=index)
    vectors = np.random.default_rng(0).normal(size=(n, dim)).astype("float32").tolist()
    client.insert("slow", [{"id": i, "vector": v} for i, v in enumerate(vectors)])


def brute_forced_rows(client, collection):
    """Rows of a Milvus Lite collection in segments that have no index in memory."""
    lite = milvus._lite_collection(client, collection)
    return sum(s.num_rows for s in lite._segments_snapshot() if "vector" not in s.indexes)


def test_after_a_flush_lite_says_finished_while_all_rows_are_brute_forced():
    client = connect("ch_a")
    slow_index(client)
    client.flush("slow")
    assert client.describe_index("slow", "vector")["pending_index_rows"] == 0
    assert brute_forced_rows(client, "slow") == 2000
    wait_for_index(client, "slow")
    assert brute_forced_rows(client, "slow") == 0


def test_wait_for_index_waits_for_a_collection_that_was_released_too():
    client = connect("ch_a")
    slow_index(client)
    client.release_collection("slow")
    wait_for_index(client, "slow")
    assert brute_forced_rows(client, "slow") == 0


def test_wait_for_index_says_what_is_pending_after_its_timeout():
    client = connect("ch_a")
    slow_index(client)
    with pytest.raises(WorkshopError, match=r"2,000 of 2,000 rows in 'vector'.*timeout=60"):
        wait_for_index(client, "slow", timeout=0)
    wait_for_index(client, "slow")
    assert brute_forced_rows(client, "slow") == 0


def test_wait_for_index_covers_rows_that_were_merged_from_many_flushes():
    client = filled(connect("ch_a"))
    for start in range(10, 2010, 200):
        client.insert("words", rows(start + 200)[start:])
        client.flush("words")
    wait_for_index(client, "words")
    assert brute_forced_rows(client, "words") == 0


def test_wait_for_index_waits_until_nothing_is_left_to_merge_in_the_background():
    client = filled(connect("ch_a"))
    wait_for_index(client, "words")
    release = threading.Event()
    milvus._lite_collection(client, "words")._bg_executor.submit(release.wait, 30)
    with pytest.raises(WorkshopError, match="is not complete"):
        wait_for_index(client, "words", timeout=0.2)
    release.set()
    wait_for_index(client, "words")


def test_wait_for_index_without_an_index_says_to_create_one(place):
    client = without_index(connect("ch_a"))
    with pytest.raises(WorkshopError, match=r"'words' has no index.*create_index"):
        wait_for_index(client, "words")
    connect("ch_a")


def test_wait_for_index_of_no_collection_names_those_there_are(place):
    client = filled(connect("ch_a"))
    with pytest.raises(WorkshopError, match=r"no collection 'wrods'.*words"):
        wait_for_index(client, "wrods")
    connect("ch_a")


# --- facts that chapters rely on -------------------------------------------------------------


def test_nested_index_params_reach_the_index_and_flat_ones_are_dropped(home):
    client = connect("ch_a")
    built = {}
    for name, params in {
        "nested": {"params": {"M": 4, "efConstruction": 40}},
        "flat": {"M": 4, "efConstruction": 40},
    }.items():
        without_index(client, name).insert(name, rows(500))
        client.create_index(name, hnsw(client, params))
        wait_for_index(client, name)
        built[name] = _hnsw_links(home, name)
    assert built == {"nested": 2 * 4, "flat": 2 * 16}  # 16 is Milvus Lite's default


def _hnsw_links(home, collection):
    """Links that a node may have at the bottom of the stored HNSW graph: 2·M."""
    (file,) = (home / "milvus").rglob(f"{collection}*/**/*.hnsw.idx")
    index = faiss.read_index(str(file))  # named, or it is freed while its parts are read
    return faiss.downcast_index(index).hnsw.nb_neighbors(0)


def test_a_repeated_key_overwrites():
    client = filled(connect("ch_a"))
    client.insert("words", [{**rows()[3], "word": "new"}])
    found = client.get("words", [3], output_fields=["word"])
    assert [row["word"] for row in found] == ["new"]
    assert ids(client) == list(range(10))


def test_lite_accepts_nan():
    client = filled(connect("ch_a"))
    client.insert("words", [{"id": 99, "vector": [math.nan] * DIM, "word": "nan"}])
    assert 99 in ids(client)


def test_acknowledged_rows_survive_a_kill():
    writer = run_python(
        """
        from workshop.milvus import connect
        client = connect("ch_a")
        client.create_collection("words", 8)
        for i in range(10_000):
            client.insert("words", [{"id": i, "vector": [i + 1.0] * 8}])
            print(i, flush=True)
        """,
        wait=False,
    )
    for line in writer.stdout:
        if int(line) == 50:
            break
    writer.send_signal(signal.SIGKILL)
    acknowledged = [50] + [int(line) for line in writer.stdout]  # those printed before the kill
    writer.wait(10)
    writer.stderr.close()
    survived = ids(connect("ch_a", fresh=False))
    assert set(survived) >= set(range(max(acknowledged) + 1))


def test_a_reopened_file_needs_load_collection(home):
    filled(connect("ch_a"))
    server_manager_instance.release_all()  # what the end of the process does
    client = MilvusClient(str(home / "milvus" / "ch_a.db"))
    with pytest.raises(MilvusException, match="load"):
        ids(client)
    client.load_collection("words")
    assert ids(client) == list(range(10))


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("schema.json", "cut short"),
        ("schema.json", "missing"),
        ("manifest.json", "cut short"),
        ("manifest.json", "missing"),
        ("*.parquet", "cut short"),
        ("*.parquet", "missing"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_in_it_is_changed(home, part, how):
    client = connect("damaged")
    client.create_collection("rows", dimension=4, consistency_level="Strong")
    for start in (0, 500):
        rows = [{"id": n, "vector": [n, 1.0, 2.0, 3.0]} for n in range(start, start + 500)]
        client.insert("rows", rows)
        wait_for_index(client, "rows")
    client.close()
    whole = connect("damaged", fresh=False)
    assert whole.query("rows", output_fields=["count(*)"])[0]["count(*)"] == 1_000
    whole.close()
    path = home / "milvus" / "damaged.db"
    broken = sorted(path.rglob(part))[0]
    if how == "missing":
        broken.unlink()
    else:
        broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with pytest.raises(WorkshopError) as error:
        connect("damaged", fresh=False)
    assert str(path) in str(error.value)
    assert f"{broken.relative_to(path)} is {how}" in str(error.value)
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    assert connect("damaged").list_collections() == []  # run from the top, all is well


@pytest.mark.parametrize("uri", ["", "file.db"])
def test_an_index_that_was_cut_short_is_made_again(home, tmp_path, monkeypatch, uri):
    if uri:
        monkeypatch.setenv("MILVUS_URI", str(tmp_path / uri))
    client = connect("cut")
    index = client.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="COSINE")
    client.create_collection("rows", dimension=4, index_params=index, consistency_level="Strong")
    client.insert("rows", [{"id": n, "vector": [n, 1.0, 2.0, 3.0]} for n in range(500)])
    wait_for_index(client, "rows")
    client.close()
    (file,) = (tmp_path if uri else home).rglob("*.idx")
    file.write_bytes(file.read_bytes()[:1000])
    client = connect("cut", fresh=False)
    assert len(client.search("rows", [[7, 1.0, 2.0, 3.0]], limit=5)[0]) == 5
    client.close()


def test_an_ivf_index_of_few_rows_writes_nothing_on_the_screen(home, capfd):
    client = connect("few")
    index = client.prepare_index_params()
    params = {"params": {"nlist": 1}}
    index.add_index("vector", index_type="IVF_FLAT", metric_type="COSINE", params=params)
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    client.create_collection("few", schema=schema, index_params=index)
    client.insert("few", [{"id": 1, "vector": [1.0, 0.0]}])
    wait_for_index(client, "few")
    assert client.search("few", data=[[1.0, 0.0]], limit=1)[0][0]["id"] == 1
    client.close()
    assert "WARNING" not in "".join(capfd.readouterr())
