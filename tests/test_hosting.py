"""The doctor, asked for a room, tells what would keep a machine from carrying one."""

import os
import socket
from types import SimpleNamespace

import pytest
from rooms import served

from app_snippets.room import PORT
from workshop import environment, hosting
from workshop.health import doctor


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch):
    for name in environment.proxies():
        monkeypatch.delenv(name)


@pytest.fixture
def listening():
    """A program, this one, that listens to everybody: its socket."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server


def test_a_room_is_looked_at_only_when_asked_for(home):
    alone = [finding.part for finding in doctor().findings]
    assert [finding.part for finding in doctor(room=True).findings] == [*alone, *hosting.PARTS]


def test_each_part_has_a_sentence_on_this_machine():
    for part, look in hosting.PARTS.items():
        finding = look()
        assert finding.part == part
        assert finding.seen


def test_a_server_that_the_whole_room_can_reach_is_named(listening):
    port = listening.getsockname()[1]
    finding = hosting.listeners()
    assert f"{hosting.program(os.getpid())} at port {port}" in finding.seen
    assert "127.0.0.1" in finding.remedy


def test_a_server_on_loopback_concerns_nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"port {server.getsockname()[1]}" not in hosting.listeners().seen


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "2001:db8::1%eth0"])
def test_addresses_that_others_can_use(address):
    assert hosting.is_open(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.3.4"])
def test_addresses_that_nobody_else_can_use(address):
    assert not hosting.is_open(address)


def test_listeners_that_the_system_keeps_to_itself_are_no_failure(monkeypatch):
    def denied(kind):
        raise hosting.psutil.AccessDenied

    monkeypatch.setattr(hosting.psutil, "net_connections", denied)
    finding = hosting.listeners()
    assert (finding.remedy, "may not see" in finding.seen) == ("", True)


def test_a_port_that_is_taken_is_named_with_what_it_is_for(listening, monkeypatch):
    port = listening.getsockname()[1]
    monkeypatch.setattr(hosting, "PORTS", {port: "the board of the room"})
    assert hosting.ports().seen == f"taken: {port} (the board of the room)"
    listening.close()
    assert hosting.ports().seen == f"free: {port} (the board of the room)"


def test_a_board_that_runs_already_is_no_program_to_stop(tmp_path, monkeypatch):
    with served(tmp_path) as board:
        monkeypatch.setattr(hosting, "PORTS", {int(board.url.rpartition(":")[2]): "the board"})
        found = hosting.ports()
    assert (found.seen, found.remedy) == (f"the board of the room runs, at {board.url}", "")


def test_the_network_is_told_with_the_line_that_starts_the_board(monkeypatch):
    monkeypatch.setattr(hosting, "own_addresses", lambda: ["192.0.2.7", "198.51.100.7"])
    seen = hosting.network().seen
    assert seen.startswith("others reach this machine at 192.0.2.7 or 198.51.100.7; ")
    assert "--host 192.0.2.7" in seen


def test_the_port_is_the_one_at_which_the_board_is_started():
    assert list(hosting.PORTS) == [PORT]


def test_a_machine_in_no_network_cannot_carry_a_room(monkeypatch):
    monkeypatch.setattr(hosting.psutil, "net_if_stats", dict)
    assert hosting.network().remedy


def test_a_proxy_that_would_be_asked_for_this_machine_is_named_without_its_address(monkeypatch):
    monkeypatch.setattr(hosting, "own_addresses", lambda: ["192.0.2.7"])
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.example:3128")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "corp.example")
    finding = hosting.proxy()
    assert "secret" not in finding.seen + finding.remedy
    assert "Add `192.0.2.7` to `no_proxy`" in finding.remedy
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "corp.example,192.0.2.7")
    assert hosting.proxy().remedy == ""


def test_a_proxy_of_the_systems_settings_is_seen_too(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "corp.example")  # alone it is no proxy
    assert hosting.proxy().seen == "none"
    monkeypatch.setattr(hosting, "getproxies", lambda: {"http": "http://proxy.example:3128"})
    monkeypatch.setattr(hosting, "own_addresses", lambda: ["192.0.2.7"])
    monkeypatch.setattr(hosting, "proxy_bypass", lambda host: False)
    finding = hosting.proxy()
    assert finding.seen.startswith("the one in the system's settings: asked even for 192.0.2.7")
    assert finding.remedy


def test_little_space_is_told_with_what_is_needed(monkeypatch):
    monkeypatch.setattr(
        hosting.shutil, "disk_usage", lambda path: SimpleNamespace(free=4_200_000_000)
    )
    assert hosting.disk().seen == "4.2 GB free, 5 GB needed"


PMSET = """Currently in use:
 standby              1
 disksleep            10
 sleep                {} (sleep prevented by powerd)
 displaysleep         2
"""
POWERCFG = """    Minimale mögliche Einstellung: 0x00000000
    Index der aktuellen Wechselstromeinstellung: 0x{:08x}
    Index der aktuellen Gleichstromeinstellung: 0x00000384
"""
GNOME = """org.gnome.settings-daemon.plugins.power sleep-inactive-ac-timeout {}
org.gnome.settings-daemon.plugins.power sleep-inactive-ac-type '{}'
"""


@pytest.mark.parametrize(
    ("platform", "said", "minutes"),
    [
        ("darwin", PMSET.format(10), 10),
        ("darwin", PMSET.format(0), 0),
        ("win32", POWERCFG.format(1800), 30),
        ("win32", POWERCFG.format(0), 0),
        ("linux", GNOME.format(1200, "suspend"), 20),
        ("linux", GNOME.format(1200, "nothing"), 0),
        ("linux", "No such schema", None),
        ("win32", "", None),
        ("darwin", "", None),
    ],
)
def test_what_systems_say_of_sleeping(platform, said, minutes):
    assert hosting.minutes_said(platform, said) == minutes


@pytest.mark.parametrize(("minutes", "ill"), [(0, False), (None, False), (15, True)])
def test_a_machine_that_falls_asleep_is_ill(monkeypatch, minutes, ill):
    monkeypatch.setattr(hosting.psutil, "sensors_battery", lambda: None, raising=False)
    monkeypatch.setattr(hosting, "minutes_to_sleep", lambda: minutes)
    assert bool(hosting.sleep().remedy) is ill


def test_a_machine_on_battery_is_ill_whatever_its_settings_say(monkeypatch):
    battery = SimpleNamespace(power_plugged=False, percent=41.3)
    monkeypatch.setattr(hosting.psutil, "sensors_battery", lambda: battery, raising=False)
    assert hosting.sleep().seen == "on battery, 41 % left"
