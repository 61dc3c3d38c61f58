"""A real Milvus server without Docker: what `make server` and `make server-stop` call.

    python tools/server.py start [--port 19530]    install it once, start it, wait until it answers
    python tools/server.py stop                    end it and free its port

The PyPI package `milvus` 2.3.5 holds a standalone server for Linux on x86-64. It asks for no login
and listens on nine ports of every address of the machine, which no setting of its own can change.
So it runs in a network namespace where there is nothing but loopback, and this program passes one
port, on 127.0.0.1, through to it. Its data and its log are in `.workshop/server`.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from pathlib import Path

from course import Stop, fetch
from offline import enter, obstacle

from workshop.errors import WorkshopError
from workshop.paths import home

PORT = 19530  # Milvus's own
START_TIMEOUT = 120  # seconds; seen: 8 to 19 on two cores
# Seconds to end in order. With collections loaded its parts wait for one another, past any limit,
# and are then killed: what was acknowledged is in its log, and is there at the next start.
STOP_TIMEOUT = 3
OTHER_WAY = 'The other way is a server in Docker: README.md, "A Milvus server instead of a file".'


def folder() -> Path:
    """Where the server keeps its program, data and log."""
    return home() / "server"


# ----------------------------------------------------------------------------------------- start


def check_machine() -> None:
    """Raise WorkshopError unless the server can run here, out of reach of other machines."""
    here = f"{platform.system()} on {platform.machine()}"
    if here != "Linux on x86_64":
        raise WorkshopError(
            f"The package `milvus` holds a server for Linux on x86_64, and this is {here}. "
            f"{OTHER_WAY}"
        )
    if why := obstacle():
        raise WorkshopError(
            "The server asks for no login and listens on every address, so it is started only in "
            f"a network of its own, and this machine does not allow that ({why}). As an "
            "administrator: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, if this "
            f"is Ubuntu. {OTHER_WAY}"
        )


def install() -> None:
    """Install the package `milvus` beside the course's, at the version that was tested."""
    if importlib.util.find_spec("milvus"):
        return
    try:
        fetch("server")
    except Stop as stop:
        raise WorkshopError(str(stop)) from None


def listen(port: int) -> socket.socket:
    """Take the port on loopback; WorkshopError if it cannot be had."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        other = 19000 + (port + 1) % 1000
        raise WorkshopError(
            f"Port {port} of 127.0.0.1 cannot be used ({error}): choose another, as in "
            f'`make server SERVER_ARGS="--port={other}"`, or stop the program that holds it.'
        ) from None


def lock() -> int | None:
    """The open lock file, or None if a running server holds it; freed when its holder ends."""
    import fcntl  # not on Windows

    folder().mkdir(exist_ok=True)
    file = os.open(folder() / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def running() -> dict | None:
    """`pid` and `port` of the server that runs, or None."""
    file = lock()
    if file is not None:
        os.close(file)
        return None
    end = time.monotonic() + 5  # whoever has just taken the lock writes at once who it is
    while time.monotonic() < end:
        if text := (folder() / "lock").read_text():
            return json.loads(text)
        time.sleep(0.05)
    raise WorkshopError(f"{folder() / 'lock'} does not say which server holds it. Run this again.")


def start(port: int) -> str:
    """Start the server unless it runs, wait until it answers, and return its URI."""
    check_machine()
    install()
    held = lock()
    if held is None:
        other = running()
        if other is None:
            raise WorkshopError("A server was just stopping here. Run this again.")
        return f"http://127.0.0.1:{other['port']}"
    os.truncate(held, 0)
    log = folder() / "server.log"
    with listen(port) as listener, log.open("wb") as out:
        port = listener.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, __file__, "serve", str(listener.fileno()), str(held)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=(listener.fileno(), held),
            start_new_session=True,
        )
        os.write(held, json.dumps({"pid": child.pid, "port": port}).encode())
        os.close(held)  # the child's copy keeps the lock
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(uri, child)
    except BaseException as error:
        end(child.pid)
        if isinstance(error, WorkshopError):
            said = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise WorkshopError(
                f"{error} Its last word: {''.join(said) or 'none'} ({log})"
            ) from None
        raise
    return uri


def wait_until_it_answers(uri: str, process: subprocess.Popen) -> None:
    """Wait for an answer of Milvus itself; WorkshopError if the process ends or takes too long."""
    from pymilvus import MilvusClient, MilvusException
    from tqdm import tqdm

    import workshop.milvus  # noqa: F401  (its import keeps pymilvus from logging each refusal)

    print("Starting Milvus 2.3.5: about 15 s ...", flush=True)
    shape = {"bar_format": "{desc} {elapsed}", "leave": False, "disable": None}
    with tqdm(desc="waiting for its answer", **shape) as bar:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            bar.refresh()
            if process.poll() is not None:
                raise WorkshopError("The server ended while it started.")
            if (folder() / "ready").exists():
                with contextlib.suppress(MilvusException):
                    MilvusClient(uri, timeout=5).list_databases()
                    return
            time.sleep(0.25)
    raise WorkshopError(f"The server did not answer within {START_TIMEOUT} s.")


# ----------------------------------------------------------------------------------------- serve


def serve(listener: socket.socket) -> None:
    """Run Milvus in a network of its own and pass connections through, until a signal says stop."""
    base = folder()
    ready = base / "ready"
    ready.unlink(missing_ok=True)
    # The listener was bound before and stays in the machine's network; what comes after is inside.
    enter()
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    process = launch(base)
    try:
        while not stopped.is_set() and process.poll() is None:
            if not ready.exists() and healthy():
                threading.Thread(target=accept, args=(listener,), daemon=True).start()
                ready.touch()
            stopped.wait(0.2)
        if not stopped.is_set():
            sys.exit(f"Milvus ended with status {process.returncode}.")
    finally:
        ready.unlink(missing_ok=True)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        tidy(base, process.pid)


def launch(base: Path) -> subprocess.Popen:
    """Unpack and configure the server in `base`, and start it."""
    import milvus

    config = milvus.MilvusServerConfig(data_dir=str(base))
    config.set("log.level", "warn")  # info writes several lines a search
    # Strong reads wait for its next tick: 230 ms a search at the default of 200, 50 ms at this
    config.set("proxy.timeTickInterval", "50")
    config.set("log.stdout", "false")  # `logs/` has it already, and keeps it from growing
    # After a restart it asks parts of the run before, until it takes them for dead: not for 30 s
    config.set("common.session.ttl", "10")
    config.resolve()
    milvus._initialize_data_files(str(base))
    libc = ctypes.CDLL(None)
    PR_SET_PDEATHSIG = 1  # linux/prctl.h

    return subprocess.Popen(
        [base / "bin" / "milvus", "run", "standalone", f"-alias={alias(base)}"],
        cwd=base,
        env={
            **os.environ,
            "DEPLOY_MODE": "STANDALONE",
            "LD_LIBRARY_PATH": str(base / "bin"),
            # For small collections the server mostly waits for its own rounds. At these, loading
            # one takes 2 s and not 3.3 (1000, 1000 and 500 ms by default) ...
            "QUERYCOORD_CHECKCHANNELINTERVAL": "100",
            "QUERYCOORD_CHECKSEGMENTINTERVAL": "100",
            "QUERYCOORD_DISTPULLINTERVAL": "100",
            # ... and new rows of a loaded one are searched by their index after 4 s and not 17 (10 s)
            "QUERYCOORD_UPDATENEXTTARGETINTERVAL": "1",
        },
        stdin=subprocess.DEVNULL,
        # no orphan, whatever becomes of this process
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )


def alias(base: Path) -> str:
    """The server's name among others on this machine: part of the name of its pid file."""
    return f"workshop-{zlib.crc32(str(base).encode()):08x}"


