"""Pictures of any size read in processes of their own, which can be ended at any moment.

What a stranger's file will cost is not known before it is decoded, and no thread can be stopped in
the middle of that. A process can: when it takes too long or too much memory, when the load is
cancelled, when the service stops. One that crashes takes nothing with it.
"""

import faulthandler
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

import psutil
from PIL import Image

from workshop.errors import Stopped
from workshop.paths import ROOT
from workshop.pictures import MAX_PIXELS, MAX_SCANS, ImageError, ImageTooLarge, load_image

# Up to here a picture costs some milliseconds and megabytes whatever is in it: less than its way to
# a process and back is worth.
SMALL_FILE = 2**18  # bytes
SMALL = {"max_pixels": 2**18, "max_scans": 20}
MAX_SECONDS = 5.0
MAX_BYTES = 1024**3
PIPE = 2**20  # bytes that one side can write ahead of the other, where the system lets us
GRACE = 0.5  # of the processor's time: what takes less is finished rather than stopped
LOOK = 0.05  # seconds between two looks at a process that works
# On a busy machine a process gets a part of the processor; one that gets nothing ends all the same.
PATIENCE = 20  # times the processor's time


class PictureReader:
    """Reads pictures as `load_image` does, within limits that hold whatever is in the file.

    processes     pictures read at once; others wait for their turn
    max_pixels    and
    max_scans     as in `load_image`
    max_seconds   of a processor's time that one picture may take
    max_bytes     of memory that one picture may take
    longest_side  pixels of what is returned; a larger picture is made smaller

    May be used from any thread. `close()` ends the processes.
    """

    def __init__(
        self,
        processes: int = 1,
        *,
        max_pixels: int = MAX_PIXELS,
        max_scans: int = MAX_SCANS,
        max_seconds: float = MAX_SECONDS,
        max_bytes: int = MAX_BYTES,
        longest_side: int = 1024,
    ) -> None:
        self.max_seconds, self.max_bytes = max_seconds, max_bytes
        self._options = {
            "max_pixels": max_pixels,
            "max_scans": max_scans,
            "longest_side": longest_side,
        }
        self._closed = threading.Event()
        # None stands for a process that is not there yet. The last in is the first out: as many
        # processes come to be as pictures are read at once.
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes - 1):
            self._free.put(None)
        self._free.put(self._start())  # it gets ready while the models are loaded

    def read(
        self, content: bytes, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> Image.Image:
        """An RGB picture, as `load_image` returns it.

        content  the bytes of a file
        name     what an error calls it
        stopped  asked now and then, by this thread, whether to stop: while it waits for its turn,
                 and when the picture has taken half a second

        Raises ImageTooLarge beyond a limit, ImageError for what is no picture, and Stopped.
        """

        def check() -> None:
            if stopped() or self._closed.is_set():
                raise Stopped

        if len(content) <= SMALL_FILE:
            with suppress(ImageTooLarge):
                limits = {key: min(most, self._options[key]) for key, most in SMALL.items()}
                return load_image(content, name=name, **{**self._options, **limits})
        with self._process(check) as process:
            answer = process.ask(content, name)
            while not wait([answer], LOOK).done:
                process.check(name, self.max_seconds, self.max_bytes)
                if process.used() > GRACE or self._closed.is_set():
                    check()
            return answer.result()

    def close(self) -> None:
        """End the processes; what they are reading is Stopped."""
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                if process := self._free.get_nowait():
                    process.end()

    def _start(self) -> "_Process":
        return _Process({**self._options, "patience": PATIENCE * self.max_seconds})

    @contextmanager
    def _process(self, check: Callable[[], None]) -> Iterator["_Process"]:
        process = None
        while True:
            try:
                process = self._free.get(timeout=LOOK)
                break
            except queue.Empty:
                check()
        try:
            process = process or self._start()
            yield process
        except BaseException as error:
            if process and not (isinstance(error, ImageError) and process.idle):
                process.end()
                process = None
            raise
        finally:
            self._free.put(process)
            if self._closed.is_set():
                self.close()


class _Process:
    """One process that reads pictures, seen from the service's side."""

    def __init__(self, options: dict[str, float]) -> None:
        self._patience = options["patience"]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "workshop.decoding", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=PIPE,
            cwd=ROOT,
            start_new_session=True,  # an interrupt in the terminal or notebook is not meant for it
        )
        self._seen = psutil.Process(self._process.pid)
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._since = 0.0
        self._before: float | None = None  # its time when it got the picture; None while it starts
        self._started = False
        self.idle = True  # ready for the next picture

    def ask(self, content: bytes, name: str) -> Future[Image.Image]:
        """The picture that will be read."""
        self.idle, self._before, self._since = False, None, time.monotonic()
        return self._hands.submit(self._ask, content, name)

    def _ask(self, content: bytes, name: str) -> Image.Image:
        question = json.dumps({"name": name, "bytes": len(content)})
        try:
            if not self._started:
                self._started = bool(self._process.stdout.readline())
            self._before = self._time()
            self._process.stdin.write(question.encode() + b"\n")
            self._process.stdin.write(content)
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            pixels = self._process.stdout.read(answer.get("bytes", 0))
        except (OSError, ValueError, psutil.Error) as error:  # it has ended, or was ended
            raise ImageError(
                f"{name} cannot be read: the program that reads pictures broke down over it. Open "
                "it in a picture program and save it again."
            ) from error
        self.idle = True
        match answer.get("error"):
            case None:
                return Image.frombytes("RGB", answer["size"], pixels)
            case "ImageTooLarge":
                raise ImageTooLarge(answer["reason"])
            case "ImageError":
                raise ImageError(answer["reason"])
        raise RuntimeError(answer["reason"])

    def check(self, name: str, max_seconds: float, max_bytes: int) -> None:
        """Raise ImageTooLarge if what is being read takes more than it may."""
        try:
            memory = self._seen.memory_info().rss
        except psutil.Error:
            return  # it has ended; its answer says so
        advice = "Open it in a picture program and save it again, smaller."
        if self.used() > max_seconds or time.monotonic() - self._since > self._patience:
            raise ImageTooLarge(
                f"{name} takes more than {max_seconds:g} s to read, the limit here "
                f"(max_decode_seconds). {advice}"
            )
        if memory > max_bytes:
            raise ImageTooLarge(
                f"{name} takes more than {max_bytes:,} bytes of memory to read, the limit here "
                f"(max_decode_bytes). {advice}"
            )

    def used(self) -> float:
        """Seconds of the processor's time that the picture has taken."""
        try:
            return 0.0 if self._before is None else self._time() - self._before
        except psutil.Error:
            return 0.0

    def _time(self) -> float:
        times = self._seen.cpu_times()
        return times.user + times.system

    def end(self) -> None:
        """End it, now."""
        self._process.kill()
        self._process.wait()
        self._hands.shutdown()  # its thread has read the end
        with suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()


