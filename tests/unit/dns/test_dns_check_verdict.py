"""The verdict of `dns check`, its exit codes, the waiting, damaged DKIM keys, and what clients are told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tailwart.cli.commands import dns_check
from tailwart.dns.authority import Server
from tailwart.dns.check import clients, dkim, policy, records, resolving
from tailwart.dns.check.findings import Finding, State, exit_code, ok, render, to_json, unknown, wrong
from tailwart.dns.desired import desire
from tailwart.dns.intent import Intent
from tailwart.dns.ownership import Ledger
from tailwart.providers.record import Record
from tests.daemons import free_port
from tests.unit.dns.bench import Bench
from tests.unit.dns.names import ADDRESS, Knot
from tests.unit.dns.recorded import PLAIN, ZONE, zone_text
from tests.unit.dns.test_dns_check import certificate

GOOD = ok("records", ZONE)
LOST = wrong("mx", ZONE, "leads to a CNAME", remedy="give it addresses", paste="mail. IN A 198.51.100.11")
NICER = wrong("dnssec", ZONE, "has no DS", remedy="add it", required=False)
UNSEEN = unknown("delegation", ZONE, "the parent does not answer")


@pytest.mark.parametrize(
    ("findings", "code", "word"),
    [
        ([GOOD], 0, "FINE"),
        ([GOOD, NICER], 0, "FINE"),
        ([GOOD, LOST, UNSEEN], 1, "FAILS"),
        ([GOOD, UNSEEN, NICER], 2, "NOT KNOWN"),
        ([unknown("resolvers", ZONE, "silent", required=False)], 0, "FINE"),
    ],
)
def test_the_verdict_comes_first_and_is_the_exit_code(findings: list[Finding], code: int, word: str) -> None:
    assert exit_code(findings) == code
    assert render(findings).startswith(f"{word}: ")
    assert to_json(findings)["verdict"] == word.lower()


def test_what_to_do_stands_before_what_is_fine_and_can_be_pasted() -> None:
    lines = render([GOOD, NICER, UNSEEN, LOST]).splitlines()
    order = [lines.index(line) for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert [lines[place] for place in order] == [
        "Put right, or mail is lost or refused:",
        "Recommended:",
        "Could not be looked at:",
        "Fine:",
    ]
    assert "mail. IN A 198.51.100.11" in [line.strip() for line in lines]


def test_waiting_ends_when_all_is_seen_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = iter([[LOST, NICER], [LOST], [GOOD]])
    now = iter(range(0, 1000, 5))
    assert dns_check.until_seen(lambda: next(rounds), 60, clock=lambda: float(next(now)), pause=lambda _: None)
    shown = capsys.readouterr().err
    assert "of 60 s" in shown
    assert "leads to a CNAME" in shown
    assert "1 more" in shown


def test_waiting_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    time = [0.0]

    def pause(seconds: float) -> None:
        time[0] += seconds

    assert not dns_check.until_seen(lambda: [LOST], 35, clock=lambda: time[0], pause=pause)
    assert time[0] == 35
    assert "not seen everywhere after 35 s" in capsys.readouterr().err


def keys(*served: str) -> Finding:
    desired = desire(Intent(ZONE, ZONE, zone_text=PLAIN))
    (name,) = {entry.name for entry in desired.records if "_domainkey" in entry.name}
    (finding,) = dkim.check(desired, {(name, "TXT"): [Record(name, "TXT", text) for text in served]})
    return finding


KEY = next(entry.value for entry in desire(Intent(ZONE, ZONE, zone_text=PLAIN)).records if "_domainkey" in entry.name)


def test_a_key_as_it_should_be_is_fine() -> None:
    assert keys(KEY).state is State.OK


@pytest.mark.parametrize(
    ("served", "said"),
    [
        ((), "has no record"),
        ((KEY[:255], KEY[255:]), "is cut into 2 records"),
        ((f'"{KEY[:255]}" "{KEY[255:]}"',), "quotation marks"),
        ((KEY.replace(";", "\\;"),), "backslashes"),
        ((KEY[:255],), "is cut off after"),
        (("v=DKIM1; k=rsa; p=MIIB",), "another key"),
        ((KEY, "v=DKIM1; p=old"), "1 other TXT records"),
    ],
)
def test_a_key_that_a_web_form_spoiled_is_given_back_in_one_piece(served: tuple[str, ...], said: str) -> None:
    finding = keys(*served)
    assert finding.fails
    assert said in finding.detail
    assert finding.paste == KEY
    assert '"' not in finding.paste


def test_a_key_that_is_missing_at_the_server_is_said_once(rfc2136: Bench, knot: Knot) -> None:
    rfc2136.apply()
    (entry,) = [entry for entry in rfc2136.live() if "_domainkey" in entry.name]
    rfc2136.provider.change(rfc2136.zone, [], [entry])
    desired = desire(Intent(rfc2136.zone, rfc2136.zone, zone_text=zone_text(rfc2136.zone)))
    servers = [Server("ns1", ADDRESS, knot.port), Server("ns2", ADDRESS, knot.port)]
    found, _ = records.check(desired, servers, Ledger(), lambda _: None)
    told = [finding for finding in found if "_domainkey" in f"{finding.subject} {finding.detail}"]
    assert [finding.area for finding in told] == ["dkim"]
    assert told[0].fails


def test_servers_that_do_not_answer_leave_records_not_known(zone: str) -> None:
    desired = desire(Intent(zone, zone, zone_text=zone_text(zone)))
    found, _ = records.check(desired, [Server("gone", ADDRESS, free_port())], Ledger(), lambda _: None)
    assert any(finding.state is State.UNKNOWN and "does not answer" in finding.detail for finding in found)


def test_each_resolver_says_whether_it_has_the_change(rfc2136: Bench, knot: Knot) -> None:
    rfc2136.apply()
    desired = rfc2136.plane.desired()[rfc2136.zone]
    seen = resolving.check_records(desired, Server("new", ADDRESS, knot.port))
    assert seen.state is State.OK
    (spf,) = [entry for entry in rfc2136.live() if entry.rrset == ("mail", "A")]
    rfc2136.provider.change(rfc2136.zone, [], [spf])
    behind = resolving.check_records(desired, Server("old", ADDRESS, knot.port))
    assert behind.state is State.WRONG
    assert f"mail.{rfc2136.zone} A" in behind.detail
    assert resolving.check_records(desired, Server("gone", ADDRESS, free_port())).state is State.UNKNOWN


THUNDERBIRD = "<clientConfig><emailProvider><incomingServer><hostname>{}</hostname></incomingServer></emailProvider>"
OUTLOOK = "<Autodiscover><Response><Account><Protocol><Type>IMAP</Type><Server>{}</Server></Protocol></Account>"


@contextmanager
def web(pem: Path, answers: dict[str, str]) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """An HTTPS server with an answer per path; what was asked, with the body."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append((self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
            body = answers.get(path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("thunderbird", "outlook", "states"),
    [
        (THUNDERBIRD.format(f"mail.{ZONE}"), OUTLOOK.format(f"mail.{ZONE}"), [State.OK, State.OK]),
        (THUNDERBIRD.format("imap.other.example"), OUTLOOK.format(f"mail.{ZONE}"), [State.WRONG, State.OK]),
        (THUNDERBIRD.format(f"mail.{ZONE}"), "", [State.OK, State.WRONG]),
        ("<html>welcome</html>", "<html/>", [State.WRONG, State.WRONG]),
    ],
)
def test_thunderbird_and_outlook_are_led_to_the_mail_host(
    tmp_path: Path, thunderbird: str, outlook: str, states: list[State]
) -> None:
    answers = {"/mail/config-v1.1.xml": thunderbird, "/autodiscover/autodiscover.xml": outlook}
    pem, _ = certificate(tmp_path, f"*.{ZONE}")
    here = IPv4Address("127.0.0.1")
    with web(pem, answers) as (port, asked):
        findings = list(clients.check("edge-1", here, ZONE, f"mail.{ZONE}", port=port, roots=str(pem)))
    assert [finding.state for finding in findings] == states
    assert all(finding.remedy for finding in findings if finding.state is State.WRONG)
    assert f"emailaddress=postmaster@{ZONE}" in asked[0][0]
    assert f"<EMailAddress>postmaster@{ZONE}</EMailAddress>" in asked[1][1]


