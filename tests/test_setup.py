"""`make lab` and `make test` on someone else's machine: what happens, and what is said when not.

The set-up runs for real, on a course with one tiny package, so that it takes seconds.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tiny_course import ROOT, Tiny, copy_set_up, git

from tools import course, offline


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Tiny:
    """The tiny course after its first set-up; tests leave it installed."""
    tiny = Tiny(tmp_path_factory.mktemp("tiny"))
    first = tiny.run("setup")
    assert first.code == 0, first.said
    assert "Installed." in first.said
    return tiny


# ---------------------------------------------------------------------------------------- set up


def test_a_second_call_installs_nothing_and_needs_no_network(installed):
    second = installed.run("setup", prefix=("tools/offline.py", "--", sys.executable), CI="")
    assert second.code == 0
    assert "Installing" not in second.said
    assert installed.version() == "1.0"


def test_a_changed_lock_file_is_installed_and_a_test_setup_serves_the_lab_too(installed):
    installed.lock("requirements.txt", "1.1")
    assert "Installed." in installed.run("setup").said
    assert installed.version() == "1.1"
    installed.lock("requirements-test.txt", "1.2")
    assert "Installed." in installed.run("setup", "--test").said
    assert installed.run("setup").said == ""
    assert installed.version() == "1.2"


def test_an_interrupted_install_is_mended_by_the_next_call(installed):
    (installed.root / ".venv" / "installing").touch()
    for stamp in (installed.root / ".venv").glob("*.stamp"):
        stamp.unlink()
    again = installed.run("setup")
    assert again.code == 0
    assert "making it anew" in again.said
    assert installed.run("setup").said == ""


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_killed_first_setup_is_mended_by_the_next_call(tmp_path):
    tiny = Tiny(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "tools/course.py", "setup"],
        cwd=tiny.root,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (tiny.root / ".venv" / "installing").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "Installed." in tiny.run("setup").said


def test_a_moved_folder_gets_a_new_environment(installed):
    old = installed.root
    installed.root = old.rename(old.with_name("moved course"))
    again = installed.run("setup")
    assert "making it anew" in again.said
    assert "Installed." in again.said
    assert installed.version()


def test_no_network_at_the_first_setup_is_one_line(tmp_path):
    tiny = Tiny(tmp_path)
    for wheel in tiny.wheels.iterdir():
        wheel.unlink()
    done = tiny.run(
        "setup",
        prefix=("tools/offline.py", "--", sys.executable),
        PIP_NO_INDEX="0",
        PIP_RETRIES="1",
        CI="true",
    )
    if "cannot leave the network here" in done.said:
        pytest.skip("this machine allows no network namespace: " + done.said.splitlines()[0])
    assert done.code == 1
    assert "could not be fetched: that needs a network, once" in done.said
    assert "Traceback" not in done.said
    tiny.lock("requirements.txt", "1.0")
    assert "making it anew" not in (again := tiny.run("setup")).said
    assert "Installed." in again.said


def test_a_package_with_another_checksum_is_refused(tmp_path):
    tiny = Tiny(tmp_path)
    lock = tiny.root / "requirements.txt"
    name, _, _ = lock.read_text().rpartition(":")
    lock.write_text(f"{name}:{'0' * 64}\n")
    done = tiny.run("setup")
    assert done.code == 1
    assert "its checksum differs" in done.said


# ---------------------------------------------------------------------------------- what is said


@pytest.mark.parametrize("version", ["3.6.15", "3.8.18", "3.10.13"])
def test_an_old_python_gets_a_sentence(version, tmp_path):
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    python = pyenv / "versions" / version / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no Python {version} under {pyenv}; the next test simulates it")
    copy_set_up(tmp_path)
    for lock in ("requirements.txt", "pyproject.toml"):
        (tmp_path / lock).touch()
    done = subprocess.run(
        [python, "tools/course.py", "lab"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 1
    assert f"This is Python {version}, and the course needs 3.11, 3.12 or 3.13" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0)])
def test_a_python_out_of_range_is_refused_by_name(version):
    with pytest.raises(course.Stop, match=r"This is Python 3\.1[04]\..*PYTHON=python3\.13"):
        course.check_python(version)


def test_a_python_without_ensurepip_names_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(course.Stop, match=r"sudo apt install python3\.12-venv"):
        course.check_python((3, 12, 1))


def test_a_full_disk_is_told_before_and_during_the_install():
    with pytest.raises(course.Stop, match=r"need 3 GB, and 0\.2 GB are free"):
        course.check_space(200_000_000)
    course.check_space(10**11)
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert course.reason(said) == "The disk is full: free some space and run again."


def test_an_unknown_failure_of_pip_keeps_its_own_words():
    assert "ERROR: what nobody foresaw" in course.reason("Collecting x\nERROR: what nobody foresaw")


def test_a_folder_that_cannot_be_made_is_one_line(installed):
    (installed.root / "file").write_text("in the way")
    done = installed.run("lab", WORKSHOP_HOME=str(installed.root / "file" / "home"))
    assert done.code == 1
    assert "Cannot write to" in done.said
    assert "set WORKSHOP_HOME" in done.said
    assert "Traceback" not in done.said


# root may write anywhere until CAP_DAC_OVERRIDE (1) leaves its bounding set (PR_CAPBSET_DROP, 24)
WITHOUT_OVERRIDE = """
import ctypes, os, sys
if os.geteuid() == 0 and ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):
    sys.exit("cannot give up the right to write anywhere")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's capabilities")
