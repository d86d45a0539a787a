"""Changes of a zone as update messages (RFC 2136), each far below the 64 KiB of a TCP message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import dns.name
import dns.rdata
import dns.tsig
import dns.update

from tailwart.providers.record import APEX, Record, absolute, to_rdata

RrsetName = tuple[str, str]
Stored = dict[RrsetName, list[tuple[Record, dns.rdata.Rdata]]]
"""Every record set as the server has it: our form of each record, and its exact data."""

LIMIT = 40_000
"""Octets of the changes in one message and of their conditions."""
_LARGEST_CONDITION = LIMIT // 4
"""Octets of a record set that a message repeats as its condition; of a larger one it says only that it exists."""
_FIXED = 10
"""Octets of a record beside its name and its data."""


@dataclass(slots=True)
class _Step:
    """What belongs into one message: records that go and records that come, of one record set.

    ``owner`` is the length of the whole name, ``condition`` the size of what the message says about the record set as
    it was.
    """

    rrset: RrsetName
    owner: int
    condition: int = 0
    gone: list[dns.rdata.Rdata] = field(default_factory=list)
    new: list[tuple[int, dns.rdata.Rdata]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.condition + _size(self.owner, [*self.gone, *(rdata for _, rdata in self.new)])

    @property
    def order(self) -> int:
        """Within a name: an alias gives way first (RFC 2136 §3.4.2.2), then what is new, then what only goes."""
        if self.rrset[1] == "CNAME" and not self.new:
            return 0
        return 1 if self.new else 2


def messages(
    zone: str, stored: Stored, puts: list[Record], deletes: list[Record], key: dns.tsig.Key
) -> Iterator[dns.update.UpdateMessage]:
    """The update messages for a change; conditions are what ``stored`` says of each record set that it touches."""
    met: set[RrsetName] = set()
    for batch in _batches(_steps(zone, stored, puts, deletes)):
        update = dns.update.UpdateMessage(absolute(APEX, zone), keyring=key)
        for rrset in dict.fromkeys(step.rrset for step in batch):
            # Once: the next message about the same record set finds what this one made of it.
            if rrset not in met:
                _condition(update, zone, rrset, [rdata for _, rdata in stored.get(rrset, ())])
            met.add(rrset)
        # A message is applied in its order and seen as one, so what goes may come first. It has to where a CNAME gives
        # way, and where only the TTL changes: Knot takes an added record that it has for no change.
        for step in batch:
            for rdata in step.gone:
                update.delete(absolute(step.rrset[0], zone), rdata)
        for step in batch:
            for ttl, rdata in step.new:
                update.add(absolute(step.rrset[0], zone), ttl, rdata)
        yield update


def _steps(zone: str, stored: Stored, puts: list[Record], deletes: list[Record]) -> Iterator[list[_Step]]:
    """The steps of each name."""
    put, gone = defaultdict(list), defaultdict(set)
    for entry in puts:
        put[entry.rrset].append(entry)
    for entry in deletes:
        gone[entry.rrset].add(entry.key)
    names: dict[str, list[_Step]] = defaultdict(list)
    for rrset in sorted({*put, *gone}):
        here = stored.get(rrset, [])
        if steps := list(_rrset_steps(zone, rrset, here, put[rrset], {*gone[rrset]})):
            owner = steps[0].owner
            steps[0].condition = owner + _FIXED + min(_LARGEST_CONDITION, _size(owner, [rdata for _, rdata in here]))
            names[rrset[0]] += steps
    for steps in names.values():
        yield sorted(steps, key=lambda step: step.order)


def _rrset_steps(
    zone: str, rrset: RrsetName, here: list[tuple[Record, dns.rdata.Rdata]], put: list[Record], gone: set[object]
) -> Iterator[_Step]:
    owner = _octets(absolute(rrset[0], zone))
    at = defaultdict(list)
    for entry, rdata in here:
        at[entry.key].append((entry.ttl, rdata))
    for entry in put:
        new = to_rdata(entry, zone)
        old = at.pop(entry.key, [])
        if old != [(entry.ttl, new)]:
            yield _Step(rrset, owner, 0, [rdata for _, rdata in old], [(entry.ttl, new)])
    for key, old in at.items():
        if key in gone:
            yield _Step(rrset, owner, 0, [rdata for _, rdata in old])
        elif put and any(ttl != put[0].ttl for ttl, _ in old):
            # A record set has one TTL (RFC 2181 §5.2), and servers differ in what they make of two.
            yield _Step(rrset, owner, 0, [rdata for _, rdata in old], [(put[0].ttl, rdata) for _, rdata in old])


def _batches(names: Iterable[list[_Step]]) -> Iterator[list[_Step]]:
    """Steps in messages; a name is whole in one of them unless it alone is larger than one."""
    batch: list[_Step] = []
    full = 0
    for steps in names:
        size = sum(step.size for step in steps)
        if batch and full + size > LIMIT:
            yield batch
            batch, full = [], 0
        for step in steps:
            if batch and full + step.size > LIMIT:
                yield batch
                batch, full = [], 0
            batch.append(step)
            full += step.size
    if batch:
        yield batch


def _condition(update: dns.update.UpdateMessage, zone: str, rrset: RrsetName, rdatas: list[dns.rdata.Rdata]) -> None:
    name = absolute(rrset[0], zone)
    if not rdatas:
        update.absent(name, rrset[1])
    elif _size(_octets(name), rdatas) <= _LARGEST_CONDITION:
        update.present(name, *rdatas)
    else:
        update.present(name, rrset[1])


def _octets(name: dns.name.Name) -> int:
    return sum(len(label) + 1 for label in name.labels)


def _size(owner: int, rdatas: list[dns.rdata.Rdata]) -> int:
    # The whole name each time: beyond the first 16 KiB of a message there is nothing to point to (RFC 1035 §4.1.4).
    return sum(owner + _FIXED + len(rdata.to_digestable()) for rdata in rdatas)
