"""Names of others that our records lead to: MX hosts, and where reports are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network

from tailwart.dns import dmarc
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.network import TAILNET_V4
from tailwart.providers.record import Record

_INTERNAL = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", str(TAILNET_V4))))

Texts = Callable[[str, str], list[str] | None]
"""The data at a name (absolute, type): empty when there is none, None when nobody answered."""


def check_mx(zone: str, records: Iterable[Record], texts: Texts) -> Iterator[Finding]:
    """Whether each MX leads to a name with addresses of its own (RFC 2181 §10.3, RFC 5321 §5.1)."""
    for entry in records:
        target = entry.value.split()[-1]
        subject = f"{zone} MX {target}"
        if target == ".":
            yield wrong("mx", subject, "says that the domain takes no mail (RFC 7505)", remedy="`tailwart dns apply`")
            continue
        alias, found = texts(target, "CNAME"), [texts(target, rtype) for rtype in ("A", "AAAA")]
        if alias is None or None in found:
            yield unknown("mx", subject, "nobody answers for its addresses")
        elif alias:
            yield wrong(
                "mx",
                subject,
                f"leads to a CNAME (to {alias[0]}): many servers do not deliver there",
                remedy=f"give {target} addresses of its own in place of the CNAME, or name {alias[0]} in the MX record",
                paste="\n".join(f"{target} IN {rtype} {address}" for rtype, address in _addresses(found)),
            )
        elif not any(found):
            yield wrong("mx", subject, "has no address", remedy=f"add an A record for {target} (`tailwart dns apply`)")
        elif inside := [text for _, text in _addresses(found) if not _is_public(text)]:
            yield wrong(
                "mx",
                subject,
                f"leads to {', '.join(inside)}, which nobody outside reaches",
                remedy="publish the edge's public address",
            )
        else:
            yield ok("mx", subject, f"has {', '.join(address for _, address in _addresses(found))}")


def check_reports(zone: str, records: Iterable[Record], texts: Texts) -> Iterator[Finding]:
    """Whether a foreign domain that DMARC reports go to takes them (RFC 7489 §7.1); without, they are not sent."""
    for entry in records:
        if not dmarc.is_dmarc(entry.value):
            continue
        for target in sorted(_report_domains(entry.value)):
            if target == zone or target.endswith(f".{zone}") or zone.endswith(f".{target}"):
                continue
            place = f"{zone}._report._dmarc.{target}."
            subject = f"{zone} to {target}"
            found = texts(place, "TXT")
            if found is None:
                yield unknown("reports", subject, f"nobody answers for {place}", required=False)
            elif any(dmarc.is_dmarc(text.replace('" "', "").strip('"')) for text in found):
                yield ok("reports", subject, "takes the DMARC reports of this domain", required=False)
            else:
                yield wrong(
                    "reports",
                    subject,
                    f"does not say that it takes DMARC reports of {zone}, so nobody sends them",
                    remedy=f"whoever holds {target} adds the record below; or name an address in {zone} in rua=",
                    paste=f'{place} IN TXT "v=DMARC1"',
                    required=False,
                )


def _report_domains(text: str) -> set[str]:
    tags = dmarc.tags(text)
    targets = [part.strip() for name in ("rua", "ruf") for part in tags.get(name, "").split(",")]
    return {
        target.partition("!")[0].rpartition("@")[2].lower().rstrip(".")
        for target in targets
        if target.lower().startswith("mailto:") and "@" in target
    }


def _addresses(found: Iterable[list[str] | None]) -> list[tuple[str, str]]:
    return [(rtype, text) for rtype, texts in zip(("A", "AAAA"), found, strict=True) for text in texts or ()]


def _is_public(text: str) -> bool:
    address = ip_address(text)
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return False
    # Not `is_private`: the documentation ranges count as private there, and are a lab's internet.
    return not any(address.version == network.version and address in network for network in _INTERNAL)
