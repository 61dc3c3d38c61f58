"""The one error a learner should be able to read without a traceback, and what it must not show."""

import re


class WorkshopError(RuntimeError):
    """Something the learner can mend. The message says what was given and what to do next."""

    def _render_traceback_(self) -> list[str]:
        """IPython asks for this: in a notebook the sentence is shown, not the stack."""
        return [f"{type(self).__name__}: {self}"]


class TooLarge(WorkshopError):
    """A file of the right kind that is not read for its size, or for what it costs to read."""


def without_login(address: str) -> str:
    """An address as a message may show it: no part of a password, whatever its form.

    A password may hold "/" and "@", or be all there is because the host was forgotten. So "…" stands
    for whatever is not surely a scheme, a host or a port.
    """
    scheme, _, rest = address.rpartition("://")
    _, at, place = rest.rpartition("@")
    sure = r"[\w.-]+:\d{1,5}" if at else r"([\w.-]+|\[[\da-f:]+\])(:\d{1,5})?(/[\w.-]*)?"
    shown = place if re.fullmatch(sure, place) else "…"
    shown = f"…@{shown}" if at and shown != "…" else shown
    return f"{scheme}://{shown}" if re.fullmatch(r"[a-z]{1,5}", scheme) else shown


class Stopped(Exception):
    """Work that was told to stop has stopped before its end."""
