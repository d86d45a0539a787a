"""The DNS plane of one installation: everything that a plan, an apply or a check needs, wired from the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tailwart import providers
from tailwart.dns import guards, reports
from tailwart.dns.applying import WAIT_SECONDS, Applied, apply
from tailwart.dns.archive import Archive
from tailwart.dns.desired import Desired, desire
from tailwart.dns.intent import EdgeAddresses, Intent
from tailwart.dns.overrides import Overrides
from tailwart.dns.reachability import Ipv6, Vantage, judge, local_vantage, remote_vantage
from tailwart.dns.reports import ReportSource
from tailwart.dns.resolver import public_answers, public_txt
from tailwart.dns.restoring import restore
from tailwart.dns.server import over_ssh
from tailwart.dns.source import ServerFacts, ZoneFileSource, absent
from tailwart.dns.spfcost import Answers, Texts
from tailwart.dns.zoneplan import ZonePlan, compare
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.network import SMTP, TAILNET_V4, TAILNET_V6, ports
from tailwart.plan.model import Plan
from tailwart.providers.definition import Notify, Provider
from tailwart.providers.record import APEX, Record
from tailwart.runner import Runner


def no_vantages() -> Sequence[Vantage]:
    """No place to connect from: AAAA records are neither published nor removed."""
    return ()


@dataclass(frozen=True, slots=True)
class Plane:
    """One installation's zones. ``source`` asks the mail server, ``vantages`` are the places that connect to edges."""

    environment: Environment
    overrides: Overrides
    source: ZoneFileSource
    archive: Archive
    vantages: Callable[[], Sequence[Vantage]] = no_vantages
    lookup: Texts = public_txt
    answers: Answers = public_answers
    wait: float = WAIT_SECONDS
    only: str | None = None
    reports: ReportSource = reports.unknown

    @property
    def zones(self) -> tuple[str, ...]:
        """Every mail domain is a zone of its own; one of them with ``only``."""
        if self.only is None:
            return self.environment.domains
        if self.only not in self.environment.domains:
            raise TailwartError(
                f"{self.only} is no mail domain of this installation", expected=", ".join(self.environment.domains)
            )
        return (self.only,)

    def txt(self, name: str) -> list[str] | None:
        """TXT texts of other people's names; nobody is asked from a lab (OFFLINE)."""
        return None if self.environment.offline else self.lookup(name)

    def data(self, name: str, rtype: str) -> list[str] | None:
        """The data of other people's names; nobody is asked from a lab (OFFLINE)."""
        return None if self.environment.offline else self.answers(name, rtype)

    def open_provider(self, notify: Notify) -> Provider:
        """The provider that the environment names."""
        return open_provider(self.environment, notify)

    @property
    def ttl_range(self) -> range:
        """The seconds that the provider accepts as a TTL; any without a provider."""
        if self.environment.dns_provider == "none":
            return range(1, 2**31)
        return providers.definition(self.environment.dns_provider).ttl

    def nameservers(self, provider: Provider, zone: str, live: Iterable[Record] | None = None) -> tuple[str, ...]:
        """The authoritative servers to ask: DNS_NAMESERVERS, the provider's own, or those in the zone's NS records.

        ``live`` are the zone's records where they have been read already.
        """
        if fixed := self.environment.dns_nameservers or provider.nameservers:
            return fixed
        records = provider.read(zone) if live is None else live
        return tuple(sorted(entry.value.rstrip(".") for entry in records if entry.rrset == (APEX, "NS")))

    def desired(self) -> dict[str, Desired]:
        """What each zone should hold; asks the mail server and connects to the edges."""
        facts = self.source()
        addresses = edge_addresses(self.environment)
        ipv6 = judge(addresses, self.vantages() if any(edge.ipv6 for edge in addresses) else ())
        return {zone: desire(intent(self.environment, self.overrides, zone, facts, ipv6)) for zone in self.zones}

    def plans(self, provider: Provider) -> dict[str, ZonePlan]:
        """Each zone's plan, not yet guarded."""
        # The provider is asked first: a refused key (lesson 2) is reported before anything else takes time.
        live = {zone: provider.read(zone) for zone in self.zones}
        return {
            zone: compare(desired, live[zone], self.archive.ledger(zone)) for zone, desired in self.desired().items()
        }

    def restorations(self, provider: Provider, which: str | None = None) -> dict[str, ZonePlan]:
        """The plan that brings each zone back to a snapshot (the newest without one), not yet guarded.

        Raises `TailwartError` when there is none, or one snapshot is named for several zones.
        """
        if which and len(self.zones) > 1:
            raise TailwartError(
                f"{which} is a snapshot of one zone", expected="--zone DOMAIN beside it", seen=", ".join(self.zones)
            )
        saved = {zone: self.archive.load(zone, which).records for zone in self.zones}
        live = {zone: provider.read(zone) for zone in self.zones}
        return {
            zone: restore(
                desired,
                live[zone],
                self.archive.ledger(zone),
                saved[zone],
                ttl=self.ttl_range,
                keeps_strings=provider.keeps_strings,
            )
            for zone, desired in self.desired().items()
        }

    def guard(self, plans: dict[str, ZonePlan], *, allow_deletions: bool = False) -> dict[str, ZonePlan]:
        """The plans with the warnings of the guards; raises `TailwartError` for one that is refused."""
        allowed = allow_deletions or self.overrides.allow_deletions
        return {
            zone: with_warnings(
                plan, guards.check(plan, self.txt, self.ttl_range, answers=self.data, allow_deletions=allowed)
            )
            for zone, plan in plans.items()
        }

    def apply(self, plans: Iterable[ZonePlan], provider: Provider, notify: Notify) -> list[Applied]:
        """Carry out the plans that change something."""
        return [
            apply(
                plan,
                provider,
                self.archive,
                nameservers=self.nameservers(provider, plan.zone, plan.live),
                notify=notify,
                wait=self.wait,
            )
            for plan in plans
            if plan
        ]


