"""The wildcard certificates and their renewal tasks, as the server tells of them. Pure.

A process that is stopped during a renewal leaves that task pending and locked for ever: a new task for the domain makes
up for it. Changing a domain's provider starts no order by itself, either. With a dead DNS key the task is tried again
and again, and the old certificate stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.live import Live, Object
from tailwart.stalwart.protocol.values import TYPE, Ref, members_of
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange

# Read besides the rest where certificates are managed.
CERTIFICATE_READ = (Call("Task", "get", {"ids": None}), Call("Certificate", "get", {"ids": None}))
_LOCKED_AFTER = timedelta(minutes=15)
_KEY_TROUBLE = re.compile(r"\b401\b|\b403\b|unauthori|forbidden|refused|notauth|bad(key|sig|time)|tsig", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The state of one domain's wildcard: `failure` is the last failed attempt's reason, if attempts fail."""

    domain: str
    domain_id: str
    present: bool
    failure: str
    has_task: bool

    @property
    def key_is_dead(self) -> bool:
        """Whether the failure looks like the DNS provider's key (lesson 2)."""
        return bool(_KEY_TROUBLE.search(self.failure))

    def message(self) -> str:
        """What the operator is told; empty when all is well."""
        stays = "the old certificate stays" if self.present else "there is no certificate yet"
        if self.failure:
            lesson = "; the DNS provider's key is dead or bound to another address (lesson 2)" * self.key_is_dead
            return f"the order for *.{self.domain} fails, {stays}: {self.failure}{lesson}"
        return "" if self.present else f"the certificate for *.{self.domain} is on order"


def certificates(settings: MailboxSettings, live: Live, now: datetime | None = None) -> list[Certificate]:
    """One entry per domain whose certificate the server manages."""
    if settings.acme is None:
        return []
    now = now or datetime.now(UTC)
    found = []
    for name in settings.domains:
        domain = live.get(Ref("Domain", name))
        if domain is None or (domain.get("certificateManagement") or {}).get(TYPE) != "Automatic":
            continue
        tasks = [item for item in live.of("Task") if item.get("domainId") == domain["id"]]
        renewals = [item for item in tasks if item.get(TYPE) == "AcmeRenewal"]
        failures = [
            str(status.get("failureReason"))
            for item in tasks
            if (status := item.get("status") or {}).get(TYPE) in ("Retry", "Failed")
        ]
        found.append(
            Certificate(
                name,
                str(domain["id"]),
                any(_covers(item, name, now) for item in live.of("Certificate")),
                failures[-1][:300] if failures else "",
                any(_usable(item, now) for item in renewals),
            )
        )
    return found


def to_order(found: Sequence[Certificate], operations: Sequence[ObjectChange]) -> list[str]:
    """The ids of the domains that need a new renewal task: none is left that can still run, or the provider changed."""
    moved = {operation.object_id for operation in operations if replaces_provider(operation)}
    return [item.domain_id for item in found if not item.has_task or item.domain_id in moved]


def replaces_provider(operation: ObjectChange) -> bool:
    """Whether a domain goes from one provider to another, which starts no order by itself."""
    before = operation.live.get("certificateManagement") or {}
    return (
        operation.ref.kind == "Domain"
        and "certificateManagement" in operation.values
        and before.get(TYPE) == ("Automatic")
    )


def order(domain_ids: Sequence[str]) -> Call:
    """The call that starts an order for each of these domains now."""
    task = {TYPE: "AcmeRenewal", "status": {TYPE: "Pending"}}
    return Call("Task", "set", {"create": {f"t{domain}": {**task, "domainId": domain} for domain in domain_ids}})


def _covers(item: Object, domain: str, now: datetime) -> bool:
    until = _time(item.get("notValidAfter"))
    return f"*.{domain}" in members_of(item.get("subjectAlternativeNames")) and (until is None or until > now)


def _usable(task: Object, now: datetime) -> bool:
    """Whether a task will still run: one that is long overdue is locked by a process that is gone."""
    status = task.get("status") or {}
    if status.get(TYPE) == "Retry":
        return True
    due = _time(task.get("due") or status.get("due"))
    return status.get(TYPE) == "Pending" and (due is None or due > now - _LOCKED_AFTER)


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
