"""What a host lacks, and whether it is this deploy's alone. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass

from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.hardening import switch, texts
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch
from tailwart.network import TAILNET_V4, TAILNET_V6

WINDOW = 120
"""Seconds that the operator's next connection has, before the host takes a change back."""
_PROBE = "hardening"
_DUE = "reboot is due"
_IS_DUE = "[ -e /run/reboot-required ]"
# Programs of a plain Debian that listen, with names as the kernel cuts them (15 characters). Whatever else listens is
# somebody's service, which a packet filter would close.
_SYSTEM = frozenset(
    (
        *(
            "sshd",
            "systemd-resolve",
            "systemd-network",
            "systemd-timesyn",
            "chronyd",
            "ntpd",
            "ntpsec",
        ),
        *("dhclient", "dhcpcd", "NetworkManager", "avahi-daemon", "rpcbind", "rpc.statd"),
        *("tailscaled", "dockerd", "containerd", "docker-proxy"),
    )
)
# Listens for services that start when somebody connects: for rpcbind on a plain Debian, else for somebody's.
_INIT = frozenset(("systemd", "init"))
_RPCBIND = 111
_SOCKET = re.compile(
    r"socket (?P<kind>\w+) +\S+ +\d+ +\d+ +(?P<address>\S+):(?P<port>\d+) +\S+(?: +users:\(\((?P<users>.*)\)\))?"
)
_USER = re.compile(r'"(?P<name>[^"]*)",pid=\d+')


@dataclass(frozen=True, slots=True)
class HostRole:
    """What a role has on its host: its Compose project and its public TCP ports.

    ``reboot`` is the time of day at which the host may reboot for a security update; empty: never by itself.
    """

    project: str
    ports: tuple[int, ...] = ()
    reboot: str = ""

    @property
    def watch(self) -> Watch:
        """The facts; part of the `Watch` of the role."""
        paths = (texts.TAKEN_BACK, texts.RULES, texts.DROP_IN, *(file.path for file in support()))
        return Watch(paths=paths, contents=(texts.RECORD,), probes=((_PROBE, switch.FACTS), (_DUE, _IS_DUE)))


@dataclass(frozen=True, slots=True)
class HostState:
    """The answer to `switch.FACTS`, and the record."""

    tools: frozenset[str]
    ssh_ports: tuple[int, ...]
    sshd: frozenset[str]
    listing: str
    boot: str
    unproven: bool
    record: str
    strangers: tuple[str, ...]

    @property
    def hardened(self) -> bool:
        """Whether the deploy has ever finished here."""
        return bool(self.record)


def support(seconds: int = WINDOW, reboot: str = "") -> tuple[HostFile, ...]:
    """The files that may be written at any time: they change nothing until the switch or the next boot uses them."""
    service, timer = texts.switch_units(seconds)
    systemd = "/etc/systemd/system"
    return (
        HostFile(f"{texts.DIRECTORY}/restore.sh", switch.RESTORE, "0755"),
        HostFile(f"{systemd}/{texts.SWITCH}.service", service),
        HostFile(f"{systemd}/{texts.SWITCH}.timer", timer),
        HostFile(f"{systemd}/{texts.FIREWALL_UNIT}", texts.firewall_unit()),
        HostFile(texts.UPDATES, texts.apt(reboot)),
    )


def staged(role: HostRole, state: HostState) -> tuple[HostFile, ...]:
    """The files that are tried before they count."""
    return (
        HostFile(f"{texts.DIRECTORY}/next/firewall.nft", desired_rules(role, state)),
        HostFile(f"{texts.DIRECTORY}/next/sshd.conf", texts.SSHD),
    )


def desired_rules(role: HostRole, state: HostState) -> str:
    """The rules for this host, whose sshd says which ports are its own."""
    return texts.rules(state.ssh_ports or (22,), role.ports)


