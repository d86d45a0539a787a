"""Deliveries and the end of the process: what is paused, what rests, and how a message is freed again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.contract.installation import PASSWORD, WITH_ADMIN, install
from tests.contract.namespace import OUTSIDE
from tests.contract.server import RECOVERY, Server
from tests.contract.submission import submit
from tests.waiting import until

_CATCH_ALL = {"match": {"0": {"if": "is_local_domain(rcpt_domain)", "then": "'local'"}}, "else": "'smarthost'"}
_ROUTE = {
    "@type": "Relay", "name": "smarthost", "address": OUTSIDE, "port": 2525, "protocol": "smtp",
    "implicitTls": False, "allowInvalidCerts": False,
}  # fmt: skip


@contextmanager
def _silent_relay(server: Server) -> Iterator[socket.socket]:
    """A relay that takes connections and never greets."""
    with server.space.entered():
        listener = socket.create_server((OUTSIDE, 2525))
    listener.settimeout(30)
    with listener:
        yield listener


def _queued(server: Server) -> list[dict[str, Any]]:
    ((_, body),) = server.call(RECOVERY, ("x:QueuedMessage/get", {"ids": None}))
    found: list[dict[str, Any]] = body["list"]
    return found


def _do(server: Server, kind: str, value: dict[str, Any]) -> None:
    ((_, body),) = server.call(RECOVERY, (f"x:{kind}/set", {"create": {"a": value}}))
    assert "created" in body, body


def _install(server: Server) -> None:
    with server.running(WITH_ADMIN):
        install(
            server,
            ("x:MtaRoute/set", {"create": {"r": _ROUTE}}),
            ("x:MtaOutboundStrategy/set", {"update": {"singleton": {"route": _CATCH_ALL}}}),
        )


def _submit(server: Server) -> None:
    submit(server, "alice@example.org", PASSWORD, "bob@outside.example", "to the outside")


def test_a_stop_in_the_middle_of_a_delivery_locks_the_message_until_the_lock_is_taken_away(own: Server) -> None:
    _install(own)
    with _silent_relay(own) as relay:
        with own.running(WITH_ADMIN):
            _submit(own)
            under_way, _ = relay.accept()
        with under_way, own.running(WITH_ADMIN):
            (message,) = _queued(own)
            assert next(iter(message["recipients"].values()))["status"] == {"@type": "Scheduled"}
            own.call(RECOVERY, ("x:QueuedMessage/set", {"update": {message["id"]: {"nextRetry": _NOW}}}))
            _do(own, "Task", {"@type": "StoreMaintenance", "maintenanceType": "removeLockQueueMessage"})
            until(lambda: not _maintenance(own), "the end of the task")
            # Neither frees it in this process.
            relay.settimeout(3)
            _nobody_comes(relay)
        with own.running(WITH_ADMIN):
            relay.settimeout(30)
            again, _ = relay.accept()
            again.close()


def test_a_pause_holds_what_arrives_and_a_resume_sends_it_at_once(own: Server) -> None:
    _install(own)
    with _silent_relay(own) as relay, own.running(WITH_ADMIN):
        _do(own, "Action", {"@type": "PauseMtaQueue"})
        _submit(own)
        relay.settimeout(3)
        _nobody_comes(relay)
        assert len(_queued(own)) == 1
        _do(own, "Action", {"@type": "ResumeMtaQueue"})
        relay.settimeout(10)
        taken, _ = relay.accept()
        taken.close()


_NOW = "2020-01-01T00:00:00Z"


def _maintenance(server: Server) -> list[dict[str, Any]]:
    ((_, body),) = server.call(RECOVERY, ("x:Task/get", {"ids": None}))
    return [each for each in body["list"] if each["@type"] == "StoreMaintenance"]


def _nobody_comes(relay: socket.socket) -> None:
    try:
        relay.accept()[0].close()
    except TimeoutError:
        return
    raise AssertionError("the message was sent on")


def test_a_relay_at_a_loopback_address_is_refused_for_good(own: Server) -> None:
    with own.running(WITH_ADMIN):
        install(
            own,
            ("x:MtaRoute/set", {"create": {"r": {**_ROUTE, "address": "127.0.0.1"}}}),
            ("x:MtaOutboundStrategy/set", {"update": {"singleton": {"route": _CATCH_ALL}}}),
        )
    with own.running(WITH_ADMIN):
        _submit(own)
        until(lambda: "(delivery.dsn-perm-fail)" in own.log.read_text(), "the failure for good in the log")
        assert "host resolves loopback address" in own.log.read_text()
