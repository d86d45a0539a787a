"""People's own Sieve scripts, set by the administrator: what they would do with ManageSieve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, remedy
from tailwart.stalwart.protocol.jmap import STANDARD, Call

_KIND = "SieveScript"
NAME = "tailwart"
"""The name of the script that the command sets; others of the person stay, inactive."""


@dataclass(frozen=True, slots=True)
class Script:
    """One script of an account."""

    id: str
    name: str
    active: bool


class Scripts:
    """Those of one account, by its id; every method raises SettingsError with the server's reason."""

    def __init__(self, client: Client, address: str, account_id: str) -> None:
        self._client = client
        self._address = address
        self._account = {"accountId": account_id}

    def held(self) -> list[Script]:
        """All of them, by name."""
        (answer,) = self._client.call([Call(_KIND, "get", {**self._account, "ids": None}, STANDARD)])
        found = [Script(str(item["id"]), str(item["name"]), bool(item["isActive"])) for item in answer.objects]
        return sorted(found, key=lambda script: script.name)

    def activate(self, text: str) -> None:
        """Make this text the account's active script."""
        upload = {"create": {"text": {"data": [{"data:asText": text}], "type": "application/sieve"}}}
        (answer,) = self._client.call([Call("Blob", "upload", {**self._account, **upload}, STANDARD)])
        self._refused(answer.arguments, "upload")
        blob = answer.arguments["created"]["text"]["id"]
        held = next((script for script in self.held() if script.name == NAME), None)
        change: dict[str, Any] = {"create": {"script": {"name": NAME, "blobId": blob}}}
        change["onSuccessActivateScript"] = "#script"
        if held is not None:
            change = {"update": {held.id: {"blobId": blob}}, "onSuccessActivateScript": held.id}
        self._set(change)

    def remove(self) -> bool:
        """Remove the script that `activate` made; whether there was one."""
        held = next((script for script in self.held() if script.name == NAME), None)
        if held is None:
            return False
        if held.active:
            self._set({"onSuccessDeactivateScript": True})
        self._set({"destroy": [held.id]})
        return True

    def _set(self, arguments: Mapping[str, Any]) -> None:
        (answer,) = self._client.call([Call(_KIND, "set", {**self._account, **arguments}, STANDARD)])
        self._refused(answer.arguments, "change")

    def _refused(self, answer: Mapping[str, Any], verb: str) -> None:
        for outcome in ("notCreated", "notUpdated", "notDestroyed"):
            for error in (answer.get(outcome) or {}).values():
                invalid = error.get("type") == "invalidScript"
                raise SettingsError(
                    f"Stalwart refused to {verb} the Sieve script of {self._address}",
                    seen=": ".join(str(error[key]) for key in ("type", "description") if error.get(key)),
                    remedy="correct the script; nothing was changed" if invalid else remedy(error),
                )
