"""The mail services and the tailnet's address ranges: the one place that says which port is what.

Listeners, edge routes, grants and their tests, the ban allow-list, SRV records, checks and `MAIL_SERVICES` in `.env`
derive from the tables here. A further mail service is one entry of `MAIL_SERVICES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

TAILNET_V4 = IPv4Network("100.64.0.0/10")
"""Tailscale's IPv4 range: the shared address space of RFC 6598."""
TAILNET_V6 = IPv6Network("fd7a:115c:a1e0::/48")
"""Tailscale's own unique local prefix."""

TAILNET_RANGES = (str(TAILNET_V4), str(TAILNET_V6))
"""Where the edges' connections come from; no rendered file holds an address of these ranges (lesson 6)."""

LOOPBACK = ("127.0.0.1", "::1")
"""From where the deploy itself asks the server, inside the mailbox's namespace."""
INSIDE = (*LOOPBACK, *TAILNET_RANGES)
"""Where an administrator's password counts."""


class Exposure(StrEnum):
    """From where a service can be reached."""

    PUBLIC = "public"
    """From the internet, through every edge, with a PROXY header that carries the client's address."""
    TAILNET = "tailnet"
    """From nodes of the tailnet that have a grant, without a PROXY header."""
    OFF = "off"
    """From nowhere: no listener, no route, no grant, no SRV record."""


@dataclass(frozen=True, slots=True)
class Service:
    """One TCP service of the mailbox.

    ``name`` and ``protocol`` are those of Stalwart's `x:NetworkListener`. ``implicit_tls``: TLS from the first byte
    (RFC 8314), otherwise STARTTLS unless ``clear`` says that there is no TLS at all. ``srv`` is the label of its SRV
    record (RFC 6186, RFC 8314, RFC 5804), empty for a service that clients do not look up. ``needed`` services cannot
    be switched off. ``default`` is the exposure without `MAIL_SERVICES`.
    """

    name: str
    port: int
    protocol: str
    implicit_tls: bool = False
    clear: bool = False
    srv: str = ""
    needed: bool = False
    default: Exposure = Exposure.OFF

    def __str__(self) -> str:
        return f"{self.name} ({self.port})"


SMTP = Service("smtp", 25, "smtp", needed=True, default=Exposure.PUBLIC)
SUBMISSIONS = Service("submissions", 465, "smtp", implicit_tls=True, srv="_submissions._tcp", default=Exposure.PUBLIC)
SUBMISSION = Service("submission", 587, "smtp", srv="_submission._tcp", default=Exposure.PUBLIC)
IMAP = Service("imap", 143, "imap", srv="_imap._tcp", default=Exposure.PUBLIC)
IMAPS = Service("imaps", 993, "imap", implicit_tls=True, srv="_imaps._tcp", default=Exposure.PUBLIC)
POP3S = Service("pop3s", 995, "pop3", implicit_tls=True, srv="_pop3s._tcp")
SIEVE = Service("sieve", 4190, "manageSieve", srv="_sieve._tcp")

MAIL_SERVICES = (SMTP, SUBMISSIONS, SUBMISSION, IMAP, IMAPS, POP3S, SIEVE)
"""What `MAIL_SERVICES` in `.env` chooses from."""

HTTPS = Service("https", 443, "http", implicit_tls=True, needed=True)
"""MTA-STS, autoconfig and autodiscover with Stalwart's own certificate, passed through by SNI (lesson 5), and what
`JMAP_VHOST_SERVES` names; everything else is closed there (`tailwart/webpaths.py`). Edges send a PROXY header."""
HTTP = Service("http", 8080, "http", clear=True, needed=True)
"""JMAP and administration, for `TS_ADMIN_SRC` alone: no edge reaches it."""

STATUS_PORT = 8090
"""The status page (STATUS_PAGE), for `TS_ADMIN_SRC` alone; it has a listener on the tailnet's address only."""
SSH_PORT = 22

