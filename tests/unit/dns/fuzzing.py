"""Odd answers, by seed: what an API, a name server or a file may hold that nobody documented.

Every case ends in an error for the operator or in the right write; what is neither is raised as an `AssertionError`.
"""

from __future__ import annotations

import copy
import json
import math
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse
from werkzeug.test import Client as TestClient

from lab.control.spaceship.app import create_app
from lab.control.spaceship.items import Item, identity
from lab.control.spaceship.registry import Registry
from tailwart.dns.applying import apply
from tailwart.dns.archive import Archive
from tailwart.dns.desired import desire
from tailwart.dns.guards import check
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import from_data
from tailwart.dns.readback import Clock
from tailwart.dns.restoring import restore
from tailwart.dns.zoneplan import compare
from tailwart.errors import TailwartError
from tailwart.plan import render, to_json
from tailwart.printing import printable
from tailwart.providers._spaceship import Spaceship
from tailwart.providers._spaceship_http import Client
from tailwart.providers._spaceship_items import from_item
from tests.unit.dns.bench import API_KEY, API_SECRET, ticking
from tests.unit.dns.recorded import ZONE

_TEXT = f"""\
@ MX 10 mail.{ZONE}.
@ TXT "v=spf1 mx -all"
mail TXT "v=spf1 a -all"
_dmarc TXT "v=DMARC1; p=reject"
_imaps._tcp SRV 0 1 993 mail.{ZONE}.
_25._tcp.mail TLSA 3 1 1 {"ab" * 32}
v1-rsa-20261120._domainkey TXT "v=DKIM1; k=rsa; p=abc="
"""
"""A small zone, so that a case takes a few milliseconds; every kind of value is in it."""

INTENT = Intent(
    ZONE,
    ZONE,
    edges=(EdgeAddresses("edge-1", IPv4Address("198.51.100.11")),),
    zone_text=_TEXT,
    overrides=from_data({"dns_tlsa": True}),
    spf_terms=("ip4:198.51.100.25",),
    owner=ZONE,
)
DESIRED = desire(INTENT)
ACCEPTED = range(60, 3601)

FOREIGN: list[Item] = [
    {"type": "A", "name": "www", "address": "203.0.113.9", "ttl": 600},
    {"type": "CNAME", "name": "shop", "cname": "shops.vendor.example"},
    {"type": "CNAME", "name": "@", "cname": "pages.vendor.example"},
    {"type": "TXT", "name": "@", "value": "google-site-verification=abc"},
    {"type": "TXT", "name": "@", "value": "v=spf1 include:_spf.vendor.example ~all"},
    {"type": "MX", "name": "lists", "exchange": "mx.vendor.example", "preference": 5},
    {"type": "SRV", "name": "@", "service": "_sip", "protocol": "_tls", "priority": 1, "weight": 2, "port": 443,
     "target": "sip.vendor.example"},
    {"type": "SRV", "name": "@", "service": "_imaps", "protocol": "_tcp", "priority": 0, "weight": 1, "port": 993,
     "target": "old.vendor.example"},
    {"type": "TLSA", "name": "www", "port": "_443", "protocol": "_tcp", "usage": 3, "selector": 1, "matching": 1,
     "associationData": "ab" * 32},
    {"type": "CAA", "name": "@", "flag": 128, "tag": "iodef", "value": "mailto:security@example.net"},
    {"type": "HTTPS", "name": "www", "svcPriority": 1, "targetName": ".", "svcParams": "alpn=h2"},
    {"type": "TXT", "name": "s1._domainkey", "value": "v=DKIM1; k=ed25519; p=abc="},
    {"type": "ALIAS", "name": "docs", "aliasName": "docs.vendor.example"},
    {"type": "TXT", "name": "odd", "value": "{\"json\": true}"},
]  # fmt: skip
_OURS = {"v=spf1 include:_spf.vendor.example ~all", "old.vendor.example"}
"""What a right write merges or replaces."""