def tidy(base: Path, pid: int) -> None:
    """Remove the two notes that Milvus leaves outside of its folder."""
    for place in (Path("/run/milvus"), Path("/tmp/milvus")):  # noqa: S108
        for name in (f"server_id_{pid}", f"standalone-{alias(base)}.pid"):
            (place / name).unlink(missing_ok=True)


def healthy() -> bool:
    """Whether every component of the server says that it is."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:9091/healthz", timeout=2) as answer:
            return b"OK" in answer.read()
    except OSError:
        return False


def accept(listener: socket.socket) -> None:
    """Connect whoever comes to the server inside."""
    while True:
        outside, _ = listener.accept()
        try:
            inside = socket.create_connection(("127.0.0.1", PORT))
        except OSError:
            outside.close()
            continue
        for pair in ((outside, inside), (inside, outside)):
            pair[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=pair, daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until either side ends, then end both."""
    try:
        while data := source.recv(1 << 18):
            target.sendall(data)
    except OSError:
        pass
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


# ------------------------------------------------------------------------------------------ stop


def stop() -> bool:
    """End the server that runs, wait until it is gone; False if there is none."""
    if platform.system() != "Linux" or (server := running()) is None:
        return False
    end(server["pid"])
    return True


def end(pid: int) -> None:
    """Let the process of that id end in order, or end it when that takes too long."""
    limits = ((signal.SIGTERM, STOP_TIMEOUT + 10), (signal.SIGKILL, 10))
    for name, seconds in limits:
        try:
            os.kill(pid, name)
        except ProcessLookupError:
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            file = lock()
            if file is not None:
                os.close(file)
                return
            time.sleep(0.1)
    raise WorkshopError(f"Process {pid} does not end.")


def main() -> int:
    """Run one command; 0 when it went well."""
    parser = argparse.ArgumentParser(description="A real Milvus server without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start it and wait until it answers")
    starting.add_argument("--port", type=int, default=PORT, help="on 127.0.0.1 (%(default)s)")
    commands.add_parser("stop", help="end it and free its port")
    serving = commands.add_parser("serve")  # by start, in the background
    serving.add_argument("listener", type=int)
    serving.add_argument("lock", type=int)
    args = parser.parse_args()
    try:
        if args.command == "serve":
            with socket.socket(fileno=args.listener) as listener:
                serve(listener)
        elif args.command == "stop":
            print("The server has ended." if stop() else "No server runs here.")
        else:
            before = running() if platform.system() == "Linux" else None
            uri = start(args.port)
            if before:
                print(f"The server already runs (process {before['pid']}).")
            print(f"Milvus 2.3.5 answers at {uri}. To use it:\n\n    export MILVUS_URI={uri}\n")
    except WorkshopError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: no server was left behind.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
