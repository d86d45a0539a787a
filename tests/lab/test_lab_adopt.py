"""`tailwart adopt`: an installation made by hand is taken over, killed in between, proven, and given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tailwart.dns import archive
from tailwart.dns.plane import open_provider
from tailwart.environment import Account, Environment
from tailwart.environment.editing import values
from tests.lab import handmade, outside
from tests.lab.deploying import ROOT, deploy, environment_of, said, secret_values, variant
from tests.lab.mailbox import containers, shell
from tests.lab.policy import policy_text, write_policy
from tests.lab.state import Installation, make_bare
from tests.waiting import until

# Two deploys for the old installation, and one or two for each time that it is interrupted.
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

# What `adopt` cannot find out: keys of APIs, and what makes a lab of it.
GIVEN = (
    *("DOMAIN", "STALWART_ADMIN_PASSWORD", "SSH_KEY", "SSH_KNOWN_HOSTS", "TS_API_URL", "TS_OAUTH_CLIENT_ID"),
    *(
        "TS_OAUTH_CLIENT_SECRET",
        "TAG_OWNERS",
        "SMARTHOST_SPF",
        "DNS_PROVIDER",
        "SPACESHIP_API_URL",
        "SPACESHIP_API_KEY",
    ),
    *("SPACESHIP_API_SECRET", "RFC2136_SERVER", "RFC2136_PORT", "RFC2136_KEY_NAME", "RFC2136_KEY", "RFC2136_ALGORITHM"),
    *("DNS_NAMESERVERS", "ACME_DNS_PROVIDER", "ACME_CA", "EDGE_BASE_IMAGE", "CADDY_DOWNLOAD_URL", "OFFLINE"),
    # Addresses of the lab's networks are no public ones.
    *("EDGE_1_IPV4", "EDGE_1_IPV6"),
)
FOUND = {
    "TS_TAILNET", "STALWART_MAGIC_NAME", "TS_LOGIN_SERVER", "STALWART_IMAGE", "TAILSCALE_IMAGE", "STALWART_STORE",
    "SMARTHOST_ADDRESS", "SMARTHOST_PORT", "SMARTHOST_USERNAME", "SMARTHOST_PASSWORD", "SMARTHOST_ALLOW_INVALID_CERTS",
    "ACME_DIRECTORY", "ACME_CONTACT",
}  # fmt: skip
MESSAGES = 167  # of each of three accounts
KILLED_AT = ("the old project stops", "bringing store", "the mailbox serves", "building the new edge's image")


def _command(path: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "tailwart"), "adopt", "--yes"],
        cwd=ROOT,
        env={**os.environ, "TAILWART_ENV": str(path)},
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _kill_at(path: Path, log: Path, words: str) -> None:
    running = _command(path, log)
    try:
        until(lambda: words in log.read_text() or running.poll() is not None, f"»{words}«", 300, pause=0.05)
        assert running.poll() is None, log.read_text()[-4000:]
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _login(environment: Environment, account: Account) -> tuple[str, str]:
    return f"{account.name}@{environment.domain}", account.password.get_secret_value()


def _mail(environment: Environment) -> dict[str, dict[str, str]]:
    """Account → every message."""
    return {one.name: outside.digests(*_login(environment, one)) for one in environment.accounts}


def _node(name: str) -> str:
    """The node's public key: another one would be another node."""
    line = f"docker exec {name} tailscale --socket=/tmp/tailscaled.sock status --json --peers=false"
    return shell("mailbox", f'{line} | grep -o \'"PublicKey": *"[^"]*"\' | head -1').strip()


def _certificate(port: int = 993) -> str:
    line = f"openssl s_client -connect 198.51.100.11:{port} -servername mail.tailwart.test </dev/null 2>/dev/null"
    return shell("world", f"{line} | openssl x509 -noout -serial").strip()


