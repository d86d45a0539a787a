"""DKIM keys as web forms and panels damage them, and the value in one piece to paste instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tailwart.dns.check.findings import Finding, ok, wrong
from tailwart.dns.desired import Desired, is_dkim
from tailwart.providers.record import Record, absolute


def check(desired: Desired, served: Mapping[tuple[str, str], Sequence[Record]]) -> Iterator[Finding]:
    """One finding per key that the mail server signs with."""
    zone = desired.intent.zone
    for entry in filter(is_dkim, desired.records):
        name = absolute(entry.name, zone).to_text(omit_final_dot=True)
        here = [other.value for other in served.get(entry.rrset, ())]
        if entry.value in here and len(here) == 1:
            yield ok("dkim", name, "is the key that the mail server signs with")
            continue
        yield wrong(
            "dkim",
            name,
            _damage(entry.value, here),
            remedy=f"`tailwart dns apply`; in a web form: name {entry.name}, type TXT, the value below in one piece, "
            "without quotation marks",
            paste=entry.value,
        )


def _damage(key: str, here: list[str]) -> str:
    """What happened to the key on its way, as precisely as it can be said."""
    if not here:
        return "has no record: receivers cannot verify a single signature"
    plain = [re.sub(r'["\\\s]', "", text) for text in here]
    wanted = re.sub(r"\s", "", key)
    if key in here:
        return (
            f"has {len(here) - 1} other TXT records beside the key: which one counts is undefined (RFC 6376 §3.6.2.2)"
        )
    if len(here) > 1 and sorted("".join(plain)) == sorted(wanted):
        return f"is cut into {len(here)} records: the pieces of one key belong into one record"
    if wanted in plain:
        return "holds quotation marks, backslashes or spaces that are not part of the key"
    if beginnings := [len(text) for text in plain if text and wanted.startswith(text)]:
        return f"is cut off after {max(beginnings)} of {len(wanted)} characters"
    return "is another key than the one the mail server signs with"
