"""A chapter that starts services leaves none behind: not at its end, nor when a cell fails half-way.

Another chapter joins by its name in CHAPTERS, with lines of its source at which it is to fail.
"""

import json
import os
import socket
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from workshop.paths import ROOT

CHAPTERS = {
    "06_flask_and_fastapi": [
        "answer = await client.get(",  # three services run, one of them for this cell
        "run = load.run(",  # three run, and the load generator is a process of its own
    ],
    "08_async": [
        "ways.kill()",  # a service runs in a process of its own
        "at_work = [",  # clients of a WebSocket have left, their handlers run
    ],
}
# Their first line is one at which a process of their own runs; elsewhere all lives in the kernel.
WITH_PROCESSES = ["08_async"]
INJECTED = "injected by the test"
KILL_THE_KERNEL = """
import json, os, pathlib, psutil
own = psutil.Process()
family = [own.pid, *(child.pid for child in own.children(recursive=True))]
pathlib.Path({note!r}).write_text(json.dumps(family))
own.kill()
"""
LEFT_IN_THE_KERNEL = """
import json, os, threading, psutil
from workshop import serve
print(json.dumps({
    "services": list(serve._running),
    "threads": [t.name for t in threading.enumerate() if t.name.startswith(("launch", "jobs"))],
    "children": [p.name() for p in psutil.Process().children(recursive=True)],
}))
"""


class Chapter:
    """A chapter's solved notebook in a kernel."""

    def __init__(self, name: str) -> None:
        self.notebook = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4)
        self.client = NotebookClient(
            self.notebook,
            timeout=120,
            kernel_name="python3",
            resources={"metadata": {"path": str(ROOT / "solutions")}},
        )

    @contextmanager
    def kernel(self, home: Path) -> Iterator[psutil.Process]:
        environment = os.environ | {"WORKSHOP_HOME": str(home), "TQDM_DISABLE": "1"}
        with self.client.setup_kernel(env=environment, cleanup_kc=True):
            yield psutil.Process(self.client.km.provisioner.pid)

    def fail_at(self, line: str, code: str = f"raise RuntimeError({INJECTED!r})") -> None:
        """Put code in place of the first line that begins so, and cut off what follows."""
        cell = next((c for c in self.notebook.cells if line in c.source), None)
        assert cell, f"no cell says {line!r}"
        before = cell.source.partition(line)[0]
        indent = before.rpartition("\n")[2]
        assert not indent.strip(), f"{line!r} is not at the beginning of a line"
        cell.source = before.removesuffix(indent) + textwrap.indent(code, indent)
        self.notebook.cells = self.notebook.cells[: self.notebook.cells.index(cell) + 1]

    def run(self) -> None:
        for index, cell in enumerate(self.notebook.cells):
            self.client.execute_cell(cell, index)

    def ask(self, code: str) -> str:
        cell = nbformat.v4.new_code_cell(code)
        self.notebook.cells.append(cell)
        self.client.execute_cell(cell, len(self.notebook.cells) - 1)
        return cell.outputs[0].text


def listening(process: psutil.Process) -> set[int]:
    """The ports at which a process and its children can be reached."""
    family = [process, *process.children(recursive=True)]
    return {
        connection.laddr.port
        for member in family
        for connection in member.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_gone(pids: list[int], ports: set[int]) -> None:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    end = time.monotonic() + 5
    while any(map(is_open, ports)) and time.monotonic() < end:
        time.sleep(0.1)
    assert [port for port in ports if is_open(port)] == []


@pytest.mark.parametrize(
    ("name", "line"),
    [(name, line) for name, lines in CHAPTERS.items() for line in lines],
    ids=lambda text: text.split("(")[0],
)
def test_a_cell_that_fails_leaves_nothing_once_the_kernel_is_shut_down(name, line, tmp_path):
    chapter = Chapter(name)
    chapter.fail_at(line)
    with chapter.kernel(tmp_path) as kernel:
        with pytest.raises(CellExecutionError, match=INJECTED):
            chapter.run()
        readers = kernel.children(recursive=True)  # of pictures: they are the service's, which runs
        assert all("workshop.decoding" in reader.cmdline() for reader in readers), (
            "the failing cell left a process running"
        )
        ports = listening(kernel)
        assert len(ports) > 5, "besides Jupyter's own five, no port is open: nothing to clean up"
    assert_gone([kernel.pid, *(reader.pid for reader in readers)], ports)


@pytest.mark.parametrize("name", CHAPTERS)
def test_at_its_end_a_chapter_has_stopped_what_it_started(name, tmp_path):
    chapter = Chapter(name)
    with chapter.kernel(tmp_path) as kernel:
        chapter.run()
        assert (
            chapter.ask(LEFT_IN_THE_KERNEL) == '{"services": [], "threads": [], "children": []}\n'
        )
        ports = listening(kernel)
    assert_gone([kernel.pid], ports)


@pytest.mark.parametrize("name", WITH_PROCESSES)
def test_a_kernel_that_is_killed_takes_everything_along(name, tmp_path):
    """As by the system when memory runs out: no code of the kernel's own can clean up."""
    chapter = Chapter(name)
    chapter.fail_at(CHAPTERS[name][0], KILL_THE_KERNEL.format(note=str(tmp_path / "family")))
    with chapter.kernel(tmp_path):
        with pytest.raises(DeadKernelError):
            chapter.run()
        family = json.loads((tmp_path / "family").read_text())
        assert len(family) > 1, "nothing ran beside the kernel"
        assert_gone(family, set())
