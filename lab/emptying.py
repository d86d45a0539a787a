"""Taking away what a deploy left on the lab, in parts: cheaper than a bare host where the container engine may stay."""

from __future__ import annotations

from lab import hosts, tailnet
from lab.topology import MAILBOX
from tailwart.mailbox.names import DIRECTORY

_UNIT = "tailwart-mailbox.service"
_REMOVE = f"""
systemctl disable --quiet --now {_UNIT}; rm -f /etc/systemd/system/{_UNIT}
cd {DIRECTORY} && docker compose down --volumes --timeout 1
rm -rf /opt/tailwart && docker system prune --all --force --volumes && systemctl daemon-reload
"""
_LEFT = "ls -A /opt; docker ps -aq; docker image ls -q; docker volume ls -q"


def drop_database() -> None:
    """The stores' host without Stalwart's database, whether its stores are installed yet or not."""
    drop = "DROP DATABASE IF EXISTS stalwart WITH (FORCE)"
    _shell("backends", f"[ ! -d /var/lib/postgresql ] || su postgres -c \"psql -qc '{drop}'\"")


def remove_mailbox() -> None:
    """A mailbox host that keeps its engine and nothing else: no files, containers, images or volumes of the mailbox."""
    _shell("mailbox", _REMOVE)
    left = _shell("mailbox", _LEFT)
    assert not left.strip(), f"the mailbox was not removed: {left}"
    tailnet.forget(hosts.running_engine(), MAILBOX)


def _shell(host: str, command: str) -> str:
    result = hosts.exec(host, ["sh", "-c", command], timeout=120)
    return (result.stdout + result.stderr).decode(errors="replace")
