"""What answers from outside, and bans: the product's own rules, on the server under test."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tailwart.stalwart.protocol.values import encode
from tailwart.stalwart.settings import perimeter
from tailwart.stalwart.settings.inputs import BANS, Ban
from tests.contract.conftest import fresh
from tests.contract.door import Closed, ask, status
from tests.contract.installation import PASSWORD, WITH_ADMIN, account, install
from tests.contract.server import USING, Server
from tests.contract.wire import TRUSTED, Wire, proxy_v2
from tests.waiting import until

ADMIN = ("admin@example.org", PASSWORD)
VHOST = "mail.example.org"
METRICS = {"STALWART_METRICS_PASSWORD": "metrics-secret"}
LOW = tuple(Ban(ban.reason, 5, ban.within_seconds, 3600) for ban in BANS)
INSIDE = {"127.0.0.0/8": True, "100.64.0.0/10": True}


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: encode(value, lambda _: None) for name, value in fields.items()}


def _set(server: Server, kind: str, **fields: Any) -> None:
    (answer,) = server.call(ADMIN, (f"x:{kind}/set", {"update": {"singleton": _plain(fields)}}))
    assert "notUpdated" not in answer[1], answer
    _act(server, "ReloadSettings")


def _act(server: Server, name: str) -> None:
    (answer,) = server.call(ADMIN, ("x:Action/set", {"create": {"a": {"@type": name}}}))
    assert "notCreated" not in answer[1], answer


def _bans(server: Server) -> dict[str, dict[str, Any]]:
    (answer,) = server.call(ADMIN, ("x:BlockedIp/get", {"ids": None}))
    return {item["address"]: item for item in answer[1]["list"]}


def _forget_counts(server: Server) -> None:
    task = {"@type": "StoreMaintenance", "maintenanceType": "resetRateLimiters", "status": {"@type": "Pending"}}
    (answer,) = server.call(ADMIN, ("x:Task/set", {"create": {"t": task}}))
    assert "notCreated" not in answer[1], answer
    until(lambda: not _maintenance(server), "the task to be done")


def _maintenance(server: Server) -> list[Any]:
    (answer,) = server.call(ADMIN, ("x:Task/get", {"ids": None}))
    return [item for item in answer[1]["list"] if item["@type"] == "StoreMaintenance"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the small installation, an administrator, trust on 443, and the product's rules in force."""
    with ExitStack() as stack:
        server = fresh(stack, tmp_path_factory.mktemp("guarded"), "embedded")
        with server.running({**WITH_ADMIN, **METRICS}):
            _install(server)
        with server.running(METRICS):
            rule = perimeter.endpoint_rule(VHOST, ("jmap", "dav"))
            _set(server, "Http", allowedEndpoints=rule, useXForwarded=False)
            _set(server, "Security", **perimeter.security(LOW))
            _set(server, "Metrics", prometheus=perimeter.prometheus(enabled=True))
            yield server


def _install(server: Server) -> None:
    domain = install(server)
    admin = {**account("admin", domain), "roles": {"@type": "Admin"}}
    admin["credentials"]["0"]["allowedIps"] = INSIDE
    recovery = ("admin", "recovery-pass")
    ((_, made),) = server.call(recovery, ("x:Account/set", {"create": {"a": admin}}))
    assert "notCreated" not in made, made
    ((_, found),) = server.call(recovery, ("x:NetworkListener/get", {"ids": None, "properties": ["name"]}))
    (https,) = (item["id"] for item in found["list"] if item["name"] == "https")
    trust = {https: {"overrideProxyTrustedNetworks": {f"{TRUSTED}/32": True}}}
    ((_, changed),) = server.call(recovery, ("x:NetworkListener/set", {"update": trust}))
    assert "notUpdated" not in changed, changed


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/mta-sts.txt",
        "/mail/config-v1.1.xml?emailaddress=alice@example.org",
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=alice@example.org",
    ],
)
def test_what_strangers_need_is_open(guarded: Server, path: str) -> None:
    label = "autoconfig" if "config" in path else "mta-sts"
    answer = ask(guarded, path, client="198.51.100.7", host=f"{label}.example.org")
    assert answer.status == 200
    assert "example.org" in answer.body


@pytest.mark.parametrize("spelling", ["autodiscover/autodiscover", "Autodiscover/Autodiscover"])
def test_autodiscover_is_open(guarded: Server, spelling: str) -> None:
    document = (
        "<Autodiscover xmlns='http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006'><Request>"
        "<EMailAddress>alice@example.org</EMailAddress></Request></Autodiscover>"
    )
    answer = ask(guarded, f"/{spelling}.xml", client="198.51.100.7", method="POST", body=document.encode(),
                 headers={"Content-Type": "text/xml"})  # fmt: skip
    assert answer.status == 200
    assert VHOST in answer.body


