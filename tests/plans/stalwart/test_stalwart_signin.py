"""The sign-in that proves a password, on a server whose certificate nobody can verify yet."""

from __future__ import annotations

from tailwart.stalwart.accounts.signin import prove_sign_in
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import settings


def test_no_password_goes_to_a_certificate_that_does_not_verify(host: StalwartHost) -> None:
    host.deploy(settings())
    seen = (host.directory / "log").read_text()
    assert prove_sign_in(host, "alice@example.org", "alice-password-1", host="mail.example.org") == "JMAP"
    said = (host.directory / "log").read_text().removeprefix(seen)
    signed_in = [line for line in said.splitlines() if "(auth.success)" in line]
    assert not [line for line in signed_in if "localPort = 993" in line or "localPort = 143" in line], "not over IMAP"
    assert "--insecure" not in host.scripts[-1]
