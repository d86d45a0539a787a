"""What decides one zone: its edges, its services, what is known of the mail server, what the owner asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.overrides import Overrides, none
from tailwart.network import DEFAULT_SERVICES, HTTPS, HTTPS_LABELS, SMTP, Services, ports


@dataclass(frozen=True, slots=True)
class EdgeAddresses:
    """One edge's public addresses, and which names lead there.

    ``https``: it answers on :443 for the web names. ``mail``: it offers all that mail programs use, so `mail` leads to
    it. ``port`` is one that it listens on.
    """

    name: str
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    https: bool = False
    mail: bool = True
    port: int = SMTP.port


@dataclass(frozen=True, slots=True)
class Intent:
    """All that decides one zone. ``zone_text`` is the server's `dnsZoneFile`, None when it is not known.

    ``main`` is the domain that holds the `mail` name; ``spf_terms`` cover the senders that are no edge;
    ``services`` are the mail services; ``exchangers`` are names and preferences of MX records, empty for `mail` alone;
    with ``web_mail`` an edge serves https://mail.DOMAIN (`JMAP_VHOST`).
    ``ipv6_withheld`` says why no AAAA may be published, empty when it may; ``ipv6_unknown`` that the reason is
    ignorance, so that one that stands is not removed either. ``missing`` explains what is not known. With
    ``server_publishes_dkim`` the server rotates its keys itself and needs the old ones for a while. ``owner`` is the
    installation's name in its mark (`marks`), empty for a zone that is only looked at.
    """

    zone: str
    main: str
    ttl: int = 3600
    edges: tuple[EdgeAddresses, ...] = ()
    services: Services = DEFAULT_SERVICES
    exchangers: tuple[tuple[str, int], ...] = ()
    web_mail: bool = False
    zone_text: str | None = None
    spf_terms: tuple[str, ...] = ()
    direct_delivery: bool = False
    acme_directory: str | None = None
    account_uri: str | None = None
    server_publishes_dkim: bool = False
    ipv6_withheld: str = ""
    ipv6_unknown: bool = False
    missing: tuple[str, ...] = ()
    overrides: Overrides = field(default_factory=none)
    owner: str = ""

    @property
    def mail_host(self) -> str:
        """The name that MX records point to, absolute."""
        return f"mail.{self.main}."

    @property
    def reachable_ports(self) -> frozenset[int]:
        """The ports of the mail host that the internet reaches: only these may stand in SRV and TLSA records."""
        return frozenset(ports(self.services.public)) | ({HTTPS.port} if self.web_mail else set())

    @property
    def located(self) -> tuple[EdgeAddresses, ...]:
        """The edges whose addresses are known."""
        return tuple(edge for edge in self.edges if edge.ipv4 or edge.ipv6)

    @property
    def web_edges(self) -> tuple[EdgeAddresses, ...]:
        """The edges that pass the web names through on :443."""
        return tuple(edge for edge in self.located if edge.https)

    @property
    def mail_edges(self) -> tuple[EdgeAddresses, ...]:
        """The edges that `mail` leads to."""
        return tuple(edge for edge in self.located if edge.mail)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The edges that are MX by a name of their own, which is theirs below the main domain."""
        named = {host for host, _ in self.exchangers}
        return tuple(edge.name for edge in self.located if f"{edge.name}.{self.main}" in named)

    def leading_to(self, name: str) -> tuple[EdgeAddresses, ...]:
        """The edges whose addresses stand at one of `edge_names`."""
        if name == "mail":
            return self.mail_edges
        return tuple(edge for edge in self.located if edge.name == name and name in self.own_names) or self.web_edges

    @property
    def edge_names(self) -> tuple[str, ...]:
        """The names of this zone whose addresses are the edges'; what stands at any other name is not touched."""
        if not self.located:
            return ()
        web = HTTPS_LABELS if self.web_edges else ()
        return ("mail", *self.own_names, *web) if self.zone == self.main else web
