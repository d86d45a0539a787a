"""The spam filter: thresholds, trusted and blocked senders, DNS blocklists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from tailwart.fields import Domain
from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Duration, Name, Score, Sender, Term, Threshold, texts

TAG = "TAILWART_"
"""Begins every tag and rule of ours in the spam filter."""

KINDS = ("SpamRule", "SpamTag", "SpamDnsblServer")
TRUSTED = f"{TAG}TRUSTED"
# Far beyond the sum of all other scores.
_TRUST = -100.0
# How an element of the message is asked for in a blocklist's zone (the server's own variables).
_QUERIES = {
    "ip": ("Ip", "location == 'tcp'", "ip_reverse"),
    "domain": ("Domain", "true", "value"),
    "url": ("Url", "true", "sld"),
}


def _answer(value: str) -> str:
    if not value.startswith("127.") or value.count(".") != 3 or not value.replace(".", "").isdigit():
        raise ValueError("an address of 127.0.0.0/8, as blocklists answer, such as 127.0.0.2")
    return value


class Blocklist(Term):
    """A DNS blocklist: its `zone`, what is looked up in it, and the `score` of a hit."""

    zone: Domain
    checks: Literal["ip", "domain", "url"] = "ip"
    score: Score
    answers: tuple[Annotated[str, AfterValidator(_answer)], ...] = ()


class SpamTerms(Term):
    """Thresholds are scores; None turns that outcome off."""

    enabled: bool = True
    junk_above: Threshold = 5.0
    reject_above: Threshold | None = None
    discard_above: Threshold | None = None
    trust_contacts: bool = True
    trust_replies: bool = True
    greylist_for: Duration | None = None
    trusted_senders: tuple[Sender, ...] = ()
    blocked_senders: tuple[Sender, ...] = ()
    blocklists: Mapping[Name, Blocklist] = {}


_PLAIN = {
    "enabled": "enable",
    "junk_above": "scoreSpam",
    "reject_above": "scoreReject",
    "discard_above": "scoreDiscard",
    "trust_contacts": "trustContacts",
    "trust_replies": "trustReplies",
    "greylist_for": "greylistFor",
}


def objects(terms: SpamTerms) -> Iterator[DesiredObject]:
    """The filter's settings that the terms name, and one rule, tag and server for each list."""
    fields: dict[str, Any] = {}
    for name, field in _PLAIN.items():
        if terms.gives(name):
            value = getattr(terms, name)
            # The server's way to say "never": a threshold of zero.
            fields[field] = 0 if value is None and field.startswith("score") else value
    if fields:
        yield DesiredObject("SpamSettings", SINGLETON, fields)
    if terms.trusted_senders:
        yield from _trusted(terms.trusted_senders)
    if terms.gives("blocked_senders"):
        yield _blocked(terms.blocked_senders)
    for name, blocklist in terms.blocklists.items():
        yield from _blocklist(name, blocklist)


def _score(tag: str, score: float) -> DesiredObject:
    return DesiredObject("SpamTag", tag, {TYPE: "Score", "score": score}, at_creation={"tag": tag})


def _trusted(senders: tuple[str, ...]) -> Iterator[DesiredObject]:
    # Without the DMARC pass anybody could write a trusted address into From.
    yield DesiredObject(
        "SpamRule",
        TRUSTED,
        {
            TYPE: "Any",
            "enable": True,
            "condition": {
                "match": (
                    {
                        "if": f"$DMARC_POLICY_ALLOW && ({_among(senders, 'from', 'from.domain')})",
                        "then": f"'{TRUSTED}'",
                    },
                ),
                "else": "false",
            },
        },
        at_creation={"name": TRUSTED, "description": f"{MARK}: trusted senders"},
    )
    yield _score(TRUSTED, _TRUST)


def _blocked(senders: tuple[str, ...]) -> DesiredObject:
    refused = "key_exists('spam-block', sender_domain)"
    if senders:
        refused = f"({refused} || {_among(senders, 'sender', 'sender_domain')})"
    return DesiredObject(
        "MtaStageMail",
        SINGLETON,
        {"isSenderAllowed": {"match": (), "else": f"!is_empty(authenticated_as) || !{refused}"}},
    )


def _among(senders: tuple[str, ...], address: str, domain: str) -> str:
    addresses = [item for item in senders if "@" in item]
    domains = [item for item in senders if "@" not in item]
    tests = [
        f"contains({texts(items)}, {variable})"
        for items, variable in ((addresses, address), (domains, domain))
        if items
    ]
    return " || ".join(tests)


def _blocklist(name: str, blocklist: Blocklist) -> Iterator[DesiredObject]:
    variant, condition, query = _QUERIES[blocklist.checks]
    tag = f"{TAG}RBL_{name.upper().replace('-', '_')}"
    hit = f"contains({texts(blocklist.answers)}, ip)" if blocklist.answers else "starts_with(ip, '127.')"
    # The server keeps these names in capitals.
    name = name.upper()
    yield DesiredObject(
        "SpamDnsblServer",
        name,
        {
            TYPE: variant,
            "enable": True,
            "zone": {"match": ({"if": condition, "then": f"{query} + '.{blocklist.zone}'"},), "else": "false"},
            "tag": {"match": ({"if": hit, "then": f"'{tag}'"},), "else": "false"},
        },
        at_creation={"name": name, "description": f"{MARK}: {name}"},
    )
    yield _score(tag, blocklist.score)
