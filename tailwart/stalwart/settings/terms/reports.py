"""Reports that this server sends to others (DMARC, TLS), and those that it receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Address, Term


def _organisation(value: str) -> str:
    if not value.strip() or not value.isprintable() or "'" in value or "\\" in value:
        raise ValueError("a name without quotes and backslashes")
    return value.strip()


Frequency = Literal["hourly", "daily", "weekly", "never"]


class ReportTerms(Term):
    """`dmarc`, `tls`: how often to send. `sender`: from whom. `analyse`: mail to these addresses is read as reports."""

    dmarc: Frequency = "daily"
    tls: Frequency = "daily"
    sender: Address | None = None
    organisation: Annotated[str, AfterValidator(_organisation)] | None = None
    analyse: tuple[Address, ...] = ()
    forward_analysed: bool = True


def objects(terms: ReportTerms) -> Iterator[DesiredObject]:
    """The report settings that the terms name."""
    dmarc: dict[str, Any] = {}
    tls: dict[str, Any] = {}
    for fields, name, frequency in ((dmarc, "dmarc", "aggregateSendFrequency"), (tls, "tls", "sendFrequency")):
        if terms.gives(name):
            value = getattr(terms, name)
            fields[frequency] = _always("disable" if value == "never" else value)
    if terms.sender:
        dmarc["aggregateFromAddress"] = tls["fromAddress"] = _always(f"'{terms.sender}'")
    if terms.organisation:
        dmarc["aggregateOrgName"] = tls["orgName"] = _always(f"'{terms.organisation}'")
    received: dict[str, Any] = {}
    if terms.gives("analyse"):
        received["inboundReportAddresses"] = frozenset(terms.analyse)
    if terms.gives("forward_analysed"):
        received["inboundReportForwarding"] = terms.forward_analysed
    for kind, values in (("DmarcReportSettings", dmarc), ("TlsReportSettings", tls), ("ReportSettings", received)):
        if values:
            yield DesiredObject(kind, SINGLETON, values)


def _always(expression: str) -> dict[str, Any]:
    return {"match": (), "else": expression}