def test_an_edge_that_does_not_answer_or_is_not_trusted_is_said(tmp_path: Path) -> None:
    here = IPv4Address("127.0.0.1")
    for finding in clients.check("edge-1", here, ZONE, f"mail.{ZONE}", port=free_port()):
        assert "fails" in finding.detail
    pem, _ = certificate(tmp_path, f"*.{ZONE}")
    with web(pem, {}) as (port, _):
        for finding in clients.check("edge-1", here, ZONE, f"mail.{ZONE}", port=port):
            assert "certificate" in finding.detail.lower()


def test_a_policy_equals_the_mx_records() -> None:
    text = "version: STSv1\nmode: enforce\nmx: a.example\nmx: b.example\nmax_age: 604800\n"
    (equal,) = policy.check("x", text, ["a.example", "b.example"])
    (unused,) = policy.check("x", text, ["a.example"])
    (refused,) = policy.check("x", text, ["a.example", "b.example", "c.example"])
    assert equal.state is State.OK
    assert "b.example" in unused.detail
    assert not unused.required
    assert refused.fails
    assert refused.paste == "mx: c.example"


def test_json_holds_what_is_to_paste() -> None:
    document = json.loads(json.dumps(to_json([LOST])))
    assert document["findings"][0]["paste"] == "mail. IN A 198.51.100.11"
