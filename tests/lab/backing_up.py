"""An installation of the lab that backs itself up to another host over SSH."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from lab import etc_lab
from lab.topology import BACKENDS
from tailwart.backup.names import DIRECTORY
from tests.lab.deploying import said, tailwart, variant
from tests.lab.mailbox import shell

PEOPLE = ("alice", "bob", "carol", "dave", "erin")
PASSWORD = "a-Long-enough-9-secret-for-"
TARGET = f"sftp://root@{BACKENDS.ipv4}/srv/backup"


def with_backup(base: Path, target: Path, **changes: str | None) -> Path:
    """A `.env` with five people and backups to the stores' host, over SSH; what an earlier test kept there is gone."""
    shell("backends", "rm -rf /srv/backup")
    shell("mailbox", f"rm -rf {DIRECTORY}", check=False)
    values: dict[str, str | None] = {"ACCOUNTS": ",".join(PEOPLE)}
    values |= {f"ACCOUNT_{name.upper()}_PASSWORD": PASSWORD + name for name in PEOPLE[2:]}
    values |= {
        "BACKUP_TARGET": TARGET,
        "BACKUP_PASSWORD": secrets.token_hex(16),
        "BACKUP_SSH_KEY": str(etc_lab.ssh_key()),
        "BACKUP_SSH_HOST_KEY": " ".join(shell("backends", "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2]),
    }
    return variant(base, target, **{**values, **changes})


def document(path: Path, *words: str, cwd: Path) -> Any:
    """What a command says with `--json`; fails with its words when it fails."""
    done = tailwart(path, *words, "--json", cwd=cwd, seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def refused(path: Path, *words: str) -> str:
    """What a command that has to fail says: one error, no traceback."""
    done = tailwart(path, *words, seconds=600)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def names(path: Path) -> list[str]:
    """The sets that `tailwart backup list` shows."""
    return [item["name"] for item in json.loads(said(path, "backup", "list", "--json"))]


def healthy() -> bool:
    """Whether the live server is healthy."""
    return (
        "healthy"
        in shell("mailbox", "docker inspect --format '{{.State.Health.Status}}' stalwart", check=False).split()
    )
