"""The dns role through pyinfra itself: dry runs are real and write nothing, a second run changes nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
from tailwart.providers.record import APEX, record
from tests.plans.through_pyinfra import pyinfra
from tests.unit.dns import powerdns
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Knot, serving

ZONE = "z.test"
INVENTORY = """
from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
environment = Environment.model_validate(SETTINGS)
dns = [("@plane/dns", {"environment": environment})]
others = ["@plane/other"]
"""
DEPLOY = """
from pyinfra import host
from pyinfra.operations import server
from tasks import dns
if "dns" in host.groups:
    dns.deploy()
if "others" in host.groups:
    server.shell(name="Another role", commands=["touch finished"])
"""


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[Knot]:
    (tmp_path / "knot").mkdir()
    with serving(tmp_path / "knot", (ZONE,)) as running:
        yield running


class Project:
    """A deploy of two roles in a directory of its own: ours, and one that leaves a file behind."""

    def __init__(self, directory: Path, provider: str, keys: dict[str, str]) -> None:
        self.directory = directory
        self.settings: dict[str, Any] = {
            "domain": ZONE,
            "ts_tailnet": "tailnet.test",
            "edges": [{"name": "edge-1", "ssh": "root@192.0.2.1", "ipv4": "198.51.100.11"}],
            "dns_provider": provider,
            "provider_keys": keys,
        }
        (directory / "group_data").mkdir(exist_ok=True)
        self.write()

    def write(self) -> None:
        """The inventory and the deploy."""
        directory = self.directory
        (directory / "inventory.py").write_text(f"SETTINGS = {self.settings!r}\n{INVENTORY}")
        (directory / "deploy.py").write_text(DEPLOY)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """pyinfra in that directory."""
        return pyinfra(self.directory, "deploy.py", *options)

    def changed(self) -> list[str]:
        """Hosts on which a run changed something."""
        done = self.run("-y", "--json", "--limit", "dns")
        assert done.returncode == 0, done.stderr
        return [host for operation in json.loads(done.stdout)["results"]["operations"] for host in operation["success"]]


def keys_of(knot: Knot) -> dict[str, str]:
    return {
        "rfc2136_server": ADDRESS,
        "rfc2136_port": str(knot.port),
        "rfc2136_key_name": KEY_NAME,
        "rfc2136_key": KEY_SECRET,
        "rfc2136_algorithm": KEY_ALGORITHM,
    }


@pytest.fixture
def project(tmp_path: Path, knot: Knot) -> Project:
    return Project(tmp_path, "rfc2136", keys_of(knot))


def test_a_dry_run_shows_the_plan_and_writes_nothing(project: Project, knot: Knot) -> None:
    serial = knot.values(ZONE, "SOA")
    done = project.run("--dry", "--diff", "--limit", "dns")
    assert done.returncode == 0, done.stderr
    assert f"10 mail.{ZONE}." in done.stdout + done.stderr
    assert knot.values(ZONE, "SOA") == serial
    assert not (project.directory / "_backup").exists()
    assert KEY_SECRET not in done.stdout + done.stderr


def test_the_second_run_changes_nothing(project: Project, knot: Knot) -> None:
    assert project.changed() == ["@plane/dns"]
    assert knot.values(ZONE, "MX") == [f"10 mail.{ZONE}."]
    assert project.changed() == []


def test_the_second_run_through_octodns_changes_nothing_either(tmp_path: Path) -> None:
    (tmp_path / "powerdns").mkdir()
    with powerdns.serving(tmp_path / "powerdns") as server:
        server.create(ZONE)
        server.put(ZONE, f"{ZONE}.", "TXT", '"some; text \\195\\169"')
        keys = {"powerdns_api_url": server.api, "powerdns_api_key": powerdns.API_KEY}
        project = Project(tmp_path, "powerdns", keys)
        project.settings["dns_nameservers"] = f"{ADDRESS}:{server.port}"
        project.write()
        done = project.run("-y", "--limit", "dns")
        assert done.returncode == 0, done.stderr
        assert powerdns.API_KEY not in done.stdout + done.stderr
        assert "Invalid record" not in done.stdout + done.stderr, "the library's opinion of the owner's records"
        assert server.values(ZONE, "MX") == [f"10 mail.{ZONE}."]
        serial = server.serial(ZONE)
        assert project.changed() == []
        assert server.serial(ZONE) == serial


def test_a_refused_key_fails_this_role_only(tmp_path: Path, knot: Knot) -> None:
    wrong = {"rfc2136_key": "YW5vdGhlciBzZWNyZXQgb2YgMzIgb2N0ZXRzLCB3cm9uZw=="}
    project = Project(tmp_path, "rfc2136", {**keys_of(knot), **wrong})
    done = project.run("-y")
    assert done.returncode == 1
    assert "RFC2136_KEY_NAME, RFC2136_KEY and RFC2136_ALGORITHM" in done.stderr + done.stdout
    assert (tmp_path / "finished").exists()


def test_a_wrong_variable_of_the_owner_fails_this_role_only(project: Project) -> None:
    (project.directory / "group_data" / "dns.py").write_text("dns_exlude = ['mail A']\n")
    done = project.run("-y")
    assert done.returncode == 1
    assert "did you mean dns_exclude" in done.stderr + done.stdout
    assert (project.directory / "finished").exists()


def test_much_is_deleted_only_when_allowed(project: Project, knot: Knot) -> None:
    assert project.changed()
    provider = open_provider(Environment.model_validate(project.settings), lambda _: None)
    hosts = [record(ZONE, "mail", "A", f"192.0.2.{number}", 3600) for number in range(1, 9)]
    provider.change(ZONE, [*hosts, record(ZONE, APEX, "MX", "20 old.example.", 3600)], [])
    refused = project.run("-y", "--limit", "dns")
    assert refused.returncode == 1
    assert "dns_allow_deletions=yes" in refused.stderr + refused.stdout
    assert len(knot.values(f"mail.{ZONE}", "A")) == 9
    allowed = project.run("-y", "--limit", "dns", "--data", "dns_allow_deletions=yes")
    assert allowed.returncode == 0, allowed.stderr
    assert knot.values(f"mail.{ZONE}", "A") == ["198.51.100.11"]
