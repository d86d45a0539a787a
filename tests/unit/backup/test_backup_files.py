"""What the deploy puts on the mailbox host for backups: no secret where others see it, nothing that a unit misses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tailwart import fields
from tailwart.backup.files import Backup, backup
from tailwart.backup.target import repository, retention, ssh_host
from tailwart.environment.rules import contradictions
from tailwart.errors import TailwartError
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

SECRETS = {
    "backup_password": "backup-password-1",
    "stalwart_db_password": "database-password-1",
    "s3_secret_key": "secret-of-the-bucket",
    "backup_s3_secret_key": "secret-of-the-target",
}
SFTP: dict[str, Any] = {
    "backup_target": "sftp://backup@203.0.113.9:2222/srv/mail",
    "backup_password": SECRETS["backup_password"],
    "backup_ssh_host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample",
}


def declared(**more: Any) -> Backup:
    found = backup(environment(mailbox_ssh="root@192.0.2.10", **more))
    assert found is not None
    return found


def content(found: Backup, name: str) -> str:
    return next(file.data.decode() for file in found.files if file.path.endswith(f"/{name}"))


def test_without_a_target_there_is_no_backup() -> None:
    assert backup(environment(mailbox_ssh="root@192.0.2.10")) is None


def test_secrets_stand_in_private_files_and_nowhere_else() -> None:
    found = declared(
        **{**POSTGRES, **SECRETS, "backup_target": "s3:https://s3.example.com/bucket", "backup_s3_access_key": "AK"},
        backup_s3_region="garage",
        s3_endpoint="http://garage.tail1234.ts.net:3900",
        s3_access_key="AK1",
    )
    assert "export AWS_DEFAULT_REGION=garage\n" in content(found, "settings")
    everything = [*found.files, *(file for unit in found.units for file in unit.files)]
    for value in SECRETS.values():
        holders = [file for file in everything if value in file.data.decode()]
        assert holders, f"{value} is needed somewhere"
        assert all(file.secret and file.mode == "0600" for file in holders)
        assert not any(value in " ".join(unit.command) for unit in found.units)
    assert {"restic", "jq", "postgresql", "rclone", "busybox"} == set(found.packages)


def test_a_target_over_ssh_brings_its_key_and_pins_the_host(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("PRIVATE\n")
    found = declared(**SFTP, backup_ssh_key=str(key))
    assert content(found, "ssh_key") == "PRIVATE\n"
    assert content(found, "known_hosts") == f"[203.0.113.9]:2222 {SFTP['backup_ssh_host_key']}\n"
    assert "StrictHostKeyChecking=yes" in content(found, "settings")
    with pytest.raises(TailwartError, match="BACKUP_SSH_KEY"):
        declared(**SFTP, backup_ssh_key=str(tmp_path / "none"))


@settings(deadline=None, max_examples=40)
@given(
    name=st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True),
    password=st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=12, max_size=30),
)
def test_the_shell_reads_the_settings_as_they_were_written(name: str, password: str) -> None:
    found = declared(
        **{**POSTGRES, "stalwart_db_name": name, "backup_target": "/srv/backup", "backup_password": password},
        backup_s3_secret_key=password,
    )
    script = f'{content(found, "settings")}\nprintf \'%s\\n%s\\n\' "$DATABASE_NAME" "$AWS_SECRET_ACCESS_KEY"'
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{name}\n{password}\n"
    assert content(found, "password") == f"{password}\n"


@pytest.mark.parametrize(
    ("target", "host", "written"),
    [
        ("/srv/backup", "", "/srv/backup"),
        ("sftp://b@203.0.113.9/srv/m", "203.0.113.9", "sftp://b@203.0.113.9//srv/m"),
        ("sftp://b@[2001:db8::9]:22/m", "2001:db8::9", "sftp://b@[2001:db8::9]:22//m"),
        ("s3:https://s3.example.com:443/bucket/mail", "", "s3:https://s3.example.com:443/bucket/mail"),
    ],
)
def test_targets_in_the_words_of_restic(target: str, host: str, written: str) -> None:
    assert TypeAdapter(fields.BackupTarget).validate_python(target) == target
    assert (ssh_host(target), repository(target)) == (host, written)


@pytest.mark.parametrize(
    "target",
    ["backup", "/home/me/backup", "/tmp", "/root", "sftp://host/srv", "s3:bucket", "rest:https://x/", "/a b", "/a;b"],
)
def test_a_target_that_the_unit_cannot_use_is_refused(target: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(fields.BackupTarget).validate_python(target)


def test_the_retention_is_checked_and_becomes_options() -> None:
    assert retention(("last=3", "weekly=4")) == "--keep-last 3 --keep-weekly 4"
    for wrong in ("daily", "daily=0", "every=2", "daily=7 weekly=4"):
        with pytest.raises(ValidationError, match="what to keep"):
            TypeAdapter(fields.Retention).validate_python(wrong)


def test_a_target_demands_what_it_needs() -> None:
    def problems(**more: Any) -> set[str]:
        return {problem.key for problem in contradictions(environment(mailbox_ssh="root@192.0.2.10", **more))} & {
            "BACKUP_PASSWORD",
            "BACKUP_SSH_KEY",
            "BACKUP_SSH_HOST_KEY",
            "BACKUP_S3_ACCESS_KEY",
            "BACKUP_S3_SECRET_KEY",
        }

    assert problems() == set()
    assert problems(backup_target="/srv/backup") == {"BACKUP_PASSWORD"}
    assert problems(backup_target="/srv/backup", backup_password="short") == {"BACKUP_PASSWORD"}
    assert problems(backup_target="/srv/backup", backup_password="long-enough-for-it") == set()
    assert problems(**{**SFTP, "backup_ssh_host_key": None}) == {"BACKUP_SSH_KEY", "BACKUP_SSH_HOST_KEY"}
    assert problems(backup_target="s3:https://s3.example.com/bucket", backup_password="long-enough-for-it") == {
        "BACKUP_S3_ACCESS_KEY",
        "BACKUP_S3_SECRET_KEY",
    }
