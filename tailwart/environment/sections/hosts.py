"""The hosts, how they are reached, and what is hardened on them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from tailwart import fields as v
from tailwart.fields import key as _key
from tailwart.network import DISABLED_BY_WORD


class Edge(BaseModel):
    """One public host: the keys carry its name in front, upper case, with underscores for hyphens."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def to_json(self) -> dict[str, Any]:
        """Its settings, for `pyinfra inventory.py debug-inventory`."""
        return self.model_dump(mode="json")

    name: v.HostLabel
    ssh: v.Ssh = _key("Edges", "SSH of this edge.", "root@203.0.113.7")
    ipv4: v.IPv4 | None = _key(
        "Edges", "Its public IPv4 address: an A record, and an entry in the ban allow-list.", "203.0.113.7", None
    )
    ipv6: v.IPv6 | None = _key(
        "Edges", "Its public IPv6 address; published only after it answers there (lesson 8).", "2001:db8::7", None
    )
    web: v.WebServer | None = _key(
        "Edges",
        "A web server on the same host, which shares :443 by SNI: its Caddyfile or JSON configuration, or :8443 for "
        "one that you moved there yourself (docs/edge.md).",
        "/etc/caddy/Caddyfile",
        None,
    )
    https: v.Boolean = _key(
        "Edges",
        "A mail-only edge owns :443 for the mail server's names (MTA-STS, autoconfig …). false: it leaves :443 alone.",
        "true",
        True,
    )
    services: v.EdgeServices | None = _key(
        "Edges",
        "Its public mail services, where it should not have all of MAIL_SERVICES: docs/edge.md.",
        "smtp,submissions,imaps",
        None,
    )
    mx: v.Preference | None = _key(
        "Edges",
        "Preference of its MX record, where edges are to be tried in an order: each then has a name of its own.",
        "20",
        None,
    )

    @property
    def owns_https(self) -> bool:
        """Whether this edge answers on :443."""
        return self.https or self.web is not None


class HostsSettings(BaseModel):
    """The hosts, how they are reached, and what is hardened on them."""

    mailbox_ssh: v.Ssh | None = _key("Hosts", "SSH of the mailbox host: user@host[:port].", "root@192.0.2.10", None)
    edges: tuple[Edge, ...] = _key(
        "Hosts",
        "Names of the edge hosts; each has keys of its own: <NAME>_SSH, …_IPV4, …_IPV6, …_WEB, …_HTTPS, …_SERVICES, "
        "…_MX.",
        "edge-1",
        (),
    )
    backends_ssh: v.Ssh | None = _key(
        "Hosts",
        "SSH of the host with the stores, where this deploy installs them (BACKENDS_INSTALL), or makes its own role, "
        "database, bucket and key in those that are there. The tools it needs for that: psql, curl.",
        "root@192.0.2.20",
        None,
    )
    ssh_key: str | None = _key(
        "Hosts", "Private key for all hosts; empty: the SSH agent and ~/.ssh/config decide.", "~/.ssh/id_ed25519", None
    )
    ssh_known_hosts: str | None = _key(
        "Hosts",
        "known_hosts file. A key that is not in it is refused until `tailwart env trust` has shown and added it.",
        "~/.ssh/known_hosts",
        None,
    )

    harden: v.Boolean = _key(
        "Hardening",
        "Packet filter, SSH without passwords and security updates on mailbox, edges, and a backends host with "
        "BACKENDS_INSTALL; a host with containers or services of others is left alone, and said.",
        "true",
        True,
    )
    harden_skip: v.Texts = _key(
        "Hardening", "Hosts to leave alone: mailbox, backends, or names of EDGES.", "mailbox,edge-2", ()
    )
    reboot_time: v.TimeOfDay | None = _key(
        "Hardening",
        "When a host may reboot for a security update that needs it, by its own clock; empty: never by itself.",
        "03:40",
        None,
    )
    stalwart_memory: v.Size = _key("Hardening", "Memory that Stalwart may take, at least 256M.", "2G", "2G")
    edge_connections: v.Limit = _key(
        "Hardening",
        "Connections that one client address (IPv6: one /64) may have open at an edge; 0: no limit.",
        "200",
        200,
    )
    edge_rate: v.Limit = _key(
        "Hardening", "New connections a minute that an edge takes of one client address; 0: no limit.", "600", 600
    )
    edge_disable: v.Texts = _key(
        "Hardening",
        f"What a deploy may stop and disable where it holds a port of an edge: {', '.join(DISABLED_BY_WORD)}.",
        "exim4,postfix",
        (),
    )
    edge_memory: v.Size = _key("Hardening", "Memory that an edge's Caddy may take, at least 64M.", "512M", "512M")
