"""Certificates in the public logs, counted against the authority's limits; the API is served on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from lab.control.server import running
from tailwart.checks.model import Verdict
from tailwart.errors import TailwartError
from tailwart.supply.issuances import Issuance, issued
from tests.unit.checks import test_checks_keys as keys
from tests.unit.checks.sample import environment

NOW = keys.NOW
LETS_ENCRYPT = environment(acme_directory="https://acme-v02.api.letsencrypt.org/directory")
WILDCARD = ("example.org", "*.example.org")


def entry(number: int, days: float, *names: str) -> dict[str, Any]:
    """An issuance as the API is documented to show it, with the field that is asked for."""
    begins = NOW - timedelta(days=days)
    return {
        "id": str(number),
        "tbs_sha256": "0" * 64,
        "cert_sha256": "1" * 64,
        "dns_names": list(names or WILDCARD),
        "pubkey_sha256": "2" * 64,
        "not_before": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{begins + timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}",
        "revoked": False,
    }


@contextmanager
def serving(answer: Callable[[dict[str, list[str]]], tuple[str, bytes]]) -> Iterator[str]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        assert environ["PATH_INFO"] == "/v1/issuances"
        status, body = answer(parse_qs(environ["QUERY_STRING"]))
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    with running(app) as url:
        yield url


def test_all_pages_are_read_and_every_name_counts() -> None:
    entries = [entry(number, number) for number in range(1, 6)]

    def page(query: dict[str, list[str]]) -> tuple[str, bytes]:
        assert query["domain"] == ["example.org"] and query["include_subdomains"] == ["true"]
        after = int(query.get("after", ["0"])[0])
        return "200 OK", json.dumps([each for each in entries if int(each["id"]) > after][:2]).encode()

    with serving(page) as url:
        found = issued(url, "example.org")
    assert len(found) == 5
    assert found[0] == Issuance(frozenset(WILDCARD), NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [
        ("403 Forbidden", b"{}", "403"),
        ("200 OK", b"<html>", "no JSON"),
        ("200 OK", b'{"code": "rate_limited"}', "no list"),
        ("200 OK", b'[{"id": "1"}]', "without dns_names"),
    ],
)
def test_an_answer_of_another_form_is_no_count(status: str, body: bytes, seen: str) -> None:
    with serving(lambda _: (status, body)) as url, pytest.raises(TailwartError) as caught:
        issued(url, "example.org")
    assert seen in caught.value.seen and caught.value.remedy


def test_an_api_that_never_ends_is_left() -> None:
    with (
        serving(lambda _: ("200 OK", json.dumps([entry(1, 1)]).encode())) as url,
        pytest.raises(TailwartError, match="more certificates than can be counted"),
    ):
        issued(url, "example.org")


def verdict(found: object, settings: object = LETS_ENCRYPT) -> tuple[Verdict, str]:
    # The fact is the client's answer or its error; each case gives one of them as an object.
    facts = replace(keys.facts([keys.signature()]), environment=settings, issued=found)  # type: ignore[arg-type]
    return keys.verdict(facts, "issuances")


def issuances(count: int, days: float, *names: str) -> list[Issuance]:
    return [Issuance(frozenset(names or WILDCARD), NOW - timedelta(days=days, hours=hour)) for hour in range(count)]


@pytest.mark.parametrize(
    ("found", "expected", "seen"),
    [
        ({"example.org": []}, Verdict.PASSED, ""),
        ({"example.org": issuances(3, 1)}, Verdict.PASSED, ""),
        ({"example.org": issuances(4, 1)}, Verdict.FAILED, "*.example.org, example.org: 4 of 5 in seven days"),
        ({"example.org": issuances(9, 8)}, Verdict.PASSED, ""),
        (
            {"example.org": [each for n in range(46) for each in issuances(1, 2, f"{n}.example.org")]},
            Verdict.FAILED,
            "example.org: 46 of 50",
        ),
        (TailwartError("Cert Spotter's answer cannot be used", seen="HTTP 429"), Verdict.UNKNOWN, "HTTP 429"),
        (None, Verdict.UNKNOWN, "not asked"),
    ],
)
def test_what_was_issued_is_held_against_the_limits(found: object, expected: Verdict, seen: str) -> None:
    result, said = verdict(found)
    assert (result, seen in said) == (expected, True), said


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({"acme_directory": None}, "ACME_DIRECTORY"),
        ({"acme_staging": True}, "ACME_STAGING"),
        ({"offline": True}, "OFFLINE"),
        ({"acme_directory": "https://ca.example/dir"}, "not known"),
    ],
)
def test_where_nothing_is_counted(settings: dict[str, Any], seen: str) -> None:
    result, said = verdict(None, LETS_ENCRYPT.model_copy(update=settings))
    assert result is Verdict.SKIPPED and seen in said
