"""What is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.providers.definition import DnsServer
from tailwart.runner import Completed
from tailwart.stalwart.lifecycle import second_server, version
from tailwart.stalwart.lifecycle.certificate_orders import certificates, order, to_order
from tailwart.stalwart.lifecycle.probing import listening
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import Ref
from tailwart.stalwart.settings import guards, stores
from tailwart.stalwart.settings.inputs import Acme, S3Store
from tailwart.stalwart.settings.planning import ObjectChange
from tests.unit.stalwart.sample import Deployed, settings

S3 = S3Store("http://garage.tail1234.ts.net:3900", "garage", "stalwart-mail", "GKkey")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0.16.7", "0.16.7"),
        ("Stalwart Server v0.16.12\n", "0.16.12"),
        ("v0.16.7-standin", "0.16.7"),
        ("Stalwart stand-in for v0.16.7", "0.16.7"),
        ("latest", ""),
        ("", ""),
    ],
)
def test_versions_are_found(text: str, found: str) -> None:
    assert releases.find(text) == found


def test_another_series_is_refused_with_the_way() -> None:
    version.check("0.16.7")
    version.check("")
    with pytest.raises(TailwartError, match=r"Stalwart 1\.0\.0 is not supported[^§]*0\.16\.27 and a migration"):
        version.check("1.0.0")
    with pytest.raises(TailwartError, match=r"0\.15\.4 is not supported"):
        version.check("0.15.4")


def answering(output: str, ok: bool = True) -> Any:
    scripts: list[tuple[str, str]] = []

    def run(script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        scripts.append((script, stdin))
        return Completed(ok, output, "")

    run.scripts = scripts  # type: ignore[attr-defined]  # the test reads back what was sent
    return run


@pytest.mark.parametrize(
    ("code", "named"),
    [("403", "S3_SECRET_KEY"), ("404", "S3_BUCKET"), ("400", "S3_REGION"), ("000", "S3_ENDPOINT")],
)
def test_s3_that_does_not_serve_names_the_setting(code: str, named: str) -> None:
    with pytest.raises(TailwartError, match=named):
        stores.probe_s3(answering(f"code {code}\n" * 4), S3)


@pytest.mark.parametrize("step", ["put", "get", "delete"])
def test_a_key_that_may_not_do_what_stalwart_will_do_is_refused(step: str) -> None:
    codes = "".join(f"code {'403' if each == step else '200'}\n" for each in ("list", "put", "get", "delete"))
    with pytest.raises(TailwartError, match=f"{step}: HTTP 403"):
        stores.probe_s3(answering(codes), S3)


def test_s3_is_asked_with_the_secret_of_the_container() -> None:
    run = answering("code 200\n" * 4)
    stores.probe_s3(run, S3)
    assert "$STALWART_S3_SECRET_KEY" in run.scripts[0][0]


URL = "redis://:redis-password@redis.tail1234.ts.net:6379/3"


def test_an_index_in_use_is_refused_and_an_empty_one_is_marked() -> None:
    with pytest.raises(TailwartError, match=r"index 3 of Redis[^§]*42 keys[^§]*REDIS_URL another index"):
        stores.probe_redis(answering("+OK\r\n+OK\r\n:42\r\n$-1\r\n+OK\r\n"), URL, "mail.example.org")
    empty = answering("+OK\r\n+OK\r\n:0\r\n$-1\r\n+OK\r\n")
    stores.probe_redis(empty, URL, "mail.example.org")
    assert "SET\r\n$14\r\ntailwart:owner" in empty.scripts[1][1]
    stores.probe_redis(answering("+OK\r\n+OK\r\n:42\r\n$16\r\nmail.example.org\r\n+OK\r\n"), URL, "mail.example.org")


def test_redis_errors_name_the_setting_and_hide_the_password() -> None:
    for output, named in (
        ("", "TAG_REDIS"),
        ("-WRONGPASS invalid\r\n-NOAUTH\r\n-NOAUTH\r\n-NOAUTH\r\n", "its password"),
        ("+OK\r\n-ERR DB index is out of range\r\n:0\r\n$-1\r\n", "out of range"),
    ):
        run = answering(output)
        with pytest.raises(TailwartError, match=named) as caught:
            stores.probe_redis(run, URL, "mail.example.org")
        assert "redis-password" not in str(caught.value)
        assert "redis-password" not in run.scripts[0][0], "the password travels on standard input"


def test_a_second_live_server_is_refused_and_a_ghost_is_not() -> None:
    found = [
        second_server.Client("100.64.0.7", 4, 1),
        second_server.Client("100.64.0.5", 2, 5000),
        second_server.Client("100.64.0.9", 3, 10),
    ]
    others = second_server.others(found, frozenset({"100.64.0.7"}), started_seconds_ago=600)
    assert [item.address for item in others] == ["100.64.0.9"], "the ghost has not queried since this server started"
    with pytest.raises(TailwartError, match=r"another Stalwart[^§]*100\.64\.0\.9[^§]*lesson:   16"):
        second_server.refuse_second_server(others)


def test_a_blob_store_with_mail_in_it_does_not_move_by_itself() -> None:
    deployed = Deployed(settings())
    moved = settings(s3=S3)
    changes = deployed.plan(moved).changes
    (account, *_) = deployed.server.objects["Account"].values()
    assert guards.warnings(moved, changes, Live({"Account": ({**account, "usedDiskQuota": 0},)})) == ()
    with_mail = Live({"Account": ({**account, "usedDiskQuota": 4096},)})
    assert "4096 bytes of mail" in guards.warnings(moved, changes, with_mail)[0]
    with pytest.raises(TailwartError, match="mailbox_blob_store_may_move"):
        guards.before_writing(answering("code 200\n" * 4), moved, changes, with_mail)
    insisting = settings(s3=S3, blob_store_may_move=True)
    assert guards.warnings(insisting, changes, with_mail) == ()


NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
WITH_ACME = settings(
    acme=Acme("https://acme.example.net/dir", "ops@example.org", DnsServer("spaceship", "Spaceship", {}))
)
DOMAIN = {"id": "b", "name": "example.org", "certificateManagement": {"@type": "Automatic", "acmeProviderId": "p"}}
WILDCARD = {"id": "c", "subjectAlternativeNames": {"*.example.org": True}, "notValidAfter": "2027-02-18T23:56:29Z"}


def renewal(status: dict[str, Any], due: str) -> dict[str, Any]:
    return {"id": "t", "@type": "AcmeRenewal", "domainId": "b", "status": status, "due": due}


def certificate(*tasks: dict[str, Any], held: tuple[dict[str, Any], ...] = (WILDCARD,)) -> Any:
    (found,) = certificates(WITH_ACME, Live({"Domain": (DOMAIN,), "Task": tasks, "Certificate": held}), NOW)
    return found


def test_a_renewal_that_waits_for_its_day_is_left_alone() -> None:
    found = certificate(renewal({"@type": "Pending"}, "2027-01-19T23:56:29Z"))
    assert (found.present, found.message(), to_order([found], [])) == (True, "", [])


def test_a_renewal_locked_by_a_process_that_is_gone_is_ordered_anew() -> None:
    locked = renewal({"@type": "Pending"}, "2026-11-21T01:00:00Z")
    assert to_order([certificate(locked)], []) == ["b"]
    waiting = {**renewal({"@type": "Pending"}, "2027-01-19T23:56:29Z"), "id": "u"}
    assert to_order([certificate(locked, waiting)], []) == []


FRESH = {
    "id": "c",
    "subjectAlternativeNames": {"*.example.org": True, "example.org": True},
    "notValidBefore": "2026-11-21T00:00:00Z",
    "notValidAfter": "2027-02-19T00:00:00Z",
}
STILL_VALID = (
    "Certificate for domain example.org is still valid; renewal is not due until 2027-01-20T10:30:11Z"  # as recorded
)


def test_a_fresh_certificate_gets_its_renewal_on_its_day_and_never_now() -> None:
    (call,) = order([certificate(held=(FRESH,))], now=NOW)
    (task,) = call.arguments["create"].values()
    assert task["status"] == {"@type": "Pending", "due": "2027-01-20T00:00:00Z"}, "two thirds of its life"


def test_a_failed_renewal_with_nothing_planned_is_planned_again_for_the_day_that_the_server_named() -> None:
    failed = renewal({"@type": "Failed", "failureReason": STILL_VALID}, "")
    found = certificate(failed, held=(FRESH,))
    assert (found.failure, found.message()) == ("", ""), "nothing is wrong with the certificate"
    (call,) = order([found], now=NOW)
    assert call.arguments["destroy"] == ["t"]
    (task,) = call.arguments["create"].values()
    assert task["status"]["due"] == "2027-01-20T10:30:11Z"
    planned = renewal({"@type": "Pending"}, "2027-01-20T10:30:11Z")
    assert order([certificate(failed, {**planned, "id": "u"}, held=(FRESH,))], now=NOW) == []


def test_a_certificate_that_is_due_or_absent_is_ordered_at_once() -> None:
    for held in ((), ({**FRESH, "notValidAfter": "2026-11-25T00:00:00Z", "notValidBefore": "2026-09-01T00:00:00Z"},)):
        (call,) = order([certificate(held=held)], now=NOW)
        (task,) = call.arguments["create"].values()
        assert task["status"] == {"@type": "Pending"}


def test_a_certificate_that_was_lost_is_not_awaited_until_its_renewal() -> None:
    planned = renewal({"@type": "Pending"}, "2027-01-20T10:30:11Z")
    (call,) = order([certificate(planned, held=())], now=NOW)
    assert call.arguments["destroy"] == ["t"], "two renewals would compete on that day"
    (task,) = call.arguments["create"].values()
    assert task["status"] == {"@type": "Pending"}
    at_work = renewal({"@type": "Pending"}, "2026-11-21T04:00:30Z")
    assert order([certificate(at_work, held=())], now=NOW) == []


def test_another_provider_takes_the_place_of_the_certificate_that_is_there() -> None:
    """A change of the provider alone renews nothing, and an order would end as `Failed`."""
    before = {"certificateManagement": {"@type": "Automatic", "acmeProviderId": "staging"}}
    change = ObjectChange(Action.UPDATE, Ref("Domain", "example.org"), "b", {"certificateManagement": {}}, before)
    planned = renewal({"@type": "Pending"}, "2027-01-20T10:30:11Z")
    uploaded = {**FRESH, "id": "u", "subjectAlternativeNames": {"*.example.org": True, "shop.example.org": True}}
    calls = order([certificate(planned, held=(FRESH, uploaded))], [change], NOW)
    assert [(call.name, call.arguments.get("destroy")) for call in calls] == [
        ("x:Certificate/set", ["c"]),
        ("x:Task/set", None),
    ]
    (task,) = calls[1].arguments["create"].values()
    assert task["status"] == {"@type": "Pending"}


@pytest.mark.parametrize(
    "reason",
    [
        "DNS update failed: HTTP 401 Unauthorized",
        "DNS error: Unauthorized",
        "DNS error: Response error: Not authorized",
        "DNS error: Client error: Please file an issue with https://github.com/… to support truncated HMACs with TSIG",
        "DNS error: Client error: hmac validation failure",
    ],
)
def test_a_dead_dns_key_is_reported_with_its_lesson_and_the_old_certificate_stays(reason: str) -> None:
    failing = {"@type": "Retry", "failureReason": reason}
    found = certificate(renewal(failing, "2026-11-21T04:05:00Z"))
    assert found.key_is_dead
    assert "lesson 2" in found.message()
    assert "the old certificate stays" in found.message()
    assert "there is no certificate yet" in certificate(renewal(failing, ""), held=()).message()


def test_the_kernels_table_is_read() -> None:
    table = (
        "  sl  local_address rem_address   st\n"
        "   0: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A 0\n"
        "   1: 0100007F:232A 00000000:0000 0A 0\n"
        "   2: 0A00000A:1F90 0B00000A:9C40 01 0\n"
    )
    assert listening(table) == {25}


def test_before_a_first_start_a_server_that_lives_is_refused_and_the_silence_of_a_dead_one_is_awaited() -> None:
    def sampling(ages: dict[str, list[int]]) -> Callable[[], list[second_server.Client]]:
        turns = {address: iter(found) for address, found in ages.items()}
        return lambda: [second_server.Client(address, 1, next(turn)) for address, turn in turns.items()]

    own, waited, lines = frozenset({"100.64.0.7"}), list[float](), list[str]()
    dead = {"100.64.0.7": [0] * 20, "100.64.0.5": [60, 65, 70, 75, 80]}
    second_server.refuse_live(sampling(dead), own, waited.append, lines.append)
    assert len(waited) == 3
    assert "waiting up to" in lines[0]
    alive = {"100.64.0.9": [30, 35, 2]}
    with pytest.raises(TailwartError, match=r"another Stalwart[^§]*100\.64\.0\.9"):
        second_server.refuse_live(sampling(alive), own, waited.append, lines.append)
    before = len(waited)
    second_server.refuse_live(sampling({"100.64.0.5": [5000]}), own, waited.append, lines.append)
    assert len(waited) == before, "what is silent already is not waited for"
