"""Who may send as whom, and how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tailwart.fields import Domain
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Address, Rate, RateText, Term, texts

RATE_KINDS = ("MtaInboundThrottle", "MtaOutboundThrottle")


class SubmissionTerms(Term):
    """`sender_check`: the envelope sender must be an address of whoever signed in; `may_send_as_anyone`: exceptions."""

    sender_check: bool = True
    may_send_as_anyone: tuple[Address, ...] = ()


class RateTerms(Term):
    """Rates such as "200/1h"; None removes the limit that this deploy made, and restores the server's own.

    `per_account`: messages that one account may submit. `to_domain`: messages that leave for one domain.
    `from_address`: messages from one client address. `from_domain`: messages from one sender domain to one recipient.
    """

    per_account: RateText | None = None
    to_domain: Mapping[Domain, RateText] = {}
    from_address: RateText | None = None
    from_domain: RateText | None = None


def objects(terms: SubmissionTerms) -> Iterator[DesiredObject]:
    """The sender check that the terms name."""
    exceptions = terms.may_send_as_anyone
    match = ({"if": f"contains({texts(exceptions)}, authenticated_as)", "then": "false"},) if exceptions else ()
    value = {"match": match, "else": "true" if terms.sender_check else "false"}
    yield DesiredObject("MtaStageAuth", SINGLETON, {"mustMatchSender": value})


# The limits that a new server has, by their descriptions, which never change; and its own rates.
_OF_THE_SERVER = {
    "from_address": ("Sender IP throttle", Rate(5, 1000)),
    "from_domain": ("Sender address to recipient throttle", Rate(25, 3_600_000)),
}


def rate_objects(terms: RateTerms) -> Iterator[DesiredObject]:
    """The limits that the terms name."""
    if terms.per_account:
        yield _limit(
            "MtaInboundThrottle",
            f"{MARK}: per account",
            terms.per_account,
            key=frozenset({"authenticatedAs"}),
            match=_always("!is_empty(authenticated_as)"),
        )
    for name, (description, own) in _OF_THE_SERVER.items():
        if terms.gives(name):
            given: Rate = getattr(terms, name) or own
            yield DesiredObject(
                "MtaInboundThrottle",
                description,
                {"enable": True, "rate": given.document()},
                at_creation={"description": description, "key": _KEYS[name]},
            )
    for domain, rate in terms.to_domain.items():
        yield _limit(
            "MtaOutboundThrottle",
            f"{MARK}: to {domain}",
            rate,
            key=frozenset({"rcptDomain"}),
            match=_always(f"rcpt_domain == '{domain}'"),
        )


_KEYS = {"from_address": frozenset({"remoteIp"}), "from_domain": frozenset({"senderDomain", "rcpt"})}


def _limit(kind: str, description: str, rate: Rate, **fields: Any) -> DesiredObject:
    return DesiredObject(
        kind,
        description,
        {"enable": True, "rate": rate.document(), **fields},
        at_creation={"description": description},
    )


def _always(expression: str) -> dict[str, Any]:
    return {"match": (), "else": expression}
