"""Other ways of a backup: into another host than the one that died, to S3, with an export, for a rehearsal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import hosts
from lab.dotenv import ssh
from lab.emptying import drop_database
from lab.topology import Host
from tailwart.releases import SUPPORTED
from tests.lab import outside
from tests.lab.backing_up import document, healthy, names, refused, with_backup
from tests.lab.deploying import deploy, environment_of, said, tailwart, variant
from tests.lab.mailbox import containers, shell, started
from tests.lab.state import Installation, make_bare
from tests.waiting import until

pytestmark = pytest.mark.long

BUCKET_PORT = 3999
# Garage answers on the tailnet alone, and restic runs on the host, which is not on it: through the sidecar's network.
_WAY = f"""
pid=$(docker inspect --format '{{{{.State.Pid}}}}' ts-stalwart)
to=$(docker exec ts-stalwart tailscale ip -4 backends)
systemd-run --quiet --collect --unit lab-bucket systemd-socket-activate --accept --inetd -l 127.0.0.1:{BUCKET_PORT} \\
  nsenter --target "$pid" --net nc "$to" 3900
"""


@pytest.fixture(autouse=True)
def _the_lab_store(installation: Installation) -> None:
    if installation.other_store:
        make_bare("mailbox")
        installation.other_store = False


def login(path: Path) -> tuple[str, str]:
    environment = environment_of(path)
    account = environment.accounts[0]
    return f"{account.name}@{environment.domain}", account.password.get_secret_value()


def test_a_set_restores_into_another_host_than_the_one_that_died(
    lab_environment: Path, spare: Host, tmp_path: Path
) -> None:
    path = with_backup(lab_environment, tmp_path / "env")
    deploy(path)
    user, password = login(path)
    outside.put(user, password, 40, token := secrets.token_hex(4))
    before = until(lambda: f if f"{token}-39" in (f := outside.digests(user, password)) else None, "40 messages", 60, 1)
    document(path, "backup", "--export", cwd=tmp_path)
    exported = shell("mailbox", "jq -r '.parts[].path' /opt/tailwart/backup/sets/*.json | grep ^export/")
    assert len(exported.splitlines()) > 3
    engine = hosts.running_engine()
    engine.run("stop", "--time", "5", "tailwart-lab-mailbox")
    try:
        drop_database()
        deploy(path, "--limit", "tailnet", "--limit", "backends")
        restored = document(path, "restore", "latest", "--into", ssh(spare), "--yes", cwd=tmp_path)
        assert len(containers("spare")) == 2
        new = variant(path, tmp_path / "new", MAILBOX_SSH=ssh(spare))
        deploy(new)
        assert outside.digests(user, password) == before
        outside.read_back(user, password, outside.mail_in(user))
        assert deploy(new).changes == {}
        print(f"\nrestored into another host in {restored['minutes']} minutes")
    finally:
        hosts.remove_spare()
        engine.run("start", "tailwart-lab-mailbox")
        hosts.recreate("mailbox")


@pytest.fixture
def bucket(lab_environment: Path) -> Iterator[str]:
    """A target for restic in the lab's Garage: a folder of the bucket that the deploy has made."""
    deploy(lab_environment)
    shell("mailbox", _WAY)
    yield f"s3:http://127.0.0.1:{BUCKET_PORT}/{environment_of(lab_environment).s3_bucket}/backup"
    shell("mailbox", "systemctl stop lab-bucket", check=False)


def test_sets_go_to_s3_and_come_back(lab_environment: Path, bucket: str, tmp_path: Path) -> None:
    environment = environment_of(lab_environment)
    access, key = environment.s3_access_key, environment.s3_secret_key
    assert access is not None and key is not None
    path = variant(
        lab_environment,
        tmp_path / "env",
        BACKUP_TARGET=bucket,
        BACKUP_PASSWORD=secrets.token_hex(16),
        BACKUP_S3_ACCESS_KEY=access.get_secret_value(),
        BACKUP_S3_SECRET_KEY=key.get_secret_value(),
        BACKUP_S3_REGION=environment.s3_region,
    )
    deploy(path, "--limit", "mailbox")
    user, password = login(path)
    outside.read_back(user, password, outside.mail_in(user))
    taken = document(path, "backup", cwd=tmp_path)
    assert names(path) == [taken["name"]]
    said(path, "backup", "verify")
    drilled = document(path, "drill", cwd=tmp_path)
    assert drilled["name"] == taken["name"] and drilled["interfaces"] == "lo"
    wrong = variant(path, tmp_path / "wrong", BACKUP_S3_SECRET_KEY="0" * 64)
    deploy(wrong, "--limit", "mailbox")
    assert "cannot be used" in refused(wrong, "backup")
    assert healthy()


def test_an_upgrade_is_rehearsed_on_a_set_before_anything_changes(lab_environment: Path, tmp_path: Path) -> None:
    environment = environment_of(lab_environment)
    image = environment.stalwart_image
    earlier = image.replace(f".{SUPPORTED.default}", f".{SUPPORTED.oldest}")
    path = with_backup(lab_environment, tmp_path / "env", STALWART_IMAGE=earlier)
    deploy(path)
    user, password = login(path)
    token = outside.mail_in(user)
    outside.read_back(user, password, token)
    # Ends at once on any store: the rehearsal finds out, and the live server is not even stopped.
    broken = f"{image.rpartition(':')[0]}:v0.16.{SUPPORTED.default}-rehearsed"
    hosts.exec(
        "mailbox", ["docker", "build", "-qt", broken, "-"], stdin=f'FROM {earlier}\nENTRYPOINT ["false"]\n'.encode()
    )
    serving = started()
    bad = variant(path, tmp_path / "broken", STALWART_IMAGE=broken)
    assert "the drill failed" in refused(bad, "upgrade", "--rehearse", "--yes")
    assert started() == serving and healthy()
    assert not shell("mailbox", "docker ps -aq --filter name=tailwart-drill").strip()

    done = tailwart(path, "upgrade", "--to", f"0.16.{SUPPORTED.default}", "--rehearse", "--yes", seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rehearsal:" in done.stderr and "in isolation" in done.stderr
    assert f"0.16.{SUPPORTED.default}" in shell("mailbox", "docker exec stalwart stalwart --version")
    outside.read_back(user, password, token)

    # The sidecar's image goes the same way: fetched, swapped, proven by a message.
    other = f"{environment.tailscale_image.partition('@')[0]}-other"
    hosts.exec("mailbox", ["docker", "tag", str(environment.tailscale_image), other])
    shown = deploy(variant(path, tmp_path / "sidecar", STALWART_IMAGE=image, TAILSCALE_IMAGE=other))
    assert "a message has arrived" in shown.output
    assert containers()["ts-stalwart"]["Config"]["Image"] == other
    outside.read_back(user, password, outside.mail_in(user))
