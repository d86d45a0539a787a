"""Two runs at once: one waits, and says for whom.

When the execution begins, a run takes its turn on every host and plane at once. Where one of them is another's, it
gives all others back and asks again, so that two runs never wait for each other. It costs no time of its own:
everything is read meanwhile, and read again only when somebody else has just changed something.
"""

from __future__ import annotations

import random
import time
from weakref import WeakKeyDictionary

import gevent
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State

from tailwart.connectors.arguments import connector_arguments
from tailwart.connectors.host import HostConnector
from tailwart.connectors.plane import PlaneConnector
from tailwart.connectors.turn import Busy, HostTurn, PlaneTurn, Turn, description, patience, refusal
from tailwart.errors import TailwartError

_turns: WeakKeyDictionary[State, dict[Host, Turn | Exception | None]] = WeakKeyDictionary()


def take_all(state: State) -> bool:
    """Take this run's turn everywhere. Whether what was read since the call began may be relied on.

    A host whose turn another run keeps is left to `check`.
    """
    hosts = sorted(state.inventory.get_active_hosts(), key=lambda host: host.name)
    who, end, waited = description(), time.monotonic() + patience(), False
    while True:
        tries = {host: gevent.spawn(_take, host, who) for host in hosts}
        gevent.joinall(list(tries.values()))
        taken = {host: greenlet.get() for host, greenlet in tries.items()}
        busy = {host: outcome for host, outcome in taken.items() if isinstance(outcome, Busy)}
        if not busy or time.monotonic() >= end:
            _turns[state] = {**taken, **{host: _refusal(host, other) for host, other in busy.items()}}
            return not waited and all(turn.fresh for turn in taken.values() if isinstance(turn, HostTurn | PlaneTurn))
        if not waited:
            for host, other in busy.items():
                logger.warning(f"{host.print_prefix}{other} is at work here; waiting up to {patience():.0f} s")
        waited = True
        for outcome in taken.values():
            if isinstance(outcome, HostTurn | PlaneTurn):
                outcome.end()
        gevent.sleep(1 + random.random())  # noqa: S311  # two that wait for each other must not ask at the same time


def check(host: Host, *, changing: bool = False) -> None:
    """Raise `TailwartError` or `ConnectionLost` when it is not this run's turn on the host."""
    turn = _turns.get(host.state, {}).get(host)
    if isinstance(turn, Exception):
        raise turn
    if turn is not None and changing:
        turn.changing()


def give_back(state: State) -> None:
    """Others may go on, before this process ends."""
    for turn in _turns.pop(state, {}).values():
        if isinstance(turn, HostTurn | PlaneTurn):
            turn.end()


def _take(host: Host, who: str) -> Turn | Exception | None:
    try:
        if isinstance(host.connector, HostConnector):
            return HostTurn(host.connector, connector_arguments(host), who)
        if isinstance(host.connector, PlaneConnector):
            environment = host.data.get("environment")
            return PlaneTurn(host.name.rpartition("/")[2], environment.domain, who) if environment else None
    # Whatever it is, it is this host's failure.
    except Exception as problem:
        return problem
    return None


def _refusal(host: Host, other: Busy) -> TailwartError:
    return refusal(host.name, other, f"its end within {patience():.0f} s (TAILWART_WAIT)")
