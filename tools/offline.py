"""Runs a command where the only network is loopback, to show that it needs no other.

    python tools/offline.py -- python -m pytest --nbval solutions

Linux only: a network namespace of its own, entered without root where the kernel allows it. Proves
first that the outside is out of reach and loopback works. Where this machine does not allow it, says
why; then with CI=true it fails, else it runs the command with the network.
"""

import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
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


def main(args: list[str]) -> int:
    """Run the command after `--`; returns only when it could not."""
    if args == ["--try"]:
        try:
            enter()
            prove()
        except OSError as error:
            sys.exit(str(error))
        return 0
    if args[:1] != ["--"] or len(args) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    if why := obstacle():
        print(f"offline.py: cannot leave the network here ({why}).", file=sys.stderr)
        if os.environ.get("CI") == "true":
            print(
                "offline.py: CI must allow it: run as root, or let users make namespaces "
                "(sysctl kernel.apparmor_restrict_unprivileged_userns=0).",
                file=sys.stderr,
            )
            return 1
        print("offline.py: running WITH the network; offline is not proven.", file=sys.stderr)
    else:
        enter()
        prove()
        print("offline.py: loopback only, the outside is out of reach.", file=sys.stderr)
    sys.stderr.flush()
    os.execvp(args[1], args[1:])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
