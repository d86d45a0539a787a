"""Shapes of zones as other people have them, in names and texts of our own: what a first run may meet."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tailwart.providers.record import APEX, Record, record

Row = tuple[str, str, str, int]

OFFICE: Sequence[Row] = [
    (APEX, "MX", "1 inbound.office.example.", 3600),
    (APEX, "MX", "5 inbound2.office.example.", 3600),
    (APEX, "TXT", "v=spf1 include:_spf.office.example ~all", 3600),
    (APEX, "TXT", "office-verification=7f3a9c", 3600),
    ("office1._domainkey", "CNAME", "key1.dkim.office.example.", 3600),
    ("autodiscover", "CNAME", "autodiscover.office.example.", 3600),
    ("_dmarc", "TXT", "v=DMARC1;p=quarantine;rua=mailto:reports@dmarc.example;", 3600),
]
SHOP: Sequence[Row] = [
    (APEX, "A", "203.0.113.65", 300),
    ("www", "CNAME", "shops.vendor.example.", 300),
    ("*", "CNAME", "landing.vendor.example.", 300),
    ("*.mail", "A", "203.0.113.66", 600),
    ("em42", "CNAME", "u42.sender.example.", 1800),
    ("em42", "CNAME", "u42.sender.example.", 1800),
]
OLD_SERVER: Sequence[Row] = [
    (APEX, "MX", "10 mail", 86400),
    ("mail", "A", "203.0.113.70", 86400),
    ("mail", "AAAA", "2001:db8:1::70", 86400),
    (APEX, "TXT", "v=spf1 a mx ip4:203.0.113.70 +ip4:203.0.113.0/28 ?all", 86400),
    ("default._domainkey", "TXT", "v=DKIM1; k=rsa; p=" + "Mi" * 180, 86400),
    ("pop", "CNAME", "mail", 86400),
    ("_autodiscover._tcp", "SRV", "0 0 443 mail", 86400),
]
NETWORK: Sequence[Row] = [
    ("lab", "NS", "ns1.lab.example.", 3600),
    ("lab", "DS", "12345 13 2 " + "AB" * 32, 3600),
    ("host", "SSHFP", "4 2 " + "ab" * 32, 3600),
    ("host", "LOC", "52 31 0.000 N 13 24 0.000 E 34.00m 1.00m 10000.00m 10.00m", 3600),
    (APEX, "NAPTR", '10 100 "S" "SIP+D2U" "" _sip._udp', 3600),
    ("_sip._tls", "SRV", "100 1 443 sip.vendor.example.", 3600),
    ("_xmpp-server._tcp", "SRV", "5 0 5269 chat.vendor.example.", 3600),
    ("_443._tcp.www", "TLSA", "3 1 1 " + "cd" * 32, 3600),
    (APEX, "HTTPS", '1 . alpn="h3,h2"', 3600),
]
ODDITIES: Sequence[Row] = [
    ("silent", "MX", "0 .", 3600),
    ("octets", "TXT", b"\xff\xfe\x00 \x1b[31m".decode("utf-8", "surrogateescape"), 3600),
    ("quoted", "TXT", 'a "quote", a \\backslash; and ü', 3600),
    ("braces", "TXT", '{"not": "json to us"}', 3600),
    ("_acme-challenge", "TXT", "a-token", 60),
    (APEX, "CAA", '128 issue "other-ca.example; validationmethods=dns-01"', 3600),
    (APEX, "CAA", '0 iodef "mailto:ca@example.net"', 3600),
    ("s1._domainkey", "TXT", "v=DKIM1; k=ed25519; p=abcd", 3600),
    ("v1-rsa-20200101._domainkey", "TXT", "v=DKIM1; k=rsa; p=old", 3600),
]
OTHER_POLICIES: Sequence[Row] = [
    ("mta-sts", "CNAME", "policies.vendor.example.", 3600),
    ("_mta-sts", "TXT", "v=STSv1; id=20200101", 3600),
    ("_smtp._tls", "TXT", "v=TLSRPTv1; rua=mailto:tls@vendor.example", 3600),
    ("autoconfig", "A", "203.0.113.80", 3600),
]
SENDERS: Sequence[Sequence[Row]] = [
    [(APEX, "TXT", "v=spf1 include:one.example -all", 3600), (APEX, "TXT", "v=spf1 include:two.example ~all", 3600)],
    [(APEX, "TXT", "v=spf1 redirect=_spf.vendor.example", 3600)],
    [(APEX, "TXT", "v=spf1 exists:%{i}.spf.vendor.example +all", 3600)],
    [(APEX, "TXT", "V=SPF1 MX A:Relay.Example.NET -ALL", 3600)],
    [("mail", "NS", "ns.vendor.example.", 3600)],
    [("_tcp", "DNAME", "services.vendor.example.", 3600)],
    [],
]


def zones(zone: str) -> st.SearchStrategy[list[Record]]:
    """Some of the shapes in one zone; one TTL for each record set, and no data beside a CNAME."""
    parts = [OFFICE, SHOP, OLD_SERVER, NETWORK, ODDITIES, OTHER_POLICIES]
    chosen = st.lists(st.sampled_from(parts), min_size=1, max_size=4, unique_by=id)
    return st.builds(lambda some, more: _consistent([*some, more], zone), chosen, st.sampled_from(SENDERS))


def _consistent(parts: Sequence[Sequence[Row]], zone: str) -> list[Record]:
    found: dict[tuple[str, str, str], Record] = {}
    ttls: dict[tuple[str, str], int] = {}
    types: dict[str, set[str]] = {}
    for name, rtype, value, ttl in (row for part in parts for row in part):
        others = types.setdefault(name, set())
        alone = rtype == "CNAME"
        if (others and alone) or "CNAME" in others or ("NS" in others - {rtype} and rtype != "DS"):
            continue
        others.add(rtype)
        entry = record(zone, name, rtype, value, ttls.setdefault((name, rtype), ttl))
        found[entry.key] = entry
    hidden = {name for name, here in types.items() if here & {"NS", "DNAME"}}
    return [entry for entry in found.values() if not any(entry.name.endswith(f".{name}") for name in hidden)]
