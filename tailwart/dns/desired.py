"""The zone that the mail system needs: the server's own records, the edges' addresses, SPF, CAA, overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tailwart.dns import dmarc, spf, zonefile
from tailwart.dns.intent import Intent
from tailwart.environment.model import DEFAULT_PREFERENCE
from tailwart.errors import TailwartError
from tailwart.network import HTTPS_LABELS, SMTP
from tailwart.providers.record import APEX, Record, record, relative

_ISSUERS = {
    # The identities that each CA names in its CPS and in `caaIdentities` of its ACME directory (RFC 8555 §7.1.1).
    "letsencrypt.org": "letsencrypt.org",
    "pki.goog": "pki.goog",
    "zerossl.com": "sectigo.com",
    "sectigo.com": "sectigo.com",
    "buypass.com": "buypass.com",
    "ssl.com": "ssl.com",
}


ACME_LABELS = ("_acme-challenge", "_validation-persist")
"""Names that only Stalwart writes (lesson 13)."""

_MX_TLSA = (f"_{SMTP.port}._tcp.mail", "TLSA")


@dataclass(frozen=True, slots=True)
class Desired:
    """The records to publish, and how far they can be trusted to be all of them (``complete``).

    ``withheld`` are the record sets that the server recommends and no edge serves.
    """

    intent: Intent
    records: tuple[Record, ...]
    complete: bool
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    withheld: frozenset[tuple[str, str]] = frozenset()

    @property
    def chosen(self) -> frozenset[tuple[str, str]]:
        """The record sets that the owner wrote himself (`dns_records`)."""
        return frozenset(self.intent.overrides.replacements(self.intent.zone, self.intent.main))


def desire(intent: Intent) -> Desired:
    """The desired zone. Raises `TailwartError` for a zone text or an override that cannot be read."""
    missing = list(intent.missing)
    warnings: list[str] = []
    if intent.zone_text is None:
        base = list(_known_without_server(intent))
        missing.append("DKIM, DMARC, SRV, MTA-STS, TLS-RPT and autoconfig records: only the mail server knows them")
    else:
        base = [entry.with_ttl(intent.ttl) for entry in zonefile.parse(intent.zone_text, intent.zone, intent.ttl)]
        base = [entry for entry in base if not _of_issuance(entry)]
        base = list(_without_ed25519(base, warnings))
    withheld = {entry.rrset for entry in base if not _reachable(intent, entry)}
    base = [entry for entry in base if entry.rrset not in withheld]
    if intent.located and not intent.web_edges:
        withheld |= {(label, rtype) for label in HTTPS_LABELS for rtype in ("A", "AAAA")}
        warnings.append(
            "no edge serves :443 (<NAME>_HTTPS=false), so MTA-STS, autoconfig and autodiscover are not published"
        )
    base = [entry for entry in base if intent.overrides.tlsa or entry.type != "TLSA"]
    base += [_renamed(entry, name) for name in intent.own_names for entry in base if entry.rrset == _MX_TLSA]
    records = list(_with_edges(intent, base, missing, warnings))
    records = [_first_step(intent, _with_senders(intent, entry)) for entry in records]
    records += _caa(intent, missing)
    records = list(_overridden(intent, records))
    return Desired(
        intent,
        tuple(sorted({entry.key: entry for entry in records}.values())),
        complete=intent.zone_text is not None,
        missing=tuple(missing),
        warnings=(*warnings, *_sender_warnings(intent)),
        withheld=frozenset(withheld),
    )


def unmarked(desired: Desired) -> Desired:
    """The same without the installation's mark, for a zone that is only looked at: mail does not need it."""
    return replace(desired, intent=replace(desired.intent, owner=""))


def caa_issuer(directory: str) -> str:
    """The CA's name in a CAA record for an ACME directory URL; the directory's host for a CA that is not known."""
    host = urlsplit(directory).hostname or ""
    return next((name for suffix, name in _ISSUERS.items() if host == suffix or host.endswith(f".{suffix}")), host)


def _known_without_server(intent: Intent) -> Iterator[Record]:
    for host, preference in intent.exchangers or ((intent.mail_host.rstrip("."), DEFAULT_PREFERENCE),):
        yield record(intent.zone, APEX, "MX", f"{preference} {host}.", intent.ttl)
    yield record(intent.zone, APEX, "TXT", "v=spf1 mx -all", intent.ttl)
    if intent.zone == intent.main:
        yield record(intent.zone, "mail", "TXT", "v=spf1 a -all", intent.ttl)


def _renamed(entry: Record, label: str) -> Record:
    """The certificate at a name of an MX record is the one at `mail`: it is for every name of the domain."""
    return replace(entry, name=f"_{SMTP.port}._tcp.{label}")


def _without_ed25519(records: list[Record], warnings: list[str]) -> Iterator[Record]:
    has_rsa = any(is_dkim(entry) and not is_ed25519(entry) for entry in records)
    for entry in records:
        if is_dkim(entry) and is_ed25519(entry):
            if has_rsa:
                warnings.append(
                    f"the server signs with {entry.name} (ed25519) beside RSA: not published, remove that key from its "
                    "DKIM signatures (lesson 15)"
                )
                continue
            warnings.append(f"the server's only DKIM key {entry.name} is ed25519: large receivers fail it (lesson 15)")
        yield entry


def _reachable(intent: Intent, entry: Record) -> bool:
    """Whether a record leads to a port that edges serve; the server recommends some for every service it could be."""
    if entry.name.removeprefix("_") in HTTPS_LABELS and intent.located:
        return bool(intent.web_edges)
    if entry.type == "SRV":
        return int(entry.value.split()[2]) in intent.reachable_ports
    if entry.type == "TLSA" and entry.name.startswith("_"):
        return int(entry.name[1:].partition(".")[0]) in intent.reachable_ports
    return True


