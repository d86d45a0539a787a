"""The server's directory: every address that receives mail, and changes to accounts, one request each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailwart.errors import TailwartError
from tailwart.network import INSIDE
from tailwart.stalwart.accounts.app_passwords import AppPasswords
from tailwart.stalwart.accounts.passwords import hashed
from tailwart.stalwart.accounts.scripts import Scripts
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.kinds import Object
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE, Ref, at, listed, members_of, placed

_BLOCK = "authenticate"


@dataclass(frozen=True, slots=True)
class Entry:
    """One address with a mailbox or a list behind it; `kind` is "user", "group" or "list", sizes are in bytes."""

    address: str
    kind: str
    admin: bool
    aliases: tuple[str, ...]
    quota_bytes: int | None
    used_bytes: int
    disabled: bool

    def document(self) -> dict[str, Any]:
        """The entry as plain values, for `--json`."""
        return {
            "address": self.address,
            "kind": self.kind,
            "admin": self.admin,
            "aliases": list(self.aliases),
            "quota_bytes": self.quota_bytes,
            "used_bytes": self.used_bytes,
            "disabled": self.disabled,
        }


def entries(live: Live) -> list[Entry]:
    """Everything that receives mail, by address."""
    found = [_account(live, item) for item in live.of("Account")]
    found += [
        Entry(live.key("MailingList", item), "list", False, _aliases(live, item), None, 0, False)
        for item in live.of("MailingList")
    ]
    return sorted(found, key=lambda entry: entry.address)


def _account(live: Live, item: Object) -> Entry:
    return Entry(
        live.key("Account", item),
        "group" if item.get(TYPE) == "Group" else "user",
        (item.get("roles") or {}).get(TYPE) == "Admin",
        _aliases(live, item),
        (item.get("quotas") or {}).get("maxDiskQuota"),
        int(item.get("usedDiskQuota") or 0),
        _BLOCK in members_of((item.get("permissions") or {}).get("disabledPermissions")),
    )


def _aliases(live: Live, item: Object) -> tuple[str, ...]:
    domains = {identifier: name for (kind, identifier), name in live.names.items() if kind == "Domain"}
    return tuple(
        f"{alias.get('name')}@{domains.get(str(alias.get('domainId')), '?')}"
        for alias in listed(item.get("aliases"))
        if alias.get("enabled", True)
    )


class Accounts:
    """Changes to one server's accounts; every method raises SettingsError with the server's reason."""

    def __init__(self, client: Client, live: Live) -> None:
        self._client = client
        self.live = live

    def add(self, address: str, password: str, aliases: Sequence[str], quota_bytes: int | None) -> None:
        """A new account with this password."""
        name, _, domain = address.partition("@")
        document: dict[str, Any] = {
            TYPE: "User",
            "name": name,
            "domainId": self._domain(domain),
            "credentials": {"0": {TYPE: "Password", "secret": hashed(password)}},
        }
        if aliases:
            document["aliases"] = self._alias_list(aliases)
        if quota_bytes is not None:
            document["quotas"] = {"maxDiskQuota": quota_bytes}
        self._set("create", address, {"create": {"account": document}})

    def add_administrator(self, address: str, password: str) -> None:
        """A new administrator with this password, which counts from the tailnet alone."""
        name, _, domain = address.partition("@")
        document = {
            TYPE: "User",
            "name": name,
            "domainId": self._domain(domain),
            "roles": {TYPE: "Admin"},
            "credentials": {
                "0": {TYPE: "Password", "secret": hashed(password), "allowedIps": dict.fromkeys(INSIDE, True)}
            },
        }
        self._set("create", address, {"create": {"account": document}})

    def make_administrator(self, address: str) -> None:
        """Give the account the administrator's role, and allow it to sign in."""
        patch: dict[str, Any] = {}
        if (self.find(address).get("roles") or {}).get(TYPE) != "Admin":
            patch["roles"] = {TYPE: "Admin"}
        if _BLOCK in members_of((self.find(address).get("permissions") or {}).get("disabledPermissions")):
            patch["permissions"] = {TYPE: "Inherit"}
        if patch:
            self._update(address, patch)

    def set_password(self, address: str, password: str) -> None:
        """Replace the password; app passwords, networks and a second factor of the account stay."""
        account = self.find(address)
        secret = hashed(password)
        patch: dict[str, Any] = {"credentials": {"0": {TYPE: "Password", "secret": secret}}}
        if at(account, "credentials/[Password]"):
            patch = {placed("credentials/[Password]/secret", account): secret}
        elif account.get("credentials"):
            patch = {placed("credentials/[Password]", account): {TYPE: "Password", "secret": secret}}
        self._update(address, patch)

    def app_passwords(self, address: str) -> AppPasswords:
        """The account's app passwords."""
        return AppPasswords(self._client, address, str(self.find(address)["id"]))

    def scripts(self, address: str) -> Scripts:
        """The account's Sieve scripts."""
        return Scripts(self._client, address, str(self.find(address)["id"]))

    def set_aliases(self, address: str, aliases: Sequence[str]) -> None:
        """Replace all aliases of the account."""
        self._update(address, {"aliases": self._alias_list(aliases)})

    def set_quota(self, address: str, quota_bytes: int | None) -> None:
        """Limit the mailbox to so many bytes; None for no limit."""
        self._update(address, {"quotas/maxDiskQuota": quota_bytes})

    def set_disabled(self, address: str, disabled: bool) -> None:
        """Forbid signing in, or allow it again; mail is still received, nothing is lost."""
        permissions = dict(self.find(address).get("permissions") or {TYPE: "Inherit"})
        blocked = set(members_of(permissions.get("disabledPermissions"))) - {_BLOCK}
        if disabled:
            blocked.add(_BLOCK)
        if permissions.get(TYPE) == "Inherit" and disabled:
            permissions[TYPE] = "Merge"
        if not blocked and not members_of(permissions.get("enabledPermissions")):
            permissions = {TYPE: "Inherit"}
        else:
            permissions["disabledPermissions"] = dict.fromkeys(sorted(blocked), True)
        self._update(address, {"permissions": permissions})

    def find(self, address: str) -> Object:
        """The account; raises TailwartError with the first accounts that exist."""
        found = self.live.get(Ref("Account", address))
        if found is None:
            known = ", ".join(entry.address for entry in entries(self.live)[:8]) or "none"
            raise TailwartError(
                f"there is no account {address}",
                seen=f"accounts: {known}",
                remedy="check the spelling with: tailwart account list",
            )
        return found

    def _domain(self, name: str) -> str:
        found = self.live.resolve(Ref("Domain", name))
        if found is None:
            domains = ", ".join(sorted(str(item.get("name")) for item in self.live.of("Domain")))
            raise TailwartError(
                f"{name} is not a domain of this server",
                expected=f"one of {domains}",
                remedy="add it to EXTRA_DOMAINS in .env, then: tailwart settings apply",
            )
        return found

    def _alias_list(self, aliases: Sequence[str]) -> dict[str, Any]:
        pairs = [alias.partition("@") for alias in aliases]
        return {
            str(index): {"name": name, "domainId": self._domain(domain), "enabled": True}
            for index, (name, _, domain) in enumerate(pairs)
        }

    def _update(self, address: str, patch: Mapping[str, Any]) -> None:
        self._set("update", address, {"update": {str(self.find(address)["id"]): patch}})

    def _set(self, verb: str, address: str, arguments: Mapping[str, Any]) -> None:
        (answer,) = self._client.call([Call("Account", "set", arguments)])
        for outcome in ("notCreated", "notUpdated"):
            for error in (answer.arguments.get(outcome) or {}).values():
                raise SettingsError(
                    f"Stalwart refused to {verb} the account",
                    seen=refused(verb, "Account", address, error, self.live.names),
                    remedy=remedy(error),
                )