DISABLED_BY_WORD = ("exim4", "postfix", "sendmail", "dovecot")
"""systemd services of Debian's mail programs that may hold an edge's port: stopped where `EDGE_DISABLE` names them."""

HTTPS_LABELS = ("mta-sts", "autoconfig", "autodiscover", "ua-auto-config")
"""Labels below each mail domain that edges pass through to `HTTPS`: only Stalwart can get their certificate, because
the domain's CAA record binds issuance to its ACME account."""
HTTPS_SRV = ("_jmap._tcp", "_caldavs._tcp", "_carddavs._tcp")
"""SRV records that lead to https://mail.DOMAIN, where an edge serves it only with `JMAP_VHOST`."""


SRV_LABELS = (*HTTPS_SRV, *(service.srv for service in MAIL_SERVICES if service.srv))
"""Every SRV record that could lead to the mailbox."""


@dataclass(frozen=True, slots=True)
class Services:
    """Which mail services one installation has: the meaning of its `MAIL_SERVICES`.

    >>> Services.parse("smtp, submissions, imaps, sieve:tailnet").tailnet
    (Service(name='sieve', port=4190, protocol='manageSieve', ...),)
    """

    exposures: Mapping[str, Exposure]

    @classmethod
    def parse(cls, text: str) -> Services:
        """From a comma-separated list of `NAME` or `NAME:tailnet`; what is not named is off.

        Raises `ValueError` that names what is unknown, named twice or missing.
        """
        exposures: dict[str, Exposure] = {}
        for entry in (part.strip().lower() for part in text.split(",")):
            name, colon, word = (text.strip() for text in entry.partition(":"))
            if not entry:
                continue
            if name not in BY_NAME:
                raise ValueError(f"a list of {', '.join(BY_NAME)}, each alone or with :tailnet; {name!r} is none")
            if colon and word not in (Exposure.PUBLIC, Exposure.TAILNET):
                raise ValueError(f"{name} (public) or {name}:tailnet; to switch it off, leave it out")
            if name in exposures:
                raise ValueError(f"each service once; {name} is named twice")
            exposures[name] = Exposure(word) if word else Exposure.PUBLIC
        for service in MAIL_SERVICES:
            if service.needed and exposures.get(service.name) is not Exposure.PUBLIC:
                raise ValueError(f"a list with {service.name}: without public {service} no mail arrives")
        return cls(exposures)

    def __str__(self) -> str:
        named = ((service.name, self.exposure(service)) for service in MAIL_SERVICES)
        return ",".join(
            name if exposure is Exposure.PUBLIC else f"{name}:{exposure}"
            for name, exposure in named
            if exposure is not Exposure.OFF
        )

    def exposure(self, service: Service) -> Exposure:
        """From where a mail service can be reached."""
        return self.exposures.get(service.name, Exposure.OFF)

    def _with(self, *exposures: Exposure) -> tuple[Service, ...]:
        return tuple(service for service in MAIL_SERVICES if self.exposure(service) in exposures)

    @property
    def public(self) -> tuple[Service, ...]:
        """Mail services that every edge routes."""
        return self._with(Exposure.PUBLIC)

    @property
    def tailnet(self) -> tuple[Service, ...]:
        """Mail services for nodes of the tailnet alone."""
        return self._with(Exposure.TAILNET)

    @property
    def on(self) -> tuple[Service, ...]:
        """Mail services that the server listens for."""
        return self._with(Exposure.PUBLIC, Exposure.TAILNET)

    @property
    def listeners(self) -> tuple[Service, ...]:
        """Everything the server listens for, web services included."""
        return (*self.on, HTTPS, HTTP)


BY_NAME = {service.name: service for service in MAIL_SERVICES}
BY_PORT = {service.port: service for service in (*MAIL_SERVICES, HTTPS, HTTP)}
DEFAULT_SERVICES = Services({service.name: service.default for service in MAIL_SERVICES if service.default != "off"})


def ports(services: Iterable[Service]) -> tuple[int, ...]:
    """Their ports, in the same order."""
    return tuple(service.port for service in services)
