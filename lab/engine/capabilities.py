"""Which `docker run` flags give a host container enough rights for systemd and an engine of its own."""

from __future__ import annotations

from pathlib import Path

# capabilities(7): the numbers of the kernel's header, in order. Docker drops by name.
_NAMES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)


def missing(status: str) -> tuple[str, ...]:
    """Capabilities absent from the bounding set in the text of /proc/PID/status; empty when it has no such line."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapBnd":
            bits = int(value.strip(), 16)
            return tuple(each for number, each in enumerate(_NAMES) if not bits >> number & 1)
    return ()


def flags(absent: tuple[str, ...]) -> list[str]:
    """`--privileged`, or what comes closest to it where the bounding set lacks something.

    runc refuses `--privileged` when it cannot grant every capability, so each part of it is asked for by itself.
    """
    common = ["--cgroupns=private"]
    if not absent:
        return ["--privileged", *common]
    drops = [part for name in absent for part in ("--cap-drop", name)]
    return [
        *("--cap-add", "ALL", *drops),
        *("--security-opt", "seccomp=unconfined"),
        *("--security-opt", "apparmor=unconfined"),
        *("--security-opt", "systempaths=unconfined"),
        *("--device-cgroup-rule", "a *:* rwm"),
        *("--device", "/dev/net/tun"),
        *common,
    ]


def of_daemon(pid: int | None) -> tuple[str, ...]:
    """What the engine lacks: its own process's set, or ours when the engine runs elsewhere or out of sight."""
    for process in (str(pid) if pid else "self", "self"):
        path = Path("/proc") / process / "status"
        if path.is_file():
            return missing(path.read_text())
    return ()