_DEEP = json.loads("[" * 400 + "]" * 400)
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, 600.0, math.inf, -math.inf, math.nan, 2**31, 10**30, "", " ", "0", "600", "1e3",
    "abc", "\x1b[2J", "\x00", "\ud800", "\udc80", "é", "٣", ".", "..", "a" * 300, "a." * 200, "@", "*", "_25", 25, "25",
    "_", "mail", "v=spf1 -all", "MX", "ZZ", "TYPE65534", "SOA", "custom", [], {}, [[]], {"type": "custom"}, {"a": 1},
    _DEEP, "x" * 70000, '"', "\\", "\n", "{", "%s", "mail.example.org", "example.org.", "192.0.2.1", "2001:db8::1",
]  # fmt: skip
_PAUSES = [
    "0",
    "-1",
    "1",
    "299",
    "1e9",
    "9" * 400,
    "soon",
    "",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Mon, 99 Foo",
    "٣",
    "1.5",
]
_BODIES = [
    b"", b"null", b"[]", b"{}", b"5", b'"x"', b"<html>", b"\xff\xfe", b'{"items": {}, "total": 0}', b"NaN",
    b'{"items": [], "total": 1e999}', b'{"items": [], "total": "0"}', b'{"items": [], "total": -1}',
    b'{"items": [null], "total": 1}', b'{"items": [[]], "total": 1}', b'{"items": [], "total": true}',
    b'{"detail": ' + b"[" * 3000 + b"]" * 3000 + b"}", b'{"items": ' + b"[" * 100000, b'{"detail": 5, "data": 7}',
    b'{"detail": null, "data": [1, null, {"field": [], "details": {}}]}', b'{"a": ' + b"9" * 5000 + b"}",
]  # fmt: skip
_ERRORS = [
    requests.ConnectionError("cut"), requests.ReadTimeout("slow"), requests.exceptions.ChunkedEncodingError("half"),
    requests.exceptions.ContentDecodingError("zip"), requests.TooManyRedirects("round"),
    requests.exceptions.SSLError("x"), requests.exceptions.InvalidHeader("x"),
]  # fmt: skip


class Api(BaseAdapter):
    """The fake API behind `requests`, without a socket; some of its answers are bent on the way."""

    def __init__(self, registry: Registry, chance: random.Random) -> None:
        super().__init__()
        self._client = TestClient(create_app(registry, API_KEY, API_SECRET, rate=(10**6, 300.0)))
        self._chance = chance
        self._share = chance.choice([0.05, 0.3, 1.0])
        self._endless = chance.random() < 0.05
        self.refused: list[str] = []
        self.odd = 0

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The true answer, or one that is bent; a bent one may come after the request has had its effect."""
        bent = self._chance.random() < self._share
        self.odd += bent or self._endless
        if self._endless:
            return self._answer(request, 429, {"Retry-After": self._chance.choice(_PAUSES)}, b"{}")
        if bent and self._chance.random() < 0.1:
            raise self._chance.choice(_ERRORS)
        if bent and self._chance.random() < 0.2:
            return self._replaced(request)
        true = self._client.open(
            str(request.path_url), method=request.method, data=request.body, headers=list(request.headers.items())
        )
        if true.status_code == 422:
            self.refused.append(true.get_data(as_text=True))
        body = true.get_data()
        if bent and request.method == "GET" and true.status_code == 200:
            body = json.dumps(self._bent(json.loads(body))).encode()
        elif bent and self._chance.random() < 0.3:
            return self._replaced(request)
        return self._answer(request, true.status_code, dict(true.headers), body)

    def close(self) -> None:
        """Nothing is held."""

    def _replaced(self, request: requests.PreparedRequest) -> requests.Response:
        status = self._chance.choice([200, 200, 204, 301, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 599, 999])
        headers = {
            "Retry-After": self._chance.choice(_PAUSES),
            "Location": "http://[",
            "spaceship-error-code": "\x1b]0;x",
        }
        return self._answer(request, status, headers, self._chance.choice(_BODIES))

    @staticmethod
    def _answer(
        request: requests.PreparedRequest, status: int, headers: dict[str, str], body: bytes
    ) -> requests.Response:
        answer = requests.Response()
        answer.status_code = status
        answer.headers.update(headers)
        answer._content = body
        answer.request = request
        answer.raw = HTTPResponse(body=body, status=status)
        return answer

    def _bent(self, document: Any) -> Any:
        items: list[Any] = document["items"]
        for _ in range(self._chance.randint(1, 4)):
            how = self._chance.randrange(10)
            if how == 0:
                document["total"] = self._chance.choice([*ODD, len(items) + 1, len(items) - 1])
            elif how == 1 and items:
                items.append(copy.deepcopy(self._chance.choice(items)))
            elif how == 2 and items:
                items.pop(self._chance.randrange(len(items)))
            elif how == 3:
                items.insert(0, self._chance.choice(ODD))
            elif items and isinstance(item := self._chance.choice(items), dict) and item:
                member = self._chance.choice([*item, "ttl", "group", "port", "unknown", "id", "type", "name"])
                if self._chance.random() < 0.15:
                    item.pop(member, None)
                else:
                    item[member] = self._chance.choice(ODD)
        if self._chance.random() < 0.7 and not isinstance(document["total"], bool):
            document["total"] = len(items)
        return document


def spaceship_case(seed: int, directory: Path) -> tuple[str, int]:
    """One plan and write against bent answers: how it ended, and how many there were.

    Raises `AssertionError` for a wrong write.
    """
    chance = random.Random(seed)  # noqa: S311  # the same case for the same seed
    registry = Registry([ZONE], coarse=chance.random() < 0.3)
    registry.put(ZONE, [{"ttl": 3600, **item} for item in FOREIGN], force=True)
    before = {identity(_bare(item)) for item in registry.items(ZONE)}
    kept = {identity(_bare(item)) for item in registry.items(ZONE) if not _OURS & set(map(str, item.values()))}
    known = {from_item(item, ZONE).key for item in registry.items(ZONE)}
    client = Client("http://api.test/api/v1", API_KEY, API_SECRET, lambda _: None)
    api = Api(registry, chance)
    client._session.mount("http://", api)
    provider = Spaceship(client, ())
    archive = Archive(directory / "dns", ticking())
    waited = [0.0]

    def pause(seconds: float) -> None:
        waited[0] += seconds

    desired = DESIRED
    ended = "written"
    try:
        live = provider.read(ZONE)
        if chance.random() < 0.15:
            archive.save(ZONE, [from_item(item, ZONE) for item in registry.items(ZONE)])
            plan = restore(
                desired, live, archive.ledger(ZONE), archive.load(ZONE).records, ttl=ACCEPTED, keeps_strings=False
            )
        else:
            plan = compare(desired, live, archive.ledger(ZONE))
        printable(render(plan.plan)).encode("utf-8")
        printable(json.dumps(to_json(plan.plan), ensure_ascii=False)).encode("utf-8")
        check(plan, lambda _: None, ACCEPTED, allow_deletions=True)
        if plan:
            apply(plan, provider, archive, nameservers=(), notify=lambda _: None, clock=Clock(lambda: waited[0], pause))
    except TailwartError as error:
        ended = error.what.split(":")[0][:60]
        printable(str(error)).encode("utf-8")
        assert API_SECRET not in str(error)
        assert len(str(error)) < 20_000, "a message, not a dump"
    after = {identity(_bare(item)) for item in registry.items(ZONE)}
    assert kept <= after, f"seed {seed}: lost {kept - after}"
    ours = {entry.name for entry in desired.records} | {"_tailwart"}
    for new in after - before:
        item = next(each for each in registry.items(ZONE) if identity(_bare(each)) == new)
        if from_item(item, ZONE).key in known:
            continue  # a restore brings back what an answer concealed, in the form of RFC 9460: alpn="h2"
        labels = [
            str(item[m]).lower() if m != "port" else f"_{str(item[m]).lstrip('_')}" for m in _LABELS[item["type"]]
        ]
        owner = ".".join([*labels, *([] if item["name"] == "@" else [item["name"]])]) or "@"
        assert owner in ours, f"seed {seed}: wrote {item}"
    assert not api.refused, f"seed {seed}: the API refused {api.refused[0]}"
    return ended, api.odd


_LABELS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(["A", "AAAA", "CNAME", "ALIAS", "MX", "TXT", "CAA", "NS", "PTR", "HTTPS", "SVCB"], ()),
    "SRV": ("service", "protocol"),
    "TLSA": ("port", "protocol"),
}


def _bare(item: Item) -> Item:
    port = item.get("port")
    label = item["type"] != "SRV" and isinstance(port, int)
    return {**{k: v for k, v in item.items() if k != "group"}, **({"port": f"_{port}"} if label else {})}


def bent_text(text: str, chance: random.Random) -> str:
    """A file that somebody edited, or that was cut off."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        how = chance.randrange(4)
        if how == 0:
            text = text[:at]
        elif how == 1:
            text = text[:at] + chance.choice(['"', "[", "{", ",", "\x00", "1e999", "é", "\x1b", " "]) + text[at:]
        elif how == 2:
            text = text[:at] + text[at + chance.randint(1, 30) :]
        else:
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                continue
            text = json.dumps(_changed(document, chance))
    return text


