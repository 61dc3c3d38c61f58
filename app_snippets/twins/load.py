"""A load generator: `python -m app_snippets.twins.load URL` prints what it measured as JSON.

Each of `--clients` connections sends the same request again as soon as its answer is there (a
closed loop). It runs in a process of its own, so that it takes no time from the server's Python,
and it does as little as it can: the request is prepared once, answers are counted and not parsed.
`busy` is the share of the time that it worked itself: far below 1, it was not what limited the run.
"""

import argparse
import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

PATIENCE = 30.0  # seconds without any answer until a run is given up
CHUNK = 1 << 16


class Client:
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, sock: socket.socket, request: bytes) -> None:
        self.sock, self.request = sock, request
        self.answer, self.length = b"", 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        """Begin a request."""
        self.answer, self.length = b"", 0
        self.sent = time.perf_counter()
        self.sock.sendall(self.request)

    def receive(self) -> bool:
        """Read what is there; whether the answer is complete. RuntimeError if it is no 200."""
        data = self.sock.recv(CHUNK)
        if not data:
            raise RuntimeError("the server closed the connection")
        self.answer += data
        if not self.length:
            head, end, _ = self.answer.partition(b"\r\n\r\n")
            if not end:
                return False
            _, found, rest = head.lower().partition(b"content-length:")
            if b" 200 " not in head[:14] or not found:
                raise RuntimeError(head.decode("latin-1"))
            self.length = len(head) + 4 + int(rest.partition(b"\r")[0])
        return len(self.answer) >= self.length


def percentile(ordered: list[float], share: float) -> float:
    """The value below which that share lies (nearest rank); `ordered` ascends."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(
    url: str, body: str | None = None, clients: int = 1, seconds: float = 1.0, warm: float = 0.2
) -> dict[str, float]:
    """Load a service: requests per second, and p50, p95 and p99 of the latency in ms.

    url      of the endpoint, http://HOST:PORT/PATH
    body     JSON to POST; without it the request is a GET
    clients  connections, each with one request on its way
    seconds  that are measured, after `warm` seconds that are not; `answered` counts those too

    Raises RuntimeError at the first answer that is no 200 with a Content-Length.
    """
    parts = urlsplit(url)
    content = (body or "").encode()
    head = [f"{'POST' if content else 'GET'} {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
    if content:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    request = "\r\n".join([*head, "", ""]).encode() + content
    latencies, answered, cpu = [], 0, time.process_time()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(clients):
            sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
            client = Client(stack.enter_context(sock), request)
            selector.register(sock, selectors.EVENT_READ, client)
        counts_from = time.perf_counter() + warm
        ends = counts_from + seconds
        for key in list(selector.get_map().values()):
            key.data.send()
        while selector.get_map():
            ready = selector.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"{url}: no answer in {PATIENCE:g} s")
            for key, _ in ready:
                client = key.data
                if not client.receive():
                    continue
                now = time.perf_counter()
                answered += 1
                if client.sent >= counts_from:
                    latencies.append(now - client.sent)
                if now < ends or not latencies:  # however slow, something is measured
                    client.send()
                else:
                    selector.unregister(client.sock)
    took = time.perf_counter() - counts_from
    latencies.sort()
    return {
        "clients": clients,
        "requests": len(latencies),
        "answered": answered,
        "per_second": len(latencies) / took,
        "busy": (time.process_time() - cpu) / (took + warm),
        **{f"p{p}_ms": 1000 * percentile(latencies, p / 100) for p in (50, 95, 99)},
    }


def run(
    url: str, body: str | None = None, clients: int = 1, seconds: float = 1.0
) -> dict[str, float]:
    """As `measure`, in a process of its own, after a warm-up of a quarter of the time.

    Raises RuntimeError with what that process said when it failed.
    """
    command = [sys.executable, "-m", "app_snippets.twins.load", url, f"--clients={clients}"]
    command += [f"--seconds={seconds}", f"--warm={seconds / 4}"]
    command += [f"--body={body}"] if body else []
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  our own words
    if done.returncode:
        raise RuntimeError(f"The load generator gave up: {done.stderr.strip()}")
    return json.loads(done.stdout)


@contextmanager
def serve_echo() -> Iterator[str]:
    """The least that a server can do, from a thread: a fixed answer, the request unread.

    Against it the load generator shows how fast it can be.
    """
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    listener, (end, stop) = socket.create_server(("127.0.0.1", 0)), socket.socketpair()

    def serve() -> None:
        with selectors.DefaultSelector() as selector, ExitStack() as stack:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is end:
                        return
                    if key.fileobj is listener:
                        client = stack.enter_context(listener.accept()[0])
                        selector.register(client, selectors.EVENT_READ)
                    elif key.fileobj.recv(CHUNK):
                        key.fileobj.sendall(answer)
                    else:
                        selector.unregister(key.fileobj)

    with listener, end, stop:
        thread = threading.Thread(target=serve, name="launch echo", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            stop.send(b"x")
            thread.join()


def main() -> None:
    """Read the command line, measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=measure.__doc__)
    parser.add_argument("url")
    parser.add_argument("--body")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--warm", type=float, default=0.2)
    given = vars(parser.parse_args())
    try:
        print(json.dumps(measure(**given)))
    except (OSError, RuntimeError, TimeoutError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
