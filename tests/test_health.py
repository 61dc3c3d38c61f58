"""The doctor of chapter 00 tells what is wrong and how to mend it, and never fails itself."""

import socket
from importlib import metadata
from types import SimpleNamespace

import pytest

from workshop import environment, health
from workshop.health import Finding, Report, doctor
from workshop.paths import home


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MILVUS_URI", raising=False)
    for name in environment.proxies():  # one more line for whoever has one
        monkeypatch.delenv(name)


def ill_parts(report: Report) -> dict[str, Finding]:
    return {finding.part: finding for finding in report.findings if finding.remedy}


def test_all_is_well_where_the_course_was_set_up_and_the_text_names_no_measured_number():
    report = doctor()
    assert report.healthy, report
    assert repr(report) == repr(doctor()), "the notebooks compare this text"
    assert repr(report).endswith("All is well: go on.")
    assert report._repr_html_().count("✅") == len(report.findings) == 7


def test_the_milvus_check_leaves_no_database_behind():
    doctor()
    assert list((home() / "milvus").iterdir()) == []


def test_a_package_of_another_version_is_named_with_the_tested_one(monkeypatch):
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "0.1" if name == "tqdm" else version(name)
    )
    finding = ill_parts(doctor())["Packages"]
    assert f"tqdm is 0.1, tested with {version('tqdm')}" in finding.seen
    assert "pip install -r requirements.txt" in finding.remedy


def test_a_missing_package_is_named(monkeypatch):
    version = metadata.version

    def without_httpx(name: str) -> str:
        if name == "httpx":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_httpx)
    assert ill_parts(doctor())["Packages"].seen == "httpx is missing"


def test_little_memory_and_disk_are_told_with_what_is_needed(monkeypatch):
    monkeypatch.setattr(
        health.psutil, "virtual_memory", lambda: SimpleNamespace(available=700_000_000)
    )
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: SimpleNamespace(free=5_000_000))
    ill = ill_parts(doctor())
    assert ill["Memory"].seen == "0.7 GB free, 2 GB needed"
    assert ill["Disk"].seen == "0.0 GB free, 1 GB needed"
    assert "kernels of other notebooks" in ill["Memory"].remedy


def test_a_server_that_does_not_answer_is_a_finding(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # free again below, so nobody listens
    monkeypatch.setenv("MILVUS_URI", f"http://127.0.0.1:{port}")
    assert "MILVUS_URI" in ill_parts(doctor())["Milvus"].remedy


def test_a_home_that_cannot_be_written_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WORKSHOP_HOME", str(tmp_path / "file" / "home"))
    ill = ill_parts(doctor())
    assert "WORKSHOP_HOME" in ill["Disk"].remedy
    assert "WORKSHOP_HOME" in ill["Milvus"].remedy


def test_a_proxy_is_named_without_its_address_and_need_not_be_asked(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "corp.example")
    finding = doctor().findings[0]
    assert (finding.part, "https_proxy: asked even for" in finding.seen) == ("Proxy", True)
    assert "127.0.0.1,localhost,::1" in finding.remedy
    environment.prepare()
    finding = doctor().findings[0]
    assert (finding.remedy, "https_proxy: not asked" in finding.seen) == ("", True)
    assert "secret" not in repr(doctor())


def test_an_unforeseen_failure_is_a_finding_and_the_other_parts_are_still_seen(monkeypatch):
    def broken() -> Finding:
        raise ZeroDivisionError("a <surprise>")

    monkeypatch.setattr(health, "_photos", broken)
    report = doctor()
    assert ill_parts(report)["Photos"].seen == "ZeroDivisionError: a <surprise>"
    assert "a &lt;surprise&gt;" in report._repr_html_()
    assert len(report.findings) == 7
    assert "To mend: photos" in report.summary


def test_an_old_python_is_a_finding(monkeypatch):
    monkeypatch.setattr(health.sys, "version_info", (3, 10, 13, "final", 0))
    finding = health._python()
    assert finding.seen == "3.10.13"
    assert "3.11 to 3.13" in finding.remedy