def open_provider(environment: Environment, notify: Notify) -> Provider:
    """The provider that DNS_PROVIDER names. Raises `TailwartError` when there is none, or its keys cannot be used."""
    return providers.definition(environment.dns_provider).open(environment.provider_keys, notify)


def plane_of(environment: Environment, overrides: Overrides, mailbox: Runner | None) -> Plane:
    """The plane of a deployed installation; ``mailbox`` runs commands on its host, None without MAILBOX_SSH."""
    source = absent("MAILBOX_SSH is not set, so the mail server cannot be asked for its records")
    places = [local_vantage()]
    received: ReportSource = reports.unknown
    if mailbox is not None and environment.mailbox_ssh is not None:
        source = over_ssh(mailbox, environment.domains, environment.acme_directory_in_use)
        received = reports.over_ssh(mailbox)
        # Another host than the edges' own, where this machine may have no IPv6.
        places.append(remote_vantage("the mailbox host", mailbox, environment.mailbox_ssh.host))
    return Plane(environment, overrides, source, Archive(), vantages=lambda: places, reports=received)


def edge_addresses(environment: Environment) -> tuple[EdgeAddresses, ...]:
    """The edges as DNS sees them."""
    return tuple(
        EdgeAddresses(
            edge.name,
            edge.ipv4,
            edge.ipv6,
            https=edge.owns_https,
            mail=environment.serves_clients(edge),
            port=next(iter(ports(environment.services_of(edge))), SMTP.port),
        )
        for edge in environment.edges
    )


def intent(environment: Environment, overrides: Overrides, zone: str, facts: ServerFacts, ipv6: Ipv6) -> Intent:
    """What decides one zone, from the settings, the server and what the edges answered."""
    return Intent(
        zone=zone,
        main=environment.domain,
        ttl=environment.dns_ttl,
        edges=edge_addresses(environment),
        services=environment.mail_services,
        exchangers=environment.exchangers,
        web_mail=environment.jmap_vhost and any(edge.owns_https for edge in environment.edges),
        zone_text=facts.zone_files.get(zone),
        spf_terms=sender_terms(environment, overrides),
        direct_delivery=environment.smarthost_address is None,
        acme_directory=environment.acme_directory_in_use,
        account_uri=facts.account_uri,
        server_publishes_dkim=environment.acme_directory is not None,
        ipv6_withheld="" if ipv6.publish else ipv6.reason,
        ipv6_unknown=ipv6.unknown,
        missing=facts.missing,
        overrides=overrides,
        owner=overrides.owner or environment.domain,
    )


def sender_terms(environment: Environment, overrides: Overrides) -> tuple[str, ...]:
    """SPF terms for the senders that are no edge: SMARTHOST_SPF, the smarthost's own public address, `dns_spf`."""
    terms = [*environment.smarthost_spf, *overrides.spf]
    address = environment.smarthost_address
    if address is not None and address not in (TAILNET_V4 if address.version == 4 else TAILNET_V6):
        terms.insert(0, f"ip{address.version}:{address}")
    for term in terms:
        kind, separator, value = term.lstrip("+?~-").partition(":")
        if kind.lower() in {"ip4", "ip6"} and not _is_network(value, int(kind[2])):
            raise TailwartError(
                "SMARTHOST_SPF or dns_spf: a term that is no address",
                seen=term,
                expected=f"{kind}: and an IPv{kind[2]} address or network",
                remedy="correct it in .env or group_data/dns.py",
            )
        if not separator and "=" not in term and kind.lower() not in {"a", "mx"}:
            raise TailwartError(
                "SMARTHOST_SPF or dns_spf: a term that names no sender",
                seen=term,
                expected="include:name, ip4:address, ip6:address, a:name or mx:name",
                remedy="correct it in .env or group_data/dns.py",
            )
    return tuple(terms)


def with_warnings(plan: ZonePlan, warnings: tuple[str, ...]) -> ZonePlan:
    """The plan with further warnings."""
    return replace(plan, plan=replace(plan.plan, warnings=(*plan.plan.warnings, *warnings)))


def combined(plans: Iterable[ZonePlan]) -> Plan:
    """One plan for all zones; with several of them every name is followed by its zone."""
    each = list(plans)
    if len(each) == 1:
        return each[0].plan
    return Plan(
        plane="dns",
        changes=tuple(
            replace(change, name=f"{change.name} in {one.zone}") for one in each for change in one.plan.changes
        ),
        unmanaged=tuple(f"{one.zone}: {text}" for one in each for text in one.plan.unmanaged),
        warnings=tuple(dict.fromkeys(text for one in each for text in _with_zone(one))),
    )


def _with_zone(one: ZonePlan) -> list[str]:
    return [f"{one.zone}: {text}" for text in one.plan.warnings]


def _is_network(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_network(text, strict=False).version == version
    except ValueError:
        return False