def test_an_installation_made_by_hand_is_taken_over_and_given_back(
    lab_environment: Path, installation: Installation, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = variant(
        lab_environment, tmp_path / "base", STALWART_STORE="rocksdb", BACKENDS_INSTALL=None, BACKENDS_SSH=None,
        REDIS_URL=None, S3_ENDPOINT=None, HARDEN="false", ACCOUNTS="alice,bob,carol",
        ACCOUNT_CAROL_PASSWORD=uuid.uuid4().hex,
    )  # fmt: skip
    make_bare("mailbox", "edge-1")
    installation.other_store = True
    deploy(base)
    before = environment_of(base)
    for account in before.accounts:
        outside.put(*_login(before, account), MESSAGES, account.name)

    policy = policy_text()
    request.addfinalizer(lambda: write_policy(policy))
    ledger = ROOT / archive.DIRECTORY / before.domain
    kept = ledger.with_name(f"{before.domain}.before-the-test")
    request.addfinalizer(lambda: kept.exists() and not ledger.exists() and kept.rename(ledger))
    request.addfinalizer(lambda: make_bare("mailbox", "edge-1"))
    handmade.make_policy()
    zone = handmade.make_zone(before, kept)
    handmade.make_mailbox(before)
    handmade.make_edge()
    mail, node, certificate = _mail(before), _node("vpn"), _certificate()
    assert [len(found) for found in mail.values()] == [MESSAGES] * 3
    files = shell("mailbox", "cd /srv/mail && sha256sum *")

    # It looks, writes what it has found, shows the plan, and changes nothing.
    given = values(lab_environment.read_text())
    path = variant(Path("/dev/null"), tmp_path / "env", **{key: given[key] for key in GIVEN})
    targets = ("--mailbox", given["MAILBOX_SSH"], "--edge", given["EDGE_1_SSH"])
    shown = said(path, "adopt", *targets, "--dry")
    written = values(path.read_text())
    assert set(written) >= FOUND
    as_in_the_lab = {key for key in FOUND - {"STALWART_STORE"} if key in given}
    assert {key: written[key] for key in as_in_the_lab} == {key: given[key] for key in as_in_the_lab}
    assert path.stat().st_mode & 0o777 == 0o600
    assert "mail_mail" in shown
    assert not [secret for secret in secret_values(environment_of(path)) if secret in shown]
    assert _mail(before) == mail
    assert set(containers()) == set(handmade.CONTAINERS)

    # Killed at every step, it goes on.
    log = tmp_path / "log"
    for words in KILLED_AT:
        _kill_at(path, log, words)
    last = _command(path, log)
    assert last.wait(600) == 0, log.read_text()[-6000:]
    assert "Taken over" in log.read_text()
    _proven(path, before, mail, node)
    assert _certificate() == certificate
    assert shell("mailbox", "cd /srv/mail && sha256sum *") == files
    assert {"stalwart-before-tailwart", "vpn-before-tailwart"} < set(containers())
    assert handmade.FOREIGN_GRANT in policy_text()
    provider = open_provider(before, lambda _: None)
    assert {entry.key for entry in zone} <= {entry.key for entry in provider.read(before.domain)}

    # And back, with what has come in since.
    alice, password = _login(before, before.accounts[0])
    token = outside.mail_in(alice)
    outside.read_back(alice, password, token)
    said(path, "adopt", "--back", "--yes")
    assert {"stalwart", "vpn"} <= {name for name, one in containers().items() if one["State"]["Running"]}
    assert "caddy-l4" in containers("edge-1")
    outside.read_back(alice, password, token)
    after = _mail(before)
    assert {name: found.items() >= mail[name].items() for name, found in after.items()} == dict.fromkeys(mail, True)
    assert _node("vpn") == node


def _proven(path: Path, before: Environment, mail: dict[str, dict[str, str]], node: str) -> None:
    assert deploy(path).changes == {}
    assert _mail(before) == mail
    assert _node("ts-stalwart") == node
    token = outside.mail_out(*_login(before, before.accounts[1]))
    outside.arrived_outside(token)
