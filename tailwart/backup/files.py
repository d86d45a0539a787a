"""What the backup puts on the mailbox host: scripts, settings, secrets, units, packages that they call. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from tailwart.backup import names, target
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts import templates, units
from tailwart.hosts.files import HostDirectory, HostFile, paths
from tailwart.hosts.watch import Watch

_MISSING = "packages of the backup"
# Reads everything of the mailbox whoever owns it, and writes it back to its owners. The programs that reach the stores
# run in containers of the engine, which is asked over its socket.
_CAPABILITIES = ("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_CHOWN", "CAP_FOWNER")
_OPTIONS = (
    *units.sandbox(writes=None, network=True, capabilities=_CAPABILITIES, families=("AF_NETLINK",)),
    "SystemCallFilter=@chown",
    "Nice=10",
    "IOSchedulingClass=idle",
)
_AFTER = ("Wants=docker.service network-online.target", "After=docker.service network-online.target")


@dataclass(frozen=True, slots=True)
class Backup:
    """Everything of the backup on the mailbox host."""

    files: tuple[HostFile, ...]
    directories: tuple[HostDirectory, ...]
    units: tuple[units.Unit, ...]
    packages: tuple[str, ...]

    @property
    def watch(self) -> Watch:
        """What its operations need to know of the host."""
        installed = "dpkg-query -W -f '${Status}' $name 2>/dev/null | grep -q ' installed'"
        missing = f"for name in {' '.join(self.packages)}; do {installed} || echo $name; done"
        found = Watch(tuple(paths(self.files, self.directories)), probes=((_MISSING, missing),))
        for unit in self.units:
            found |= unit.watch
        return found


def missing_packages(output: bytes) -> list[str]:
    """The packages that the host lacks, of the probe's output."""
    return output.decode(errors="replace").split()


PROBE = _MISSING


def off() -> Watch:
    """What tells a host that has the timers although no target is set any more."""
    return Watch(paths=tuple(f"/etc/systemd/system/{name}.timer" for name in (names.BACKUP, names.DRILL)))


def backup(environment: Environment) -> Backup | None:
    """The backup of an installation; None without BACKUP_TARGET.

    Raises `TailwartError` for a key of the target that cannot be read.
    """
    if environment.backup_target is None:
        return None
    directory = names.DIRECTORY
    scripts = tuple(
        HostFile(f"{directory}/{name}", templates.text(f"backup/{name}"), "0755")
        for name in ("common.sh", "restore.sh")
    )
    secrets = (
        _secret("settings", _settings(environment)),
        _secret("password", f"{_value(environment.backup_password)}\n"),
        _secret("pgpass", _pgpass(environment)),
        _secret("rclone.conf", _rclone(environment)),
        *_ssh(environment),
    )
    return Backup(
        files=(*scripts, *secrets),
        directories=(HostDirectory(directory, "0700"),),
        units=tuple(_units(environment)),
        packages=tuple(_packages(environment)),
    )


def _units(environment: Environment) -> list[units.Unit]:
    script = f"{names.DIRECTORY}/backup.sh"
    found = [
        units.timer(
            names.BACKUP,
            description="Backs the mailbox up",
            script=HostFile(script, templates.text("backup/backup.sh"), "0755"),
            # Persistent: a host that was off at that time makes up for it.
            schedule=(f"OnCalendar=*-*-* {environment.backup_time}", "Persistent=true", "RandomizedDelaySec=5m"),
            unit=_AFTER,
            # Also after a SIGKILL: a server that was stopped for the copy of its store is started again.
            options=(f"ExecStopPost=/bin/sh {script} resume", *_OPTIONS),
        )
    ]
    drill = f"{names.DIRECTORY}/drill.sh"
    found.append(
        units.timer(
            names.DRILL,
            description="Restores the newest backup into an isolated stack and compares it",
            script=HostFile(drill, templates.text("backup/drill.sh"), "0755"),
            schedule=(f"OnCalendar={environment.drill_time}", "Persistent=true", "RandomizedDelaySec=5m"),
            unit=_AFTER,
            options=_OPTIONS,
        )
    )
    return found


def _packages(environment: Environment) -> list[str]:
    found = ["restic", "jq"]
    if environment.stalwart_store == "postgres":
        # The drill restores into a server of its own; the client of the same package dumps.
        found.append("postgresql")
    if environment.s3_endpoint is not None:
        found += ["rclone", "busybox"]
    if target.ssh_host(str(environment.backup_target)):
        found.append("openssh-client")
    return found


def _settings(environment: Environment) -> str:
    where = str(environment.backup_target)
    known = f"-i {names.DIRECTORY}/ssh_key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    values = {
        "REPOSITORY": target.repository(where),
        "SFTP_ARGUMENTS": f"{known} -o UserKnownHostsFile={names.DIRECTORY}/known_hosts",
        "KEEP": target.retention(environment.backup_keep),
        "LIMIT": str(-(-environment.backup_limit // 1024) if environment.backup_limit else 0),
        "STORE": environment.stalwart_store,
        "DATABASE_HOST": str(environment.stalwart_db_host or ""),
        "DATABASE_PORT": str(environment.stalwart_db_port),
        "DATABASE_NAME": environment.stalwart_db_name,
        "DATABASE_USER": environment.stalwart_db_user,
        "ENDPOINT": str(environment.s3_endpoint or ""),
        "BUCKET": environment.s3_bucket if environment.s3_endpoint else "",
    }
    exported = {
        "AWS_ACCESS_KEY_ID": _value(environment.backup_s3_access_key),
        "AWS_SECRET_ACCESS_KEY": _value(environment.backup_s3_secret_key),
        "AWS_DEFAULT_REGION": environment.backup_s3_region,
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in exported.items() if value]
    return "\n".join(lines) + "\n"


def _pgpass(environment: Environment) -> str:
    password = _value(environment.stalwart_db_password).replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{password}\n"


def _rclone(environment: Environment) -> str:
    lines = [
        "[mail]",
        "type = s3",
        "provider = Other",
        "force_path_style = true",
        f"endpoint = {environment.s3_endpoint or ''}",
        f"region = {environment.s3_region}",
        f"access_key_id = {_value(environment.s3_access_key)}",
        f"secret_access_key = {_value(environment.s3_secret_key)}",
    ]
    return "\n".join(lines) + "\n"


def _ssh(environment: Environment) -> tuple[HostFile, ...]:
    host = target.ssh_host(str(environment.backup_target))
    if not host or environment.backup_ssh_key is None:
        return ()
    path = Path(environment.backup_ssh_key).expanduser()
    try:
        key = path.read_text()
    except OSError as error:
        raise TailwartError(
            "the key of the backup target cannot be read",
            seen=f"{path}: {error.strerror}",
            expected="a private key for SSH without a passphrase, of the backup alone",
            remedy="check BACKUP_SSH_KEY in .env; ssh-keygen -t ed25519 -N '' makes one",
        ) from None
    return (_secret("ssh_key", key), _secret("known_hosts", f"{host} {environment.backup_ssh_host_key}\n"))


def _secret(name: str, content: str) -> HostFile:
    return HostFile(f"{names.DIRECTORY}/{name}", content, "0600", secret=True)


def _value(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
