"""Files of any kind read in processes of their own, which can be ended at any moment.

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
from importlib import import_module
from typing import Any

import numpy as np
import psutil
from PIL import Image

from workshop.errors import Stopped, TooLarge, WorkshopError
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


class FileReader:
    """Runs a function of ours over strangers' files, within limits that hold whatever is in them.

    function     "workshop.sounds:read": a function of a module that is called with the file's bytes, `name=`
                 and `options`. It returns, or yields one after another, dicts of NumPy arrays and of what JSON
                 can hold, and raises a WorkshopError for a file that it does not read
    processes    files read at once; others wait for their turn
    options      for the function; what JSON can hold
    max_seconds  of a processor's time that one file may take
    max_bytes    of memory that one file may take
    kind         of thing, and
    program      what people open it with: words for messages
    refusal      the error for what cannot be read, and
    too_large    the one for what costs more than is allowed

    May be used from any thread. `close()` ends the processes.
    """

    def __init__(
        self,
        function: str,
        processes: int = 1,
        *,
        options: dict[str, Any] | None = None,
        max_seconds: float = MAX_SECONDS,
        max_bytes: int = MAX_BYTES,
        kind: str = "files",
        program: str = "the program it was made with",
        refusal: type[WorkshopError] = WorkshopError,
        too_large: type[TooLarge] = TooLarge,
    ) -> None:
        self.max_seconds, self.max_bytes = max_seconds, max_bytes
        self.kind, self.program = kind, program
        self.refusal, self.too_large = refusal, too_large
        self._function, self._options = function, options or {}
        self._closed = threading.Event()
        # None stands for a process that is not there yet. The last in is the first out: as many
        # processes come to be as files are read at once.
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes - 1):
            self._free.put(None)
        self._free.put(_Process(self))  # it gets ready while the models are loaded

    def run(
        self, content: bytes, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """What the function returns for a file; for the arguments and errors see `stream`."""
        (result,) = self.stream(content, name, stopped)
        return result

    def stream(
        self, content: bytes, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """What the function yields for a file, each as soon as it is there.

        content  the bytes of the file
        name     what an error calls it
        stopped  asked now and then, by this thread, whether to stop: while it waits for its turn,
                 and when the file has taken half a second

        Raises `too_large` beyond a limit, `refusal` for what cannot be read, and Stopped. What was
        yielded before an error is right as far as it goes.
        """

        def check() -> None:
            if stopped() or self._closed.is_set():
                raise Stopped

        with self._process(check) as process:
            answer = process.ask(content, name)
            while True:
                while not wait([answer], LOOK).done:
                    process.check(name)
                    if process.used() > GRACE or self._closed.is_set():
                        check()
                result = answer.result()
                if result is None:
                    return
                process.check(name)  # of many quick parts none was waited for
                yield result
                answer = process.next(name)

    def close(self) -> None:
        """End the processes; what they are reading is Stopped."""
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                if process := self._free.get_nowait():
                    process.end()

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
            process = process or _Process(self)
            yield process
        except BaseException as error:
            if process and not (isinstance(error, WorkshopError) and process.idle):
                process.end()
                process = None
            raise
        finally:
            self._free.put(process)
            if self._closed.is_set():
                self.close()


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
        self._options = {
            "max_pixels": max_pixels,
            "max_scans": max_scans,
            "longest_side": longest_side,
        }
        self.files = FileReader(
            "workshop.decoding:picture",
            processes,
            options=self._options,
            max_seconds=max_seconds,
            max_bytes=max_bytes,
            kind="pictures",
            program="a picture program",
            refusal=ImageError,
            too_large=ImageTooLarge,
        )
        self.close = self.files.close

    def read(
        self, content: bytes, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> Image.Image:
        """An RGB picture, as `load_image` returns it; for the arguments see `FileReader.stream`.

        Raises ImageTooLarge beyond a limit, ImageError for what is no picture, and Stopped.
        """
        if len(content) <= SMALL_FILE:
            with suppress(ImageTooLarge):
                limits = {key: min(most, self._options[key]) for key, most in SMALL.items()}
                return load_image(content, name=name, **{**self._options, **limits})
        return Image.fromarray(self.files.run(content, name, stopped)["pixels"])


def picture(content: bytes, name: str, **options: int) -> dict[str, Any]:
    """What a process does for a PictureReader: pixels (height, width, 3) uint8."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    return {"pixels": np.asarray(load_image(content, name=name, **options))}


