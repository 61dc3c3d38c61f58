"""An answer that is a web app, served for the time of a check and put away after it, whatever it does."""

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workshop import checks
from workshop.errors import WorkshopError
from workshop.serve import Service, launch

# What servers log of a wrong answer, the check says in its own words; a flood of it helps nobody.
_LOGGERS = ("uvicorn.error", "uvicorn.asgi", "waitress", "asyncio", "concurrent.futures")
_numbers = itertools.count(1)
_errors: list[BaseException] = []  # the last one that an answer raised in its server


class _Keep(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            _errors[:] = [record.exc_info[1]]


def own_error() -> str:
    """The learner's own lines of the last error in a served answer, or an empty text."""
    if not _errors or not checks.own_frames(_errors[0]):
        return ""
    return f"your code says:\n{checks.own_traceback(_errors[0])}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the servers log from the notebook, and its last error for `own_error`."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    _errors.clear()
    for logger in loggers:
        logger.handlers, logger.propagate = [_Keep()], False
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[Service]:
    """Serve an app under a name of its own; at the end it is gone, even if its code blocks the loop.

    app      the answer, an ASGI app
    options  of `launch`
    """
    before = set(threading.enumerate())
    with quiet():
        service = launch(app, f"check, try {next(_numbers)}", **options)
        try:
            yield service
        finally:
            _end(service, before)


def _end(service: Service, before: set[threading.Thread], tries: int = 20) -> None:
    try:
        return service.stop(timeout=2)
    except WorkshopError:
        pass  # the answer blocks the loop: interrupt it
    for _ in range(tries):
        checks.put_away(before | {threading.current_thread()}, seconds=0.2)
        if not service.running:
            return service.stop(timeout=2)
        time.sleep(0.05)
    # it sleeps in C and cannot be woken: its thread is a daemon, and its port and name are its own
    return None
