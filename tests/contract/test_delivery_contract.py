"""Mail that leaves: submission, DKIM signature, the catch-all route to a smarthost with STARTTLS and a login."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import pki
from tests.contract.installation import PASSWORD, WITH_ADMIN, install
from tests.contract.namespace import OUTSIDE
from tests.contract.server import RECOVERY, SECRETS, Server
from tests.contract.smarthost import Relay, relay
from tests.contract.submission import submit
from tests.waiting import until

_ADMIN_CALLS = {"STALWART_RECOVERY_ADMIN": ":".join(RECOVERY)}
_CATCH_ALL = {"match": {"0": {"if": "is_local_domain(rcpt_domain)", "then": "'local'"}}, "else": "'smarthost'"}


def _route(port: int, secret: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "Relay", "name": "smarthost", "address": OUTSIDE, "port": port, "protocol": "smtp",
        "implicitTls": False, "allowInvalidCerts": False, "authUsername": "relay@example.net", "authSecret": secret,
    }  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ca")
    issuer = pki.authority(directory)
    pki.ensure_certificate(issuer, directory, "relay", [OUTSIDE])
    return directory


@pytest.fixture(scope="module")
def smarthost(embedded: Server, authority: Path) -> Iterator[Relay]:
    """A server whose catch-all route leads to a relay that demands TLS and a login."""
    trust = {"SSL_CERT_FILE": str(authority / "ca.crt")}
    secret = {"@type": "EnvironmentVariable", "variableName": "STALWART_RELAY_PASSWORD"}
    with embedded.running(WITH_ADMIN):
        install(
            embedded,
            ("x:MtaRoute/set", {"create": {"r": _route(2587, secret)}}),
            ("x:MtaOutboundStrategy/set", {"update": {"singleton": {"route": _CATCH_ALL}}}),
        )
    certificate = (authority / "relay.crt", authority / "relay.key")
    with (
        relay(embedded.space, 2587, certificate, SECRETS["STALWART_RELAY_PASSWORD"]) as taken,
        embedded.running(_ADMIN_CALLS | trust),
    ):
        until(
            lambda: embedded.call(RECOVERY, ("x:DkimSignature/get", {"ids": None}))[0][1]["list"] or None,
            "the DKIM key",
        )
        yield taken


def test_submission_reaches_the_relay_signed_once_with_rsa(embedded: Server, smarthost: Relay) -> None:
    submit(embedded, "alice@example.org", PASSWORD, "bob@outside.example", "to the outside")
    envelope = until(lambda: next(iter(smarthost.envelopes), None), "the message at the relay")
    assert (envelope.mail_from, envelope.rcpt_tos) == ("alice@example.org", ["bob@outside.example"])
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content)
    signatures = message.get_all("DKIM-Signature") or []
    assert len(signatures) == 1
    tags = dict(part.strip().split("=", 1) for part in re.sub(r"\s+", " ", signatures[0]).split(";") if "=" in part)
    assert (tags["a"], tags["d"]) == ("rsa-sha256", "example.org")
    assert re.fullmatch(r"v1-rsa-\d{8}", tags["s"])
    # A real server ends the text with one more empty line.
    assert str(message.get_payload()).rstrip("\r\n") == ".leading dot"


def test_a_local_recipient_does_not_go_to_the_relay(embedded: Server, smarthost: Relay) -> None:
    before = len(smarthost.envelopes)
    submit(embedded, "alice@example.org", PASSWORD, "bob@example.org", "stays here")
    until(
        lambda: '"bob@example.org", hostname = "localhost"' in embedded.log.read_text(), "the local delivery in the log"
    )
    assert len(smarthost.envelopes) == before


def test_a_route_that_is_written_leads_mail_nowhere_new(embedded: Server, smarthost: Relay) -> None:
    """Lesson 12: it counts from the next start on. A real server's ReloadSettings would do as well."""
    ((_, routes),) = embedded.call(RECOVERY, ("x:MtaRoute/get", {"ids": None}))
    route = next(each["id"] for each in routes["list"] if each["name"] == "smarthost")
    ((_, written),) = embedded.call(RECOVERY, ("x:MtaRoute/set", {"update": {route: {"port": 2599}}}))
    assert "updated" in written
    before = len(smarthost.envelopes)
    submit(embedded, "alice@example.org", PASSWORD, "carol@outside.example", "by the old route")
    until(lambda: len(smarthost.envelopes) > before, "the message at the old port")