CLOSED = ("/", "/jmap", "/jmap/session", "/.well-known/jmap", "/api/schema", "/api/auth", "/dav/", "/auth/token",
          "/admin/", "/account/", "/login", "/metrics/prometheus", "/healthz/live", "/healthz/ready",
          "//jmap/session", "/jmap%2Fsession")  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
def test_everything_else_is_closed_at_the_names_that_are_always_open(guarded: Server, path: str) -> None:
    assert status(guarded, path, client="198.51.100.7", login=("alice@example.org", PASSWORD)) == 404


def test_no_header_of_the_client_opens_anything(guarded: Server) -> None:
    for headers in ({"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}):
        assert status(guarded, "/jmap/session", client="198.51.100.7", headers=headers, login=ADMIN) == 404


@pytest.mark.parametrize("path", ["/api/schema", "/auth/token", "/admin/", "/account/", "/metrics/prometheus",
                                  "/healthz/live"])  # fmt: skip
def test_the_vhost_serves_what_was_chosen_and_no_more(guarded: Server, path: str) -> None:
    alice = ("alice@example.org", PASSWORD)
    assert status(guarded, "/jmap/session", client="198.51.100.7", host=VHOST, login=alice) == 200
    assert status(guarded, path, client="198.51.100.7", host=VHOST, login=alice) == 404


def test_an_administrator_signs_in_from_inside_alone(guarded: Server) -> None:
    query = json.dumps({"using": USING, "methodCalls": [["x:Account/get", {"ids": None}, "0"]]}).encode()
    seen = {
        client: status(guarded, "/jmap/", client=client, host=VHOST, login=ADMIN, method="POST", body=query,
                       headers={"Content-Type": "application/json"})
        for client in ("198.51.100.8", "100.64.0.9")
    }  # fmt: skip
    assert seen == {"198.51.100.8": 403, "100.64.0.9": 200}


def test_the_metrics_have_a_login_of_their_own(guarded: Server) -> None:
    page = guarded.http("GET", "/metrics/prometheus", ("metrics", "metrics-secret"))
    assert page.status == 200
    assert "# TYPE" in page.body
    for login in (None, ADMIN, ("metrics", "wrong")):
        assert guarded.http("GET", "/metrics/prometheus", login).status == 401


def test_a_guesser_is_banned_by_its_own_address_everywhere(guarded: Server) -> None:
    _forget_counts(guarded)
    guesser, neighbour = "198.51.100.20", "198.51.100.21"
    wrong = [
        status(guarded, "/jmap/session", client=guesser, host=VHOST, login=(f"nobody{number}@example.org", "wrong"))
        for number in range(6)
    ]
    assert wrong == [401] * 5 + [429]
    assert status(guarded, "/.well-known/mta-sts.txt", client=guesser) == 0
    for port in (25, 587, 993):
        with Wire(guarded.space, port, source=TRUSTED) as wire:
            wire.write(proxy_v2((guesser, 40001), ("127.0.0.1", port)))
            assert wire.silent(3)
    assert status(guarded, "/.well-known/mta-sts.txt", client=neighbour) == 200
    found = _bans(guarded)[guesser]
    assert found["reason"] == "authFailure"
    assert found["expiresAt"] > found["createdAt"]
    assert neighbour not in _bans(guarded)
    assert TRUSTED not in _bans(guarded)


def test_an_attacked_name_bans_the_next_address_at_its_first_failure(guarded: Server) -> None:
    _forget_counts(guarded)
    for number in range(30, 35):
        client = f"198.51.100.{number}"
        assert status(guarded, "/jmap/session", client=client, host=VHOST, login=("bob@example.org", "wrong")) == 401
    owner = "198.51.100.40"
    assert status(guarded, "/jmap/session", client=owner, host=VHOST, login=("bob@example.org", PASSWORD)) == 200
    assert status(guarded, "/jmap/session", client=owner, host=VHOST, login=("bob@example.org", "typo")) == 429
    assert owner in _bans(guarded)


def test_lifting_a_ban_takes_three_steps(guarded: Server) -> None:
    _forget_counts(guarded)
    client = "198.51.100.50"

    def guess() -> int:
        return status(guarded, "/jmap/session", client=client, host=VHOST, login=("carol@example.org", "wrong"))

    assert [guess() for _ in range(7)] == [401] * 5 + [429, 0]
    (answer,) = guarded.call(ADMIN, ("x:BlockedIp/set", {"destroy": [_bans(guarded)[client]["id"]]}))
    assert answer[1]["destroyed"]
    with pytest.raises(Closed):
        ask(guarded, "/.well-known/mta-sts.txt", client=client)
    _act(guarded, "ReloadBlockedIps")
    assert status(guarded, "/.well-known/mta-sts.txt", client=client) == 200
    assert [guess(), guess()] == [429, 0], "the counts still hold"
    guarded.call(ADMIN, ("x:BlockedIp/set", {"destroy": [_bans(guarded)[client]["id"]]}))
    _act(guarded, "ReloadBlockedIps")
    _forget_counts(guarded)
    assert guess() == 401


def test_a_ban_that_ended_is_imposed_again_only_after_a_reload(guarded: Server) -> None:
    client = "198.51.100.90"

    def guess() -> int:
        return status(guarded, "/jmap/session", client=client, host=VHOST, login=("dora@example.org", "wrong"))

    _set(guarded, "Security", **perimeter.security([Ban(ban.reason, 5, ban.within_seconds, 3) for ban in BANS]))
    try:
        _forget_counts(guarded)
        assert [guess() for _ in range(7)] == [401] * 5 + [429, 0]
        until(lambda: status(guarded, "/.well-known/mta-sts.txt", client=client) == 200, "the end of the ban", 20)
        assert [guess() for _ in range(4)] == [429] * 4, "each one was looked at: the listeners know only the old ban"
        _act(guarded, "ReloadBlockedIps")
        assert [guess() for _ in range(2)] == [429, 0]
    finally:
        _set(guarded, "Security", **perimeter.security(LOW))


def test_a_manual_ban_holds_after_its_reload_and_an_allowed_address_is_never_banned(guarded: Server) -> None:
    _forget_counts(guarded)
    client, allowed = "198.51.100.60", "198.51.100.61"
    guarded.call(ADMIN, ("x:BlockedIp/set", {"create": {"b": {"address": client}}}))
    assert status(guarded, "/.well-known/mta-sts.txt", client=client) == 200
    _act(guarded, "ReloadBlockedIps")
    assert status(guarded, "/.well-known/mta-sts.txt", client=client) == 0
    guarded.call(ADMIN, ("x:AllowedIp/set", {"create": {"a": {"address": allowed, "reason": "test"}}}))
    _act(guarded, "ReloadSettings")
    wrong = [
        status(guarded, "/jmap/session", client=allowed, host=VHOST, login=(f"no{number}@example.org", "wrong"))
        for number in range(7)
    ]
    assert wrong == [401] * 7


def test_a_harvester_is_banned_for_unknown_recipients(guarded: Server) -> None:
    _forget_counts(guarded)
    client = "198.51.100.70"

    def unknown(number: int) -> str:
        with Wire(guarded.space, 25, source=TRUSTED) as wire:
            wire.write(proxy_v2((client, 40100 + number), ("127.0.0.1", 25)))
            try:
                wire.reply()
                wire.say("EHLO client.example.net")
                wire.say(f"MAIL FROM:<bob{number}@example.net>")
                return wire.say(f"RCPT TO:<no{number}@example.org>")
            except OSError:
                return "closed"

    numbers = itertools.count()
    seen: set[str] = set()

    def banned() -> bool:
        # Side by side: the server waits some seconds before it says that a recipient is unknown. A few at a time: a
        # real one takes five messages a second from one address, and tells the others to come again.
        with ThreadPoolExecutor(4) as pool:
            seen.update(reply[:3] for reply in pool.map(unknown, itertools.islice(numbers, 4)))
        return client in _bans(guarded)

    until(banned, "the ban", 90)
    assert "550" in seen
    assert _bans(guarded)[client]["reason"] == "rcptToFailure"


def test_the_rules_of_a_directory_are_kept_over_a_restart(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = fresh(stack, tmp_path, "embedded")
        with server.running(WITH_ADMIN):
            _install(server)
        with server.running():
            _set(server, "Http", allowedEndpoints=perimeter.endpoint_rule(VHOST), useXForwarded=False)
            server.call(ADMIN, ("x:BlockedIp/set", {"create": {"b": {"address": "198.51.100.80"}}}))
        with server.running():
            assert status(server, "/jmap/session", client="198.51.100.81") == 404
            assert status(server, "/.well-known/mta-sts.txt", client="198.51.100.81") == 200
            assert status(server, "/.well-known/mta-sts.txt", client="198.51.100.80") == 0