# ------------------------------------------------------------------------------ in the process


def _serve(patience: float, **options: int) -> None:
    """Read pictures until the service ends, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print there what they find wrong in a file
        os.dup2(nowhere, stream)
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    answers.write(b"ready\n")
    answers.flush()
    while question := sys.stdin.buffer.readline():
        asked = json.loads(question)
        content = sys.stdin.buffer.read(asked["bytes"])
        # Should the service be gone, nobody else ends what never ends.
        faulthandler.dump_traceback_later(patience, exit=True, file=nowhere)
        answer, pixels = _read(content, asked["name"], options)
        faulthandler.cancel_dump_traceback_later()
        del content
        answers.write(json.dumps({**answer, "bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


def _read(content: bytes, name: str, options: dict[str, int]) -> tuple[dict[str, object], bytes]:
    try:
        picture = load_image(content, name=name, **options)
    except ImageError as error:
        return {"error": type(error).__name__, "reason": str(error)}, b""
    except MemoryError:
        reason = f"{name} takes more memory to read than there is. Make it smaller first."
        return {"error": "ImageTooLarge", "reason": reason}, b""
    except Exception:
        return {"error": "Exception", "reason": traceback.format_exc()}, b""
    return {"size": picture.size}, picture.tobytes()


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the service is gone
        _serve(**json.loads(sys.argv[1]))
