"""`tailwart store move` for message bodies on a running server: to a bucket and back, and killed in between."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.runner import Completed
from tailwart.stalwart.lifecycle.bodies_move import BodiesMove, BodiesPlan
from tests.contract.bucket import bucket
from tests.contract.server import binary
from tests.contract.wire import STRANGER, Wire
from tests.plans.stalwart.stalwart_host import Killed, StalwartHost
from tests.unit.stalwart.sample import settings
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "STALWART_BINARY" in os.environ, reason="not part of this repository: a second server binary, which imports"
)
BUCKET: dict[str, Any] = {
    "@type": "S3",
    "bucket": "stalwart-mail",
    "region": {"@type": "Custom", "customEndpoint": "http://127.0.0.1:3900", "customRegion": "garage"},
    "accessKey": {"@type": "Value", "value": "GKkey"},
    "secretKey": {"@type": "EnvironmentVariable", "variableName": names.ENV_S3},
}
DEFAULT = {"@type": "Default"}
VERSION = "0.16.18"

# Two containers of one image, as processes in the host's namespace: the server, and the one that `compose run` makes.
_DOCKER = """#!/bin/sh
here=@HERE@
alive() { [ -f $here/$1 ] && kill -0 "$(cat $here/$1)" 2>/dev/null; }
end() { alive $1 && kill "$(cat $here/$1)" && while alive $1; do sleep 0.05; done; rm -f $here/$1; }
environment() { set -a; . $here/stalwart.env; LAB_STALWART_VERSION=0.16.18; set +a; }
case "$1" in
inspect)
  case "$4 $3" in
    stalwart-move*) alive moving && echo running ;;
    *FinishedAt*) alive pid || cat $here/finished ;;
    *Running*) alive pid && echo true ;;
    *Status*) alive pid && echo "running $(cat $here/started) stalwartlabs/stalwart:v0.16.18" ;;
    *) cat $here/started ;;
  esac ;;
stop)
  if [ "$4" = stalwart ]; then end pid; date -u +%Y-%m-%dT%H:%M:%S.%NZ >$here/finished; else end moving; fi ;;
start) exec $here/start ;;
rm) end moving ;;
exec)
  shift; [ "$1" = -i ] && shift; shift
  environment; PATH=$here/inside:$PATH exec @ENTER@ "$@" ;;
compose)
  environment; entrypoint=
  case " $* " in *"/importer.json "*) export LAB_STALWART_VERSION=0.16.7 ;; esac
  while [ "$1" != run ]; do shift; done
  while [ "$1" != stalwart ]; do [ "$1" = --entrypoint ] && entrypoint=$2; shift; done
  shift
  if [ -z "$entrypoint" ]; then
    set -a; . @MOVE@/recovery.env; set +a
    @ENTER@ @BINARY@ --config $here/config.json </dev/null >>$here/log 2>&1 &
    echo $! >$here/moving; exit 0
  fi
  PATH=$here/inside:$PATH exec @ENTER@ $entrypoint "$@" ;;
esac
"""


class Mailbox:
    """The mailbox host with a server and its mail, whose directory is another one than on a real host."""

    def __init__(self, host: StalwartHost) -> None:
        self.host = host
        host.set_variables(LAB_STALWART_VERSION=VERSION)
        host.deploy(settings())
        move = host.home / "store-move"
        values = {
            "@HERE@": str(host.directory),
            "@ENTER@": shlex.join(host.space.command()),
            "@BINARY@": str(binary()),
            "@MOVE@": str(move),
        }
        text = _DOCKER
        for mark, value in values.items():
            text = text.replace(mark, value)
        (host.directory / "docker").write_text(text)
        self.die_at, self.dead = "", False

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        # A run that is killed cleans nothing up: from there on it does nothing at all.
        self.dead |= bool(self.die_at) and self.die_at in script
        if self.dead:
            raise Killed
        moved = script.replace(names.DIRECTORY, str(self.host.home)).replace(
            "/etc/stalwart/config.json", str(self.host.directory / "config.json")
        )
        # What the container has under /move is a directory of the host.
        return self.host(moved.replace(" /move/", f" {self.host.home}/store-move/"), stdin=stdin, timeout=timeout)

    def deliver(self, subject: str) -> None:
        """A message from outside, which is in the mailbox afterwards."""
        with Wire(self.host.space, 25, source=STRANGER, timeout=60) as wire:
            wire.reply()
            for words in ("EHLO client.example.net", "MAIL FROM:<bob@example.net>", "RCPT TO:<alice@example.org>"):
                assert wire.say(words).startswith("250")
            wire.say("DATA")
            assert wire.say(f"From: bob@example.net\r\nSubject: {subject}\r\n\r\nhello\r\n.").startswith("250")
        until(lambda: subject in self.subjects("*"), f"the message {subject} to be in the mailbox", 60)

    def place(self) -> str:
        (found,) = self.host.objects("BlobStore")
        return str(found["@type"])

    def subjects(self, which: str = "1:*") -> list[str]:
        """The subjects of Alice's mail, out of whole messages: a body that is missing has none."""
        with Wire(self.host.space, 993, source=STRANGER, timeout=60) as wire:
            wire.start_tls()
            wire.line()
            lines: list[str] = []
            for tag, command in enumerate(
                ("LOGIN alice@example.org alice-password-1", "SELECT INBOX", f"FETCH {which} (BODY.PEEK[])")
            ):
                wire.send(f"t{tag} {command}")
                while not (line := wire.line()).startswith(f"t{tag} "):
                    lines.append(line)
                # `*` of an empty mailbox is refused.
                assert line.startswith(f"t{tag} OK") or which == "*", line
        return [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]


