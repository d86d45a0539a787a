"""`dns check` above and below the zone: delegation, serials, DNSSEC and DANE, on real name servers that are wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tailwart.dns.authority import Server
from tailwart.dns.check import delegation, dnssec, queries, resolving
from tailwart.dns.check.findings import Finding, State, exit_code
from tests.daemons import free_port
from tests.unit.dns.names import ADDRESS, Served
from tests.unit.dns.world import ds, server, serving_texts, zone_file

SIGNED = ("good.test", "nods.test", "stale.test")
PLAIN = ("plain.test", "bare.test", "moved.test", "half.test", "gone.test", "lame.test")
OTHERS = "0" * 64


@dataclass(frozen=True)
class World:
    """The provider's name server, a second one with an older edition, and the zone above both."""

    primary: Served
    secondary: Served
    parent: Served

    @property
    def servers(self) -> list[Server]:
        return [server(self.primary, "ns1")]

    @property
    def parents(self) -> list[Server]:
        return [server(self.parent, "parent")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    records = "@ NS ns\nns A 127.0.0.1\n@ MX 10 mail\nmail A 198.51.100.11\n_25._tcp.mail TLSA 3 1 1 " + OTHERS
    directory = tmp_path_factory.mktemp("chain")
    zones = {zone: zone_file(records, serial=7) for zone in (*SIGNED, *PLAIN)}
    with (
        serving_texts(directory / "primary", zones, SIGNED) as primary,
        serving_texts(directory / "secondary", {"plain.test": zone_file(records, serial=6)}) as secondary,
    ):
        cuts = "".join(
            f"{zone.removesuffix('.test')} NS ns.{zone}.\nns.{zone.removesuffix('.test')} A 127.0.0.1\n"
            for zone in (*SIGNED, "plain.test", "bare.test", "half.test")
        )
        above = f"""\
@ NS ns
ns A 127.0.0.1
{cuts}
good DS {ds(primary, "good.test")}
stale DS 4711 13 2 {OTHERS}
bare DS 4711 13 2 {OTHERS}
moved NS ns.elsewhere.example.
half NS ns.old.example.
lame NS ns.lame.test.
ns.lame A 127.0.0.1
"""
        with serving_texts(directory / "parent", {"test": zone_file(above)}) as parent:
            yield World(primary, secondary, parent)


@pytest.fixture
def silent() -> list[Server]:
    """A server that is not there."""
    return [Server("nobody", ADDRESS, free_port())]


def delegated(world: World, zone: str, **changes: list[Server]) -> list[Finding]:
    asked = {"servers": world.servers, "parents": world.parents, **changes}
    return list(delegation.check(zone, asked["servers"], asked["parents"], None))


def area(findings: list[Finding], name: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.area == name]
    return finding


def test_a_delegation_that_agrees_is_fine_and_so_is_one_serial(world: World) -> None:
    findings = delegated(world, "good.test")
    assert {finding.state for finding in findings} == {State.OK}
    assert exit_code(findings) == 0


@pytest.mark.parametrize(
    ("zone", "said", "required"),
    [
        ("moved.test", "ns.elsewhere.example.", True),
        ("half.test", "ns.old.example.", False),
        ("gone.test", "is not delegated", True),
    ],
)
def test_a_delegation_to_other_servers_names_both_and_the_edit(
    world: World, zone: str, said: str, required: bool
) -> None:
    finding = area(delegated(world, zone), "delegation")
    assert finding.state is State.WRONG
    assert said in finding.detail
    assert finding.required is required
    assert f"ns.{zone}" in finding.remedy
    assert "registrar" in finding.remedy


def test_a_parent_that_is_silent_is_not_known_and_fails_as_such(world: World, silent: list[Server]) -> None:
    findings = delegated(world, "good.test", parents=silent)
    assert area(findings, "delegation").state is State.UNKNOWN
    assert "--parent" in area(findings, "delegation").remedy
    assert exit_code(findings) == 2


def test_a_provider_that_is_silent_is_not_known(world: World, silent: list[Server]) -> None:
    findings = delegated(world, "good.test", servers=silent)
    assert [finding.state for finding in findings] == [State.UNKNOWN]


def test_servers_with_different_editions_are_named_with_their_serials(world: World) -> None:
    both = [*world.servers, server(world.secondary, "ns2")]
    finding = area(list(delegation.check("plain.test", both, world.parents, None)), "serial")
    assert finding.state is State.WRONG
    assert "ns1 has 7" in finding.detail
    assert "ns2 has 6" in finding.detail
    assert "--wait" in finding.remedy


def test_a_server_that_does_not_know_the_zone_is_lame(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # The parent's port stands for 53: its server is asked for a zone that it only delegates.
    monkeypatch.setattr(queries, "PORT", world.parent.port)
    through = resolving.resolver(server(world.parent))
    monkeypatch.setattr(
        delegation, "addresses_of", lambda names, _: [Server("ns.lame.test", ADDRESS, world.parent.port)]
    )
    findings = [
        finding
        for finding in delegation.check("lame.test", world.servers, world.parents, through)
        if "a lame delegation" in finding.detail
    ]
    assert [finding.state for finding in findings] == [State.WRONG]
    assert findings[0].required


def test_the_zone_above_is_found_through_a_resolver(world: World, silent: list[Server]) -> None:
    (found,) = queries.parents("good.test", resolving.resolver(server(world.parent)))
    assert (found.label, found.address) == ("ns.test", "127.0.0.1")
    with pytest.raises(queries.UnansweredError, match="does not answer"):
        queries.parents("good.test", resolving.resolver(silent[0]))


def chain(world: World, zone: str, now: float = 0) -> dnssec.Chain:
    return dnssec.check(zone, world.servers, world.parents, [("_25._tcp.mail", "TLSA")], now)


def test_a_chain_that_holds_says_how_long(world: World) -> None:
    found = chain(world, "good.test")
    assert found.secure
    assert [finding.state for finding in found.findings] == [State.OK]
    assert "days" in found.findings[0].detail


def test_a_signed_zone_without_ds_gives_the_record_to_paste(world: World) -> None:
    (finding,) = chain(world, "nods.test").findings
    assert finding.state is State.WRONG
    assert not finding.required, "an unsigned zone delivers mail as well"
    assert finding.paste == f"nods.test. IN DS {ds(world.primary, 'nods.test')}"


@pytest.mark.parametrize("zone", ["stale.test", "bare.test"])
def test_a_ds_that_no_key_matches_fails(world: World, zone: str) -> None:
    found = chain(world, zone)
    assert found.secure is False
    assert found.findings[0].fails
    assert "remove the DS" in found.findings[0].remedy


def test_expired_signatures_fail_and_ending_ones_are_told(world: World) -> None:
    now = time.time()
    (soon,) = chain(world, "good.test", now + 13.5 * 86400).findings
    assert soon.state is State.WRONG
    assert not soon.required
    assert "hours" in soon.detail
    late = chain(world, "good.test", now + 40 * 86400)
    assert late.secure is False
    assert late.findings[0].fails
    assert "expired" in late.findings[0].detail


def test_an_unsigned_zone_is_fine_and_its_tlsa_records_are_not(world: World) -> None:
    found = chain(world, "plain.test")
    assert found.secure is False
    assert [finding.state for finding in found.findings] == [State.OK]
    (finding,) = dnssec.dane("plain.test", found.secure, True, asked=True)
    assert "senders ignore them" in finding.detail
    assert list(dnssec.dane("good.test", True, True, asked=True)) == []
    (offer,) = dnssec.dane("good.test", True, False, asked=False)
    assert "dns_tlsa = True" in offer.remedy


def test_a_chain_that_nobody_shows_is_not_known(world: World, silent: list[Server]) -> None:
    found = dnssec.check("good.test", world.servers, silent, [])
    assert found.secure is None
    assert [finding.state for finding in found.findings] == [State.UNKNOWN]
    assert list(dnssec.dane("good.test", None, True, asked=True)) == []
