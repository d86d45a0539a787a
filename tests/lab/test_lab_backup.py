"""Backups that restore: everything dies and comes back bit for bit, a damaged set is told, a killed one is none."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import hosts
from lab.emptying import drop_database
from tailwart.environment import Environment
from tests.lab import outside
from tests.lab.backing_up import PEOPLE, document, healthy, names, refused, with_backup
from tests.lab.deploying import deploy, environment_of, said, variant
from tests.lab.mailbox import shell
from tests.lab.state import Installation, make_bare
from tests.waiting import until

pytestmark = pytest.mark.long

MESSAGES = 2000
# Garage's bucket, emptied by the keys that the mailbox uses, through its own namespace.
EMPTY_BUCKET = """
. /opt/tailwart/backup/common.sh; make_programs; mkdir -p $here/blobs
bucket delete "mail:$BUCKET"; bucket size "mail:$BUCKET"
"""


def addresses(environment: Environment) -> dict[str, str]:
    """Address → password of the five people."""
    return {f"{each.name}@{environment.domain}": each.password.get_secret_value() for each in environment.accounts}


def everything(people: dict[str, str]) -> dict[str, str]:
    """Token → hash of every message of everybody."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda item: outside.digests(*item), people.items())
    return {token: digest for each in found for token, digest in each.items()}


class Stream:
    """Mail that keeps coming while something else happens."""

    def __init__(self, recipients: Iterable[str]) -> None:
        self.accepted: list[str] = []
        self._recipients = itertools.cycle(recipients)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ended.is_set():
            # In turn: an outside domain may write 25 messages an hour to one mailbox.
            self.accepted.append(outside.mail_in(next(self._recipients)))


@pytest.fixture
def empty_again(installation: Installation) -> None:
    """A lab whose mailbox holds the store of the lab's `.env`."""
    if installation.other_store:
        make_bare("mailbox")
        installation.other_store = False