@pytest.fixture
def mailbox(host: StalwartHost) -> Iterator[Mailbox]:
    with bucket(host.space):
        yield Mailbox(host)


def move(mailbox: Mailbox, before: dict[str, Any], after: dict[str, Any]) -> BodiesMove:
    def switch() -> None:
        subprocess.run([str(mailbox.host.directory / "start")], check=True)

    return BodiesMove(
        mailbox,
        BodiesPlan(before, after, VERSION, used=1),
        releases.IMPORTER_IMAGE,
        (HostFile(f"{names.DIRECTORY}/compose.yaml", "services: {}\n"),),
        probe=lambda shell: None,
        switch=switch,
        log=lambda _: None,
    )


def test_bodies_move_to_a_bucket_and_back_and_mail_goes_on(mailbox: Mailbox) -> None:
    for subject in ("one", "two"):
        mailbox.deliver(subject)
    move(mailbox, DEFAULT, BUCKET).execute()
    assert mailbox.place() == "S3"
    mailbox.deliver("three")
    assert mailbox.subjects() == ["one", "two", "three"]
    move(mailbox, BUCKET, DEFAULT).execute()
    assert mailbox.place() == "Default"
    assert mailbox.subjects() == ["one", "two", "three"]
    assert not (mailbox.host.home / "store-move").exists()


def killed(mailbox: Mailbox, point: str) -> None:
    """A move to the bucket that dies before it runs a certain command."""
    mailbox.die_at = point
    with pytest.raises(Killed):
        move(mailbox, DEFAULT, BUCKET).execute()
    mailbox.die_at, mailbox.dead = "", False


@pytest.mark.parametrize("point", ["--export /move/bodies", "/move/proof"])
def test_killed_anywhere_the_next_run_ends_it(mailbox: Mailbox, point: str) -> None:
    mailbox.deliver("one")
    killed(mailbox, point)
    move(mailbox, DEFAULT, BUCKET).execute()
    assert mailbox.place() == "S3"
    assert mailbox.subjects() == ["one"]


def test_a_server_that_somebody_starts_in_between_loses_nothing(mailbox: Mailbox) -> None:
    mailbox.deliver("one")
    killed(mailbox, "--import /move/")
    subprocess.run([str(mailbox.host.directory / "start")], check=True)
    until(mailbox.host.starts_are_answered, "the server to answer", 60)
    mailbox.deliver("two")
    move(mailbox, DEFAULT, BUCKET).execute()
    assert mailbox.subjects() == ["one", "two"]


def test_a_bucket_that_takes_nothing_is_found_and_the_mailbox_stays(mailbox: Mailbox) -> None:
    mailbox.deliver("one")
    away = {**BUCKET, "region": {**BUCKET["region"], "customEndpoint": "http://127.0.0.1:3901"}}
    with pytest.raises(TailwartError, match="old store"):
        move(mailbox, DEFAULT, away).execute()
    until(mailbox.host.starts_are_answered, "the server to answer", 60)
    assert mailbox.place() == "Default"
    assert mailbox.subjects() == ["one"]
