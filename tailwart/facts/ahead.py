"""Everything that a run will ask, asked at once when its execution begins.

Stages make a role wait for the roles before it, and so its reads for theirs, although most runs change nothing. Each
runbook announces what its operations will ask (`announce`); the first operation that asks anything while executing
(`answer`) starts all announced reads, each in a greenlet of its own.

Meanwhile the run takes its turn on every host (`tailwart.facts.turns`): a run that must wait for it reads anew.

An answer holds only as long as nothing at all was executed on any host since, and only once. Otherwise the operation
reads for itself, as it does without an announcement. So a read must change nothing, and one that fails fails the
operation that asks for it, in its turn, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import gevent
from gevent import Greenlet
from gevent.event import Event
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_host

from tailwart.facts import turns

T = TypeVar("T")
Epoch = tuple[bool, int]


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Answers:
    epoch: Epoch
    reads: dict[tuple[Host, Hashable], Greenlet]
    begun: Event = field(default_factory=Event)


_announced: WeakKeyDictionary[Host, dict[Hashable, Callable[[], Any]]] = WeakKeyDictionary()
_answers: WeakKeyDictionary[State, _Answers] = WeakKeyDictionary()


def announce(host: Host, question: Hashable, read: Callable[[], object]) -> None:
    """An operation on ``host`` will ask this ``question``; ``read`` answers it and changes nothing."""
    _announced.setdefault(host, {})[question] = read


def answer(host: Host, question: Hashable, read: Callable[[], T]) -> T:
    """The announced answer while it holds, that of ``read`` otherwise; raises what the read raised."""
    state = host.state
    if not state.is_executing:
        return read()
    if state not in _answers:
        _answers[state] = _begin(state)
        if not turns.take_all(state):
            drop(state)
        _answers[state].begun.set()
    _answers[state].begun.wait()
    turns.check(host)
    greenlet = _answers[state].reads.pop((host, question), None)
    if greenlet is None or not _holds(state):
        return read()
    outcome: _Outcome = greenlet.get()
    # Another host of the same operation may have executed something meanwhile.
    if not _holds(state):
        return read()
    if outcome.error is not None:
        raise outcome.error
    return cast("T", outcome.value)


def drop(state: State) -> None:
    """Forget every answer: something is about to change, or has changed.

    Reads under way end by themselves, and nobody hears them. To kill one breaks the host's connection: where it waits
    for a lock of paramiko's that another greenlet holds, it would give that lock back in the other's place.
    """
    if state in _answers:
        _answers[state].reads.clear()


def epoch(state: State) -> Epoch:
    """Equal for two moments of a run exactly when nothing was executed between them."""
    # Counted over all hosts: two inventory names may be one machine.
    executed = sum(data.operation_meta.executed for operations in state.ops.values() for data in operations.values())
    return state.is_executing, executed


def _begin(state: State) -> _Answers:
    active = [host for host in state.inventory.get_active_hosts() if host in _announced]
    return _Answers(
        epoch(state),
        {
            (host, question): gevent.spawn(_outcome, host, read)
            for host in active
            for question, read in _announced[host].items()
        },
    )


def _holds(state: State) -> bool:
    if _answers[state].epoch == epoch(state):
        return True
    drop(state)
    return False


def _outcome(host: Host, read: Callable[[], object]) -> _Outcome:
    with ctx_host.use(host):
        try:
            return _Outcome(read())
        # Whatever it is, it belongs to the operation that asks.
        except Exception as error:
            return _Outcome(error=error)
