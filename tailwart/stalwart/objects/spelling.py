"""How the server writes names that it takes in any spelling: without blanks, in capitals or in small letters.

A value in another spelling would differ from the live one for ever, and a name that is fixed at creation would be
refused on the second run. Source: the 0.16.18 server's own patch rules; what it does was seen for rules and blocklists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _capitals(text: str) -> str:
    return "".join(text.split()).upper()


def _small(text: str) -> str:
    return "".join(text.split()).lower()


_SPELLED: Mapping[tuple[str, str], Callable[[str], str]] = {
    ("Account", "name"): _small,
    ("Domain", "aliases"): _small,
    ("Domain", "name"): _small,
    ("EmailAlias", "name"): _small,
    ("MailExchanger", "hostname"): _small,
    ("MailingList", "name"): _small,
    ("MtaConnectionIpHost", "ehloHostname"): _small,
    ("MtaConnectionStrategy", "ehloHostname"): _small,
    ("ReportSettings", "outboundReportDomain"): _small,
    ("Service", "hostname"): _small,
    ("SpamDnsblServer", "name"): _capitals,
    ("SpamFileExtension", "extension"): _small,
    ("SpamRule", "name"): _capitals,
    ("SpamTag", "tag"): _capitals,
    ("SystemSettings", "defaultHostname"): _small,
}


def spelled(structure: str, field: str, value: Any) -> Any:
    """A shaped value of that field as the server writes it.

    spelled("SpamTag", "tag", "From bank") == "FROMBANK"
    """
    write = _SPELLED.get((structure, field))
    if write is None:
        return value
    if isinstance(value, str):
        return write(value)
    if isinstance(value, frozenset):
        return frozenset(write(member) if isinstance(member, str) else member for member in value)
    return value
