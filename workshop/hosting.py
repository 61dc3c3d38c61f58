"""What the doctor looks at when a machine is to carry a room: `doctor(room=True)`, the evening before."""

import ipaddress
import re
import shutil
import socket
import subprocess
import sys
from urllib.request import getproxies, proxy_bypass

import psutil

from workshop.environment import proxies
from workshop.health import Finding
from workshop.paths import ROOT

PORTS = {8765: "the board of the room"}
DISK_GB = 5.0  # a second set-up beside this one, or what is copied for machines without a network
# each system's own word on when it falls asleep with nobody at the keys
ASKED = {
    "darwin": ("pmset", "-g"),
    "win32": ("powercfg", "/query", "SCHEME_CURRENT", "SUB_SLEEP", "STANDBYIDLE"),
    "linux": ("gsettings", "list-recursively", "org.gnome.settings-daemon.plugins.power"),
}
# how the board is started for a room
START = (
    r"`.venv\Scripts\python -m app_snippets.room --host {}`"
    if sys.platform == "win32"
    else '`make room ROOM_ARGS="--host {}"`'
)
SERVERS = re.compile(r"python|jupyter|uvicorn|milvus", re.IGNORECASE)  # what this course starts


# --------------------------------------------------------------------------------- the network


def network() -> Finding:
    """At which addresses a room could reach this machine."""
    addresses = own_addresses()
    if not addresses:
        remedy = "Join the room's network, and look again."
        return Finding("Network", "none: no other machine can reach this one", remedy)
    seen = f"others reach this machine at {' or '.join(addresses)}"
    return Finding("Network", f"{seen}; its board starts with {START.format(addresses[0])}")


def own_addresses() -> list[str]:
    """The IPv4 addresses of this machine in the networks that it is in now."""
    working = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return [
        address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if name in working and address.family == socket.AF_INET and is_open(address.address)
    ]


def is_open(address: str) -> bool:
    """Whether other machines can use an address; :: and 0.0.0.0 mean all that a machine has."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (ip.is_loopback or ip.is_link_local)


def proxy() -> Finding:
    """Whether what a room asks of this machine would be asked of a proxy."""
    # those of the environment, and of the settings of Windows and macOS; "no" is what no_proxy says
    if not getproxies().keys() - {"no"}:
        return Finding("Proxies", "none")
    # names alone: an address may hold a password
    named = ", ".join(proxies()) or "the one in the system's settings"
    asked = [address for address in own_addresses() if not proxy_bypass(address)]
    if not asked:
        return Finding("Proxies", f"{named}: not asked for this machine's addresses")
    addresses = ",".join(asked)
    return Finding(
        "Proxies",
        f"{named}: asked even for {addresses}, which is this machine",
        f"Add `{addresses}` to `no_proxy` and `NO_PROXY`, here and where learners work.",
    )


def ports() -> Finding:
    """Whether the ports that a room uses can be had, or its board has them already."""
    if running := boards():
        return Finding("Ports", f"the board of the room runs, at {' and '.join(running)}")
    named = {port: f"{port} ({use})" for port, use in PORTS.items()}
    taken = [name for port, name in named.items() if not is_free(port)]
    if not taken:
        return Finding("Ports", f"free: {', '.join(named.values())}")
    remedy = "Stop the program that has it, or choose another port when you start."
    return Finding("Ports", f"taken: {', '.join(taken)}", remedy)


def boards() -> list[str]:
    """The addresses of this machine at which the board of a room answers."""
    places = (f"http://{host}:{port}" for port in PORTS for host in ("127.0.0.1", *own_addresses()))
    return [place for place in places if _is_board(place)]


def _is_board(place: str) -> bool:
    import httpx  # here: a doctor who is not asked for a room does not wait for it

    try:
        return "The board of a room" in httpx.get(place, timeout=2, trust_env=False).text
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def is_free(port: int) -> bool:
    """Whether a service could listen at this port of loopback."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # there the option means that two may share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listeners() -> Finding:
    """Which programs of this machine listen to the network, and so to everybody in the room."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells it to administrators alone
        return Finding("Listeners", "this user may not see which programs listen to the network")
    waiting = [c for c in found if c.status == psutil.CONN_LISTEN and is_open(c.laddr.ip)]
    named = {int(place.rpartition(":")[2]): "the board of the room" for place in boards()}
    programs = sorted(
        {f"{named.get(c.laddr.port) or program(c.pid)} at port {c.laddr.port}" for c in waiting}
    )
    if not programs:
        return Finding("Listeners", "no program listens to the network")
    seen = f"open to the network: {', '.join(programs)}"
    if not any(SERVERS.match(one) for one in programs):
        return Finding("Listeners", seen)
    remedy = "Everybody in the room can reach it: start it at 127.0.0.1, unless that is wanted."
    return Finding("Listeners", seen, remedy)


def program(pid: int | None) -> str:
    """The name of a process, as far as this user may see it."""
    try:
        return psutil.Process(pid).name() if pid else "a program"
    except psutil.Error:  # it has ended, or belongs to somebody else
        return "a program"


# --------------------------------------------------------------------------------- the machine


def disk() -> Finding:
    """Whether there is room to set up the course once more."""
    free = shutil.disk_usage(ROOT).free
    if free >= DISK_GB * 1e9:
        return Finding("Space", f"enough (at least {DISK_GB:g} GB free)")
    remedy = f"Free some space on the disk of {ROOT}."
    return Finding("Space", f"{free / 1e9:.1f} GB free, {DISK_GB:g} GB needed", remedy)


def sleep() -> Finding:
    """Whether the machine stays awake with nobody at the keys."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery and not battery.power_plugged:
        return Finding("Sleep", f"on battery, {battery.percent:.0f} % left", "Plug it in.")
    minutes = minutes_to_sleep()
    if minutes is None:
        seen = "cannot be seen here: switch sleeping off in the system's settings"
        return Finding("Sleep", seen)
    if minutes == 0:
        return Finding("Sleep", "never, while it is plugged in")
    remedy = "Switch it off in the system's settings: a machine asleep serves nobody."
    return Finding("Sleep", f"after {minutes} minutes with nobody at the keys", remedy)


def minutes_to_sleep() -> int | None:
    """Minutes without a hand on it and on mains, 0 for never, None where the system does not say."""
    command = ASKED.get(sys.platform)
    if not command or not shutil.which(command[0]):
        return None
    try:
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return minutes_said(sys.platform, said.stdout)


def minutes_said(platform: str, said: str) -> int | None:
    """What a system's answer means, see `minutes_to_sleep`."""
    if platform == "darwin":
        match = re.search(r"^\s*sleep\s+(\d+)", said, re.MULTILINE)
        return int(match[1]) if match else None
    if platform == "win32":  # in the user's language, but the two numbers come last: mains, battery
        seconds = re.findall(r"0x[0-9a-fA-F]{8}", said)
        return int(seconds[-2], 16) // 60 if len(seconds) >= 2 else None
    if "sleep-inactive-ac-type 'nothing'" in said:
        return 0
    match = re.search(r"sleep-inactive-ac-timeout (\d+)", said)
    return int(match[1]) // 60 if match else None


PARTS = {
    "Network": network,
    "Proxies": proxy,
    "Ports": ports,
    "Space": disk,
    "Sleep": sleep,
    "Listeners": listeners,
}