def state_of(role: HostRole, report: HostReport) -> HostState:
    """The facts of a host."""
    lines = report.probes.get(_PROBE, Probe(1, b"")).output.decode(errors="replace").splitlines()
    words = [line.split() for line in lines]

    def of(keyword: str) -> list[list[str]]:
        return [rest for first, *rest in filter(None, words) if first == keyword]

    sshd = [" ".join(rest) for rest in of("sshd")]
    ports = tuple(int(line.removeprefix("port ")) for line in sshd if re.fullmatch(r"port \d+", line))
    return HostState(
        tools=frozenset(rest[0] for rest in of("tool") if rest),
        ssh_ports=ports,
        sshd=frozenset(sshd),
        listing="".join(rest[0] for rest in of("listing") if rest),
        boot="".join(rest[0] for rest in of("boot") if rest),
        unproven=["pending"] in words,
        record=report.contents.get(texts.RECORD, b"").decode(errors="replace").strip(),
        strangers=(
            *_foreign_containers(role, of("container")),
            *_foreign_sockets(lines, {*role.ports, *(ports or (22,))}),
        ),
    )


def drift(role: HostRole, report: HostReport) -> list[str]:
    """Why the host must be changed, in the operator's words; empty when it is up to date."""
    state = state_of(role, report)
    reasons = [f"{package} is installed" for package in missing_packages(state)]
    reasons += [f"{file.path} changes" for file in pending(report, support(reboot=role.reboot))[0]]
    if state.unproven:
        reasons.append("an earlier change was never proven")
    rules, sshd, listing = (*state.record.split(), "", "", "")[:3]
    if rules != _digest(desired_rules(role, state)):
        reasons.append("the packet filter changes")
    elif state.listing != listing:
        reasons.append("the packet filter is not what the deploy has loaded")
    elif state.boot != "enabled":
        reasons.append("the packet filter would not survive a reboot")
    if (
        sshd != _digest(texts.SSHD)
        or _sha256(report, texts.DROP_IN) != sshd
        or not state.sshd.issuperset(texts.SSHD_EFFECT)
    ):
        reasons.append("sshd refuses passwords")
    return reasons


def reboot_due(role: HostRole, report: HostReport) -> list[str]:
    """What is to be said of a reboot that a security update waits for."""
    probe = report.probes.get(_DUE)
    if probe is None or probe.exit_code != 0:
        return []
    when = f"it reboots by itself at {role.reboot}" if role.reboot else "reboot it, or set REBOOT_TIME"
    return [f"security updates wait for a reboot of this host: {when}"]


def missing_packages(state: HostState) -> list[str]:
    """Debian packages to install."""
    needed = (("nft", "nftables"), ("unattended-upgrade", "unattended-upgrades"))
    return [package for tool, package in needed if tool not in state.tools]


def _sha256(report: HostReport, path: str) -> str:
    found = report.paths.get(path)
    return found.sha256 if found else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _foreign_containers(role: HostRole, rows: list[list[str]]) -> list[str]:
    # Those of a backup, a drill or the status page are ours, and publish nothing.
    own = ("tailwart-backup", "tailwart-drill", "tailwart-status")
    return [
        f"the container {row[0]}" for row in rows if row and row[1:] != [role.project] and not row[0].startswith(own)
    ]


def _foreign_sockets(lines: list[str], kept_open: set[int]) -> list[str]:
    """The services of others that a packet filter would close; ``kept_open`` are the TCP ports that it would not."""
    found = []
    sockets = [socket for line in lines if (socket := _SOCKET.match(line))]
    # Where `ss` names no process at all, a socket without one says nothing.
    named = any(socket["users"] for socket in sockets)
    for socket in sockets:
        port = int(socket["port"])
        if _is_private(socket["address"]) or (socket["kind"] == "tcp" and port in kept_open):
            continue
        names = [user["name"] for user in _USER.finditer(socket["users"] or "")]
        if set(names) & _SYSTEM or not (names or named) or (names and port == _RPCBIND and _INIT.issuperset(names)):
            continue
        # WireGuard and NFS listen in the kernel. A VPN may be the very way that the operator comes in by.
        owner = next((name for name in names if name not in _INIT), names[0] if names else "the kernel")
        found.append(f"{owner} on {socket['kind']} port {port}")
    return list(dict.fromkeys(found))


def _is_private(address: str) -> bool:
    """Whether the packet filter closes nothing of it: loopback and the tailnet; everybody reaches `*`."""
    text = address.partition("%")[0].strip("[]")
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return found.is_loopback or found in TAILNET_V4 or found in TAILNET_V6
