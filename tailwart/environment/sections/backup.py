"""Settings of backup and restore drill."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key


class BackupSettings(BaseModel):
    """Where backups go, when, and what is kept."""

    backup_target: v.BackupTarget | None = _key(
        "Backup",
        "Where backups go, seen from the mailbox host: a directory, sftp://user@host[:port]/directory, or "
        "s3:https://host[:port]/bucket[/prefix]; empty: none are taken.",
        "sftp://backup@203.0.113.9/srv/mail",
        None,
    )
    backup_password: SecretStr | None = _key(
        "Backup",
        "Encrypts the backups (restic). Keep it elsewhere as well: without it no backup can be read.",
        "change-me-backup",
        None,
        secret=True,
    )
    backup_time: v.TimeOfDay = _key("Backup", "When, every day, by the mailbox host's clock.", "03:10", "03:10")
    backup_keep: v.Retention = _key(
        "Backup",
        "Which backups are kept: last=…, hourly=…, daily=…, weekly=…, monthly=…, yearly=….",
        "last=3,daily=7,weekly=4,monthly=6",
        ("last=3", "daily=7", "weekly=4", "monthly=6"),
    )
    backup_limit: v.Size | None = _key(
        "Backup", "Most that is sent to the target in a second; empty: no limit.", "2M", None
    )
    backup_ssh_key: str | None = _key(
        "Backup",
        "For sftp: private key here, without a passphrase, that the target accepts; the mailbox host gets it.",
        "~/.ssh/backup_ed25519",
        None,
    )
    backup_ssh_host_key: v.HostKey | None = _key(
        "Backup",
        "For sftp: the target's own public key, as ssh-keyscan prints it behind the name.",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExa",
        None,
    )
    backup_s3_access_key: SecretStr | None = _key(
        "Backup", "For s3: access key of the target.", "change-me-backup-access", None, secret=True
    )
    backup_s3_secret_key: SecretStr | None = _key(
        "Backup", "For s3: secret key of the target.", "change-me-backup-s3", None, secret=True
    )
    backup_s3_region: str = _key(
        "Backup", "For s3: region of the target, where its server insists on one (Garage: garage).", "garage", ""
    )
    drill_time: v.WeekTime = _key(
        "Backup",
        "When the newest backup is restored into an isolated stack on the mailbox host and compared.",
        "Sun 04:30",
        "Sun 04:30",
    )
