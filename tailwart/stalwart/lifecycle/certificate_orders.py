"""The wildcard certificates: which exist, which orders fail, and orders where the server starts none by itself.

A process that is stopped during a renewal leaves that task pending and locked for ever: a new task for the domain
replaces it. A change of a domain's provider starts no order by itself, either. With a dead DNS key the server retries,
and the old certificate stays.

An order on a certificate that is not due ends as `Failed`, and then nothing is planned any more. So such a certificate
gets its renewal planned for the day on which it is due, and a new provider takes the old certificate's place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.jmap import FOUND, MAX_OBJECTS, Call
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.orders import renewal
from tailwart.stalwart.protocol.values import TYPE, Ref, members_of
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange

# The share of its life after which a certificate is renewed, by the provider's `renewBefore`.
_RENEWED_AFTER = {"R12": 1 / 2, "R23": 2 / 3, "R34": 3 / 4, "R45": 4 / 5}
_NOT_DUE = re.compile(r"still valid.* until (\S+)", re.DOTALL)

# Read in addition where certificates are managed.
CERTIFICATE_READ = (
    Call("Task", "query", {"filter": {TYPE: "AcmeRenewal"}, "limit": MAX_OBJECTS}),
    Call("Task", "get", {"ids": FOUND}),
    Call("Certificate", "get", {"ids": None}),
)
_LOCKED_AFTER = timedelta(minutes=15)
# An order by DNS-01 takes some seconds where everything works; a slow provider's propagation is not awaited.
_ATTEMPTS = 8
# Texts of the providers' APIs, of name servers, and of the server's own DNS library.
_KEY_TROUBLE = re.compile(
    r"\b401\b|\b403\b|unauthori|not authori|forbidden|refused|notauth|bad(key|sig|time)|tsig|hmac|key not recognized",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The state of one domain's wildcard: `failure` is the last failed attempt's reason, if attempts fail.

    `due` is the time before which the server refuses to renew a certificate that is present. `held` are the ids of the
    wildcards, `ended` those of renewals that failed for good, or would come too late.
    """

    domain: str
    domain_id: str
    present: bool
    failure: str
    has_task: bool
    due: datetime | None = None
    held: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()

    @property
    def key_is_dead(self) -> bool:
        """Whether the failure looks like the DNS provider's key (lesson 2)."""
        return bool(_KEY_TROUBLE.search(self.failure))

    def message(self) -> str:
        """What the operator should know; empty when the certificate is there and nothing fails."""
        stays = "the old certificate stays" if self.present else "there is no certificate yet"
        if self.failure:
            lesson = "; the DNS provider's key is dead or bound to another address (lesson 2)" * self.key_is_dead
            return f"the order for *.{self.domain} fails, {stays}: {self.failure}{lesson}"
        return "" if self.present else f"the certificate for *.{self.domain} is ordered but not issued yet"


def certificates(settings: MailboxSettings, live: Live, now: datetime | None = None) -> list[Certificate]:
    """One entry per domain whose certificate the server manages."""
    if settings.acme is None:
        return []
    now = now or datetime.now(UTC)
    found = []
    for name in settings.env.domains:
        domain = live.get(Ref("Domain", name))
        if domain is None or (domain.get("certificateManagement") or {}).get(TYPE) != "Automatic":
            continue
        tasks = [item for item in live.of("Task") if item.get("domainId") == domain["id"]]
        renewals = [item for item in tasks if item.get(TYPE) == "AcmeRenewal"]
        held = [item for item in live.of("Certificate") if _covers(item, name, now)]
        failures = [reason for item in tasks if (reason := _failure(item)) and not (held and _NOT_DUE.search(reason))]
        ended = [item for item in renewals if (item.get("status") or {}).get(TYPE) == "Failed"]
        usable = [item for item in renewals if _usable(item, now)]
        if not held:
            # The renewal of a certificate that is lost would come on the day on which that one would have been due.
            planned = [item for item in usable if _later(item, now)]
            usable = [item for item in usable if item not in planned]
            ended += planned
        found.append(
            Certificate(
                name,
                str(domain["id"]),
                bool(held),
                failures[-1][:300] if failures else "",
                bool(usable),
                max((_due(item, ended, _share(domain, live)) for item in held), default=None),
                tuple(str(item["id"]) for item in held if _is_managed(item, name)),
                tuple(str(item["id"]) for item in ended),
            )
        )
    return found


def _failure(task: Object) -> str:
    status = task.get("status") or {}
    return str(status.get("failureReason")) if status.get(TYPE) in ("Retry", "Failed") else ""


def _share(domain: Object, live: Live) -> float:
    provider_id = (domain.get("certificateManagement") or {}).get("acmeProviderId")
    provider = next((item for item in live.of("AcmeProvider") if item["id"] == provider_id), {})
    return _RENEWED_AFTER.get(str(provider.get("renewBefore")), _RENEWED_AFTER["R23"])


