"""Dynamic updates on Knot and BIND: a new TTL, large changes, and what happens between the reading and the writing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from itertools import count

import dns.message
import dns.query
import dns.update
import pytest

from tailwart.errors import TailwartError
from tailwart.providers._rfc2136 import Rfc2136, tsig_key
from tailwart.providers.record import APEX, Record, record
from tests.unit.dns import bind
from tests.unit.dns.names import ADDRESS, KEY_ALGORITHM, KEY_NAME, KEY_SECRET, Knot, Served

_number = count()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """BIND for this module; each test takes a zone of its own."""
    with bind.serving(tmp_path_factory.mktemp("bind"), tuple(f"b{number}.test" for number in range(20)), ()) as running:
        yield running


@pytest.fixture(params=["knot", "bind"])
def server(request: pytest.FixtureRequest, zone: str, knot: Knot) -> tuple[Rfc2136, Served, str]:
    """The provider on a fresh zone of either server."""
    served: Served = knot
    if request.param == "bind":
        served, zone = request.getfixturevalue("named"), f"b{next(_number)}.test"
    return provider(served.port), served, zone


def provider(port: int) -> Rfc2136:
    return Rfc2136(ADDRESS, port, tsig_key(KEY_NAME, KEY_SECRET, KEY_ALGORITHM))


def ttls(dns_provider: Rfc2136, zone: str) -> dict[str, int]:
    return {entry.value: entry.ttl for entry in dns_provider.read(zone) if entry.name == "x"}


def test_a_new_ttl_alone_is_written(server: tuple[Rfc2136, Served, str]) -> None:
    dns_provider, _, zone = server
    pair = [record(zone, "x", "A", f"192.0.2.{number}", 3600) for number in (1, 2)]
    dns_provider.change(zone, pair, [])
    dns_provider.change(zone, [entry.with_ttl(300) for entry in pair], [])
    assert ttls(dns_provider, zone) == {"192.0.2.1": 300, "192.0.2.2": 300}
    dns_provider.change(zone, [pair[0].with_ttl(7200), record(zone, "x", "A", "192.0.2.3", 7200)], [pair[1]])
    assert ttls(dns_provider, zone) == {"192.0.2.1": 7200, "192.0.2.3": 7200}


def test_a_new_ttl_takes_the_whole_record_set_along(server: tuple[Rfc2136, Served, str]) -> None:
    dns_provider, _, zone = server
    pair = [record(zone, "x", "TXT", text, 3600) for text in ("ours", "theirs")]
    dns_provider.change(zone, pair, [])
    dns_provider.change(zone, [pair[0].with_ttl(60)], [])
    assert ttls(dns_provider, zone) == {"ours": 60, "theirs": 60}


@pytest.mark.parametrize("spread", [True, False], ids=["over names", "at one name"])
def test_six_hundred_long_texts_are_several_messages(
    server: tuple[Rfc2136, Served, str], monkeypatch: pytest.MonkeyPatch, spread: bool
) -> None:
    dns_provider, _, zone = server
    texts = [record(zone, f"t{n}" if spread else "t", "TXT", f"{n:03}" + "x" * 457, 3600) for n in range(600)]
    if not spread:
        texts = texts[:95]  # BIND keeps a hundred records in a set, and the set has to fit into an answer
    sent = []
    real = dns.query.tcp

    def tcp(query: dns.message.Message, *args: object, **kwargs: object) -> dns.message.Message:
        if isinstance(query, dns.update.UpdateMessage):
            sent.append(len(query.to_wire(max_size=65535)))
        return real(query, *args, **kwargs)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(dns.query, "tcp", tcp)
    dns_provider.change(zone, texts, [])
    assert {entry.value for entry in texts} <= {entry.value for entry in dns_provider.read(zone)}
    assert 1 < len(sent) < 14
    assert max(sent) < 60_000
    dns_provider.change(zone, [], texts)
    assert not [entry for entry in dns_provider.read(zone) if entry.type == "TXT"]


def test_the_strings_of_a_text_stay_as_they_are_cut(server: tuple[Rfc2136, Served, str]) -> None:
    dns_provider, served, zone = server
    cut = Record("x", "TXT", "onetwo", 3600, cuts=(3, 0, 3))
    dns_provider.change(zone, [cut], [])
    (there,) = [entry for entry in dns_provider.read(zone) if entry.name == "x"]
    assert there.cuts == (3, 0, 3)
    assert there == cut
    dns_provider.change(zone, [Record("x", "TXT", "onetwo", 3600)], [])
    assert [rdata.strings for rdata in served.rdatas(f"x.{zone}", "TXT")] == [(b"onetwo",)], "not doubled"


def test_octets_that_are_no_text_come_and_go(server: tuple[Rfc2136, Served, str]) -> None:
    dns_provider, served, zone = server
    odd = Record("x", "TXT", b"\xff\x00\x1b[2J".decode("utf-8", "surrogateescape"), 3600)
    dns_provider.change(zone, [odd], [])
    assert [rdata.strings for rdata in served.rdatas(f"x.{zone}", "TXT")] == [(b"\xff\x00\x1b[2J",)]
    assert odd in dns_provider.read(zone)
    dns_provider.change(zone, [], [odd])
    assert not served.rdatas(f"x.{zone}", "TXT")


def test_a_change_of_somebody_else_in_between_is_not_overwritten(
    server: tuple[Rfc2136, Served, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dns_provider, served, zone = server
    ours = record(zone, APEX, "TXT", "v=spf1 mx -all", 3600)
    dns_provider.change(zone, [ours], [])
    other = provider(served.port)
    real = dns_provider._stored

    def meanwhile(name: str) -> object:
        found = real(name)
        other.change(zone, [record(zone, APEX, "TXT", "v=spf1 include:theirs.example -all", 3600)], [ours])
        return found

    monkeypatch.setattr(dns_provider, "_stored", meanwhile)
    with pytest.raises(TailwartError, match="somebody else changed") as moved:
        dns_provider.change(zone, [record(zone, APEX, "TXT", "v=spf1 mx ip4:192.0.2.1 -all", 3600)], [ours])
    assert "run again" in moved.value.remedy
    assert served.texts(zone) == ["v=spf1 include:theirs.example -all"]


@pytest.mark.parametrize("sent", [b"", b"\x00", b"\x00\x20abc"], ids=["at once", "in the length", "in the message"])
def test_a_stream_that_the_server_closes_is_a_clear_error(sent: bytes) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:

        def close() -> None:
            for _ in range(4):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(sent)

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        dns_provider = provider(listener.getsockname()[1])
        for attempt in (
            lambda: dns_provider.read("example.org"),
            lambda: dns_provider._send(dns.update.UpdateMessage("example.org"), "example.org"),
        ):
            with pytest.raises(TailwartError) as failed:
                attempt()
            assert "closed the connection" in failed.value.remedy
        thread.join(5)
