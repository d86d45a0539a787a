"""DKIM keys: stages as the server has them, records as each authoritative server serves them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tailwart.checks import keys
from tailwart.checks.keys import Key, Served
from tailwart.checks.model import Verdict
from tailwart.checks.server import SERVER
from tailwart.checks.server_facts import ServerFacts
from tailwart.dns.authority import Answer, Server
from tailwart.providers.record import Record, record
from tailwart.stalwart.lifecycle.server import Observed
from tests.unit.checks.test_checks_model import SETTINGS

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ZONE = "example.org"
RRSET = ("v1-rsa-20261121._domainkey", "TXT")
FIRST, SECOND = Server("ns1.example", "192.0.2.1"), Server("ns2.example", "192.0.2.2")


def signature(**more: Any) -> dict[str, Any]:
    """A key as `x:DkimSignature` has it."""
    return {
        "id": "k1",
        "domainId": "d1",
        "@type": "Dkim1RsaSha256",
        "selector": "v1-rsa-20261121",
        "stage": "active",
        "publicKey": "MIIBone",
        "nextTransitionAt": "2027-02-19T10:30:25Z",
        **more,
    }


def txt(public: str) -> Record:
    return record(ZONE, RRSET[0], "TXT", f"v=DKIM1; k=rsa; h=sha256; p={public}", 300)


def said(*publics: str, server: Server = FIRST, error: str = "") -> Answer:
    return Answer(server, RRSET, tuple(txt(each) for each in publics), error)


def facts(signatures: list[dict[str, Any]], *answers: Answer, problems: tuple[str, ...] = ()) -> ServerFacts:
    """A server with these keys, and what its domain's name servers answer."""
    objects = {"Domain": ({"id": "d1", "name": ZONE},), "DkimSignature": tuple(signatures)}
    observed = cast(Observed, SimpleNamespace(live=SimpleNamespace(of=lambda _: ()), login="stored"))
    found = ServerFacts(SETTINGS, observed, "0.16.18", 0, (), objects, (), (), now=NOW)
    return replace(found, served={ZONE: Served(answers, problems)})


def verdict(found: ServerFacts, identifier: str) -> tuple[Verdict, str]:
    (result,) = SERVER.run(found, "mailbox", lambda check: check.id == f"server.{identifier}")
    return result.verdict, " ".join(result.seen)


@pytest.mark.parametrize(
    ("signatures", "answers", "expected", "seen"),
    [
        ([signature()], [said("MIIBone"), said("MIIBone", server=SECOND)], Verdict.PASSED, ""),
        ([signature()], [said("MIIBone"), said(server=SECOND)], Verdict.FAILED, "not served by ns2.example"),
        ([signature()], [said("MIIBother")], Verdict.FAILED, "v1-rsa-20261121 of example.org is active until 2027-02"),
        ([signature()], [said("MIIBone", "MIIBtwo")], Verdict.PASSED, ""),
        (
            [signature()],
            [said("MIIBone"), said(server=SECOND, error="it is silent")],
            Verdict.UNKNOWN,
            "it is silent",
        ),
        (
            [signature()],
            [said(), said(server=SECOND, error="it is silent")],
            Verdict.FAILED,
            "not served by ns1.example",
        ),
        ([], [], Verdict.UNKNOWN, "no DKIM key"),
        # A key that waits for its turn need not be there yet, until a day before.
        ([signature(stage="pending")], [said()], Verdict.PASSED, ""),
        (
            [signature(stage="pending", nextTransitionAt="2026-11-28T06:00:00Z")],
            [said()],
            Verdict.FAILED,
            "is pending until 2026-11-28 06:00 UTC, and not served",
        ),
        ([signature(stage="retired")], [said()], Verdict.PASSED, ""),
        # Rotated on the day of its making: one selector, two keys.
        (
            [signature(stage="retiring"), signature(id="k2", publicKey="MIIBtwo")],
            [said("MIIBtwo")],
            Verdict.FAILED,
            "names two keys, one retiring and one active",
        ),
    ],
)
def test_every_server_serves_what_signs(
    signatures: list[dict[str, Any]], answers: list[Answer], expected: Verdict, seen: str
) -> None:
    found, text = verdict(facts(signatures, *answers), "dkim-served")
    assert (found, seen in text) == (expected, True), text


def test_nobody_to_ask_is_no_answer() -> None:
    found, text = verdict(facts([signature()], problems=("ns1.example has no address",)), "dkim-served")
    assert found is Verdict.UNKNOWN and "no address" in text
    assert verdict(replace(facts([signature()]), served={}), "dkim-served")[0] is Verdict.UNKNOWN


def test_a_lab_without_name_servers_asks_nobody() -> None:
    served = keys.ask(SETTINGS.model_copy(update={"offline": True}), [Key(ZONE, "s", "active", "x")])
    assert "DNS_NAMESERVERS" in served[ZONE].problems[0]


@pytest.mark.parametrize(
    ("due", "stage", "expected"),
    [
        (NOW + timedelta(days=1), "active", Verdict.PASSED),
        (NOW - timedelta(hours=3), "active", Verdict.PASSED),
        (NOW - timedelta(days=2), "active", Verdict.FAILED),
        (NOW - timedelta(days=2), "retired", Verdict.PASSED),
    ],
)
def test_a_stage_that_does_not_end(due: datetime, stage: str, expected: Verdict) -> None:
    found, _ = verdict(facts([signature(stage=stage, nextTransitionAt=due.isoformat())]), "dkim-rotation")
    assert found is expected
    assert verdict(facts([]), "dkim-rotation")[0] is Verdict.UNKNOWN


def test_the_document_names_stage_and_next_transition() -> None:
    (key,) = facts([signature()]).dkim_keys
    assert key.document() == {
        "domain": ZONE,
        "selector": "v1-rsa-20261121",
        "stage": "active",
        "next_transition": "2027-02-19T10:30:25Z",
    }
