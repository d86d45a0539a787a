"""Recipes that only a real Stalwart can show: STALWART_BINARY names it. The stand-in has no spam filter, for one.

They need Debian's slapd, ldap-utils and openssl besides.
"""

from __future__ import annotations

import base64
import imaplib
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.stalwart.accounts.directory import Accounts
from tailwart.stalwart.accounts.signin import REFUSED, try_sign_in
from tests.contract.namespace import RESOLVER
from tests.plans.stalwart.recipes import VARIABLES, Kitchen, message
from tests.plans.stalwart.stalwart_host import stalwart_host
from tests.plans.stalwart.world import Names, fake_provider, names, slapd
from tests.waiting import until

pytestmark = pytest.mark.real_server

# Two clients: the first is on the blocklist, both may send for example.com by its SPF record.
LISTED, CLEAN = "198.51.100.23", "198.51.100.24"
ZONE = {
    ("23.100.51.198.zen.spamhaus.org", "A"): ["127.0.0.2"],
    ("23.100.51.198.worse.example.net", "A"): ["127.0.0.9"],
    ("listed-domain.com.dbl.spamhaus.org", "A"): ["127.0.1.2"],
    ("example.com", "TXT"): ['"v=spf1 ip4:198.51.100.0/24 -all"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=none"'],
    ("example.com", "MX"): ["10 mx.example.com."],
    ("mx.example.com", "A"): ["10.99.0.2"],
}


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kitchen, Names]]:
    with (
        stalwart_host(tmp_path_factory.mktemp("real"), named=True) as host,
        names(host.space, RESOLVER, ZONE) as server,
    ):
        host.set_variables(**VARIABLES)
        made = Kitchen(host)
        host.deploy(made.settings())
        yield made, server


@pytest.fixture
def kitchen(resolver: tuple[Kitchen, Names]) -> Kitchen:
    return resolver[0]


def test_a_listed_client_lands_in_junk_and_a_second_list_refuses_it(kitchen: Kitchen) -> None:
    kitchen.deliver("alice@example.org", "before the lists", client=LISTED)
    kitchen.arrived("alice", "before the lists")
    with kitchen.recipe("DNS blocklists"):
        kitchen.deliver("alice@example.org", "from a listed client", client=LISTED)
        found = kitchen.arrived("alice", "from a listed client", "Junk Mail")
        assert b"TAILWART_RBL_ZEN (5.00)" in found
        kitchen.deliver("alice@example.org", "from a clean client", client=CLEAN)
        kitchen.arrived("alice", "from a clean client")
        kitchen.deliver("alice@example.org", "about a listed domain", "eve@listed-domain.com", client=CLEAN)
        assert b"TAILWART_RBL_DBL (5.00)" in kitchen.arrived("alice", "about a listed domain", "Junk Mail")
    worse = {"worse": {"zone": "worse.example.net", "score": 12}}
    with kitchen.recipe("Spam thresholds"):
        kitchen.apply(kitchen.settings(mailbox_spam={"blocklists": worse}))
        with pytest.raises(smtplib.SMTPDataError, match=r"550.*5\.7\.1 Message rejected due to excessive spam score"):
            kitchen.deliver("alice@example.org", "far over the threshold", client=LISTED)
        kitchen.apply(kitchen.settings(mailbox_spam={"blocklists": {}}))


def test_a_trusted_sender_is_trusted_and_a_forged_one_is_not(kitchen: Kitchen) -> None:
    with kitchen.recipe("DNS blocklists"):
        kitchen.apply(kitchen.settings(mailbox_spam={"trusted_senders": ["bob@example.com"], "blocklists": {
            "zen": {"zone": "zen.spamhaus.org", "score": 5}}}))  # fmt: skip
        kitchen.deliver("alice@example.org", "from a friend", "bob@example.com", client=LISTED)
        assert b"TAILWART_TRUSTED (-100.00)" in kitchen.arrived("alice", "from a friend")
        kitchen.deliver("alice@example.org", "from nobody special", "carl@example.com", client=LISTED)
        kitchen.arrived("alice", "from nobody special", "Junk Mail")
        forged = message("alice@example.org", "forged friend", "bob@example.com")
        with kitchen.smtp(client=LISTED) as connection:
            connection.sendmail("someone@example.net", ["alice@example.org"], forged)
        kitchen.arrived("alice", "forged friend", "Junk Mail")
        kitchen.apply(kitchen.settings(mailbox_spam={"trusted_senders": [], "blocklists": {}}))


