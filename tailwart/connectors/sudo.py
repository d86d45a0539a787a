"""What sudo says when it lets nobody through, in the operator's terms."""

from __future__ import annotations

from tailwart.errors import TailwartError

_NOT_FOUND = 127


def refusal(user: str, host: str, code: int, stderr: str) -> TailwartError | None:
    """The error for a command of ``user`` that sudo refused or that found no sudo; None for any other outcome."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("sudo:", "sudo-rs:"))]
    missing = code == _NOT_FOUND and any("sudo" in line and "not found" in line for line in lines)
    if not missing and (code == 0 or not said or said[-1] != lines[-1]):
        return None
    return TailwartError(
        f"{user} cannot become root on {host}",
        seen="there is no sudo on the host" if missing else "\n".join(said[-2:]),
        expected=f"root over SSH, or sudo that {user} may use without a password (doas is not supported)",
        remedy="log in as root (USER@HOST of the host's …_SSH in .env), or install sudo on the host and write "
        f"`{user} ALL=(ALL:ALL) NOPASSWD: ALL` with `visudo -f /etc/sudoers.d/tailwart`",
    )
