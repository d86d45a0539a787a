"""App passwords: further logins of one account, made up by the server, each revoked on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tailwart.errors import TailwartError
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.values import members_of

_KIND = "AppPassword"


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One of an account's app passwords; the password itself is shown once, when it is made, and never again."""

    id: str
    name: str
    created: str
    expires: str | None
    networks: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The app password as plain values, for `--json`."""
        return {
            "id": self.id,
            "name": self.name,
            "created": self.created,
            "expires": self.expires,
            "from": list(self.networks),
        }


class AppPasswords:
    """Those of one account, by its id; every method raises SettingsError with the server's reason."""

    def __init__(self, client: Client, address: str, account_id: str) -> None:
        self._client = client
        self._address = address
        self._account = {"accountId": account_id}

    def held(self) -> list[AppPassword]:
        """All of them, the oldest first."""
        (answer,) = self._client.call([Call(_KIND, "get", {**self._account, "ids": None})])
        found = [_parsed(item) for item in answer.objects]
        return sorted(found, key=lambda item: (item.created, item.id))

    def add(self, name: str, expires: datetime | None, networks: Sequence[str]) -> str:
        """A new one; returns the password. Raises TailwartError when the account has one of that name."""
        if any(item.name == name for item in self.held()):
            raise TailwartError(
                f'{self._address} has an app password "{name}" already',
                expected="a name of its own for each program or device",
                remedy=f"choose another name, or first: tailwart account app-password revoke {self._address} {name}",
            )
        document: dict[str, Any] = {"description": name}
        if expires is not None:
            document["expiresAt"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        if networks:
            document["allowedIps"] = dict.fromkeys(networks, True)
        answer = self._set("create", {"create": {"made": document}})
        return str(answer["created"]["made"]["secret"])

    def revoke(self, name: str) -> AppPassword:
        """Destroy the one of that name or id: programs that use it are refused from now on."""
        held = self.held()
        found = [item for item in held if name in (item.name, item.id)]
        if len(found) != 1:
            known = ", ".join(f"{item.name} ({item.id})" for item in held) or "none"
            raise TailwartError(
                f'{self._address} has {"no" if not found else "more than one"} app password "{name}"',
                seen=known,
                remedy=f"give a name or an id of: tailwart account app-password list {self._address}",
            )
        self._set("destroy", {"destroy": [found[0].id]})
        return found[0]

    def _set(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        (answer,) = self._client.call([Call(_KIND, "set", {**self._account, **arguments})])
        for outcome in ("notCreated", "notDestroyed"):
            for error in (answer.arguments.get(outcome) or {}).values():
                raise SettingsError(
                    f"Stalwart refused to {verb} the app password",
                    seen=refused(verb, _KIND, self._address, error, {}),
                    remedy=_LIMIT if error.get("type") == "overQuota" else remedy(error),
                )
        return answer.arguments


_LIMIT = (
    "revoke one with `tailwart account app-password revoke`, or raise the limit: "
    'mailbox_sign_in = {"app_passwords": 10} in group_data/mailbox.py'
)


def _parsed(item: Mapping[str, Any]) -> AppPassword:
    return AppPassword(
        str(item["id"]),
        str(item.get("description") or ""),
        str(item.get("createdAt") or ""),
        str(item["expiresAt"]) if item.get("expiresAt") else None,
        tuple(sorted(members_of(item.get("allowedIps")))),
    )