def test_a_script_of_the_server_marks_and_refuses(kitchen: Kitchen) -> None:
    with kitchen.recipe("A script for every message"):
        kitchen.deliver("alice@example.org", "an invoice for you")
        assert b"X-Department: accounting" in kitchen.arrived("alice", "an invoice for you")
        with pytest.raises(smtplib.SMTPDataError, match="No lotteries here"):
            kitchen.deliver("alice@example.org", "You have won")
    kitchen.deliver("alice@example.org", "You have won again")
    kitchen.arrived("alice", "You have won again")


def test_a_script_that_does_not_compile_is_named(kitchen: Kitchen) -> None:
    with pytest.raises(Exception, match=r"SieveSystemScript tailwart-data"):
        kitchen.apply(kitchen.settings(mailbox_system_sieve={"data": "no script"}))
    kitchen.apply(kitchen.settings(mailbox_system_sieve={}))


def test_people_include_a_script_of_the_server(kitchen: Kitchen) -> None:
    client = kitchen.host.client()
    with kitchen.recipe("A script that people include in their own"):
        scripts = Accounts(client, client.read()).scripts("bob@example.org")
        scripts.activate('require ["include"];\ninclude :global "newsletters";\n')
        try:
            kitchen.deliver("bob@example.org", "newsletter 12", List_Unsubscribe="<https://news.example.net/off>")
            kitchen.arrived("bob", "newsletter 12", "Junk Mail")
        finally:
            scripts.remove()


def test_mail_is_encrypted_with_a_persons_own_key(kitchen: Kitchen, tmp_path: Path) -> None:
    key, certificate = tmp_path / "alice.key", tmp_path / "alice.asc"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=alice"]
    mail = ["-addext", "subjectAltName=email:alice@example.org", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *mail], check=True, capture_output=True)
    with kitchen.recipe("Encryption at rest", **{"alice.asc": str(certificate)}):
        kitchen.deliver("alice@example.org", "a secret")
        stored = kitchen.arrived("alice", "a secret")
        assert b"Words." not in stored
        opened = subprocess.run(
            ["openssl", "cms", "-decrypt", "-inkey", str(key), "-recip", str(certificate)],
            input=stored, check=True, capture_output=True,
        )  # fmt: skip
        assert b"Words." in opened.stdout
    kitchen.deliver("alice@example.org", "no secret")
    assert b"Words." in kitchen.arrived("alice", "no secret")


def test_word_forms_of_a_language_are_found(kitchen: Kitchen) -> None:
    with kitchen.recipe("Full-text search"):
        text = message("alice@example.org", "Angebot", Content_Language="de").replace(
            b"Words.", b"Die Mitarbeiter haben viele gute Vorschlaege zur Verbesserung der Zusammenarbeit gemacht."
        )
        with kitchen.smtp() as connection:
            connection.sendmail("friend@example.net", ["alice@example.org"], text)
        kitchen.arrived("alice", "Angebot")

        def found() -> bool:
            with kitchen.imap("alice") as connection:
                connection.select("INBOX")
                return bool(connection.search(None, "TEXT", '"Mitarbeitern"')[1][0])

        until(found, "a form of the word in the index")


def test_a_group_is_a_shared_folder(kitchen: Kitchen) -> None:
    with kitchen.recipe("Shared folders"):
        kitchen.deliver("office@example.org", "for all of us")

        def shared() -> str | None:
            with kitchen.imap("bob") as connection:
                _, listed = connection.list()
                folders = [line.decode() for line in listed if isinstance(line, bytes) and b"office" in line]
                inbox = next((line.rsplit('"', 2)[-2] for line in folders if "INBOX" in line.upper()), None)
                if inbox is None or connection.select(f'"{inbox}"', readonly=True)[0] != "OK":
                    return None
                return inbox if connection.search(None, "SUBJECT", '"for all of us"')[1][0] else None

        assert until(shared, "the message in the shared folder").startswith("Shared Folders/")


