"""Flask and FastAPI under load, fairly: `make bench-web`.

Prints a table and writes artifacts/bench_web.json. Each stack is a process of its own with one
worker: waitress with 8 threads, uvicorn with 8 threads for `def` endpoints, both pure Python here. Milvus
is a process of its own too, so a search waits for it; so is the load generator. Runs are repeated
with the order exchanged. `cpu_ms` is the server process's own time for one request, and the
difference between two rows is what a framework or an endpoint costs.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from anyio.to_thread import current_default_thread_limiter
from tqdm import tqdm

from app_snippets.twins import load, search_fastapi, search_flask, search_flask_openapi
from app_snippets.twins.index import PhotoIndex
from app_snippets.twins.serving import serve_wsgi
from workshop import connect, launch

ROOT = Path(__file__).resolve().parent.parent
PLACE = "bench_web"
THREADS = 8
BODY = b'{"status":"ok","count":430}'
ENDPOINTS = {
    "health": ("/health", None),
    "search": ("/search", '{"item_id": "animals-amphibians-frog"}'),
    "embeddings": ("/embeddings", '{"text": "a big cat"}'),
}
Event = dict[str, Any]


def bare_wsgi(environ: Event, start_response: Callable) -> list[bytes]:
    """Answer as GET /health does, without a framework."""
    length = str(len(BODY))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", length)])
    return [BODY]


async def bare_asgi(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """Answer as GET /health does, without a framework."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def same_threads(app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """FastAPI runs `def` endpoints in up to 40 threads; give it as many as waitress has."""

    async def limited(scope: Event, receive: Callable, send: Callable) -> None:
        current_default_thread_limiter().total_tokens = THREADS
        await app(scope, receive, send)

    return limited


def photo_index() -> PhotoIndex:
    """The collection that the parent has filled, through a client of this process."""
    return PhotoIndex(connect(PLACE, fresh=False))


# In the order of the table: name, endpoints, how to serve it
STACKS: dict[str, tuple[list[str], Callable[[], Any]]] = {
    "nothing · waitress": (["health"], lambda: serve_wsgi(bare_wsgi, threads=THREADS)),
    "nothing · uvicorn": (["health"], lambda: launch(bare_asgi)),
    "Flask · waitress": (
        list(ENDPOINTS),
        lambda: serve_wsgi(search_flask.create_app(photo_index()), threads=THREADS),
    ),
    "Flask + openapi3 · waitress": (
        list(ENDPOINTS),
        lambda: serve_wsgi(search_flask_openapi.create_app(photo_index()), threads=THREADS),
    ),
    "FastAPI · uvicorn": (
        list(ENDPOINTS),
        lambda: launch(same_threads(search_fastapi.create_app(photo_index())), timeout=60),
    ),
}


def serve(stack: str) -> None:
    """In a process of its own: serve until standard input is closed, which a dead parent does too."""
    with STACKS[stack][1]() as service:
        print(service.url, flush=True)
        sys.stdin.read()


@contextmanager
def child(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block; interrupted or failed, too."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def cpu_seconds(process: psutil.Process) -> float:
    """What the process has used, user and system."""
    used = process.cpu_times()
    return used.user + used.system


def measure(clients: list[int], seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Every stack, endpoint and number of clients; the median of the repeats and their range."""
    runs: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    cases = [
        (stack, endpoint, count)
        for endpoint in ENDPOINTS
        for count in clients
        for stack, (endpoints, _) in STACKS.items()
        if endpoint in endpoints
    ]
    with ExitStack() as running:
        servers = {}
        for stack in STACKS:
            command = [sys.executable, str(Path(__file__)), "--serve", stack]
            process = running.enter_context(child(*command))
            servers[stack] = (psutil.Process(process.pid), process.stdout)
        urls = {stack: out.readline().strip() for stack, (_, out) in servers.items()}
        if silent := [stack for stack, url in urls.items() if not url]:
            sys.exit(f"Did not start: {', '.join(silent)}")
        with tqdm(total=len(cases) * repeats, unit="run") as bar:
            for repeat in range(repeats):
                for stack, endpoint, count in cases if repeat % 2 == 0 else cases[::-1]:
                    path, body = ENDPOINTS[endpoint]
                    process, _ = servers[stack]
                    before = cpu_seconds(process)
                    result = load.run(urls[stack] + path, body, count, seconds)
                    used = cpu_seconds(process) - before
                    result["cpu_ms"] = 1000 * used / result["answered"]
                    runs.setdefault((stack, endpoint, count), []).append(result)
                    bar.update()
    return [summary(*case, runs[case]) for case in cases]


