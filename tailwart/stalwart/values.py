"""Values of Stalwart's objects as this project writes them, and how they compare with what the server gives back.

JMAP carries sets as ``{"a": true}`` and lists as ``{"0": …}``, fills in defaults, and rewrites some strings
(``ops@example.org`` comes back as ``mailto:ops@example.org``). Desired objects are therefore written with Python's own
types: a ``frozenset`` must match exactly, a ``tuple`` is an ordered list, a ``Bag`` an unordered one, and a ``dict``
holds only the properties that we own: whatever else the server has in that object is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

TYPE = "@type"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The id of another object, named by its kind and key: known only once that object exists."""

    kind: str
    key: str

    def __str__(self) -> str:
        return self.key


class Bag(tuple[Any, ...]):
    """A list whose order has no meaning (aliases)."""

    __slots__ = ()


Resolve = Callable[[Ref], str | None]


def canonical(value: Any) -> Any:
    """A scalar in the one form in which it is compared: networks without host bits, addresses without `mailto:`."""
    if not isinstance(value, str):
        return value
    text = value.removeprefix("mailto:")
    if "/" in text or text.count(":") > 1 or text.count(".") == 3:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            return text
        return str(network.network_address) if network.num_addresses == 1 else str(network)
    return text


def same(wanted: Any, live: Any, resolve: Resolve) -> bool:
    """Whether the server already holds what is wanted."""
    if isinstance(wanted, Ref):
        return live is not None and resolve(wanted) == live
    if isinstance(wanted, frozenset):
        return _same_set(wanted, live, resolve)
    if isinstance(wanted, Bag):
        return _same_bag(wanted, live, resolve)
    if isinstance(wanted, tuple):
        items = listed(live)
        return len(items) == len(wanted) and all(
            same(one, other, resolve) for one, other in zip(wanted, items, strict=True)
        )
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(same(value, live.get(name), resolve) for name, value in wanted.items())
    return bool(canonical(wanted) == canonical(live))


def _same_set(wanted: frozenset[Any], live: Any, resolve: Resolve) -> bool:
    members = {resolve(item) if isinstance(item, Ref) else canonical(item) for item in wanted}
    return members == {canonical(item) for item in members_of(live)}


def _same_bag(wanted: Bag, live: Any, resolve: Resolve) -> bool:
    rest = listed(live)
    if len(rest) != len(wanted):
        return False
    for item in wanted:
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
    """The value at a property path (`quotas/maxDiskQuota`), None when any part is absent."""
    value: Any = live
    for part in path.split("/"):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def encode(wanted: Any, resolve: Resolve) -> Any:
    """The JSON form; raises KeyError with the `Ref` when an object it points to does not exist yet."""
    if isinstance(wanted, Ref):
        found = resolve(wanted)
        if found is None:
            raise KeyError(wanted)
        return found
    if isinstance(wanted, frozenset):
        return {encode(item, resolve): True for item in sorted(wanted, key=str)}
    if isinstance(wanted, tuple):
        return {str(index): encode(item, resolve) for index, item in enumerate(wanted)}
    if isinstance(wanted, Mapping):
        return {name: encode(value, resolve) for name, value in wanted.items()}
    return wanted


def references(wanted: Any) -> set[Ref]:
    """Every `Ref` inside a value."""
    if isinstance(wanted, Ref):
        return {wanted}
    if isinstance(wanted, Mapping):
        return {found for value in wanted.values() for found in references(value)}
    if isinstance(wanted, (frozenset, tuple)):
        return {found for value in wanted for found in references(value)}
    return set()


def merged(wanted: Any, encoded: Any, live: Any) -> Any:
    """What to send for a value: of a partly owned sub-object, the server's other properties stay as they are.

    Only within one variant: a changed `@type` has other properties, and the old ones would be refused. Sets and lists
    are owned as a whole.
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping) and wanted.get(TYPE) == live.get(TYPE):
        return {**live, **encoded}
    return encoded


def shown(wanted: Any, keys: Callable[[str], str] = str) -> Any:
    """A value for human eyes: sets and lists as sorted lists, references by name; `keys` turns ids into names."""
    if isinstance(wanted, Ref):
        return wanted.key
    if isinstance(wanted, frozenset):
        return sorted(str(shown(item)) for item in wanted)
    if isinstance(wanted, tuple):
        return [shown(item, keys) for item in wanted]
    if isinstance(wanted, Mapping):
        return _shown_mapping(wanted, keys)
    return keys(wanted) if isinstance(wanted, str) else wanted


def _shown_mapping(value: Mapping[str, Any], keys: Callable[[str], str]) -> Any:
    if value and all(present is True for present in value.values()):
        return sorted(keys(canonical(name)) for name in value)
    if value and all(name.isdigit() for name in value):
        return [shown(item, keys) for item in listed(value)]
    return {name: shown(item, keys) for name, item in value.items()}
