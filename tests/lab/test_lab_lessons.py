"""Lessons 1 and 17 as they happen, and what else is broken for long: the remedy that a check names ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tailwart.environment import Account, Environment
from tailwart.stalwart.accounts.directory import Accounts
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, stored_login
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.settings.declaration import administrator_address
from tests.lab import outside
from tests.lab.deploying import deploy, said
from tests.lab.mailbox import DIRECTORY, shell
from tests.lab.test_lab_doctor import INSIDE, exactly, ids, look, on, vanished
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.long]

MAILBOX = ("--limit", "mailbox")


def told(document: dict[str, Any], identifier: str, lesson: int) -> None:
    """The failed check names its lesson, what was seen, the cause and the remedy."""
    (found,) = [item for item in document["results"] if item["id"] == identifier]
    assert found["verdict"] == "failed" and found["lesson"] == lesson, found
    assert found["seen"] and found["cause"] and found["remedy"], found


@contextmanager
def client(environment: Environment) -> Iterator[Client]:
    """The server's API, by the deploy's own login."""
    with mailbox_host(environment) as run:
        yield Client(ContainerTransport(run, stored_login()))


def test_lesson_1_writes_that_were_lost_with_the_store(
    deployed: Path, environment: Environment, account: Account
) -> None:
    """Nothing is wrong any more when the store is back, but for what was lost: the log alone still knows."""
    rule = "OUTPUT -p tcp --dport 5432 -j REJECT --reject-with tcp-reset"
    slow = "smtpd_end_of_data_restrictions"
    with on("relay", f"postconf -e '{slow}=sleep 6' && postfix reload", f"postconf -X {slow} && postfix reload"):
        outside.mail_out(f"{account.name}@{environment.domain}", account.password.get_secret_value(), 465)
        until(lambda: shell("relay", "ss -Htn state established sport = :587").strip(), "the delivery at the smarthost")
        with on("mailbox", f"{INSIDE} iptables -I {rule}", f"{INSIDE} iptables -D {rule}"):
            errors = "docker logs --since 3m stalwart 2>&1 | grep -F '(store.'; true"
            until(lambda: shell("mailbox", errors).strip(), "the write that is lost", 90)
    told(exactly(deployed, {"mailbox.store-errors"}), "mailbox.store-errors", 1)
    shell("mailbox", "docker restart stalwart")
    exactly(deployed, set())


def test_lesson_1_a_certificate_that_was_lost(deployed: Path, environment: Environment) -> None:
    with client(environment) as server:
        (held,) = server.call([Call("Certificate", "get", {"ids": None})])
        server.call([Call("Certificate", "set", {"destroy": [item["id"] for item in held.objects]})])
    shell("mailbox", "docker restart stalwart")
    shown = {"zone.certificate", "zone.mta-sts-advice", "zone.clients-advice"}
    document = exactly(deployed, {"server.certificate", "server.renewal", *shown})
    told(document, "server.certificate", 1)
    deploy(deployed, *MAILBOX)
    exactly(deployed, set(), seconds=180)


def test_lesson_17_locked_out(deployed: Path, environment: Environment) -> None:
    address = administrator_address(environment)
    with mailbox_host(environment) as run:
        server = Client(ContainerTransport(run, stored_login()))
        Accounts(server, server.read()).set_password(address, "nobody knows this one")
        (keys,) = server.call([Call("ApiKey", "get", {"ids": None})])
        server.call([Call("ApiKey", "set", {"destroy": [item["id"] for item in keys.objects]})])
    document = exactly(deployed, {"server.login"})
    told(document, "server.login", 17)
    assert "server.settings" in ids(document, "could not look")
    said(deployed, "recover", "--yes")
    exactly(deployed, set())
    assert ids(look(deployed, code=0), "could not look") == set()


LEFT_OPEN = 'services: {stalwart: {environment: {STALWART_RECOVERY_ADMIN: "admin:left-open-by-hand"}}}'
RECREATED = f"cd {DIRECTORY} && printf '%s' '{LEFT_OPEN}' >/run/open.yaml && docker compose -f compose.yaml "


def test_lesson_17_the_back_door_left_open(deployed: Path) -> None:
    shell("mailbox", f"{RECREATED} -f /run/open.yaml up -d --no-deps --wait stalwart; rm /run/open.yaml")
    document = exactly(deployed, {"mailbox.recovery-closed", "mailbox.deployed"})
    told(document, "mailbox.recovery-closed", 17)
    deploy(deployed, *MAILBOX)
    exactly(deployed, set())


HISTORY = "/opt/tailwart/history.jsonl"


def test_a_deploy_of_another_revision_from_another_machine(deployed: Path) -> None:
    """The host has a newer line in its record than this machine has noted, of a revision that this checkout lacks."""
    line = {"revision": "0123456789", "modified": False, "began": datetime.now(UTC).isoformat(), "failure": ""}
    with on("edge-1", f"echo '{json.dumps(line)}' >>{HISTORY}", f"sed -i '/0123456789/d' {HISTORY}"):
        document = exactly(deployed, {"edge.revision"})
        (found,) = [item for item in document["results"] if item["verdict"] == "failed"]
        assert "deployed is 0123456789" in found["seen"][0] and "deploy.py" in found["remedy"]
        deploy(deployed)
        exactly(deployed, set())


def test_a_click_that_ends_the_trust_of_a_listener(deployed: Path, environment: Environment) -> None:
    with client(environment) as server:
        (listeners,) = server.call([Call("NetworkListener", "get", {"ids": None})])
        (smtp,) = [item for item in listeners.objects if item.get("name") == "smtp"]
        server.call([Call("NetworkListener", "set", {"update": {smtp["id"]: {"overrideProxyTrustedNetworks": {}}}})])
    exactly(deployed, {"server.proxy-trust", "server.settings"})
    said(deployed, "settings", "apply", "--yes")
    exactly(deployed, set())


def test_a_click_that_opens_the_relay(deployed: Path, environment: Environment) -> None:
    with client(environment) as server:
        (stage,) = server.call([Call("MtaStageRcpt", "get", {"ids": [SINGLETON]})])
        for value, failed in (({"else": "true"}, {"edge.no-open-relay"}), (stage.objects[0]["allowRelaying"], set())):
            server.call([Call("MtaStageRcpt", "set", {"update": {SINGLETON: {"allowRelaying": value}}})])
            exactly(deployed, failed, "--deep")


def test_a_disk_without_room(deployed: Path) -> None:
    path = "/var/lib/postgresql"
    small = f"mkdir -p {path} && mount -t tmpfs -o size=1m tmpfs {path}"
    with on("edge-1", small, f"umount {path} && rmdir {path}"):
        exactly(deployed, {"edge.disk"})
    exactly(deployed, set())


def test_a_message_that_went_out_holds_where_it_arrived(
    deployed: Path, environment: Environment, account: Account, tmp_path: Path
) -> None:
    user = f"{account.name}@{environment.domain}"
    token = outside.mail_out(user, account.password.get_secret_value())
    file = tmp_path / "received.eml"
    file.write_bytes(outside.arrived_outside(token).as_bytes())
    every = {"message.dkim", "message.spf", "message.dmarc"}
    assert ids(look(deployed, "--message", str(file), code=0), "passed") == every
    file.write_bytes(file.read_bytes() + b"sent by a smarthost that adds a footer\n")
    assert ids(look(deployed, "--message", str(file), code=1), "failed") == {"message.dkim"}
    with vanished(environment, "@", "TXT"):
        seen = until(
            lambda: found if "message.spf" in ids(found := look(deployed, "--message", str(file)), "failed") else None,
            "the record to be gone",
        )
    assert ids(seen, "failed") == every, "with neither, DMARC fails"
