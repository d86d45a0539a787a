"""Certificates that were issued for a domain, from the logs of Certificate Transparency, by Cert Spotter's API.

API: https://sslmate.com/help/reference/ct_search_api_v1. crt.sh, which knows the same, is often down. Without an
account some hundred questions an hour are free; one page is one question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from tailwart.errors import TailwartError
from tailwart.supply.http import get, succeed

_PATH = "/v1/issuances"
_MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class Issuance:
    """One certificate: the exact set of its names, and from when it is valid (UTC), which is when it was issued."""

    names: frozenset[str]
    begins: datetime


def issued(base_url: str, domain: str, session: requests.Session | None = None) -> list[Issuance]:
    """Every certificate that is still valid, of the domain and all names below. Raises `TailwartError`."""
    session = session or requests.Session()
    found: list[Issuance] = []
    after = ""
    for _ in range(_MOST_PAGES):
        query = f"domain={domain}&include_subdomains=true&expand=dns_names" + (f"&after={after}" if after else "")
        answer = get(session, f"{base_url.rstrip('/')}{_PATH}?{query}")
        if answer.status_code == 429:
            raise _unusable(answer, "it answers no more questions from this address for now")
        entries = list(_entries(succeed(answer, f"asking for certificates of {domain}", _REMEDY)))
        if not entries:
            return found
        found += [_issuance(entry) for entry in entries]
        after = str(entries[-1].get("id", ""))
        if not after:
            return found
    raise TailwartError(
        f"{domain} has more certificates than can be counted",
        seen=f"{len(found)} in {_MOST_PAGES} pages",
        remedy="look at https://sslmate.com/certspotter yourself",
    )


_REMEDY = "try again in an hour; CERTSPOTTER_URL names another address of the same API"


def _entries(answer: requests.Response) -> Iterator[dict[str, Any]]:
    try:
        document = answer.json()
    except ValueError:
        raise _unusable(answer, "no JSON") from None
    if not isinstance(document, list):
        raise _unusable(answer, "no list")
    yield from (entry for entry in document if isinstance(entry, dict))


def _issuance(entry: dict[str, Any]) -> Issuance:
    try:
        begins = datetime.fromisoformat(str(entry["not_before"]))
        names = frozenset(str(name).lower() for name in entry["dns_names"])
    except (ValueError, KeyError, TypeError):
        raise TailwartError(
            "Cert Spotter's answer has another form than it is documented to have",
            seen="an issuance without dns_names or not_before",
            remedy=_REMEDY,
        ) from None
    return Issuance(names, begins if begins.tzinfo else begins.replace(tzinfo=UTC))


def _unusable(answer: requests.Response, what: str) -> TailwartError:
    return TailwartError(
        "Cert Spotter's answer cannot be used", seen=f"HTTP {answer.status_code}, {what}", remedy=_REMEDY
    )
