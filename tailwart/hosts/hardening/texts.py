"""The files: nftables rules, sshd's drop-in, apt's settings, the units around them."""

from __future__ import annotations

from collections.abc import Iterable

from tailwart.hosts import units

DIRECTORY = "/opt/tailwart/host"
TABLE = "tailwart"
RULES = f"{DIRECTORY}/firewall.nft"
DROP_IN = "/etc/ssh/sshd_config.d/00-tailwart.conf"
"""The first file of its directory: sshd takes the first value of a keyword that it meets."""
UPDATES = "/etc/apt/apt.conf.d/52tailwart"
RECORD = f"{DIRECTORY}/applied"
"""What was last proven to let the operator in: digests of the rules, of the drop-in, and of what nft lists."""
TAKEN_BACK = f"{DIRECTORY}/taken-back"
"""Left by a host that has taken a change back by itself."""
FIREWALL_UNIT = "tailwart-firewall.service"
SWITCH = "tailwart-restore"

SSHD = """\
# Written by the deploy; changes made here are lost.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
"""
"""Nothing about root: without passwords its key is all that is left of `PermitRootLogin yes`, and since the first value
counts, a word here would open what a host's own `PermitRootLogin no` has closed."""
SSHD_EFFECT = ("passwordauthentication no", "kbdinteractiveauthentication no")
"""What `sshd -T` says when the drop-in counts."""

APT = """\
// Written by the deploy; changes made here are lost.
// Which archives count is in 50unattended-upgrades: security updates alone, on a Debian that nobody has changed.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
"""
# It says so to everybody who is logged in, and gives them time (`shutdown -r HH:MM`).
_REBOOT = """\
Unattended-Upgrade::Automatic-Reboot "true";
Unattended-Upgrade::Automatic-Reboot-WithUsers "true";
Unattended-Upgrade::Automatic-Reboot-Time "{time}";
"""

_RULES = """\
# Written by the deploy; changes made here are lost.
# One table of its own: what the engine and tailscaled keep beside it is never touched. All of it is replaced at once.
table inet {table}
delete table inet {table}

table inet {table} {{
	chain input {{
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		iifname "lo" accept
		# Who of the tailnet may do what is decided by its policy.
		iifname "tailscale0" accept
		# Neighbours, routers, packet sizes: IPv6 does not work without it. Pings may be answered.
		meta l4proto ipv6-icmp accept
		icmp type {{ echo-request, destination-unreachable, time-exceeded, parameter-problem }} accept
		udp dport 68 udp sport 67 accept comment "DHCP"
		ip6 saddr fe80::/10 udp dport 546 accept comment "DHCPv6"
		udp dport 41641 accept comment "WireGuard, for direct connections of the tailnet"
		tcp dport {{ {ssh} }} accept comment "SSH"
{public}\
	}}

	# Engines before 28 let a neighbour on the same network reach a container's own address, published or not.
	chain forward {{
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		ct status dnat accept comment "ports that the engine publishes"
		iifname {{ "docker0", "lo" }} accept
		iifname "br-*" accept
		oifname "docker0" drop
		oifname "br-*" drop
	}}
}}
"""


def apt(reboot: str = "") -> str:
    """apt's settings; with a time of day, the host reboots at that time when an update needs it."""
    return APT + (_REBOOT.format(time=reboot) if reboot else "")


def rules(ssh_ports: Iterable[int], public_ports: Iterable[int] = ()) -> str:
    """The nftables rules for a host: SSH and the tailnet, and the public ports of an edge."""
    ssh, public = (", ".join(map(str, sorted(set(ports)))) for ports in (ssh_ports, public_ports))
    line = f'\t\ttcp dport {{ {public} }} accept comment "mail"\n' if public else ""
    return _RULES.format(table=TABLE, ssh=ssh, public=line)


def firewall_unit() -> str:
    """Loads the proven rules at boot, before there is a network; again after nftables.service, which flushes all."""
    section = (
        "Type=oneshot",
        "RemainAfterExit=yes",
        f"ExecStart=/usr/sbin/nft -f {RULES}",
        f"ExecStop=-/usr/sbin/nft delete table inet {TABLE}",
        *units.sandbox(writes=(), capabilities=("CAP_NET_ADMIN",), families=("AF_NETLINK",)),
    )
    return _unit(
        "[Unit]",
        "Description=Packet filter of the mail deploy",
        f"ConditionPathExists={RULES}",
        "DefaultDependencies=no",
        "Wants=network-pre.target",
        "Before=network-pre.target shutdown.target",
        "Conflicts=shutdown.target",
        "After=local-fs.target nftables.service",
        "PartOf=nftables.service",
        "",
        "[Service]",
        *section,
        "",
        "[Install]",
        "WantedBy=sysinit.target",
    )


def switch_units(seconds: int) -> tuple[str, str]:
    """The dead man's switch: the service that takes a change back, and the timer that starts it.

    The timer is enabled while a change is unproven, so that a reboot in between does not keep what locks out. It has
    no sandbox: nothing may keep it from its work.
    """
    service = _unit(
        "[Unit]",
        "Description=Takes back an unproven change of the mail deploy to SSH or the packet filter",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/bin/sh {DIRECTORY}/restore.sh",
    )
    timer = _unit(
        "[Unit]",
        "Description=Waits for the proof that the operator is still let in",
        "",
        "[Timer]",
        f"OnActiveSec={seconds}",
        "AccuracySec=1s",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )
    return service, timer


def _unit(*lines: str) -> str:
    return "# Written by the deploy; changes made here are lost.\n" + "\n".join(lines) + "\n"
