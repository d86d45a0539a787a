"""What mail clients ask for before they know the server: autoconfig (Thunderbird) and autodiscover (Outlook)."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from tailwart.dns.check.findings import Finding, ok, wrong
from tailwart.dns.check.policy import request

AREA = "clients"
Address = IPv4Address | IPv6Address

_OUTLOOK = """\
<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>{address}</EMailAddress>
<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
</Request></Autodiscover>
"""
_HOSTS = re.compile(r"<(?:hostname|Server)>\s*([^<\s]+)\s*</(?:hostname|Server)>", re.IGNORECASE)


def check(
    edge: str, address: Address, zone: str, mail_host: str, *, port: int = 443, roots: str | None = None
) -> Iterator[Finding]:
    """Both questions at one edge address, as a client asks them for a mailbox of the domain; ``roots`` as `request`."""
    person = f"postmaster@{zone}"
    questions = (
        ("autoconfig", "Thunderbird", f"/mail/config-v1.1.xml?emailaddress={person}", ""),
        ("autodiscover", "Outlook", "/autodiscover/autodiscover.xml", _OUTLOOK.format(address=person)),
    )
    for label, client, path, body in questions:
        host = f"{label}.{zone}"
        subject = f"{client} at {edge} {address}"
        try:
            text = request(address, host, path, body=body, port=port, roots=roots)
        except (OSError, http.client.HTTPException) as error:
            yield _wrong(
                subject, host, f"https://{host}{path.partition('?')[0]} fails: {error or type(error).__name__}"
            )
            continue
        named = {name.lower().rstrip(".") for name in _HOSTS.findall(text)}
        if named == {mail_host}:
            yield ok(AREA, subject, f"is led to {mail_host}", required=False)
        else:
            yield _wrong(
                subject, host, f"https://{host} names {', '.join(sorted(named)) or 'no server'}, not {mail_host}"
            )


def _wrong(subject: str, host: str, detail: str) -> Finding:
    return wrong(
        AREA,
        subject,
        detail,
        remedy=f"people have to type the settings by hand until {host} answers: run the edge role, and read lesson 5",
        required=False,
    )
