"""Whether the CA in use may issue, as the CA itself finds out: by climbing the tree (RFC 8659 §3, RFC 8657)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import dns.name

from tailwart.dns.check.findings import Finding, ok, unknown, wrong

AREA = "caa"
_KNOWN = {"issue", "issuewild", "issuemail", "issuevmc", "iodef", "contactemail", "contactphone"}
_CAA = re.compile(r'(\d+) ([A-Za-z0-9]+) "(.*)"\Z')

Lookup = Callable[[dns.name.Name], list[str] | None]
"""The CAA records of a name, aliases followed; an empty list when there are none, None when nobody answered."""


def check(domain: str, issuer: str, account: str | None, lookup: Lookup) -> Iterator[Finding]:
    """Findings about `DOMAIN` and `*.DOMAIN`, which the mail server orders by DNS-01 (lesson 4).

    ``issuer`` is the CA's name in CAA records, ``account`` the ACME account that orders, None when it is not known.
    """
    for name, wildcard in ((f"mail.{domain}", False), (f"*.{domain}", True)):
        found = climb(dns.name.from_text(name.removeprefix("*.")), lookup)
        if found is None:
            yield unknown(AREA, name, "nobody answers for CAA, and a CA that gets no answer issues nothing")
            continue
        place, records = found
        if why := forbidden(records, issuer, account, wildcard=wildcard):
            tag = "issuewild" if wildcard and any(" issuewild " in text for text in records) else "issue"
            bound = f"; accounturi={account}" if account else ""
            yield wrong(
                AREA,
                name,
                f"{place} forbids {issuer} to issue: {why}",
                remedy="add the record below, or take out the one that forbids it",
                paste=f'{place} IN CAA 0 {tag} "{issuer}{bound}"',
            )
        elif records:
            yield ok(AREA, name, f"{issuer} may issue (CAA of {place})")
        else:
            yield ok(AREA, name, "any CA may issue: no CAA record up to the root")


def climb(name: dns.name.Name, lookup: Lookup) -> tuple[dns.name.Name, list[str]] | None:
    """The closest name at or above with CAA records, and they; None when a step of the way is not answered."""
    at = name
    while at != dns.name.root:
        records = lookup(at)
        if records is None:
            return None
        if records:
            return at, records
        at = at.parent()
    return name, []


def forbidden(records: list[str], issuer: str, account: str | None, *, wildcard: bool) -> str:
    """Why these records keep the CA from issuing by DNS-01; empty when they do not."""
    properties = [(int(match[1]), match[2].lower(), match[3]) for text in records if (match := _CAA.match(text))]
    for flags, tag, _ in properties:
        if flags & 128 and tag not in _KNOWN:
            return f"the critical property {tag} is not known to any CA"
    tags = {tag for _, tag, _ in properties}
    deciding = "issuewild" if wildcard and "issuewild" in tags else "issue"
    values = [value for _, tag, value in properties if tag == deciding]
    if not values:
        return ""
    reasons = [_unfit(value, issuer, account) for value in values]
    return "" if "" in reasons else "; ".join(dict.fromkeys(reasons))


def _unfit(value: str, issuer: str, account: str | None) -> str:
    named, *parts = [part.strip() for part in value.split(";")]
    parameters = {key.strip().lower(): text.strip() for part in parts for key, _, text in [part.partition("=")]}
    if named.lower() != issuer.lower():
        return f"it allows {named or 'nobody'}"
    if account and parameters.get("accounturi", account) != account:
        return f"it allows the account {parameters['accounturi']}, not {account}"
    methods = parameters.get("validationmethods")
    if methods is not None and "dns-01" not in methods.lower().replace(" ", "").split(","):
        return f"it allows {methods}, and a wildcard needs dns-01"
    return ""
