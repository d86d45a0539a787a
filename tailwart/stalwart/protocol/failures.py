"""What Stalwart refuses, and what prevents an answer, with the object, the field and the remedy.

The error types are those of the recorded exchanges of 0.16.7 and of RFC 8620 sections 3.6 and 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailwart.errors import TailwartError
from tailwart.releases import SUPPORTED

_READ_LOG = "read the server's log on the mailbox host: `docker logs --tail 50 stalwart`"
_REMEDIES = {
    "primaryKeyViolation": "another object has that name; run the deploy again: it reads the server and adopts it",
    "invalidPatch": "the server does not accept this value; correct it in .env or group_data/mailbox.py",
    "validationFailed": "correct the value in .env or group_data/mailbox.py",
    "invalidForeignKey": "the object it refers to is gone; run the deploy again: it reads the server again",
    "objectIsLinked": "remove or change the objects that use it first",
    "notFound": "it was removed in the meantime; run the deploy again: it reads the server again",
    "forbidden": "this login is no administrator: check STALWART_ADMIN, or run `tailwart recover`",
    "unknownMethod": f"this server does not know that object: check STALWART_IMAGE, {SUPPORTED.name} is supported",
    "invalidProperties": "correct the value in .env or group_data/mailbox.py",
    "singleton": "this object can only be changed, not created or destroyed",
    "willDestroy": "run the deploy again: it reads the server again",
    "rateLimit": "wait a minute and run the deploy again",
    "overQuota": "raise the limit on the server, or remove objects",
    "requestTooLarge": "run the deploy again; report this if it persists: requests are cut to the server's limits",
    "accountNotFound": "run the deploy again: it reads the session again",
    "serverFail": _READ_LOG,
    "serverUnavailable": _READ_LOG,
}


class SettingsError(TailwartError):
    """Stalwart refused something, or could not be asked."""


class LoginRefused(SettingsError):
    """HTTP 401: the login is not valid on this server."""


class NotReachable(SettingsError):
    """No usable answer: connection refused, timeout, a truncated answer, no running container."""


def refused(verb: str, kind: str, name: str, error: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> str:
    """One refused object of a `set` as a sentence: the object, the field, what the server answered.

    `names` are those of `Live.names`: the server names objects by their ids only.
    """
    parts = [f"{verb} {kind} {name}: {error.get('type', 'unknown error')}"]
    if fields := [str(field) for field in error.get("properties") or () if field]:
        parts.append(f"field {', '.join(fields)}")
    for detail in error.get("validationErrors") or ():
        said = " ".join(str(detail[key]) for key in ("type", "value") if detail.get(key) is not None)
        parts.append(f"field {detail.get('property', '?')}: {said}")
    if description := error.get("description"):
        parts.append(str(description))
    if isinstance(target := error.get("objectId"), Mapping):
        parts.append(f"object {named(target, names)}")
    if linked := error.get("linkedObjects"):
        parts.append("used by " + ", ".join(named(item, names) for item in linked))
    return "; ".join(parts)


def named(target: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> str:
    """An object that the server names by kind and id, by its name where that is known."""
    kind, identifier = str(target.get("object", "?")), str(target.get("id", "?"))
    known = names.get((kind, identifier))
    return f"{kind} {known}" if known else f"{kind} with id {identifier}"


def remedy(error: Mapping[str, Any], kind: str = "") -> str:
    """What the operator can do about one error of an object of `kind`."""
    said = str(error.get("description") or "")
    other = (error.get("objectId") or {}).get("object", kind)
    if error.get("type") == "primaryKeyViolation" and kind not in ("", other):
        taken = ", ".join(map(str, error.get("properties") or ())) or "name"
        return f"{kind} and {other} share one name space: give one of the two another {taken}"
    if "nvironment variable" in said:
        return "set that variable in the container's environment, or remove the object that asks for it"
    if (error.get("objectId") or {}).get("object") == "SpamPyzor":
        return "give the mailbox a resolver for names of the internet, or set OFFLINE=true in .env"
    if "ACME account" in said:
        return (
            "check ACME_DIRECTORY and that the container reaches it: "
            "`docker exec stalwart curl -sS ACME_DIRECTORY` on the mailbox host"
        )
    return _REMEDIES.get(str(error.get("type")), _READ_LOG)


def call_failed(name: str, error: Mapping[str, Any]) -> SettingsError:
    """The error for a method call that was refused as a whole (RFC 8620 section 3.6.2)."""
    return SettingsError(
        f"Stalwart refused {name}",
        seen=": ".join(str(error[key]) for key in ("type", "description") if error.get(key)),
        remedy=remedy(error),
    )
