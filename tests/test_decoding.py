"""Pictures read in processes that can be ended: at a limit, when told to stop, with the service."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from bombs import NEVER, chunk, flat_png, many_scans
from PIL import Image

from workshop import datasets
from workshop.decoding import SMALL_FILE, FileReader, PictureReader
from workshop.errors import Stopped, TooLarge, WorkshopError
from workshop.paths import ROOT
from workshop.pictures import ImageError, ImageTooLarge, load_image

PHOTO = datasets.photos()[0].path.read_bytes()  # small enough to be read in this process
LARGE, SIZE = flat_png(600), (600, 600)


_before: list[psutil.Process] = []  # what other tests' services have running


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child not in _before]


@pytest.fixture
def make() -> Iterator[type[PictureReader]]:
    """Makes readers, and sees that nothing of them is left."""
    _before[:] = psutil.Process().children()
    made = []

    def maker(*args: object, **options: object) -> PictureReader:
        made.append(PictureReader(*args, **options))
        return made[-1]

    yield maker
    for reader in made:
        reader.close()
    assert children() == []


def test_pictures_are_read_as_in_this_process(make):
    reader = make()
    for content in (PHOTO, LARGE):
        assert reader.read(content, "a.webp").tobytes() == load_image(content).tobytes()
    large = flat_png(3_000)
    assert reader.read(large, "a.png").size == (1024, 1024)
    assert make(longest_side=50).read(large, "a.png").size == (50, 50)


def test_what_is_refused_in_this_process_is_refused_with_the_same_words(make):
    reader = make(max_pixels=1_000, max_scans=9)
    for content in (PHOTO, LARGE, b"no picture", b"no picture" * 99_999, b"", NEVER):
        with pytest.raises(ImageError) as there:
            reader.read(content, "mine.jpg")
        with pytest.raises(ImageError) as here:
            load_image(content, name="mine.jpg", max_pixels=1_000, max_scans=9)
        assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))
    assert len(children()) == 1  # a refusal costs no process


def test_a_small_picture_does_without_a_process_and_no_other(make):
    reader = make()
    for process in children():
        process.kill()
    assert reader.read(PHOTO, "a.webp").tobytes() == load_image(PHOTO).tobytes()
    for costly in (LARGE, many_scans(21), PHOTO + bytes(SMALL_FILE)):
        with pytest.raises(ImageError, match="broke down"):
            reader.read(costly, "a")
        for process in children():
            process.kill()
        reader = make()
        for process in children():
            process.kill()


def test_the_time_of_a_picture_is_limited(make):
    reader = make(max_scans=10**9, max_seconds=0.3)
    with pytest.raises(ImageTooLarge, match=r"slow.jpg takes more than 0.3 s .*max_decode_seconds"):
        reader.read(NEVER, "slow.jpg")
    assert reader.read(LARGE, "a.png").size == SIZE


def test_the_time_is_limited_where_python_reads_too(make):
    """A million empty parts of a PNG: nothing is decoded, and every part costs a little."""
    png = flat_png(8)
    flood = png[:33] + chunk(b"prVt", b"") * 1_000_000 + png[33:]
    with pytest.raises(ImageTooLarge, match="max_decode_seconds"):
        make(max_seconds=0.3).read(flood, "slow.png")


def test_the_memory_of_a_picture_is_limited(make):
    reader = make(max_bytes=150_000_000)
    with pytest.raises(
        ImageTooLarge, match=r"a.png takes more than 150,000,000 bytes.*max_decode_bytes"
    ):
        reader.read(flat_png(7_000), "a.png")
    assert reader.read(LARGE, "a.png").size == SIZE


def test_memory_is_given_back(make):
    reader = make()
    reader.read(LARGE, "a.png")
    (process,) = children()
    before = process.memory_info().rss
    reader.read(flat_png(6_000), "a.png")
    assert process.memory_info().rss - before < 50e6


def test_reading_stops_when_it_is_told_to(make):
    reader = make(max_scans=10**9, max_seconds=600)
    asked = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > 3  # by then it reads

    with pytest.raises(Stopped):
        reader.read(NEVER, "slow.jpg", stopped)
    assert children() == []
    assert reader.read(LARGE, "a.png").size == SIZE


def test_who_waits_for_a_turn_is_stopped_too(make):
    reader = make(max_scans=10**9, max_seconds=600)
    busy, enough = threading.Event(), threading.Event()

    def first() -> bool:
        busy.set()
        return enough.is_set()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read, NEVER, "slow.jpg", first)
        busy.wait()
        with pytest.raises(Stopped):
            reader.read(LARGE, "a.png", lambda asked=[]: asked.append(1) or len(asked) > 3)
        enough.set()
        assert isinstance(reading.exception(), Stopped)


def test_closing_ends_what_is_being_read(make):
    reader = make(2, max_scans=10**9, max_seconds=600)
    busy = threading.Semaphore(0)
    with ThreadPoolExecutor(3) as pool:
        reading = [
            pool.submit(reader.read, NEVER, "slow.jpg", lambda: busy.release()) for _ in range(3)
        ]
        for _ in range(9):
            busy.acquire()
        reader.close()
        assert all(isinstance(read.exception(), Stopped) for read in reading)
    assert children() == []


@pytest.fixture
def lines(monkeypatch) -> Iterator[FileReader]:
    """Reads files of which each line gives a result."""
    here = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(here))
    _before[:] = psutil.Process().children()
    reader = FileReader("bombs:parts", options={"stop_at": "?"}, max_seconds=2, kind="lines")
    yield reader
    reader.close()
    assert children() == []


def test_a_file_of_many_parts_is_read_part_by_part(lines):
    first, second, third = lines.stream(b"1 2 3\n\n4", "a.txt")
    assert first["numbers"].tolist() == [1, 2, 3] and first["line"] == 1
    assert second["numbers"].size == 0 and second["pairs"].shape == (0, 0)
    assert third["pairs"].tolist() == [[16]]
    assert lines.run(b"5", "b.txt")["numbers"].tolist() == [5]


def test_what_came_before_a_fault_is_there_and_the_fault_is_told(lines):
    parts = lines.stream(b"1\n2\n?\n3", "a.txt")
    assert [next(parts)["line"], next(parts)["line"]] == [1, 2]
    with pytest.raises(WorkshopError, match=r"a.txt, line 3: it ends here"):
        next(parts)
    assert len(children()) == 1 and lines.run(b"7", "b")["line"] == 1  # it reads on


def test_the_limits_hold_in_the_middle_of_a_file(lines):
    parts = lines.stream(b"1\nforever", "a.txt")
    assert next(parts)["line"] == 1
    with pytest.raises(TooLarge, match=r"a.txt takes more than 2 s .*max_decode_seconds"):
        next(parts)
    parts = lines.stream(b"1\n2\n3", "a.txt")
    next(parts)
    parts.close()  # who wants no more
    assert children() == []
    assert lines.run(b"7", "b")["line"] == 1


def test_the_limits_hold_over_many_quick_parts(lines):
    with pytest.raises(TooLarge, match="max_decode_seconds"):
        for _ in lines.stream(b"1\n" * 10_000_000, "a.txt"):
            pass


def test_as_many_are_read_at_once_as_there_are_processes(make):
    reader = make(2)
    seen = []
    with ThreadPoolExecutor(6) as pool:
        pictures = pool.map(
            lambda side: reader.read(flat_png(side), "a", lambda: seen.append(len(children()))),
            range(1_000, 1_006),
        )
        assert [picture.size for picture in pictures] == [
            (side, side) for side in range(1_000, 1_006)
        ]
    assert 1 <= max(seen) <= 2


def test_a_process_that_breaks_down_takes_nothing_with_it(make):
    reader = make(max_scans=10**9, max_seconds=600)

    def crash() -> bool:
        for process in children():
            process.kill()
        return False

    with pytest.raises(ImageError, match=r"slow.jpg cannot be read: the program .* broke down"):
        reader.read(NEVER, "slow.jpg", crash)
    assert reader.read(LARGE, "a.png").size == SIZE


def test_what_libraries_print_about_a_file_is_not_seen(make, capfd):
    content = io.BytesIO()
    Image.new("RGB", SIZE).save(content, "TIFF", compression="tiff_lzw", dpi=(72, 72))
    tiff = content.getvalue()
    odd = tiff.replace(b"\x28\x01\x03\0\x01\0\0\0\x02", b"\x28\x01\x03\0\x01\0\0\0\x63")
    assert odd != tiff  # a unit of resolution that there is not
    load_image(odd)
    assert "Bad value" in capfd.readouterr().err
    assert make().read(odd, "a.tif").size == SIZE
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "reading"])
def test_a_process_ends_with_the_one_that_started_it_however_that_ends(busy):
    code = (
        "import psutil, sys, threading; sys.path.insert(0, 'tests')\n"
        "from bombs import NEVER; from workshop.decoding import SMALL_FILE, PictureReader\n"
        "reader = PictureReader(max_scans=10**9, max_seconds=0.5)\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        + (
            "reader.files.max_seconds = 600; reader.read(NEVER, 'a', lambda: print('busy', flush=True))\n"
            if busy
            else ""
        )
        + "threading.Event().wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        if busy:
            assert parent.stdout.readline() == "busy\n"
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=120)
    assert not alive