def is_acme(name: str) -> bool:
    """Whether a name belongs to Stalwart's ACME work."""
    return any(label in ACME_LABELS for label in name.split("."))


def _of_issuance(entry: Record) -> bool:
    """Whether a record of the server's text is about who may issue certificates: `_caa` decides that.

    The server recommends CAA for its ACME provider by the registrable domain of the directory's host, which is not what
    every CA calls itself; also before it has an account, as `accounturi` without a value, which no order can meet. Its
    standing permission (`_validation-persist`) it publishes itself where it uses one (source of 0.16.18).
    """
    return entry.type == "CAA" or is_acme(entry.name)


def is_dkim(entry: Record) -> bool:
    """Whether a record is a DKIM key (RFC 6376 §3.6.2.1)."""
    return entry.type == "TXT" and (entry.name.endswith("._domainkey") or "._domainkey." in entry.name)


def is_ed25519(entry: Record) -> bool:
    """Whether a DKIM key is of the kind that lesson 15 forbids (RFC 8463)."""
    return "k=ed25519" in entry.value.replace(" ", "").lower()


def _with_edges(intent: Intent, base: list[Record], missing: list[str], warnings: list[str]) -> Iterator[Record]:
    if not intent.located:
        missing.append("addresses of the edges: set EDGES, and <NAME>_IPV4 or <NAME>_IPV6 of each")
        yield from base
        return
    # The server recommends CNAMEs to `mail` for the web names; an address and a CNAME cannot share a name (RFC 1034
    # §3.6.2), and with addresses of their own these names can be served by fewer edges than `mail` is.
    addresses = {(name, rtype) for name in intent.edge_names for rtype in ("A", "AAAA", "CNAME")}
    yield from (entry for entry in base if entry.rrset not in addresses)
    for name in intent.edge_names:
        for edge in intent.leading_to(name):
            if edge.ipv4:
                yield record(intent.zone, name, "A", str(edge.ipv4), intent.ttl)
            if edge.ipv6 and not intent.ipv6_withheld:
                yield record(intent.zone, name, "AAAA", str(edge.ipv6), intent.ttl)
    if intent.ipv6_withheld:
        kept = "; one that stands is left as it is" if intent.ipv6_unknown else ""
        warnings.append(f"AAAA withheld: {intent.ipv6_withheld}{kept} (lesson 8)")


def _with_senders(intent: Intent, entry: Record) -> Record:
    if entry.type != "TXT" or not spf.is_spf(entry.value):
        return entry
    helo = entry.name == "mail" and intent.zone == intent.main
    if entry.name != APEX and not helo:
        return entry
    # The HELO name is only ever used by our own server, so a smarthost in between is no sender for it.
    extra = intent.spf_terms if entry.name == APEX or intent.direct_delivery else ()
    value = spf.merge([entry.value], extra, intent.overrides.spf_remove)
    return record(intent.zone, entry.name, "TXT", value, entry.ttl)


def _first_step(intent: Intent, entry: Record) -> Record:
    """DMARC as it begins for a domain without a record; `zoneplan.compare` knows what stands already."""
    if entry.rrset != (dmarc.NAME, "TXT") or not dmarc.is_dmarc(entry.value):
        return entry
    text = dmarc.merged(entry.value, (), asked=intent.overrides.dmarc_step(intent.zone))
    return record(intent.zone, entry.name, "TXT", text, entry.ttl)


def _sender_warnings(intent: Intent) -> Iterator[str]:
    if intent.spf_terms or intent.zone != intent.main:
        return
    if intent.direct_delivery:
        yield (
            "the mailbox delivers directly (no SMARTHOST_ADDRESS): its public address is not known here; "
            "add ip4:… to SMARTHOST_SPF, or SPF fails for everything it sends"
        )
    else:
        yield (
            "the smarthost is reached over the tailnet, so its public address is not known here; "
            "set SMARTHOST_SPF (include:… or ip4:…), or SPF fails for everything it sends"
        )


def _caa(intent: Intent, missing: list[str]) -> Iterator[Record]:
    if not intent.overrides.caa or not intent.acme_directory:
        return
    accounts = [uri for uri in (intent.account_uri, *intent.overrides.caa_account_uris) if uri]
    if not intent.account_uri:
        missing.append("CAA: the mail server's ACME account URI is not known yet, so issuance is not bound to it")
        return
    issuer = intent.overrides.caa_issuer or caa_issuer(intent.acme_directory)
    for account in accounts:
        for tag in ("issue", "issuewild"):
            yield record(intent.zone, APEX, "CAA", f'0 {tag} "{issuer}; accounturi={account}"', intent.ttl)


def _overridden(intent: Intent, records: Iterable[Record]) -> Iterator[Record]:
    chosen = intent.overrides.replacements(intent.zone, intent.main)
    for entry in records:
        if entry.rrset in chosen or intent.overrides.excludes(intent.zone, *entry.rrset, main=intent.main):
            continue
        yield entry
    for (name, rtype), values in chosen.items():
        if name == APEX and rtype in {"SOA", "NS"}:
            raise TailwartError(
                f"dns_records: {name} {rtype} of {intent.zone}",
                expected="a record set other than the zone's own SOA and NS",
            )
        for value in values:
            yield record(intent.zone, relative(name, intent.zone), rtype, value, intent.ttl)
