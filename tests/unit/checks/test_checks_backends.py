"""Checks of the stores' host on facts as it gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from tailwart.backends import plan as backends_plan
from tailwart.backends import postgres
from tailwart.backends.garage_admin import Answer
from tailwart.backends.login import Attempts
from tailwart.backends.operations import Found
from tailwart.backends.plan import EARLY
from tailwart.backends.postgres import Current
from tailwart.checks.backends import BACKENDS, BackendsFacts, watch
from tailwart.checks.model import Verdict
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.report import HostReport, PathState, Probe
from tests.unit.checks.sample import environment
from tests.unit.checks.test_checks_facts import CODE, HOST, NOW, probe

SETTINGS = environment(
    backends_ssh="root@192.0.2.9",
    backends_install="postgres",
    stalwart_store="postgres",
    stalwart_db_host="stores.tail1.ts.net",
    stalwart_db_password="a-Long-enough-9-secret",
    s3_endpoint="http://stores.tail1.ts.net:3900",
    s3_access_key="GK00",
    s3_secret_key="00",
    garage_admin_url="http://127.0.0.1:3903",
    garage_admin_token="a-token",
)
FOREIGN = SETTINGS.model_copy(update={"backends_install": ()})
EMBEDDED = environment(stalwart_store="rocksdb")
NODE = {
    "BackendState": "Running",
    "MagicDNSSuffix": "tail1.ts.net",
    "Self": {
        "TailscaleIPs": ["100.64.0.5"],
        "DNSName": "stores.tail1.ts.net.",
        "Tags": [SETTINGS.tag_postgres, SETTINGS.tag_s3],
    },
}
SOCKETS = "LISTEN 0 9 127.0.0.1:5432 *:*\nLISTEN 0 9 [::1]:5432 *:*\nLISTEN 0 9 100.64.0.5:5432 *:*\n"
RIGHT = Attempts((0, "1"), (2, "FATAL: password authentication failed"))


def current(**more: Any) -> Current:
    """Role and database as they should be."""
    wanted = backends_plan.database(SETTINGS)
    assert wanted is not None
    (step, *_) = postgres.plan(wanted[0], Current(owner="stalwart"))
    verifier = step.sql.partition("'")[2].rpartition("'")[0]
    settings = {"listen_addresses": "127.0.0.1,100.64.0.5", "port": "5432"}
    return replace(Current(True, verifier, "stalwart", settings=settings), **more)


BUCKET = (
    Answer(200, {"layoutVersion": 1}),
    Answer(200, {"keys": [{"accessKeyId": "GK00", "permissions": {"read": True, "write": True}}]}),
    Answer(200, {"secretAccessKey": "00"}),
)


def healthy(probes: Mapping[str, Probe] = MappingProxyType({}), settings: Environment = SETTINGS) -> BackendsFacts:
    """The host as the deploy leaves it, but for these probes."""
    found = {
        "tailscale": probe(json.dumps(NODE)),
        "stores": probe("mark postgres\ninstalled postgresql\n"),
        "early": probe("1\n1\n"),
        "listeners": probe(SOCKETS),
        "replaced": probe(""),
        "host": probe(HOST),
        "history": probe(""),
    }
    report = HostReport(probes={**found, "postgres": probe("cluster|17|main\nmemory|2097152\nup\n")})
    server = backends_plan.of(SETTINGS).postgres
    assert server is not None
    rows = [f"file|{file.path}|{file.mode[1:]}|{file.owner}|{file.sha256}" for file in server.files(report)]
    own = {file.path: PathState("file", file.mode, file.owner, file.sha256) for file in EARLY.files(report)}
    lines = "\n".join(["cluster|17|main", "memory|2097152", *rows, "up"])
    report = replace(report, paths=own, probes={**report.probes, "postgres": probe(lines), **probes})
    return BackendsFacts(settings, report, NOW, NOW, Found(current(), RIGHT), BUCKET, CODE)


def verdict(facts: BackendsFacts, identifier: str) -> tuple[Verdict, str]:
    (result,) = BACKENDS.run(facts, "backends", lambda check: check.id == f"backends.{identifier}")
    return result.verdict, " ".join(result.seen)


def test_a_healthy_host_passes() -> None:
    results = BACKENDS.run(healthy(), "backends", lambda _: True)
    assert {item.check.id: item.seen for item in results if item.verdict is not Verdict.PASSED} == {}


@pytest.mark.parametrize(
    ("identifier", "probes", "seen"),
    [
        ("deployed", {"stores": probe("mark postgres\n")}, "postgresql is not installed"),
        ("deployed", {"tailscale": probe('{"BackendState": "Stopped"}')}, "join the tailnet"),
        ("deployed", {"postgres": probe("cluster|17|main\n")}, "PostgreSQL does not run"),
        ("deployed", {"early": probe("0\n0\n")}, "the kernel has another setting"),
        ("private", {"listeners": probe("LISTEN 0 9 0.0.0.0:5432 *:*\n")}, "PostgreSQL listens on 0.0.0.0:5432"),
        ("private", {"listeners": probe("LISTEN 0 9 *:5432 *:*\n")}, "*:5432"),
        ("private", {"listeners": probe("LISTEN 0 9 [2001:db8::5]:5432 *:*\n")}, "[2001:db8::5]:5432"),
        ("private", {"listeners": probe("")}, "does not listen on 5432"),
        ("versions", {"replaced": probe("postgres\nbash\n")}, "postgres was updated"),
        ("disk", {"host": probe(HOST.replace("disk / 90000000000 20", "disk / 1000 99"))}, "99 % full"),
        ("no-reboot-due", {"host": probe(f"{HOST}reboot linux-image\n")}, "linux-image"),
    ],
)
def test_each_check_fails_for_what_it_is_about(identifier: str, probes: dict[str, Probe], seen: str) -> None:
    found, said = verdict(healthy(probes), identifier)
    assert (found, seen in said) == (Verdict.FAILED, True), said


@pytest.mark.parametrize(
    ("database", "expected", "seen"),
    [
        (Found(current(verifier="SCRAM-SHA-256$4096:AAAA$BBBB:CCCC"), RIGHT), Verdict.FAILED, "set password"),
        (Found(current(owner=None), RIGHT), Verdict.FAILED, "create database"),
        (
            Found(current(), Attempts((0, "1"), (0, "1"))),
            Verdict.FAILED,
            "takes any password from the tailnet",
        ),
        (Found(current(), Attempts((2, "Connection refused"), (2, "x"))), Verdict.FAILED, "does not answer"),
        (Found(current(owner="other"), RIGHT), Verdict.UNKNOWN, "belongs to another role"),
        (Found(current(), Attempts()), Verdict.UNKNOWN, "no psql"),
        (TailwartError("Postgres: could not read", seen="psql: refused"), Verdict.UNKNOWN, "psql: refused"),
        (None, Verdict.SKIPPED, "rocksdb"),
    ],
)
def test_role_and_database(database: Found | TailwartError | None, expected: Verdict, seen: str) -> None:
    found, said = verdict(replace(healthy(), database=database), "database")
    assert (found, seen in said) == (expected, True), said


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (Found(current(trusted=("127.0.0.1",)), RIGHT), Verdict.FAILED),
        (Found(current(), RIGHT), Verdict.PASSED),
        (TailwartError("no answer"), Verdict.UNKNOWN),
    ],
)
def test_a_password_on_loopback(database: Found | TailwartError, expected: Verdict) -> None:
    assert verdict(replace(healthy(), database=database), "loopback-trust")[0] is expected


@pytest.mark.parametrize(
    ("bucket", "expected", "seen"),
    [
        ((BUCKET[0], Answer(404, {}), BUCKET[2]), Verdict.FAILED, "create bucket"),
        ((BUCKET[0], Answer(200, {"id": "b", "keys": []}), BUCKET[2]), Verdict.FAILED, "let the key read"),
        ((Answer(0, {}), *BUCKET[1:]), Verdict.UNKNOWN, "cannot be reached"),
        (TailwartError("the backends host has no curl"), Verdict.UNKNOWN, "no curl"),
        (None, Verdict.SKIPPED, "makes no bucket"),
    ],
)
def test_the_bucket(bucket: Sequence[Answer] | TailwartError | None, expected: Verdict, seen: str) -> None:
    found, said = verdict(replace(healthy(), bucket=bucket), "bucket")
    assert (found, seen in said) == (expected, True), said


@pytest.mark.parametrize("identifier", [check.id for check in BACKENDS.checks()])
def test_a_host_that_answers_nothing_is_never_green(identifier: str) -> None:
    failed = {name: Probe(1, b"") for name, _ in watch(SETTINGS).probes}
    silent = TailwartError("no answer")
    facts = BackendsFacts(SETTINGS, HostReport(probes=failed), NOW, NOW, silent, silent)
    assert verdict(facts, identifier.partition(".")[2])[0] in (Verdict.UNKNOWN, Verdict.FAILED)
    unreached = BACKENDS.run(silent, "backends", lambda check: check.id == identifier)
    assert [item.verdict for item in unreached] == [Verdict.UNKNOWN]


def test_stores_of_others_are_judged_by_what_is_ours_in_them() -> None:
    facts = replace(healthy(), environment=FOREIGN)
    assert {verdict(facts, name)[0] for name in ("deployed", "private")} == {Verdict.SKIPPED}
    assert verdict(facts, "database")[0] is Verdict.PASSED
