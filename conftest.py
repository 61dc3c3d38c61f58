"""Runs the notebooks as tests: `pytest --nbval solutions`, `pytest --nbval-lax notebooks`."""

import difflib
import os
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from queue import Empty

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, NbCellError, nocolors

CELL_TIMEOUT = 120
MIN_COMPARED = 0.75
ANSI = re.compile(r"\x1b\[[0-9;]*m")
FOLDER = pytest.StashKey[Path]()
NEEDS_MODEL = "20_language_model.ipynb"
LEFT_OUT = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if not (option.nbval or option.nbval_lax):
        return
    folder = config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="workshop-nbval-"))
    if option.nbval_cell_timeout == 2000:  # nbval's default; a dead kernel waits it out
        option.nbval_cell_timeout = CELL_TIMEOUT
    # the kernels' environment: that of tools/build_notebooks.py, where the outputs come from
    for unwanted in ("JPY_SESSION_NAME", "JUPYTERHUB_SERVICE_PREFIX", "MPLBACKEND"):
        os.environ.pop(unwanted, None)
    os.environ.setdefault("WORKSHOP_HOME", str(folder / "home"))
    os.environ.update(TQDM_DISABLE="1", PYDEVD_DISABLE_FILE_VALIDATION="1")
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(_sanitizer(config.rootpath, folder))


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Outputs of the language model are compared where it is, and so in CI; else tests/test_lm.py
    shows what its chapter says without it."""
    if not config.option.nbval or collection_path.name != NEEDS_MODEL:
        return None
    from workshop import lm

    if lm.path() or os.environ.get("CI") == "true":
        return None
    config.stash[LEFT_OUT] = True
    return True


def _sanitizer(root: Path, folder: Path) -> Path:
    """The common rules after those for this machine's folders, as the builder writes them."""
    places = [
        (re.escape(os.environ["WORKSHOP_HOME"]), ".workshop"),
        (r"/[^\s'\"<>:]*/site-packages/", "site-packages/"),
        (re.escape(f"{root}{os.sep}"), ""),
        (re.escape(str(root)), "."),
        (r"/[^\s'\"<>:]*/lib/(python3\.\d+/)", r"\1"),
    ]
    text = "".join(f"[place{i}]\nregex: {a}\nreplace: {b}\n\n" for i, (a, b) in enumerate(places))
    common = (Path(__file__).parent / "tools" / "sanitize.cfg").read_text(encoding="utf-8")
    path = folder / "sanitize.cfg"
    path.write_text(text + common, encoding="utf-8")
    return path


# ------------------------------------------------------------------------ a kernel that died


class KernelDied(Exception):
    pass


_get_message = RunningKernel.get_message


def _get_message_or_die(self: RunningKernel, stream: str, timeout: float | None = None) -> dict:
    """nbval waits its whole timeout for a dead kernel: look every second whether it is alive."""
    end = time.monotonic() + (timeout if timeout is not None else sys.maxsize)
    while True:
        try:
            return _get_message(self, stream, max(0.0, min(1.0, end - time.monotonic())))
        except Empty:
            if not self.is_alive():
                raise KernelDied("the kernel died in this cell") from None
            if time.monotonic() >= end:
                raise


RunningKernel.get_message = _get_message_or_die


# ------------------------------------------------------------------------ what a failure says


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.colors = nocolors


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if isinstance(item, IPyNbCell):
        if report.when == "call" and item.cell.outputs:
            report.user_properties.append(("compared", bool(item.options["check"])))
        if call.excinfo is not None and report.failed:
            report.longrepr = _explain(item, call.excinfo.value)
            if isinstance(call.excinfo.value, KernelDied):
                item.parent.timed_out = True  # the cells after it cannot run
    return report


def _explain(item: IPyNbCell, error: BaseException) -> str:
    cells = item.parent.nb.cells
    number = 1 + next(i for i, cell in enumerate(cells) if cell is item.cell)
    place = f"cell {number} of {len(cells)}, In [{item.cell_num + 1}]"
    source = "\n".join("    " + line for line in item.cell.source.splitlines())
    if isinstance(error, NbCellError):
        what, detail = str(error), _difference(item) or error.inner_traceback or ""
    elif isinstance(error, KernelDied):
        what, detail = str(error), "The cells after it were not tested."
    else:
        what, detail = f"{type(error).__name__}: {error}", ""
    text = f"{item.path.parent.name}/{item.path.name}, {place}: {what}\n\n{source}\n\n{detail}"
    return ANSI.sub("", text).rstrip()


def _difference(item: IPyNbCell) -> str:
    """Stored against new, line by line; empty where the texts agree."""
    if (
        any(o.output_type == "error" for o in item.test_outputs)
        and not item.options["check_exception"]
    ):
        return ""
    stored, new = (
        "\n".join(item.sanitize(text) for output in outputs for text in _texts(output)).splitlines()
        for outputs in (item.cell.outputs, item.test_outputs)
    )
    return "\n".join(difflib.unified_diff(stored, new, "stored", "now", lineterm="", n=2))


def _texts(output: dict) -> list[str]:
    data = output.get("data", {})
    texts = (output.get("text"), output.get("evalue"), data.get("text/plain"))
    return [text for text in texts if text]


# ------------------------------------------------------------------------ how much is compared


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties:
        if name == "compared" and report.when == "call":
            share = _shares[report.nodeid.split("::")[0]]
            share[0] += value
            share[1] += 1


_shares: dict[str, list[int]] = defaultdict(lambda: [0, 0])


def _too_few(config: pytest.Config) -> bool:
    """Only for strict runs of whole notebooks."""
    option = config.option
    part = option.keyword or getattr(option, "lf", False) or any("::" in arg for arg in config.args)
    compared, total = map(sum, zip(*_shares.values(), strict=True)) if _shares else (0, 0)
    return bool(option.nbval and not part and total and compared / total < MIN_COMPARED)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _too_few(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if LEFT_OUT in config.stash:
        terminalreporter.section("not compared")
        terminalreporter.write_line(
            f"{NEEDS_MODEL}: the language model is not here (`make lm`); tests/test_lm.py runs the "
            "chapter without it."
        )
    if not (config.option.nbval and _shares):
        return
    terminalreporter.section("code cells with output that are compared")
    rows = {**_shares, "all": [sum(column) for column in zip(*_shares.values(), strict=True)]}
    for name, (compared, total) in rows.items():
        terminalreporter.write_line(f"{compared / total:6.0%}  {compared:3d} of {total:3d}  {name}")
    if _too_few(config):
        terminalreporter.write_line(
            f"At least {MIN_COMPARED:.0%} must be compared: take the tag nbval-ignore-output "
            "from cells whose output is not a measurement."
        )