def _due(certificate: Object, ended: Sequence[Object], share: float) -> datetime:
    """When the server takes an order for this certificate: as it said itself, else by the certificate's life."""
    said = [time for task in ended if (match := _NOT_DUE.search(_failure(task))) and (time := _time(match[1]))]
    begin, end = _time(certificate.get("notValidBefore")), _time(certificate.get("notValidAfter"))
    counted = begin + (end - begin) * share if begin and end else datetime.min.replace(tzinfo=UTC)
    return max([*said, counted])


def _is_managed(certificate: Object, domain: str) -> bool:
    """Whether this is a wildcard as the server obtains it; one that a person uploaded has other names."""
    return set(members_of(certificate.get("subjectAlternativeNames"))) == {f"*.{domain}", domain}


def to_order(found: Sequence[Certificate], changes: Sequence[ObjectChange]) -> list[str]:
    """The ids of the domains that need a new renewal task: no task can still run, or `changes` replace the provider."""
    moved = {change.object_id for change in changes if replaces_provider(change)}
    return [item.domain_id for item in found if not item.has_task or item.domain_id in moved]


def replaces_provider(change: ObjectChange) -> bool:
    """Whether a domain goes from one provider to another, which starts no order by itself."""
    before = change.live.get("certificateManagement") or {}
    return change.ref.kind == "Domain" and "certificateManagement" in change.values and before.get(TYPE) == "Automatic"


def order(
    found: Sequence[Certificate], changes: Sequence[ObjectChange] = (), now: datetime | None = None
) -> list[Call]:
    """The calls that order, or plan, what `to_order` names; empty when that is nothing.

    A certificate that is not due is renewed on its day. One of another provider makes room: the server keeps serving
    what it has loaded until the new one is there.
    """
    now = now or datetime.now(UTC)
    moved = {change.object_id for change in changes if replaces_provider(change)}
    wanted = [item for item in found if item.domain_id in to_order(found, changes)]
    if not wanted:
        return []
    old = [identifier for item in wanted if item.domain_id in moved for identifier in item.held]
    tasks = {
        f"t{item.domain_id}": renewal(item.domain_id, item.due if _waits(item, now, moved) else None) for item in wanted
    }
    ended = [identifier for item in wanted for identifier in item.ended]
    making_room = [Call("Certificate", "set", {"destroy": old})] if old else []
    return [*making_room, Call("Task", "set", {"create": tasks, **({"destroy": ended} if ended else {})})]


def _waits(item: Certificate, now: datetime, moved: Container[object]) -> bool:
    return item.present and item.domain_id not in moved and item.due is not None and item.due > now


def obtain(
    read: Callable[[], Sequence[Certificate]],
    client: Client,
    changed: Sequence[ObjectChange],
    pause: Callable[[], None],
    log: Callable[[str], None],
) -> None:
    """Order what the server does not order by itself, and wait until every certificate is there or its order fails.

    `changed` are the writes of this run, `pause` waits between two reads. An order that still runs at the end is only
    logged: the server continues by itself. Raises SettingsError for the first order that fails.
    """
    found = read()
    # A domain that has just been put under management gets its first order from the server itself.
    enabled = {change.ref.key for change in changed if not replaces_provider(change)}
    if calls := order([item for item in found if item.domain not in enabled], changed):
        client.call(calls)
        found = read()
    for _ in range(_ATTEMPTS):
        if all(item.present or item.failure for item in found):
            break
        pause()
        found = read()
    else:
        if calls := order(found):
            client.call(calls)
    for item in found:
        if item.failure:
            raise _failed(item)
        if text := item.message():
            log(text)


def _failed(item: Certificate) -> SettingsError:
    dead = item.key_is_dead
    return SettingsError(
        "everything else is applied, but a certificate cannot be obtained",
        seen=item.message(),
        remedy="check the DNS provider's key (`tailwart dns check`), correct it in .env and deploy again"
        if dead
        else "read the reason on the mailbox host: `docker logs stalwart | grep -i acme`",
        lesson=2 if dead else None,
    )


def _covers(item: Object, domain: str, now: datetime) -> bool:
    until = _time(item.get("notValidAfter"))
    return f"*.{domain}" in members_of(item.get("subjectAlternativeNames")) and (until is None or until > now)


def _usable(task: Object, now: datetime) -> bool:
    """Whether a task will still run: a task long overdue is locked by a process that no longer exists."""
    status = task.get("status") or {}
    if status.get(TYPE) == "Retry":
        return True
    due = _time(task.get("due") or status.get("due"))
    return status.get(TYPE) == "Pending" and (due is None or due > now - _LOCKED_AFTER)


def _later(task: Object, now: datetime) -> bool:
    due = _time(task.get("due") or (task.get("status") or {}).get("due"))
    return (task.get("status") or {}).get(TYPE) == "Pending" and due is not None and due > now + _LOCKED_AFTER


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
