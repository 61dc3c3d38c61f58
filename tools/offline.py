"""Runs a command to show that it needs no network, asks for none, and writes nothing in the home folder.

    python tools/offline.py -- python -m pytest --nbval solutions
    python tools/offline.py --online -- python -m pytest tests       with the network, but watched

The only network is loopback, in a network namespace of its own (Linux only), entered without root
where the kernel allows it. Proves first that the outside is out of reach and loopback works. Where
this machine does not allow it, says why; then with CI=true it fails, else it goes on with the
network.

The command finds proxies in its environment and an empty home folder. It fails if anything was asked
of a proxy, even for what is on this machine, or if anything was written in that folder.
"""

import ctypes
import errno
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1  # linux/sockios.h, linux/if.h
OUTSIDE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737): a route to it is a route to anywhere


def enter() -> None:
    """Leave the machine's network for one with loopback only; OSError where that is not allowed."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux has network namespaces")
    import fcntl  # not on Windows

    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET if uid == 0 else CLONE_NEWUSER | CLONE_NEWNET
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    if flags & CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def outside_is_reachable() -> bool:
    """Whether there is a route to an outside address; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(OUTSIDE)
        except OSError:
            return False
    return True


def prove() -> None:
    """OSError unless loopback works and nothing else is there."""
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"] or outside_is_reachable():
        raise OSError(errno.EISCONN, f"still connected through {', '.join(names)}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def obstacle() -> str:
    """Why the network cannot be left here, or an empty string.

    Tried in a child: a namespace entered halfway, without loopback, cannot be left again.
    """
    tried = subprocess.run([sys.executable, __file__, "--try"], capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else ""


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy on loopback that passes nothing on, and notes in `asked` what it was asked for."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        """Listen at once; it answers within a `with` block."""
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()

    def environment(self) -> dict[str, str]:
        """This process's variables with the proxy in each that names one, and no exceptions."""
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
            env[name] = env[name.upper()] = self.url
        return env


class _Refusal(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        """Note the first line, which names the place, and refuse."""
        try:
            line = self.rfile.readline(1000).decode(errors="replace").strip()
            self.server.asked.append(line)
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        except OSError as error:
            self.server.asked.append(f"{error}")


def watch(command: list[str]) -> int:
    """Run the command; its status, or 1 if it went well but asked a proxy or wrote in the home."""
    with Proxy() as proxy, tempfile.TemporaryDirectory(prefix="home-") as home:
        env = {k: v for k, v in proxy.environment().items() if not k.startswith("XDG_")}
        # pip asks rustc for its version, which rustup answers from the home folder
        for name, folder in {"RUSTUP_HOME": ".rustup", "PYENV_ROOT": ".pyenv"}.items():
            env.setdefault(name, str(Path.home() / folder))
        env |= {"HOME": home, "USERPROFILE": home}
        with subprocess.Popen(command, env=env) as process:
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            try:
                status = process.wait()
            except BaseException:
                process.terminate()
                raise
        asked = sorted(set(proxy.asked))
        written = sorted(str(p.relative_to(home)) for p in Path(home).rglob("*") if p.is_file())
    for what, found in {"asked of a proxy": asked, "written in the home folder": written}.items():
        if found:
            print(f"offline.py: {what}: {', '.join(found)}", file=sys.stderr)
    return status or int(bool(asked or written))


def main(args: list[str]) -> int:
    """Run the command after `--`, and return its status."""
    if args == ["--try"]:
        try:
            enter()
            prove()
        except OSError as error:
            sys.exit(str(error))
        return 0
    online = args[:1] == ["--online"]
    command = args[online:]
    if command[:1] != ["--"] or len(command) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    if not online and (why := obstacle()):
        print(f"offline.py: cannot leave the network here ({why}).", file=sys.stderr)
        if os.environ.get("CI") == "true":
            print(
                "offline.py: CI must allow it: run as root, or let users make namespaces "
                "(sysctl kernel.apparmor_restrict_unprivileged_userns=0).",
                file=sys.stderr,
            )
            return 1
        print("offline.py: running WITH the network; offline is not proven.", file=sys.stderr)
    elif not online:
        enter()
        prove()
        print("offline.py: loopback only, the outside is out of reach.", file=sys.stderr)
    return watch(command[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