def test_a_read_only_folder_is_one_line(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.root.chmod(0o555)
    done = tiny.run("setup", prefix=("-c", WITHOUT_OVERRIDE))
    tiny.root.chmod(0o755)
    assert done.code == 1
    assert f"Cannot write to {tiny.root / '.venv'} (Permission denied)" in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize("option", ["--port={}", "--port {}", "--ServerApp.port={}"])
def test_a_taken_port_is_one_line_and_no_other_port_is_taken(option):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [sys.executable, course.__file__, "lab", "--no-browser", *option.format(port).split()],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert f"Port {port} cannot be used" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "asked, own",
    [
        ([], ["root_dir", "ip=127.0.0.1"]),
        (["--ip=0.0.0.0"], ["root_dir"]),
        (["--ip", "0.0.0.0", "--notebook-dir=elsewhere"], []),
        (["--ServerApp.root_dir=elsewhere"], ["ip=127.0.0.1"]),
    ],
)
def test_what_the_learner_asks_of_jupyterlab_stands_over_our_own(monkeypatch, tmp_path, asked, own):
    """JupyterLab ends with an error if an option is given twice."""
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path))
    monkeypatch.setattr(course, "set_up", lambda: None)
    started: list[list[str]] = []
    monkeypatch.setattr(course.os, "execve", lambda file, command, env: started.append(command))
    monkeypatch.chdir(tmp_path)
    course.lab(asked)
    command = started[0][: len(started[0]) - len(asked)]
    found = [one for name in ("root_dir", "ip=") for one in command if f"ServerApp.{name}" in one]
    assert len(found) == len(own)
    assert all(name in one for name, one in zip(own, found, strict=True))
    assert started[0][len(command) :] == asked


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(course.Stop, match="is no port"):
        course.check_port(port)


