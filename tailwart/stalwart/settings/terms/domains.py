"""Catch-all, sub-addressing and report addresses of the declared domains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Address, Term

_SEPARATORS = ("-", "_", ".", "=")


def _sub_addressing(value: object) -> bool | str:
    if isinstance(value, bool) or value in _SEPARATORS:
        return value if isinstance(value, bool) else str(value)
    raise ValueError(f"True (plus sign), False, or another separator: one of {' '.join(_SEPARATORS)}")


class DomainTerms(Term):
    """`catch_all`: who gets mail to unknown names. `reports_to`: where others send their DMARC and TLS reports."""

    catch_all: Address | None = None
    sub_addressing: Annotated[bool | str, BeforeValidator(_sub_addressing)] = True
    reports_to: Address | None = None


def objects(domains: Mapping[str, DomainTerms]) -> Iterator[DesiredObject]:
    """The fields of each domain that its terms name."""
    for name, terms in domains.items():
        fields: dict[str, Any] = {}
        if terms.gives("catch_all"):
            fields["catchAllAddress"] = terms.catch_all
        if terms.gives("sub_addressing"):
            fields["subAddressing"] = _rule(terms.sub_addressing)
        if terms.gives("reports_to"):
            fields["reportAddressUri"] = f"mailto:{terms.reports_to}" if terms.reports_to else None
        if fields:
            # At creation, what is absent gets the server's default: "nobody" must be said.
            nobody = {field: None for field in ("reportAddressUri",) if field in fields and fields[field] is None}
            yield DesiredObject("Domain", name, fields, at_creation=nobody)


def _rule(value: bool | str) -> dict[str, Any]:
    if isinstance(value, bool):
        return {TYPE: "Enabled" if value else "Disabled"}
    match = {"if": f"matches('^([^{value}]+)[{value}].*$', rcpt)", "then": "$1"}
    return {TYPE: "Custom", "customRule": {"match": (match,), "else": "rcpt"}}
