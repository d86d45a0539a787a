"""The container engine: the machine's own Docker when one answers, else a private dockerd made here."""

from __future__ import annotations

import subprocess

from lab.console import say, step
from lab.engine import capabilities, daemon, install
from lab.engine.docker import Docker, exec_arguments
from tailwart.errors import TailwartError

__all__ = ["Docker", "exec_arguments", "find", "revive", "start", "stop"]

_PACKAGES = {
    # The client became a package of its own in Debian 13.
    "docker": ("docker-cli|docker.io", "command line of the container engine"),
    "dockerd": ("docker.io", "container engine of the lab"),
    "iptables": ("iptables", "dockerd sets up its bridges with it"),
}


def find() -> Docker | None:
    """The engine the lab runs on, without starting anything; None when there is none."""
    if install.which("docker") is None:
        return None
    pid = daemon.running_pid()
    if pid is not None:
        return _described(daemon.socket(), pid)
    return _described("", None) if _own_answers() else None


def revive() -> Docker | None:
    """A private engine that was killed, started again so that what it left running can be removed; None otherwise."""
    if not daemon.left_behind():
        return None
    with step("starting the killed container engine again, to clean up after it"):
        return _described(daemon.socket(), daemon.start())


def start() -> Docker:
    """An engine that answers; installs and starts what is missing, and says so."""
    if (found := find()) is not None:
        if found.socket:
            # It may be on its way up, or have been killed and left its process number behind.
            daemon.start()
        return found
    install.ensure(_PACKAGES)
    # Installing the package on a machine with systemd starts the system's own engine: then that one is used.
    if _own_answers():
        return _described("", None)
    if install.which("dockerd") is None:
        raise TailwartError(
            "docker is installed but no engine answers, and there is no dockerd to start",
            remedy="start the machine's own Docker (systemctl start docker, or Docker Desktop), then try again",
        )
    with step("starting a container engine for the lab"):
        pid = daemon.start()
    say(f"engine: private dockerd, process {pid}, log {daemon.log_file()}")
    return _described(daemon.socket(), pid)


def stop() -> bool:
    """Stop the engine that `start` started. The machine's own is left alone."""
    return daemon.stop()


def _described(socket: str, pid: int | None) -> Docker:
    return Docker(socket, tuple(capabilities.flags(capabilities.of_daemon(pid))))


def _own_answers() -> bool:
    try:
        result = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    # `docker info` of old clients exits 0 without a server.
    return result.returncode == 0 and result.stdout.strip() != b""