@pytest.mark.usefixtures("empty_again")
def test_everything_dies_and_is_restored_bit_for_bit(
    lab_environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_backup(lab_environment, tmp_path / "env", BACKUP_KEEP="last=3")
    deploy(path)
    assert deploy(path, "--limit", "mailbox").changes == {}
    people = addresses(environment_of(path))
    begun = time.monotonic()
    share = MESSAGES // len(PEOPLE)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda item: outside.put(item[0], item[1], share, item[0].split("@")[0]), people.items()))
    before = until(lambda: found if len(found := everything(people)) >= MESSAGES else None, "2,000 messages", 120, 3)
    delivered = time.monotonic() - begun

    with Stream(people) as stream:
        until(lambda: stream.accepted, "mail while the backup is taken")
        known = set(stream.accepted)
        taken = document(path, "backup", cwd=tmp_path)
        assert len(stream.accepted) > len(known), "mail went on meanwhile"
    assert taken["pause_seconds"] == 0
    assert taken["counts"]["objects"]["accounts"] >= len(PEOPLE)
    assert names(path) == [taken["name"]]
    drilled = document(path, "drill", cwd=tmp_path)
    assert drilled["interfaces"] == "lo", "the stack reaches nothing but itself"
    alice = next(item for item in drilled["accounts"] if item["address"].startswith("alice@"))
    assert alice["messages"] >= MESSAGES // len(PEOPLE) and alice["hashed"] == 20 and not alice["problem"]
    left = "docker ps -aq --filter name=tailwart-drill; ls -A /opt/tailwart/backup | grep drill$ || :"
    assert not shell("mailbox", left).strip(), "nothing of the drill is left"
    after = everything(people)
    assert {token: after.get(token) for token in before} == before, "the drill has read and left everything unread"

    assert "0 B" in shell("mailbox", EMPTY_BUCKET), "no body is left"
    hosts.recreate("mailbox")
    drop_database()
    deploy(path, "--limit", "tailnet", "--limit", "backends")
    restored = document(path, "restore", "latest", "--yes", cwd=tmp_path)
    assert restored["name"] == taken["name"]
    now = everything(people)
    expected = {token: digest for token, digest in after.items() if token in before or token in known}
    assert len(expected) >= MESSAGES
    assert {token: now.get(token) for token in expected} == expected, "every message of before is there bit for bit"
    assert {token: after.get(token) for token in now} == now, "and nothing that was never sent"
    assert deploy(path).changes
    said(path, "settings", "plan", "--exit-code")
    token = outside.mail_in("bob@tailwart.test")
    assert outside.read_back("bob@tailwart.test", people["bob@tailwart.test"], token)
    with capsys.disabled():
        print(
            f"\n{MESSAGES} messages in {delivered:.0f} s; backup {taken['seconds']} s, {taken['bytes']} bytes; "
            f"drill {drilled['seconds']} s; restore onto a bare host {restored['minutes']} minutes"
        )


@pytest.mark.usefixtures("empty_again")
def test_a_dead_mailbox_host_is_replaced_by_a_bare_one_while_its_store_lives(lab_environment: Path) -> None:
    deploy(lab_environment)
    people = addresses(environment_of(lab_environment))
    outside.put("bob@tailwart.test", people["bob@tailwart.test"], 20, token := secrets.token_hex(4))
    before = until(lambda: found if f"{token}-19" in (found := everything(people)) else None, "20 messages", 60, 1)
    hosts.recreate("mailbox")
    deploy(lab_environment)
    assert everything(people) == before, "nothing had to be restored: the store lives"
    arrived = outside.mail_in("alice@tailwart.test")
    assert outside.read_back("alice@tailwart.test", people["alice@tailwart.test"], arrived)
    assert deploy(lab_environment).changes == {}


# Stage of a backup at which it is killed with everything that it started.
_MOMENTS = (
    "opening the target",
    "fetching message bodies",
    "dumping the database",
    "uploading",
    "applying the retention",
)

_KILL = """
unit=tailwart-backup.service
rm -f /opt/tailwart/backup/backup.progress
systemctl start --no-block $unit
i=0; until grep -q '@STAGE@' /opt/tailwart/backup/backup.progress 2>/dev/null; do
  sleep 0.02; i=$((i+1)); [ $i -lt 3000 ] || exit 1
done
systemctl kill --kill-whom=all --signal=KILL $unit
while case $(systemctl is-active $unit) in active|activating|deactivating) ;; *) false ;; esac; do sleep 0.1; done
systemctl reset-failed $unit 2>/dev/null; systemctl is-active tailwart-backup.timer
"""


@pytest.mark.usefixtures("empty_again")
def test_a_set_is_whole_or_it_is_told_and_the_service_is_never_harmed(lab_environment: Path, tmp_path: Path) -> None:
    path = with_backup(lab_environment, tmp_path / "env", BACKUP_KEEP="last=50")
    deploy(path)
    token = outside.mail_in("alice@tailwart.test")
    first = document(path, "backup", cwd=tmp_path)["name"]

    for moment in _MOMENTS:
        assert "active" in shell("mailbox", _KILL.replace("@STAGE@", moment), timeout=180)
        assert healthy(), f"killed while {moment}: the live server is harmed"
        found = names(path)
        assert found[0] == first
        # A run that was killed when its set was complete already has one more; each of them is whole.
        for name in found[1:]:
            said(path, "backup", "verify", name)
    second = document(path, "backup", cwd=tmp_path)["name"]
    assert names(path)[-1] == second

    # The live server is not asked to take back what is older.
    assert "newer than set" in refused(path, "restore", first, "--yes")
    assert healthy()
    # Other targets: full, not there, altered, with a part missing.
    shell("mailbox", "mkdir -p /srv/small && mount -t tmpfs -o size=100k tmpfs /srv/small")
    assert "space" in refused(path, "backup", "--to", "/srv/small").lower()
    shell("mailbox", "umount /srv/small")
    assert "cannot be used" in refused(path, "backup", "--to", "sftp://root@10.77.0.20:2/srv/backup")
    third = document(path, "backup", "--to", "/srv/here", cwd=tmp_path)["name"]
    pack = shell("mailbox", "find /srv/here/data -type f -size +2k -printf '%s %p\\n' | sort -n | tail -1").split()[1]
    damage = f"chmod u+w {pack}; printf damaged | dd of={pack} bs=1 seek=600 conv=notrunc status=none"
    shell("mailbox", f"cp -a {pack} /srv/kept; {damage}")
    assert "whole" in (said_ := refused(path, "backup", "verify", third, "--from", "/srv/here")) or "damaged" in said_
    shell("mailbox", f"rm {pack}")
    assert third in refused(path, "backup", "verify", third, "--from", "/srv/here")
    shell("mailbox", f"mv /srv/kept {pack}")
    said(path, "backup", "verify", third, "--from", "/srv/here")
    # Another password opens nothing, and makes no second repository beside the first.
    wrong = variant(path, tmp_path / "wrong", BACKUP_PASSWORD="another-password")
    deploy(wrong, "--limit", "mailbox")
    assert "password is wrong" in refused(wrong, "backup")
    deploy(path, "--limit", "mailbox")
    assert names(path)[-1] == second
    assert healthy() and outside.read_back(
        "alice@tailwart.test", addresses(environment_of(path))["alice@tailwart.test"], token
    )

    # A set that is what its manifest says, and whose dump is none: only a drill can tell.
    shell("mailbox", _BAD_SET, timeout=300)
    assert "the drill failed" in refused(path, "drill", "--without-messages")
    assert '"ok":false' in shell("mailbox", "cat /opt/tailwart/backup/drill.last").replace(" ", "")
    assert not shell("mailbox", "docker ps -aq --filter name=tailwart-drill").strip()
    document(path, "drill", second, "--without-messages", cwd=tmp_path)
    assert '"ok":true' in shell("mailbox", "cat /opt/tailwart/backup/drill.last").replace(" ", "")


_BAD_SET = r"""
. /opt/tailwart/backup/common.sh; kind=bad job= begun=0
fetch latest $here/bad && rm -rf $here/set && mv $here/bad $here/set && mkdir -p $here/blobs
rm -rf $here/set/blobs; cd $here/set
truncate -s -2000 database.dump
jq --arg sum "$(sha256sum <database.dump | cut -d ' ' -f 1)" '.set = "20991231T000000Z" |
  .parts = [.parts[] | if .path == "database.dump" then .sha256 = $sum else . end]' manifest.json >new &&
  mv new manifest.json
repository backup --quiet --tag complete --tag set=20991231T000000Z $here/set $here/blobs; rm -rf $here/set
"""


def test_the_embedded_store_stops_for_seconds_and_comes_back(
    lab_environment: Path, installation: Installation, tmp_path: Path
) -> None:
    path = with_backup(
        lab_environment,
        tmp_path / "env",
        STALWART_STORE="rocksdb",
        **dict.fromkeys(("BACKENDS_SSH", "BACKENDS_INSTALL", "REDIS_URL", "S3_ENDPOINT")),
    )
    make_bare("mailbox")
    installation.other_store = True
    deploy(path)
    people = addresses(environment_of(path))
    outside.put("carol@tailwart.test", people["carol@tailwart.test"], 60, "carol")
    before = until(lambda: found if len(found := everything(people)) >= 60 else None, "60 messages", 60, 1)
    taken = document(path, "backup", cwd=tmp_path)
    assert 0 < taken["pause_seconds"] <= 30
    assert healthy()
    assert document(path, "drill", cwd=tmp_path)["accounts"][2]["messages"] == 60
    # Killed while the server is stopped: it is started again without anybody.
    assert "active" in shell("mailbox", _KILL.replace("@STAGE@", "copying the store"), timeout=180)
    until(healthy, "the live server after a backup that was killed", 60, 1)

    hosts.recreate("mailbox")
    restored = document(path, "restore", taken["name"], "--yes", cwd=tmp_path)
    assert restored["name"] == taken["name"]
    assert everything(people) == before
    token = outside.mail_in("bob@tailwart.test")
    assert outside.read_back("bob@tailwart.test", people["bob@tailwart.test"], token)
    # Once more onto the same host, over what came since: that is kept aside.
    over = document(path, "restore", taken["name"], "--yes", "--overwrite-newer", cwd=tmp_path)
    assert everything(people) == before
    assert "data" in shell("mailbox", f"ls {over['aside']}")
