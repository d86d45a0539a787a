"""docs/recipes.md: the lines to paste, applied and seen to act, on the stand-in or the binary of STALWART_BINARY."""

from __future__ import annotations

import base64
import hmac
import json
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from tailwart.stalwart.accounts.directory import Accounts
from tests.documentation import ROOT, recipes
from tests.plans.stalwart.recipes import PASSWORDS, VARIABLES, Kitchen, message, receiver
from tests.plans.stalwart.stalwart_host import stalwart_host
from tests.waiting import until

# A key of one's own; a directory and accounts without passwords: `test_recipes_real`, `test_stalwart_terms_applied`.
WITH_MORE = {"Encryption at rest", "Accounts of an LDAP directory", "Accounts of an OpenID Connect provider"}


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with stalwart_host(tmp_path_factory.mktemp("recipes")) as host:
        host.set_variables(**VARIABLES)
        made = Kitchen(host)
        host.deploy(made.settings())
        yield made


@pytest.mark.parametrize("heading", [name for name in recipes() if name not in WITH_MORE])
def test_a_recipe_is_applied_and_taken_back(kitchen: Kitchen, heading: str) -> None:
    with kitchen.recipe(heading):
        pass


def test_the_catch_all_catches(kitchen: Kitchen) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused, match=r"5\.1\.2"):
        kitchen.deliver("nobody-has-this@example.org", "refused")
    with kitchen.recipe("Catch-all"):
        kitchen.deliver("nobody-has-this@example.org", "caught")
        kitchen.arrived("alice", "caught")


def test_a_separator_of_ones_own(kitchen: Kitchen) -> None:
    kitchen.deliver("alice+shop@example.org", "with a plus")
    kitchen.arrived("alice", "with a plus")
    with kitchen.recipe("Addresses with a separator"):
        kitchen.deliver("alice-shop@example.org", "with a hyphen")
        kitchen.arrived("alice", "with a hyphen")


def test_a_message_over_the_limit_is_refused(kitchen: Kitchen) -> None:
    big = message("alice@example.org", "big") + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 140_000
    with (
        kitchen.recipe("The largest message"),
        kitchen.smtp() as connection,
        pytest.raises(smtplib.SMTPSenderRefused, match=r"552.*5\.3\.4 Message too big"),
    ):
        connection.sendmail("friend@example.net", ["alice@example.org"], big)


def test_a_full_mailbox_keeps_mail_waiting(kitchen: Kitchen) -> None:
    kitchen.apply(kitchen.settings(mailbox_limits={"mailbox": "1K"}))
    try:
        kitchen.deliver("bob@example.org", "does not fit" + " at all" * 200)
        queued = kitchen.host.objects("QueuedMessage")
        assert any("bob@example.org" in item["recipients"] for item in queued)
        with kitchen.imap("bob") as connection:
            assert connection.select("INBOX")[1] == [b"0"]
    finally:
        kitchen.apply(kitchen.settings())


def test_a_blocked_sender_is_refused(kitchen: Kitchen) -> None:
    with kitchen.recipe("Trusted and blocked senders"):
        for sender in ("eve@example.com", "anyone@spammer.example"):
            with pytest.raises(smtplib.SMTPSenderRefused, match=r"5\.7\.1 Sender address not allowed"):
                kitchen.deliver("alice@example.org", "blocked", sender)
        kitchen.deliver("alice@example.org", "not blocked", "dora@example.com")
        kitchen.arrived("alice", "not blocked")


def test_a_foreign_sender_is_refused_but_for_the_exception(kitchen: Kitchen) -> None:
    with kitchen.recipe("Who may send as whom"):
        with kitchen.smtp(587, "alice") as connection, pytest.raises(smtplib.SMTPSenderRefused, match=r"501.*5\.5\.4"):
            connection.sendmail("bob@example.org", ["bob@example.org"], message("bob@example.org", "forged"))
        with kitchen.smtp(587, "bob") as connection:
            connection.sendmail("shop@example.net", ["alice@example.org"], message("alice@example.org", "for others"))
        kitchen.arrived("alice", "for others")


def test_more_than_the_rate_is_refused_for_now(kitchen: Kitchen) -> None:
    with kitchen.recipe("How much may be sent", **{"200/1h": "2/1h"}), kitchen.smtp(587, "bob") as connection:
        for number in range(2):
            text = message("alice@example.org", f"number {number}", "bob@example.org")
            connection.sendmail("bob@example.org", ["alice@example.org"], text)
        with pytest.raises(smtplib.SMTPSenderRefused, match=r"452.*4\.4\.5 Rate limit exceeded"):
            connection.sendmail("bob@example.org", ["alice@example.org"], message("alice@example.org", "too many"))


def test_a_client_with_an_old_tls_version_is_refused(kitchen: Kitchen) -> None:
    def handshake(port: int) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with context.wrap_socket(kitchen.host.space.connect(port), server_hostname="mail") as secure:
            return secure.version() or ""

    assert handshake(993) == "TLSv1.2"
    with kitchen.recipe("The lowest TLS version"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(993)
        with kitchen.imap("alice") as connection:
            assert connection.noop()[0] == "OK", "with TLS 1.3 it works"
    assert handshake(993) == "TLSv1.2"


def test_a_password_counts_only_from_its_networks_and_an_app_password_everywhere(kitchen: Kitchen) -> None:
    client = kitchen.host.client()
    with kitchen.recipe("Who may use the plain password, and from where"):
        alice = Accounts(client, client.read()).app_passwords("alice@example.org")
        secret = alice.add("phone", None, ())
        with pytest.raises(Exception, match=r"AUTHENTICATIONFAILED|credentials|denied"):
            kitchen.imap("alice", source="127.0.0.3")
        for user, password, source in (
            ("alice", PASSWORDS["alice"], ""),
            ("alice", secret, "127.0.0.3"),
            ("bob", PASSWORDS["bob"], "127.0.0.3"),
        ):
            with kitchen.imap(user, password, source) as connection:
                assert connection.noop()[0] == "OK"
        alice.revoke("phone")
        with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
            kitchen.imap("alice", secret)


def test_a_persons_own_script_files(kitchen: Kitchen) -> None:
    client = kitchen.host.client()
    scripts = Accounts(client, client.read()).scripts("bob@example.org")
    scripts.activate((ROOT / "docs" / "examples" / "newsletters.sieve").read_text())
    try:
        kitchen.deliver("bob@example.org", "a newsletter", List_Unsubscribe="<https://news.example.net/off>")
        kitchen.arrived("bob", "a newsletter", "Junk Mail")
        kitchen.deliver("bob@example.org", "a letter")
        kitchen.arrived("bob", "a letter")
    finally:
        assert scripts.remove()
    assert scripts.held() == []


def test_a_webhook_is_called_and_signed(kitchen: Kitchen) -> None:
    with receiver(kitchen.host.space) as heard:
        url = f"http://127.0.0.1:{heard.port}"
        with kitchen.recipe("Webhooks", **{"https://pager.example.net": url}):
            with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
                kitchen.imap("alice", "a wrong password")
            body, headers = until(lambda: next(iter(heard.requests), None), "the request of the webhook")
    expected = hmac.digest(VARIABLES["STALWART_WEBHOOK_KEY"].encode(), body, "sha256")
    assert headers["X-Signature"] == base64.b64encode(expected).decode()
    assert headers["X-Tailwart-Webhook"] == "pager"
    assert "auth.failed" in {event["type"] for event in json.loads(body)["events"]}