class _Process:
    """One process that reads files, seen from the service's side."""

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader
        self._patience = PATIENCE * reader.max_seconds
        task = [reader._function, reader._options, self._patience]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "workshop.decoding", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=PIPE,
            cwd=ROOT,
            start_new_session=True,  # an interrupt in the terminal or notebook is not meant for it
        )
        self._seen = psutil.Process(self._process.pid)
        self._hands = ThreadPoolExecutor(1, thread_name_prefix=reader.kind)
        self._since = 0.0
        self._before: float | None = None  # its time when it got the file; None while it starts
        self._started = False
        self.idle = True  # ready for the next file

    def ask(self, content: bytes, name: str) -> Future[dict[str, Any] | None]:
        """The first that will be read of it, or None at its end."""
        self.idle, self._before, self._since = False, None, time.monotonic()
        return self._hands.submit(self._ask, content, name)

    def next(self, name: str) -> Future[dict[str, Any] | None]:
        """The next that will be read of it, or None at its end."""
        self._since = time.monotonic()
        return self._hands.submit(self._answer, name)

    def _ask(self, content: bytes, name: str) -> dict[str, Any] | None:
        question = json.dumps({"name": name, "bytes": len(content)})
        with self._broken_down(name):
            if not self._started:
                self._started = bool(self._process.stdout.readline())
            self._before = self._time()
            self._process.stdin.write(question.encode() + b"\n")
            self._process.stdin.write(content)
            self._process.stdin.flush()
        return self._answer(name)

    def _answer(self, name: str) -> dict[str, Any] | None:
        with self._broken_down(name):
            answer = json.loads(self._process.stdout.readline())
            result = answer.get("result")
            for key, (dtype, shape) in answer["arrays"].items():
                array = np.empty(shape, np.dtype(dtype))
                if self._process.stdout.readinto(array.reshape(-1).view(np.uint8)) < array.nbytes:
                    raise ValueError("the process has ended")
                result[key] = array
        self.idle = result is None
        match answer.get("error"):
            case None:
                return result
            case "TooLarge":
                raise self._reader.too_large(answer["reason"])
            case "WorkshopError":
                raise self._reader.refusal(answer["reason"])
        raise RuntimeError(answer["reason"])

    @contextmanager
    def _broken_down(self, name: str) -> Iterator[None]:
        """Say so when the process has ended, or was ended."""
        try:
            yield
        except (OSError, ValueError, psutil.Error) as error:
            raise self._reader.refusal(
                f"{name} cannot be read: the program that reads {self._reader.kind} broke down "
                f"over it. Open it in {self._reader.program} and save it again."
            ) from error

    def check(self, name: str) -> None:
        """Raise the reader's `too_large` if what is being read takes more than it may."""
        reader = self._reader
        try:
            memory = self._seen.memory_info().rss
        except psutil.Error:
            return  # it has ended; its answer says so
        advice = f"Open it in {reader.program} and save it again, smaller."
        if self.used() > reader.max_seconds or time.monotonic() - self._since > self._patience:
            raise reader.too_large(
                f"{name} takes more than {reader.max_seconds:g} s to read, the limit here "
                f"(max_decode_seconds). {advice}"
            )
        if memory > reader.max_bytes:
            raise reader.too_large(
                f"{name} takes more than {reader.max_bytes:,} bytes of memory to read, the limit "
                f"here (max_decode_bytes). {advice}"
            )

    def used(self) -> float:
        """Seconds of the processor's time that the file has taken."""
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


def _serve(function: str, options: dict[str, Any], patience: float) -> None:
    """Read files until the service ends, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print there what they find wrong in a file
        os.dup2(nowhere, stream)
    module, _, name = function.partition(":")
    read = getattr(import_module(module), name)
    answers.write(b"ready\n")
    answers.flush()
    while question := sys.stdin.buffer.readline():
        asked = json.loads(question)
        content = sys.stdin.buffer.read(asked["bytes"])
        # Should the service be gone, nobody else ends what never ends.
        faulthandler.dump_traceback_later(patience, exit=True, file=nowhere)
        for result in _read(read, content, asked["name"], options):
            held = result.get("result") or {}
            is_array = {key: isinstance(value, np.ndarray) for key, value in held.items()}
            arrays = {k: np.ascontiguousarray(held.pop(k)) for k, yes in is_array.items() if yes}
            shapes = {key: (array.dtype.str, array.shape) for key, array in arrays.items()}
            answers.write(json.dumps({**result, "arrays": shapes}).encode() + b"\n")
            for array in arrays.values():
                answers.write(array.reshape(-1).view(np.uint8))
            answers.flush()
            faulthandler.dump_traceback_later(patience, exit=True, file=nowhere)
        faulthandler.cancel_dump_traceback_later()
        del content


def _read(
    read: Callable[..., Any], content: bytes, name: str, options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """What the function gives, and at the end that it is the end, or the error."""
    try:
        results = read(content, name=name, **options)
        for result in [results] if isinstance(results, dict) else results:
            yield {"result": dict(result)}
        yield {}
    except WorkshopError as error:
        kind = TooLarge if isinstance(error, TooLarge) else WorkshopError
        yield {"error": kind.__name__, "reason": str(error)}
    except MemoryError:
        reason = f"{name} takes more memory to read than there is. Make it smaller first."
        yield {"error": "TooLarge", "reason": reason}
    except Exception:
        yield {"error": "Exception", "reason": traceback.format_exc()}


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the service is gone
        _serve(*json.loads(sys.argv[1]))