def summary(stack: str, endpoint: str, count: int, runs: list[dict[str, float]]) -> dict[str, Any]:
    """The median of the repeats, with the lowest and highest rate beside it."""
    rates = [run["per_second"] for run in runs]
    return {
        "stack": stack,
        "endpoint": endpoint,
        "clients": count,
        "requests": int(sum(run["requests"] for run in runs)),
        **{
            key: median(run[key] for run in runs)
            for key in ("per_second", "p50_ms", "p95_ms", "p99_ms", "cpu_ms", "busy")
        },
        "per_second_range": [min(rates), max(rates)],
    }


def parts(rows: list[dict[str, Any]], clients: int) -> dict[str, dict[str, float]]:
    """CPU time of a request, ms: server, framework, endpoint; each the difference of two rows."""
    cpu = {
        (row["stack"], row["endpoint"]): row["cpu_ms"] for row in rows if row["clients"] == clients
    }
    found = {}
    for stack in [stack for stack, (endpoints, _) in STACKS.items() if len(endpoints) > 1]:
        server = cpu["nothing · " + stack.split(" · ")[1], "health"]
        for endpoint in ENDPOINTS:
            found[f"{stack}, {endpoint}"] = {
                "server": server,
                "framework": cpu[stack, "health"] - server,
                "endpoint": cpu[stack, endpoint] - cpu[stack, "health"],
            }
    return found


@contextmanager
def milvus() -> Iterator[None]:
    """A Milvus Lite in a process of its own, unless MILVUS_URI names a server."""
    if os.environ.get("MILVUS_URI", "").startswith("http"):
        yield
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        port = free_port()
        program = str(Path(sys.executable).with_name("milvus-lite"))
        command = [program, "server", "--data-dir", folder, "--host", "127.0.0.1"]
        process = stack.enter_context(child(*command, "--port", str(port)))
        # what it logs must be read, or it stops when the pipe is full
        threading.Thread(target=process.stdout.read, daemon=True).start()
        os.environ["MILVUS_URI"] = f"http://127.0.0.1:{port}"
        wait_for_port(port)
        yield


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def wait_for_port(port: int) -> None:
    """Until something listens there; a minute at most."""
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                sys.exit("Milvus Lite did not start.")
            time.sleep(0.1)


def main() -> None:
    """Read the command line, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "artifacts" / "bench_web.json")
    parser.add_argument("--serve", choices=STACKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(given.serve)
    with load.serve_echo() as url:
        ceiling = {n: load.run(url, None, n, given.seconds)["per_second"] for n in given.clients}
    with milvus():
        PhotoIndex.build(PLACE).close()
        rows = measure(given.clients, given.seconds, given.repeats)
    fastest = {
        n: max(row["per_second"] for row in rows if row["clients"] == n) for n in given.clients
    }
    report = {
        "python": platform.python_version(),
        "cores": psutil.cpu_count(logical=False),
        "versions": {
            name: version(name)
            for name in ("flask", "flask-openapi3", "waitress", "fastapi", "uvicorn", "pymilvus")
        },
        "load_generator": {
            str(n): {"ceiling_per_second": ceiling[n], "times_fastest": ceiling[n] / fastest[n]}
            for n in given.clients
        },
        "cpu_ms_of_a_request": parts(rows, given.clients[-1]),
        "rows": rows,
    }
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(report)
    print(f"\nWritten to {given.out}")


def show(report: dict[str, Any]) -> None:
    """The table, and what the load generator can do."""
    head = (
        "stack",
        "endpoint",
        "clients",
        "req/s",
        "lowest–highest",
        "p50",
        "p95",
        "p99 ms",
        "CPU ms",
        "load busy",
    )
    print("{:28}{:12}{:>8}{:>8}{:>16}{:>8}{:>8}{:>8}{:>8}{:>11}".format(*head))
    for row in report["rows"]:
        low, high = row["per_second_range"]
        print(
            f"{row['stack']:28}{row['endpoint']:12}{row['clients']:8}{row['per_second']:8.0f}"
            f"{f'{low:.0f}–{high:.0f}':>16}{row['p50_ms']:8.1f}{row['p95_ms']:8.1f}"
            f"{row['p99_ms']:8.1f}{row['cpu_ms']:8.2f}{row['busy']:11.0%}"
        )
    print("\nCPU time of a request, ms: server + framework + endpoint")
    for what, part in report["cpu_ms_of_a_request"].items():
        print(f"{what:40}" + " + ".join(f"{value:6.2f}" for value in part.values()))
    for clients, limit in report["load_generator"].items():
        if limit["times_fastest"] < 3:
            print(
                f"Mistrust the rates at {clients} clients: the load generator itself manages only "
                f"{limit['times_fastest']:.1f} times the fastest."
            )


if __name__ == "__main__":
    main()
