"""Replays the recorded settings exchanges: same status, same shape, same errors.

The story on one store, recovery mode on an empty database and then a normal start, runs as one test for each store and
version, because each line builds on the ones before it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.contract.normalise import Ids
from tests.contract.server import RECOVERY, USING, Answer, Server
from tests.contract.transcript import Exchange, exchanges
from tests.contract.versions import number
from tests.waiting import until

_HASHER = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
ADMIN = ("admin@example.org", "Harbour-Lantern-42")
ALICE_BEFORE = ("alice@example.org", "Before-The-Change-1")
ALICE = ("alice@example.org", "Battery-Staple-7")

# The recording holds hashes of passwords nobody knows; these stand for them, in the order of the requests.
_SECRETS = {
    "create admin account, argon2id hash": ADMIN,
    "create user with alias and quota": ALICE_BEFORE,
    "change password": ALICE,
}
_LOGINS = {
    "wrong password": ("admin", "wrong"),
    "recovery admin outside recovery mode": RECOVERY,
    "ordinary user is refused administration": ALICE_BEFORE,
    "old password refused": ALICE_BEFORE,
    "new password": ALICE,
}
# The first version whose import finds the keys that its own start has put there, on every store.
_CHECKS_IMPORTS = (0, 16, 15)
_EMBEDDED_STORE = "initial x:DataStore"


def _with_secret(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        return {k: secret if k == "secret" else _with_secret(v, secret) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_secret(v, secret) for v in value]
    return value


def _login(exchange: Exchange) -> tuple[str, str] | None:
    if exchange.title in _LOGINS:
        return _LOGINS[exchange.title]
    if exchange.user == "admin@example.org":
        return ADMIN
    return RECOVERY if exchange.user == "admin" or exchange.title in {"session", "malformed body"} else None


def _send(server: Server, exchange: Exchange, ids: Ids) -> Answer:
    login = _login(exchange)
    if isinstance(exchange.request, str):
        if exchange.request.startswith("GET "):
            return server.http("GET", exchange.request.split()[1], login)
        return server.http("POST", "/jmap/", login, exchange.request.encode())
    request = ids.request(exchange.request)
    if isinstance(request, list):
        request = {"using": USING, "methodCalls": [[*call, str(n)] for n, call in enumerate(request)]}
    if exchange.title in _SECRETS:
        request = _with_secret(request, _HASHER.hash(_SECRETS[exchange.title][1]))
    return server.http("POST", "/jmap/", login, json.dumps(request).encode())


def _replay(server: Server, phase: str, ids: Ids) -> list[str]:
    problems = []
    for exchange in exchanges(server.version):
        if exchange.phase != phase:
            continue
        answer = _send(server, exchange, ids)
        recorded = exchange.response
        if exchange.title == _EMBEDDED_STORE:
            # The address of the database is the recording machine's.
            recorded = _own_store(server, recorded)
        if "location" in recorded:
            # The hash that it ends with is that of the text, which the stand-in words itself.
            at = answer.headers.get("Location", "")
            found = [] if at.startswith("/api/schema/") else [f"redirect to {at!r}, recorded {recorded['location']!r}"]
        else:
            found = ids.differences(recorded, answer.body)
        if answer.status != exchange.status:
            found.insert(0, f"status {answer.status}, recorded {exchange.status}")
        problems += [f"{exchange.id}: {line}" for line in found]
    return problems


def _own_store(server: Server, recorded: Any) -> Any:
    ((name, body, call),) = recorded["methodResponses"]
    shown = {**body["list"][0], "host": "127.0.0.1"}
    if server.store["@type"] == "RocksDb":
        defaults = {"blobSize": 16834, "bufferSize": 134217728, "poolWorkers": None}
        if number(server.version) >= (0, 16, 18):
            defaults["cacheSize"] = 134217728
        shown = {**defaults, **server.store, "id": "singleton"}
    return {**recorded, "methodResponses": [[name, {**body, "list": [shown]}, call]]}


def test_the_recorded_story_is_told_again(server: Server) -> None:
    ids = Ids()
    recovery = {"STALWART_RECOVERY_MODE": "1", "STALWART_RECOVERY_ADMIN": ":".join(RECOVERY)}
    with server.running(recovery):
        problems = _replay(server, "recovery mode", ids)
        assert not problems, "\n".join(problems)
    with server.running():
        signatures: Any = until(
            lambda: server.call(ADMIN, ("x:DkimSignature/get", {"ids": None}))[0][1]["list"] or None,
            "the DKIM key that appears after the first normal start",
        )
        assert [each["@type"] for each in signatures] == ["Dkim1RsaSha256"]
        problems = _replay(server, "normal mode after restart (no recovery variables)", ids)
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def normal(embedded: Server) -> Server:
    """A store of a normal first start, with the recovery administrator at hand."""
    return embedded


_WITH_ADMIN = {"STALWART_RECOVERY_ADMIN": ":".join(RECOVERY)}


def test_a_normal_first_start_creates_the_defaults_and_takes_the_recovery_login(normal: Server) -> None:
    with normal.running(_WITH_ADMIN):
        (_, listeners), (_, routes), (_, tracers) = normal.call(
            RECOVERY,
            ("x:NetworkListener/get", {"ids": None}),
            ("x:MtaRoute/get", {"ids": None}),
            ("x:Tracer/get", {"ids": None}),
        )
        assert {each["name"]: next(iter(each["bind"])) for each in listeners["list"]} == {
            "smtp": "[::]:25",
            "submissions": "[::]:465",
            "imaps": "[::]:993",
            "pop3s": "[::]:995",
            "sieve": "[::]:4190",
            "https": "[::]:443",
            "http": "[::]:8080",
        }
        assert {(each["name"], each["@type"], each.get("ipLookupStrategy")) for each in routes["list"]} == {
            ("mx", "Mx", "v4ThenV6"),
            ("local", "Local", None),
        }
        assert [(each["@type"], each["path"]) for each in tracers["list"]] == [("Log", "/var/log/stalwart")]


def test_stores_that_answer_nobody_are_accepted_and_a_bad_pyzor_host_fails_the_reload(each_version: Server) -> None:
    normal = each_version
    access_key = "s3" if normal.version == "0.16.7" else "s3, accessKey as object (0.16.16 and later)"
    told = ("redis", access_key)
    with normal.running(_WITH_ADMIN):
        recorded = {e.title: e for e in exchanges(normal.version) if e.phase == "normal mode" and e.title in told}
        ids = Ids()
        for title in told:
            request = recorded[title].calls[0]
            ((name, body),) = normal.call(RECOVERY, (request[0], {**request[1], "accountId": "d333333"}))
            expected = recorded[title].response["methodResponses"][0]
            assert name == expected[0]
            # The recovery administrator's id, where the recording has the account's.
            assert ids.differences({**expected[1], "accountId": "d333333"}, body) == []
        ((_, body),) = normal.call(RECOVERY, ("x:Action/set", {"create": {"a": {"@type": "ReloadSettings"}}}))
        # As recorded with 0.16.7; the later recording fails at another object.
        refused = next(
            e for e in exchanges("0.16.7") if (e.phase, e.title) == ("normal mode", "reload settings")
        ).response["methodResponses"][0][1]
        assert ids.differences({**refused, "accountId": "d333333"}, body) == []


def test_limits_of_a_request(normal: Server) -> None:
    with normal.running(_WITH_ADMIN):
        calls = [["x:Domain/get", {"ids": []}, str(n)] for n in range(17)]
        answer = normal.http("POST", "/jmap/", RECOVERY, json.dumps({"using": USING, "methodCalls": calls}).encode())
        assert answer.status == 400
        assert answer.body["type"] == "urn:ietf:params:jmap:error:limit"
        too_many = {str(n): {"name": f"d{n}.example.org"} for n in range(501)}
        ((name, body),) = normal.call(RECOVERY, ("x:Domain/set", {"create": too_many}))
        assert (name, body["type"]) == ("error", "requestTooLarge")


def _administrator(normal: Server) -> None:
    """admin@example.org, on a server that runs with the recovery login."""
    normal.call(RECOVERY, ("x:Domain/set", {"create": {"d": {"name": "example.org"}}}))
    ((_, domains),) = normal.call(RECOVERY, ("x:Domain/get", {"ids": None, "properties": ["name"]}))
    account = {
        "@type": "User",
        "name": "admin",
        "domainId": domains["list"][0]["id"],
        "roles": {"@type": "Admin"},
        "credentials": {"0": {"@type": "Password", "secret": _HASHER.hash(ADMIN[1])}},
    }
    normal.call(RECOVERY, ("x:Account/set", {"create": {"a": account}}))


def test_api_keys_log_in_and_the_recovery_login_ends_with_its_variable(own: Server) -> None:
    with own.running(_WITH_ADMIN):
        _administrator(own)
        ((_, made),) = own.call(ADMIN, ("x:ApiKey/set", {"create": {"k": {"description": "deploy"}}}))
        key = made["created"]["k"]["secret"]
    with own.running():
        assert own.http("GET", "/jmap/session", RECOVERY).status == 401
        assert own.http("GET", "/jmap/session", ADMIN).status == 200
        assert own.http("GET", "/jmap/session", key).body["username"] == "admin@example.org"
        assert own.http("GET", "/jmap/session", key[:20] + ("A" if key[20] != "A" else "B") + key[21:]).status == 401


def test_a_dns_server_is_refused_when_its_secret_cannot_be_read(normal: Server) -> None:
    secret = {"@type": "EnvironmentVariable", "variableName": "NOT_SET"}
    with normal.running(_WITH_ADMIN):
        server = {"@type": "Spaceship", "description": "s", "apiKey": "k", "secret": secret}
        ((_, body),) = normal.call(RECOVERY, ("x:DnsServer/set", {"create": {"a": server}}))
        assert "NOT_SET" in body["notCreated"]["a"]["description"]


def test_a_list_without_ids_ends_silently_at_the_limit_and_a_query_does_not(normal: Server) -> None:
    with normal.running(_WITH_ADMIN):
        for part in range(2):
            addresses = [f"192.0.{2 + part}.{n}" for n in range(254)]
            ((_, made),) = normal.call(
                RECOVERY,
                ("x:BlockedIp/set", {"create": {str(n): {"address": each} for n, each in enumerate(addresses)}}),
            )
            assert len(made["created"]) == 254
        (_, shown), (_, found) = normal.call(RECOVERY, ("x:BlockedIp/get", {"ids": None}), ("x:BlockedIp/query", {}))
        assert (len(shown["list"]), len(found["ids"])) == (500, 508)


def test_export_and_import_carry_the_store(each_version: Server, tmp_path: Path) -> None:
    with each_version.running(_WITH_ADMIN):
        _administrator(each_version)
    exported = each_version.run("--export", str(tmp_path / "export"))
    assert exported.returncode == 0, exported.stderr
    shutil.rmtree(tmp_path / "data")
    imported = each_version.run("--import", str(tmp_path / "export"))
    if number(each_version.version) >= _CHECKS_IMPORTS:
        assert imported.returncode == 1
        assert "the target database already contains data in the key range" in imported.stderr
        return
    assert imported.returncode == 0, imported.stderr
    with each_version.running():
        assert each_version.http("GET", "/jmap/session", ADMIN).status == 200