def test_old_mail_in_the_trash_is_removed(kitchen: Kitchen) -> None:
    with kitchen.recipe("When trash and junk are emptied", **{"14d": "1s"}):
        with kitchen.imap("bob") as connection:
            connection.append('"Deleted Items"', "", imaplib.Time2Internaldate(1_600_000_000), message("bob", "old"))
        (bob,) = (item for item in kitchen.host.objects("Account") if item["name"] == "bob")
        task = {"@type": "AccountMaintenance", "accountId": bob["id"], "maintenanceType": "purge"}

        def empty() -> bool:
            # The time counts from when a message got there: the first cleaning may come too early.
            assert kitchen.host.call("Task", "set", create={"t": task})["created"]
            with kitchen.imap("bob") as connection:
                return connection.select('"Deleted Items"')[1] == [b"0"]

        until(empty, "the empty trash", pause=1)


def test_mail_to_one_domain_waits_for_its_rate(kitchen: Kitchen) -> None:
    kitchen.apply(kitchen.settings(mailbox_rates={"to_domain": {"example.com": "1/1h"}}))
    try:
        with kitchen.smtp(587, "bob") as connection:
            for number in range(2):
                text = message("dora@example.com", f"out {number}", "bob@example.org")
                connection.sendmail("bob@example.org", ["dora@example.com"], text)

        def limited() -> bool:
            return "rateLimited" in str(kitchen.host.objects("QueuedMessage")) or "ate limit" in str(
                kitchen.host.objects("QueuedMessage")
            )

        until(limited, "a message that waits for the rate")
    finally:
        kitchen.apply(kitchen.settings(mailbox_rates={}))


def test_a_resolver_of_ones_own_is_asked(kitchen: Kitchen) -> None:
    with (
        names(kitchen.host.space, "127.0.0.54", ZONE) as own,
        kitchen.recipe("A validating resolver for DANE", **{"192.0.2.53": "127.0.0.54"}),
    ):
        kitchen.deliver("alice@example.org", "asked somewhere else", "bob@asked-anew.com", client=CLEAN)
        kitchen.arrived("alice", "asked somewhere else")
        assert any(name == "asked-anew.com" for name, _, _ in own.asked), "what is new is asked there"


def test_people_of_an_ldap_directory_sign_in_and_the_deploy_still_can(tmp_path: Path) -> None:
    with stalwart_host(tmp_path, named=True) as host, names(host.space, RESOLVER, ZONE):
        host.set_variables(**VARIABLES)
        kitchen = Kitchen(host, accounts=())
        host.deploy(kitchen.settings())
        secret = VARIABLES["STALWART_LDAP_BIND_PASSWORD"]
        with slapd(host.space, tmp_path / "ldap", secret, "doras own words") as port:
            url = f"ldap://127.0.0.1:{port}"
            with kitchen.recipe("Accounts of an LDAP directory", **{"ldap://ldap.example.net:389": url}):
                assert try_sign_in(host, "dora@example.org", "doras own words") == "0"
                assert try_sign_in(host, "dora@example.org", "not hers") in REFUSED
                kitchen.deliver("dora@example.org", "to the directory")
                kitchen.arrived("dora", "to the directory", password="doras own words")
                with pytest.raises(smtplib.SMTPRecipientsRefused):
                    kitchen.deliver("nobody@example.org", "to nobody")


def test_a_token_of_an_openid_provider_signs_in(tmp_path: Path) -> None:
    with (
        stalwart_host(tmp_path, named=True) as host,
        names(host.space, RESOLVER, ZONE),
        fake_provider(host.space) as provider,
    ):
        host.set_variables(**VARIABLES)
        kitchen = Kitchen(host, accounts=())
        host.deploy(kitchen.settings(mailbox_accounts=[{"address": "dora"}]))
        with kitchen.recipe(
            "Accounts of an OpenID Connect provider", **{"https://sso.example.net/realms/mail": provider.issuer}
        ):

            def sign_in(token: str) -> str:
                connection = kitchen.connect_imap()
                text = f"n,a=dora@example.org,\x01host=mail\x01port=993\x01auth=Bearer {token}\x01\x01"
                try:
                    return connection.authenticate("OAUTHBEARER", lambda _: text.encode())[0]
                except imaplib.IMAP4.error as refused:
                    return str(refused)

            claims = {"preferred_username": "dora@example.org", "aud": "stalwart", "scope": "openid email"}
            assert sign_in(provider.token(**claims)) == "OK"
            assert sign_in(provider.token(**{**claims, "aud": "another"})) != "OK"
            assert "FAILED" in sign_in(base64.b64encode(b"no token").decode())
