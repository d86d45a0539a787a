"""`tailwart dns check` on the lab's real zone: what is spoilt is what fails, with its remedy, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import hosts, topology
from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
from tailwart.providers.definition import Provider
from tailwart.providers.record import APEX, Record, record
from tests.lab.deploying import ROOT
from tests.unit.dns.names import ADDRESS
from tests.unit.dns.world import serving_texts, zone_file
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.leaves_deployed]

REVERSE = "100.51.198.in-addr.arpa"
Told = tuple[str, str]


def look(path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of the command as a user runs it."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("tailwart")),
            "dns",
            "check",
            "--json",
            "--resolver",
            topology.RESOLVER,
            *words,
        ],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)


def wrong(document: dict[str, Any]) -> dict[Told, dict[str, Any]]:
    """What is wrong, by area and detail."""
    return {(each["area"], each["detail"]): each for each in document["findings"] if each["state"] == "wrong"}


@contextmanager
def changed(provider: Provider, zone: str, puts: list[Record], gone: list[Record]) -> Iterator[None]:
    """The zone as the owner's own hand changes it; put back afterwards."""
    provider.change(zone, puts, gone)
    try:
        yield
    finally:
        provider.change(zone, gone, puts)


@contextmanager
def reversed_as(number: str, name: str, before: str) -> Iterator[None]:
    """Another PTR record for an address of the lab's internet."""

    def write(old: str, new: str) -> None:
        for words in (
            ["zone-begin", REVERSE],
            ["zone-unset", REVERSE, number, "PTR", old],
            ["zone-set", REVERSE, number, "300", "PTR", new],
            ["zone-commit", REVERSE],
        ):
            hosts.exec("control", ["knotc", *words])

    write(before, name)
    try:
        yield
    finally:
        write(name, before)


def test_dns_check_names_exactly_what_is_spoilt(deployed: Path, environment: Environment, tmp_path: Path) -> None:
    zone, provider = environment.domain, open_provider(environment, lambda _: None)
    live = provider.read(zone)
    own_ns = [entry.value for entry in live if entry.rrset == (APEX, "NS")] or ["ns1.lab.test."]
    above = f"@ NS ns\nns A 127.0.0.1\ntailwart NS {own_ns[0]}\nsecond NS {own_ns[0]}\n"
    elsewhere = above.replace(f"tailwart NS {own_ns[0]}", "tailwart NS ns.elsewhere.example.")
    with (
        serving_texts(tmp_path / "parent", {"test": zone_file(above)}) as parent,
        serving_texts(tmp_path / "elsewhere", {"test": zone_file(elsewhere)}) as other,
    ):
        here = ("--parent", f"{ADDRESS}:{parent.port}")
        code, document = look(deployed, *here)
        usual = wrong(document)
        assert code == 0, [each for each in document["findings"] if each["required"] and each["state"] != "ok"]
        fine = {each["area"] for each in document["findings"] if each["state"] == "ok"}
        assert {"delegation", "serial", "dnssec", "caa", "mx", "dkim", "identity", "reverse"} <= fine

        def told(*words: str) -> dict[str, dict[str, Any]]:
            """What is wrong now and was not before, by area."""
            code, document = look(deployed, *(words or here))
            new = {told[0]: each for told, each in wrong(document).items() if told not in usual}
            assert code == (1 if any(each["required"] for each in new.values()) else 0)
            return new

        new = told("--parent", f"{ADDRESS}:{other.port}")
        assert set(new) == {"delegation"}
        assert "ns.elsewhere.example" in new["delegation"]["detail"]
        assert own_ns[0].rstrip(".") in new["delegation"]["remedy"]

        relay = topology.RELAY.ipv4
        with reversed_as(relay.rpartition(".")[2], "wrong.outside.test.", "relay.lab.test."):
            until(lambda: "reverse" in told(), "the resolver to forget the reverse name", seconds=30, pause=1)
            new = told()
            assert set(new) <= {"reverse", "identity"}
            assert relay in new["reverse"]["subject"]
            assert "wrong.outside.test. leads to nothing" in new["reverse"]["detail"]

        until(lambda: not told(), "the resolver to forget it again", seconds=30, pause=1)

        keys = [entry for entry in live if entry.name.endswith("._domainkey")]
        assert keys
        with changed(provider, zone, [], keys):
            new = told("--wait", "1", *here)
            assert {"dkim"} <= set(new) <= {"dkim", "resolvers"}
            assert new["dkim"]["paste"] in {key.value for key in keys}

        (mx,) = [entry for entry in live if entry.rrset == (APEX, "MX")]
        alias = [record(zone, "mx", "CNAME", f"mail.{zone}.", 300), record(zone, APEX, "MX", f"10 mx.{zone}.", 300)]
        with changed(provider, zone, alias, [mx]):
            new = told()
            assert {"mx", "records"} <= set(new) <= {"mx", "records", "resolvers", "mta-sts"}
            assert f"mx.{zone}. IN A {environment.edges[0].ipv4}" in new["mx"]["paste"]

        ours = [entry for entry in live if entry.type == "CAA"]
        with changed(provider, zone, [record(zone, APEX, "CAA", '0 issue "other.example"', 300)], ours):
            new = told()
            assert {"caa", "records"} <= set(new) <= {"caa", "records", "resolvers"}
            assert "it allows other.example" in new["caa"]["detail"]
            assert new["caa"]["paste"].startswith(f"{zone}. IN CAA 0 issue")
        until(lambda: not told(), "the resolver to forget what was spoilt", seconds=30, pause=1)
