"""The MTA-STS policy that the server serves (RFC 8461): its mode, step by step, and how long others keep it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Duration, Term


class MtaStsTerms(Term):
    """`mode`: `testing` reports failures and delivers all the same, `enforce` does not deliver, `off` serves none.

    `keep`: for how long other servers remember the policy.
    """

    mode: Literal["off", "testing", "enforce"] = "testing"
    keep: Duration | None = None


def objects(terms: MtaStsTerms) -> Iterator[DesiredObject]:
    """The fields of the policy that the terms name."""
    fields: dict[str, Any] = {}
    if terms.gives("mode"):
        fields["mode"] = "disable" if terms.mode == "off" else terms.mode
    if terms.keep is not None:
        fields["maxAge"] = terms.keep
    if fields:
        yield DesiredObject("MtaSts", SINGLETON, fields)