def _changed(document: Any, chance: random.Random) -> Any:
    if isinstance(document, dict) and document and chance.random() < 0.9:
        key = chance.choice(list(document))
        return {**document, key: _changed(document[key], chance)}
    if isinstance(document, list) and document and chance.random() < 0.9:
        at = chance.randrange(len(document))
        return [*document[:at], _changed(document[at], chance), *document[at + 1 :]]
    return chance.choice(ODD)


@contextmanager
def garbling(seed: int) -> Iterator[int]:
    """A name server that answers every stream with something else than DNS, or with nothing; its port."""
    chance = random.Random(seed)  # noqa: S311  # the same case for the same seed
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        asked = connection.recv(4096)
                        connection.sendall(_garbled(asked, chance))
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _garbled(asked: bytes, chance: random.Random) -> bytes:
    message = bytearray(asked[2:])
    how = chance.randrange(6)
    if how == 0:
        return b""
    if how == 1:
        return asked[: chance.randrange(max(1, len(asked)))]
    if how == 2:
        message = bytearray(chance.randbytes(chance.randint(1, 200)))
    if len(message) > 12:
        message[2] |= 0x80 if how != 3 else 0
        message[3] = chance.choice([0x80, 0x85, 0x00, 0x0F])
        for _ in range(chance.randrange(6)):
            message[chance.randrange(4, len(message))] = chance.randrange(256)
    length = len(message) if how != 4 else chance.choice([0, 1, len(message) + 7])
    return length.to_bytes(2, "big") + bytes(message)
