"""A blob endpoint that answers nobody: accepted by the settings, felt by every message body from the next start on."""

from __future__ import annotations

from typing import Any

from tests.contract.installation import WITH_ADMIN, install
from tests.contract.server import RECOVERY, Server
from tests.contract.versions import number, under_test
from tests.contract.wire import STRANGER, Wire

_UNREACHABLE: dict[str, Any] = {
    "@type": "S3",
    "bucket": "stalwart-mail",
    "region": {"@type": "Custom", "customEndpoint": "http://127.0.0.1:3900", "customRegion": "garage"},
    "accessKey": {"@type": "Value", "value": "AK"} if number(under_test()[0]) >= (0, 16, 16) else "AK",
    "secretKey": {"@type": "EnvironmentVariable", "variableName": "STALWART_S3_SECRET"},
}


def _send(server: Server) -> str:
    with Wire(server.space, 25, source=STRANGER, timeout=60) as wire:
        wire.reply()
        for command in ("EHLO client.example.net", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>"):
            assert wire.say(command).startswith("250")
        wire.say("DATA")
        return wire.say("From: bob@example.net\r\nSubject: body\r\n\r\nhello\r\n.")


def test_a_wrong_endpoint_is_accepted_and_blocks_bodies_from_the_restart_on(own: Server) -> None:
    reload = ("x:Action/set", {"create": {"a": {"@type": "ReloadSettings"}}})
    with own.running(WITH_ADMIN):
        install(own)
        ((_, body),) = own.call(RECOVERY, ("x:BlobStore/set", {"update": {"singleton": _UNREACHABLE}}), reload)[:1]
        assert body["updated"] == {"singleton": None}
        assert _send(own).startswith("250 ")
    with own.running(WITH_ADMIN):
        assert _send(own).startswith("451 4.3.5 ")
        own.call(RECOVERY, ("x:BlobStore/set", {"update": {"singleton": {"@type": "Default"}}}), reload)
        assert _send(own).startswith("451 4.3.5 ")
    with own.running(WITH_ADMIN):
        assert _send(own).startswith("250 ")
