"""Values of Stalwart's objects as this project writes them, and how they compare with what the server returns.

JMAP carries sets as ``{"a": true}`` and lists as ``{"0": …}``, fills in defaults, and rewrites some strings
(``ops@example.org`` comes back as ``mailto:ops@example.org``). Desired objects are therefore written with Python's own
types: a ``frozenset`` must match exactly, a ``tuple`` is an ordered list, a ``Bag`` an unordered one, and a ``dict``
holds only the managed properties: whatever else the server has in that object is left alone. ``Entries`` is a map
whose entries are all managed, and a ``Secret`` a text that the server masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

TYPE = "@type"
MASKED = "****"
"""What the server returns in the place of a secret."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The id of another object, by that object's kind and key: the id is known only once the object exists.

    Ref("Domain", "example.org")
    """

    kind: str
    key: str

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class PublicText:
    """A text that some releases hold as text and others as an object that names its source.

    The server's schema decides how it is written (`settings/compat.py`); both forms count as the same value.
    """

    text: str

    def as_object(self) -> dict[str, str]:
        """The form of the newer releases."""
        return {TYPE: "Value", "value": self.text}


class Bag(tuple[Any, ...]):
    """A list without an order (aliases)."""

    __slots__ = ()


class Entries(dict[str, Any]):
    """A map of free keys (HTTP headers), managed as a whole: an entry that is not in it is removed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that nobody may read. `name` is that of its fingerprint; `written`: it is the one written last."""

    name: str
    text: str = field(repr=False)
    written: bool = False

    def __str__(self) -> str:
        return MASKED


Resolve = Callable[[Ref], str | None]


def canonical(value: Any) -> Any:
    """A scalar in the one form in which it is compared: networks without host bits, addresses without `mailto:`, texts
    without blanks around them, which the server cuts off.

    canonical("203.0.113.7/32") == "203.0.113.7"
    canonical("fd7a:115c:a1e0:0:0:0:0:0/48") == "fd7a:115c:a1e0::/48"
    """
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("mailto:")
    if "/" in text or text.count(":") > 1 or text.count(".") == 3:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return text
        return str(network.network_address) if network.num_addresses == 1 else str(network)
    return text


def same(desired: Any, live: Any, resolve: Resolve) -> bool:
    """Whether the server already holds what is desired; `resolve` gives the id of a `Ref`, None when it has none.

    same({"port": 25}, {"port": 25, "name": "smtp"}, resolve)  # True: only the managed properties count
    same(frozenset({"a"}), {"a": True, "b": True}, resolve)    # False: a set must match exactly
    """
    if isinstance(desired, (Ref, PublicText, Secret)):
        return _same_one(desired, live, resolve)
    if isinstance(desired, (frozenset, tuple)):
        return _same_members(desired, live, resolve)
    if isinstance(desired, Mapping):
        return _same_properties(desired, live, resolve)
    return bool(canonical(desired) == canonical(live))


def _same_members(desired: frozenset[Any] | tuple[Any, ...], live: Any, resolve: Resolve) -> bool:
    if isinstance(desired, frozenset):
        return _same_set(desired, live, resolve)
    if isinstance(desired, Bag):
        return _same_bag(desired, live, resolve)
    items = listed(live)
    return len(items) == len(desired) and all(
        same(one, other, resolve) for one, other in zip(desired, items, strict=True)
    )


def _same_properties(desired: Mapping[str, Any], live: Any, resolve: Resolve) -> bool:
    if isinstance(desired, Entries) and not live:
        return not desired
    if not isinstance(live, Mapping) or (isinstance(desired, Entries) and live.keys() != desired.keys()):
        return False
    return all(same(value, live.get(name), resolve) for name, value in desired.items())


def _same_one(desired: Ref | PublicText | Secret, live: Any, resolve: Resolve) -> bool:
    if isinstance(desired, Secret):
        return bool(live == desired.text) or (live == MASKED and desired.written)
    if isinstance(desired, PublicText):
        return live in (desired.text, desired.as_object())
    return live is not None and resolve(desired) == live


def _same_set(desired: frozenset[Any], live: Any, resolve: Resolve) -> bool:
    members = {resolve(item) if isinstance(item, Ref) else canonical(item) for item in desired}
    return members == {canonical(item) for item in members_of(live)}


def _same_bag(desired: Bag, live: Any, resolve: Resolve) -> bool:
    rest = listed(live)
    if len(rest) != len(desired):
        return False
    for item in desired:
        match = next((index for index, other in enumerate(rest) if same(item, other, resolve)), None)
        if match is None:
            return False
        rest.pop(match)
    return True


def members_of(live: Any) -> list[str]:
    """The members of a set as the server writes it (`{"a": true}`); an absent set is empty."""
    return [name for name, present in live.items() if present] if isinstance(live, Mapping) else []


def listed(live: Any) -> list[Any]:
    """The items of a list as the server writes it (`{"0": …, "1": …}`), in order; an absent list is empty."""
    if not isinstance(live, Mapping):
        return []
    return [live[index] for index in sorted(live, key=lambda text: (len(text), text))]


def at(live: Mapping[str, Any], path: str) -> Any:
    """The value at a property path, None when any part is absent.

    at({"quotas": {"maxDiskQuota": 5}}, "quotas/maxDiskQuota") == 5
    at({"credentials": {"0": {"@type": "Password", "secret": "****"}}}, "credentials/[Password]/secret") == "****"
    """
    value: Any = live
    for part in path.split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(_place(value, part))
    return value


def placed(path: str, live: Mapping[str, Any]) -> str:
    """The path as the server takes it: `[Variant]` stands for the place of the first item of that `@type` in a list.

    placed("credentials/[Password]/secret", {"credentials": {"0": {"@type": "Password"}}}) == "credentials/0/secret"
    """
    value: Any = live
    parts: list[str] = []
    for part in path.split("/"):
        held = value if isinstance(value, Mapping) else {}
        parts.append(_place(held, part))
        value = held.get(parts[-1])
    return "/".join(parts)


def _place(held: Mapping[str, Any], part: str) -> str:
    if not part.startswith("["):
        return part
    variant = part.strip("[]")
    found = (place for place, item in held.items() if isinstance(item, Mapping) and item.get(TYPE) == variant)
    return next(found, str(len(held)))


def encode(desired: Any, resolve: Resolve) -> Any:
    """The JSON form; raises KeyError with the `Ref` when an object that it refers to does not exist yet.

    encode((frozenset({"a"}),), resolve) == {"0": {"a": True}}
    """
    if isinstance(desired, Ref):
        found = resolve(desired)
        if found is None:
            raise KeyError(desired)
        return found
    if isinstance(desired, (PublicText, Secret)):
        return desired.as_object() if isinstance(desired, PublicText) else desired.text
    if isinstance(desired, frozenset):
        return {encode(item, resolve): True for item in sorted(desired, key=str)}
    if isinstance(desired, tuple):
        return {str(index): encode(item, resolve) for index, item in enumerate(desired)}
    if isinstance(desired, Mapping):
        return {name: encode(value, resolve) for name, value in desired.items()}
    return desired


def differing(path: str, desired: Any, live: Any, resolve: Resolve) -> Iterator[tuple[str, Any]]:
    """What must be sent to make a value as desired, by property path; nothing when it is.

    Inside an object only the properties that differ are sent: the others may hold secrets that come back masked, and
    writing the mask would destroy them. Sets, lists and maps are sent whole, and so is an object of another `@type`.

    dict(differing("rate", {"count": 5}, {"count": 1, "period": 60000}, resolve)) == {"rate/count": 5}
    """
    inside = isinstance(desired, Mapping) and not isinstance(desired, Entries) and isinstance(live, Mapping)
    if inside and desired.get(TYPE, live.get(TYPE)) == live.get(TYPE):
        for name, value in desired.items():
            if name != TYPE:
                yield from differing(f"{path}/{name}", value, live.get(name), resolve)
    elif not same(desired, live, resolve):
        yield path, desired


def references(desired: Any) -> set[Ref]:
    """Every `Ref` inside a value."""
    return {found for found in leaves(desired) if isinstance(found, Ref)}


def secrets_of(desired: Any) -> set[Secret]:
    """Every `Secret` inside a value."""
    return {found for found in leaves(desired) if isinstance(found, Secret)}


def leaves(desired: Any) -> Iterator[Any]:
    """Every single value inside a value."""
    if isinstance(desired, Mapping):
        for value in desired.values():
            yield from leaves(value)
    elif isinstance(desired, (frozenset, tuple)):
        for value in desired:
            yield from leaves(value)
    else:
        yield desired


def merged(desired: Any, encoded: Any, live: Any) -> Any:
    """What to send for a value: in a sub-object, the server's unmanaged properties stay as they are.

    Only within one variant: a changed `@type` has other properties, and the old ones would be refused. Sets and lists
    are managed as a whole.
    """
    if isinstance(desired, Entries):
        return encoded
    if isinstance(desired, Mapping) and isinstance(live, Mapping) and desired.get(TYPE) == live.get(TYPE):
        return {**live, **encoded}
    return encoded


def shown(desired: Any, keys: Callable[[str], str] = str) -> Any:
    """A value for the operator: sets as sorted lists, references by name; `keys` turns an id into a name."""
    if isinstance(desired, Ref):
        return desired.key
    if isinstance(desired, (PublicText, Secret)):
        return desired.text if isinstance(desired, PublicText) else MASKED
    if isinstance(desired, frozenset):
        return sorted(str(shown(item)) for item in desired)
    if isinstance(desired, tuple):
        return [shown(item, keys) for item in desired]
    if isinstance(desired, Mapping):
        return _shown_mapping(desired, keys)
    return keys(desired) if isinstance(desired, str) else desired


def _shown_mapping(value: Mapping[str, Any], keys: Callable[[str], str]) -> Any:
    if value and all(present is True for present in value.values()):
        return sorted(keys(canonical(name)) for name in value)
    if value and all(name.isdigit() for name in value):
        return [shown(item, keys) for item in listed(value)]
    return {name: shown(item, keys) for name, item in value.items()}
