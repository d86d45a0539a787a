"""Webhooks: the server tells another program what happens."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from tailwart.fields import Url
from tailwart.mailbox import names
from tailwart.stalwart.protocol.kinds import WEBHOOK_HEADER
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Duration, Name, Term

KINDS = ("WebHook",)

_EVENT = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+\Z")
# Sets of events that belong together; every other event is given by the server's own name.
SETS: Mapping[str, tuple[str, ...]] = {
    "attacks": (
        "auth.too-many-attempts",
        "security.abuse-ban",
        "security.authentication-ban",
        "security.loiter-ban",
        "security.scan-ban",
    ),
    "delivery-failures": ("delivery.dsn-perm-fail", "delivery.failed", "delivery.double-bounce"),
    "certificates": ("acme.error", "acme.order-invalid", "acme.renew-backoff"),
    "quotas": ("limit.quota",),
    "stores": ("store.pool-error", "store.postgresql-error", "store.redis-error", "store.s3-error"),
}


def _event(value: str) -> str:
    if value in SETS or _EVENT.match(value):
        return value
    near = difflib.get_close_matches(value, SETS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"one of {', '.join(SETS)}, or an event of the server such as auth.failed{hint}")


class WebhookTerms(Term):
    """One receiver. Requests are signed when WEBHOOK_KEY is set in `.env`; `login`: WEBHOOK_TOKEN is sent along."""

    url: Url
    events: tuple[Annotated[str, AfterValidator(_event)], ...]
    login: bool = False
    at_most_every: Duration = 1000
    give_up_after: Duration = 300_000


def objects(webhooks: Mapping[Name, WebhookTerms], *, signed: bool) -> Iterator[DesiredObject]:
    """One object per receiver, known by its name in the header."""
    for name, terms in webhooks.items():
        events = {event for given in terms.events for event in SETS.get(given, (given,))}
        key = _variable(names.ENV_WEBHOOK_KEY) if signed else {TYPE: "None"}
        auth: dict[str, Any] = {TYPE: "Unauthenticated"}
        if terms.login:
            auth = {TYPE: "Bearer", "bearerToken": _variable(names.ENV_WEBHOOK_TOKEN)}
        yield DesiredObject(
            "WebHook",
            name,
            {
                "enable": True,
                "url": terms.url,
                "events": frozenset(events),
                "eventsPolicy": "include",
                "signatureKey": key,
                "httpAuth": auth,
                "throttle": terms.at_most_every,
                "discardAfter": terms.give_up_after,
            },
            at_creation={"httpHeaders": {WEBHOOK_HEADER: name}},
        )


def _variable(name: str) -> dict[str, str]:
    return {TYPE: "EnvironmentVariable", "variableName": name}
