"""A wildcard certificate by real ACME DNS-01, declared in the operator's terms; and a DNS key that is dead."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from tailwart.providers import rfc2136
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.settings.inputs import Acme
from tests.contract import acme
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import names, settings
from tests.waiting import until

DNS = rfc2136.dns_server(
    rfc2136.Rfc2136Keys.model_validate(
        {"rfc2136_server": "127.0.0.1", "rfc2136_key_name": "lab.", "rfc2136_key": acme.TSIG}
    )
)
WITH_ACME = settings(acme=Acme(acme.DIRECTORY, "ops@example.org", DNS))
DEAD = "ZGVhZCBrZXkgZGVhZCBrZXkgZGVhZCBrZXkgZGVhZCE="


def test_a_wildcard_is_obtained_and_the_next_plan_is_empty(host: StalwartHost, tmp_path: Path) -> None:
    home = tmp_path / "acme"
    home.mkdir()
    with acme.authority(host.space, home) as ca:
        host.set_variables(SSL_CERT_FILE=str(ca), STALWART_RFC2136_KEY=acme.TSIG)
        host.deploy(WITH_ACME)
        until(lambda: host.objects("Certificate") or None, "the certificate", seconds=90)
        (certificate,) = host.objects("Certificate")
        assert set(certificate["subjectAlternativeNames"]) == {"*.example.org", "example.org"}
        observed = host.plane(WITH_ACME).observe()
        assert names(observed.planned) == set()
        assert observed.up_to_date
        assert host.starts == 2, "the order began after the one restart"
        pending = [task for task in host.objects("Task") if task["@type"] == "AcmeRenewal"]
        assert len(pending) == 1, "one wildcard, one renewal"


def test_a_dead_dns_key_is_lesson_2_and_mail_works_all_the_same(host: StalwartHost, tmp_path: Path) -> None:
    home = tmp_path / "acme"
    home.mkdir()
    with acme.authority(host.space, home) as ca:
        host.set_variables(SSL_CERT_FILE=str(ca), STALWART_RFC2136_KEY=DEAD)
        # A real server tries three times, for four minutes, before it says why; the deploy does not wait for that.
        try:
            host.deploy(WITH_ACME)
        except SettingsError as problem:
            assert re.search(r"everything else is applied[^§]*lesson:   2", str(problem))
            assert DEAD not in str(problem)
        failed = until(partial(_failed, host), "the order that fails", 400, 1)
        assert "(lesson 2)" in failed
        assert DEAD not in failed
        observed = host.plane(WITH_ACME).observe()
        assert names(observed.planned) == set()
        assert {item["name"] for item in host.objects("MtaRoute")} >= {"mx", "local", "smarthost"}


def _failed(host: StalwartHost) -> str:
    return "\n".join(item.message() for item in host.plane(WITH_ACME).observe().certificates if item.failure)
