"""`group_data/mailbox.py` in the operator's terms; every value is checked, and an error names where it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from tailwart.errors import TailwartError
from tailwart.mailbox.datastore import LEAVES
from tailwart.stalwart.settings.inputs import BANS, AccountInput, Ban, GroupInput, ListInput

# The names that group_data/mailbox.py may set besides those of `settings/terms`.
GROUP_DATA = {
    "mailbox_accounts": "further accounts: a list of {address, password?, aliases?, quota?, description?, admin?}",
    "mailbox_groups": "shared mailboxes: a list of {address, members?, aliases?, description?}",
    "mailbox_lists": "mailing lists: a list of {address, recipients?, aliases?, description?}",
    "mailbox_optional_listeners": "moved: MAIL_SERVICES in .env",
    "mailbox_ip_lookup": "address family for direct delivery: v4ThenV6, v6ThenV4, v4Only, v6Only (lesson 8)",
    "mailbox_metrics": "True: Prometheus metrics on 8080, which only the tailnet reaches",
    "mailbox_bans": "bans: {login | recipient | loiter | scan: {failures?, within?, for?}}, times like 15m, 1h, 1d",
    "mailbox_blob_store_may_move": "True: accept that messages in the old blob store become unreadable",
    LEAVES: "the data store to give up, by the name that the refusal of a changed STALWART_STORE shows",
    "stalwart_objects": "any object of the server: a mapping of kinds to their objects (docs/objects.md)",
}
MOVED = {"mailbox_optional_listeners": "MAIL_SERVICES in .env"}
IP_LOOKUPS = ("v4ThenV6", "v6ThenV4", "v4Only", "v6Only")


class GroupData:
    """The `mailbox_…` names of one host; `domain` completes bare names.

    Every method raises TailwartError with the name, the value and what is allowed.
    """

    def __init__(self, data: Mapping[str, Any], domain: str) -> None:
        self._data = data
        self._domain = domain

    def accounts(self) -> tuple[AccountInput, ...]:
        return tuple(_account(self._domain, item) for item in _items(self._data, "mailbox_accounts"))

    def groups(self) -> tuple[GroupInput, ...]:
        return tuple(_group(self._domain, item) for item in _items(self._data, "mailbox_groups"))

    def lists(self) -> tuple[ListInput, ...]:
        return tuple(_list(self._domain, item) for item in _items(self._data, "mailbox_lists"))

    def refuse_moved(self) -> None:
        """Raises TailwartError for a setting that has another home now: otherwise it would be ignored."""
        for key, home in MOVED.items():
            if self._data.get(key):
                raise TailwartError(
                    f"group_data/mailbox.py: {key} is now {home}",
                    seen=str(self._data[key])[:100],
                    remedy=f"set {home}, and remove {key} from group_data/mailbox.py",
                )

    def ip_lookup(self) -> str:
        return _choice(self._data, "mailbox_ip_lookup", IP_LOOKUPS)

    def bans(self) -> tuple[Ban, ...]:
        """The bans, each with what `mailbox_bans` says in place of its default."""
        given = self._data.get("mailbox_bans") or {}
        known = tuple(ban.reason for ban in BANS)
        if not isinstance(given, Mapping) or not all(isinstance(item, Mapping) for item in given.values()):
            raise _invalid("mailbox_bans", given, GROUP_DATA["mailbox_bans"])
        if unknown := [reason for reason in given if reason not in known]:
            raise _invalid("mailbox_bans", unknown[0], f"one of {', '.join(known)}")
        return tuple(_ban(ban, given.get(ban.reason, {})) for ban in BANS)

    def objects(self) -> Mapping[str, Any]:
        """`stalwart_objects` as it is written; it is checked against the schema of the server that is to take it."""
        value = self._data.get("stalwart_objects") or {}
        if not isinstance(value, Mapping):
            raise _invalid("stalwart_objects", type(value).__name__, GROUP_DATA["stalwart_objects"])
        return value

    def text(self, key: str) -> str:
        """The value of a text; absent means empty."""
        value = self._data.get(key) or ""
        if not isinstance(value, str):
            raise _invalid(key, value, GROUP_DATA[key])
        return value

    def switch(self, key: str) -> bool:
        """The value of a switch; absent means False."""
        return bool(self._data.get(key, False))


def _items(data: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    value = data.get(key) or ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
        raise _invalid(key, value, f"{GROUP_DATA[key]}")
    return value


def _check_entry(key: str, item: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, value in item.items():
        if name not in known:
            raise _invalid(key, name, f"one of {', '.join(known)}")
        if value is not None and not isinstance(value, known[name]):
            raise _invalid(f"{key}, {name} of {item.get('address', '?')}", type(value).__name__, str(known[name]))
    if not item.get("address"):
        raise _invalid(key, "an entry without address", "every entry has one")


_TEXTS = (list, tuple)


def _account(domain: str, item: Mapping[str, Any]) -> AccountInput:
    known: dict[str, type | tuple[type, ...]] = {
        "address": str,
        "password": (str, SecretStr),
        "aliases": _TEXTS,
        "quota": int,
        "admin": bool,
        "description": str,
    }
    _check_entry("mailbox_accounts", item, known)
    password = item.get("password")
    return AccountInput(
        full_address(item["address"], domain),
        SecretStr(password) if isinstance(password, str) else password,
        _addresses(item.get("aliases"), domain),
        item.get("quota"),
        bool(item.get("admin", False)),
        item.get("description"),
    )


def _group(domain: str, item: Mapping[str, Any]) -> GroupInput:
    _check_entry("mailbox_groups", item, {"address": str, "members": _TEXTS, "aliases": _TEXTS, "description": str})
    return GroupInput(
        full_address(item["address"], domain),
        _addresses(item.get("members"), domain),
        _addresses(item.get("aliases"), domain),
        item.get("description"),
    )


def _list(domain: str, item: Mapping[str, Any]) -> ListInput:
    _check_entry("mailbox_lists", item, {"address": str, "recipients": _TEXTS, "aliases": _TEXTS, "description": str})
    return ListInput(
        full_address(item["address"], domain),
        _addresses(item.get("recipients"), domain),
        _addresses(item.get("aliases"), domain),
        item.get("description"),
    )


_BAN_FIELDS = ("failures", "within", "for")


def _ban(default: Ban, given: Mapping[str, Any]) -> Ban:
    where = f"mailbox_bans, {default.reason}"
    if unknown := [name for name in given if name not in _BAN_FIELDS]:
        raise _invalid(where, unknown[0], f"one of {', '.join(_BAN_FIELDS)}")
    failures = given.get("failures", default.failures)
    if isinstance(failures, bool) or not isinstance(failures, int) or not 1 <= failures <= 1_000_000:
        raise _invalid(f"{where}, failures", failures, "a whole number from 1")
    within = _seconds(f"{where}, within", given["within"]) if "within" in given else default.within_seconds
    lasts = _seconds(f"{where}, for", given["for"]) if "for" in given else default.for_seconds
    return Ban(default.reason, failures, within, lasts)


_TIME = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def _seconds(where: str, value: object) -> int:
    match = _TIME.fullmatch(str(value).strip())
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 1 <= seconds <= 366 * _UNITS["d"]:
        raise _invalid(where, value, "a time from 1s to 366d: 90s, 15m, 1h, 1d")
    return seconds


def full_address(text: str, domain: str) -> str:
    """The whole address in lower case; a bare name belongs to `domain`.

    full_address("Alice", "example.org") == "alice@example.org"
    """
    text = text.strip().lower()
    return text if "@" in text else f"{text}@{domain}"


def _addresses(value: Sequence[str] | None, domain: str) -> tuple[str, ...]:
    return tuple(full_address(text, domain) for text in value or ())


def _choice(data: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    value = data.get(key) or known[0]
    if value not in known:
        raise _invalid(key, value, f"one of {', '.join(known)}")
    return str(value)


def _invalid(key: str, seen: object, expected: str) -> TailwartError:
    return TailwartError(
        f"group_data/mailbox.py: {key} is not valid",
        seen=str(seen)[:100],
        expected=expected,
        remedy="correct group_data/mailbox.py",
    )