def test_an_unknown_command_or_part_says_what_there_is():
    done = subprocess.run([sys.executable, course.__file__, "lba"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "course.py lab" in done.stderr
    assert course.main(["test", "everything"]) == 1


# ------------------------------------------------------------------------------------------- lab


def test_lab_opens_the_first_chapter_on_loopback_and_writes_nothing_outside(tmp_path):
    if not course.is_installed("requirements-test.txt") and os.environ.get("CI") != "true":
        pytest.skip("the packages are not those of `make test`: run it, or `make setup-test`")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    home = tmp_path / "HOME"
    home.mkdir()
    log = (tmp_path / "log").open("w+")
    lab = subprocess.Popen(
        [
            *[sys.executable, course.__file__, "lab", "--no-browser", f"--port={port}"],
            "--IdentityProvider.token=secret",
        ],
        env={**os.environ, "HOME": str(home), "WORKSHOP_HOME": str(tmp_path / "workshop")},
        stdout=log,
        stderr=log,
    )
    try:
        answer = wait_for(f"http://127.0.0.1:{port}/?token=secret", lab)
        assert answer.headers["location"].startswith(f"/lab/tree/{course.START}")
        page = httpx.get(f"http://127.0.0.1:{port}/lab?token=secret", follow_redirects=True)
        assert page.status_code == 200
        assert '"news": {"disabled": true}' in page.text, "a question would cover the chapter"
        assert httpx.get(f"http://127.0.0.1:{port}/api/contents").status_code == 403
    finally:
        lab.terminate()  # make does this too: the signal must reach JupyterLab itself
        lab.wait(timeout=300)
    assert list(home.iterdir()) == []


def wait_for(url: str, process: subprocess.Popen) -> httpx.Response:
    for _ in range(3_000):
        try:
            return httpx.get(url)
        except httpx.ConnectError:
            assert process.poll() is None, "JupyterLab ended"
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in five minutes")


def test_the_tests_write_nothing_into_a_learners_folder(monkeypatch, tmp_path):
    """Neither Jupyter's files nor what IPython, Matplotlib and Towhee keep."""
    mine = tmp_path / "mine"
    monkeypatch.setenv("WORKSHOP_HOME", str(mine))
    monkeypatch.setattr(course, "set_up", lambda test: None)
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(course.subprocess, "call", lambda command, cwd, env: seen.append(env) or 0)
    assert course.test(["lint"]) == 0
    assert not mine.exists()
    assert [name for name, value in seen[0].items() if str(mine) in value] == []
    home = seen[0]["WORKSHOP_HOME"]
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        assert seen[0][name].startswith(home)


# -------------------------------------------------------------------------------------------- CI


@pytest.mark.skipif(sys.platform != "linux", reason="CI's script is for Debian and Ubuntu")
@pytest.mark.parametrize(
    "does, status",
    [
        ("true", 0),
        ("false", 2),
        ("echo changed > tracked", 1),
        ("echo more >> changed", 1),
        ("touch new", 1),
        ("touch ignored", 0),
    ],
)
def test_ci_fails_with_the_tests_and_if_they_change_the_tree(tmp_path, does, status):
    course = tmp_path / "course"
    (course / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", course / ".ci")
    (course / "Makefile").write_text(f"test:\n\t{does}\n")
    (course / ".gitignore").write_text("ignored\n")
    for name in ("tracked", "changed"):
        (course / name).write_text("as it was\n")
    git(course, "init", "--quiet")
    git(course, "add", "--all")
    git(course, "commit", "--quiet", "--message=all")
    (course / "changed").write_text("by a person, before\n")
    programs = tmp_path / "programs"  # all that CI would install is there
    programs.mkdir()
    for name in ("chromium", "dpkg", "sudo"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [course / ".ci" / "run"], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert ("make test has changed the tree" in done.stdout) == (status == 1)


# ----------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("autocrlf", ["true", "input", "false"])
def test_git_checks_out_the_very_bytes_that_are_committed(autocrlf, tmp_path):
    """As Git for Windows does: `core.autocrlf=true` is what its installer proposes."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    names = [name for name in listed.split("\0")[:-1] if (ROOT / name).is_file()]
    stored = tmp_path / "stored"
    for name in names:  # with what is not committed yet
        (stored / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, stored / name)
    git(stored, "init", "--quiet")
    git(stored, "add", "--all", "--force")
    git(stored, "commit", "--quiet", "--message=all")
    there = tmp_path / "checked out"
    git(tmp_path, "clone", "--quiet", f"--config=core.autocrlf={autocrlf}", str(stored), str(there))
    changed = [n for n in names if (ROOT / n).read_bytes() != (there / n).read_bytes()]
    assert changed == []
    assert b"\r\n" not in (there / ".ci" / "run").read_bytes()
    assert git(there, "status", "--porcelain") == ""


# --------------------------------------------------------------------------------------- offline


def test_offline_has_loopback_and_nothing_else():
    seen = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "socket.create_connection(s.getsockname()).close(); print(socket.if_nameindex());"
        "socket.create_connection(('192.0.2.1', 80), 5)"
    )
    done = subprocess.run(
        [sys.executable, offline.__file__, "--", sys.executable, "-c", seen],
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
    )
    if "cannot leave the network here" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip(done.stderr.splitlines()[0])
    assert done.stdout.strip() == "[(1, 'lo')]"
    assert "Network is unreachable" in done.stderr


def test_offline_hands_on_the_status_of_its_command():
    fail = [sys.executable, "-c", "raise SystemExit(7)"]
    done = subprocess.run(
        [sys.executable, offline.__file__, "--", *fail], env={**os.environ, "CI": ""}
    )
    assert done.returncode == 7


@pytest.mark.parametrize("ci", ["true", ""])
def test_where_offline_cannot_be_had_ci_fails_and_others_are_told(ci, monkeypatch, capfd):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(offline, "obstacle", lambda: "not permitted")
    ran = []
    monkeypatch.setattr(offline, "watch", lambda command: ran.append(command) or 0)
    status = offline.main(["--", "true"])
    said = capfd.readouterr().err
    assert "cannot leave the network here (not permitted)" in said
    if ci:
        assert (status, ran) == (1, [])
    else:
        assert ran == [["true"]]
        assert "offline is not proven" in said


OFFENCES = {
    "asked of a proxy: GET http://127.0.0.1:9/ HTTP/1.1": """
import os, urllib.request
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
try:
    urllib.request.urlopen("http://127.0.0.1:9/")
except OSError as refused:
    print(refused)
""",
    "written in the home folder: .cache/x": """
from pathlib import Path
(Path.home() / ".cache").mkdir()
(Path.home() / ".cache" / "x").touch()
""",
}


@pytest.mark.parametrize("way", [[], ["--online"]])
@pytest.mark.parametrize("offence", OFFENCES)
def test_what_asks_a_proxy_or_writes_in_the_home_folder_fails(offence, way):
    done = subprocess.run(
        [sys.executable, offline.__file__, *way, "--", sys.executable, "-c", OFFENCES[offence]],
        env={**os.environ, "CI": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert offence in done.stderr


def test_the_parts_that_run_the_course_are_watched():
    for name in ("unit", "service", "solutions", "learner"):
        assert "tools/offline.py" in course.part(name)
    assert "--online" not in course.part("solutions") + course.part("learner")


def test_a_database_file_is_the_same_whatever_folder_a_kernel_runs_in(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILVUS_URI", "mine.db")
    assert course.environment()["MILVUS_URI"] == str(tmp_path / "mine.db")
    monkeypatch.setenv("MILVUS_URI", "http://127.0.0.1:19530")
    assert course.environment()["MILVUS_URI"] == "http://127.0.0.1:19530"


def test_the_language_model_is_fetched_once_into_the_venv(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.lock("requirements-lm.txt", "0.1.2")
    first, again = tiny.run("lm"), tiny.run("lm")
    assert "Fetching the language model of chapter 20 (93 MB)." in first.said
    assert (first.code, again.code) == (0, 0)
    assert "Fetching" not in again.said and "is here" in again.said
    assert "anew" not in tiny.run("setup").said, "the install counts as whole"


def test_another_model_than_the_tested_one_is_refused(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.lock("requirements-lm.txt", "0.1.2")
    lock = tiny.root / "requirements-lm.txt"
    lock.write_text(lock.read_text().split(":")[0] + ":" + 64 * "0")
    done = tiny.run("lm")
    assert done.code == 1
    assert "checksum differs" in done.said and "Traceback" not in done.said
