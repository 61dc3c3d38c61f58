"""The doctor of chapter 00: whether this machine can run the course, and how to mend what it lacks."""

import html
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from tqdm import tqdm

from workshop.environment import LOOPBACK, printable, proxies, without_proxy
from workshop.errors import WorkshopError
from workshop.paths import ROOT, home

MEMORY_GB = 2.0  # chapter 09, the largest, stays below 1.5
DISK_GB = 1.0  # every chapter's database and uploads
REPAIR = (
    "In a terminal of JupyterLab (menu File, New, Terminal) run "
    "`python -m pip install -r requirements.txt`."
)


@dataclass(frozen=True)
class Finding:
    """What the doctor saw of one part; `remedy` is empty when the part is well."""

    part: str
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, as text for a terminal and as a table for a notebook."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether every part is well."""
        return not any(finding.remedy for finding in self.findings)

    @property
    def summary(self) -> str:
        """One sentence to go on with."""
        if self.healthy:
            return "All is well: go on."
        ill = [finding.part.lower() for finding in self.findings if finding.remedy]
        return f"To mend: {', '.join(ill)}. Then restart the kernel and run this cell again."

    def __repr__(self) -> str:
        """One line a part, and the remedy below it."""
        lines = []
        for finding in self.findings:
            lines.append(f"{'❌' if finding.remedy else '✅'} {finding.part:9} {finding.seen}")
            if finding.remedy:
                lines.append(f"{'':13}→ {finding.remedy}")
        return "\n".join([*lines, self.summary])

    def __str__(self) -> str:
        """What `print` shows, on any console."""
        return printable(repr(self))

    def _repr_html_(self) -> str:
        rows = []
        for finding in self.findings:
            remedy = f"<br><b>→ {_code(finding.remedy)}</b>" if finding.remedy else ""
            rows.append(
                f"<tr><td>{'❌' if finding.remedy else '✅'}</td>"
                f'<th style="text-align:left">{html.escape(finding.part)}</th>'
                f'<td style="text-align:left">{_code(finding.seen)}{remedy}</td></tr>'
            )
        return f"<table>{''.join(rows)}</table><p>{_code(self.summary)}</p>"


def doctor(room: bool = False) -> Report:
    """Look at everything a chapter needs. Never raises: what fails is in the report.

    room  also look at what a room needs of the machine that carries it
    """
    parts: dict[str, Callable[[], Finding]] = {
        **({"Proxy": _proxy} if proxies() else {}),
        "Python": _python,
        "Packages": _packages,
        "Models": _models,
        "Photos": _photos,
        "Memory": _memory,
        "Disk": _disk,
        "Milvus": _milvus,
    }
    if room:
        from workshop import hosting  # which needs Finding

        parts |= hosting.PARTS
    findings = []
    for part, look in tqdm(parts.items(), desc="doctor", unit="part", delay=5, leave=False):
        try:
            findings.append(look())
        except WorkshopError as error:  # its message says what to do
            findings.append(Finding(part, "not usable", str(error)))
        except Exception as error:
            findings.append(Finding(part, f"{type(error).__name__}: {error}", REPAIR))
    return Report(tuple(findings))


def _python() -> Finding:
    tested = "3.11 to 3.13"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("Python", f"a version that the course is tested with ({tested})")
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", found, f"Install Python {tested}, then remove .venv and `make lab`.")


def _proxy() -> Finding:
    """Names alone: the address of a proxy may hold a password."""
    named = ", ".join(proxies())
    if all(map(without_proxy, LOOPBACK)):
        return Finding("Proxy", f"{named}: not asked for what runs on this machine")
    return Finding(
        "Proxy",
        f"{named}: asked even for what runs on this machine",
        f"Set `no_proxy` and `NO_PROXY` to `{','.join(LOOPBACK)}`, unset `no_grpc_proxy`.",
    )


def _packages() -> Finding:
    """Compare the packages that pyproject.toml names with their pins."""
    ours = metadata.requires("from-vectors-to-services") or []
    names = [re.match(r"[\w.-]+", requirement)[0].lower() for requirement in ours]
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins: dict[str, set[str]] = {}  # some have one version for each Python
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        pins.setdefault(name, set()).add(version)
    wrong = []
    for name in names:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if installed not in pins[name]:
            wrong.append(f"{name} is {installed}, tested with {' or '.join(sorted(pins[name]))}")
    if wrong:
        return Finding("Packages", "; ".join(wrong), REPAIR)
    return Finding("Packages", "as pinned in requirements.txt")


def _models() -> Finding:
    from workshop.encoders import ImageEncoder, TextEncoder  # here, so that a failure is a finding

    TextEncoder()
    ImageEncoder()
    return Finding("Models", "the text and the image encoder load")


def _photos() -> Finding:
    from workshop.datasets import photos

    return Finding("Photos", f"{len(photos())}, with the checksums they should have")


def _memory() -> Finding:
    return _enough(
        "Memory",
        psutil.virtual_memory().available,
        MEMORY_GB,
        "Close other programs and the kernels of other notebooks.",
    )


def _disk() -> Finding:
    free = shutil.disk_usage(home()).free
    return _enough("Disk", free, DISK_GB, f"Free some space on the disk of {home()}.")


def _enough(part: str, free: int, needed: float, remedy: str) -> Finding:
    if free >= needed * 1e9:
        return Finding(part, f"enough (at least {needed:g} GB free)")
    return Finding(part, f"{free / 1e9:.1f} GB free, {needed:g} GB needed", remedy)


def _milvus() -> Finding:
    """Write two rows and find one, in a place of the doctor's own that is gone afterwards."""
    from milvus_lite.server_manager import server_manager_instance

    from workshop.milvus import connect, has_clients, is_file

    uri = os.environ.get("MILVUS_URI", "").strip()
    # two kernels may ask at once, and a Lite file belongs to one process
    name = "doctor" if uri else f"doctor_{os.getpid()}"
    client = connect(name)
    try:
        client.create_collection("doctor", dimension=2, metric_type="COSINE")
        client.insert("doctor", [{"id": 1, "vector": [0.0, 1.0]}, {"id": 2, "vector": [1.0, 0.0]}])
        client.flush("doctor")
        hits = client.search("doctor", data=[[0.1, 1.0]], limit=1, output_fields=["id"])
        client.drop_collection("doctor")
    finally:
        client.close()
        if not uri:
            path = home() / "milvus" / f"{name}.db"
            server_manager_instance.release_server(str(path))
            shutil.rmtree(path, ignore_errors=True)
        elif is_file(uri) and not has_clients(path := Path(uri).expanduser().resolve()):
            server_manager_instance.release_server(str(path))  # for the next chapter's kernel
    if hits[0][0]["id"] != 1:
        return Finding("Milvus", "a search gave the wrong row", REPAIR)
    if uri and not is_file(uri):
        return Finding("Milvus", "the server at MILVUS_URI answers")
    return Finding(
        "Milvus", f"a Milvus Lite file{', the one that MILVUS_URI names' if uri else ''}"
    )


def _code(text: str) -> str:
    """HTML of a text in which `code` is marked."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
