"""One host of the inventory for a command beside the deploy: an SSH connection with the same data and privileges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from tailwart.connectors.host import HostConnector
from tailwart.connectors.ssh import ssh_data
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.facts import turns
from tailwart.inventory import host_name
from tailwart.operations.remote import HostRunner


@contextmanager
def one_host(environment: Environment, name: str, target: SshTarget, *, changes: bool = False) -> Iterator[HostRunner]:
    """A connection to the host; raises `TailwartError` when there is none.

    A command that ``changes`` something waits until no deploy and no other command is at work there.
    """
    data = ssh_data(environment, target)
    inventory = Inventory(([host_name(name)], {}), **{name: ([(host_name(name), data)], {})})
    # With one host, any failure must stop the run: by default connect_all continues without the failed host.
    state = State(inventory, Config(FAIL_PERCENT=0))
    host = inventory.get_host(name)
    try:
        connect_all(state)
    except PyinfraError:
        raise cast("HostConnector", host.connector).problem or TailwartError(f"{name} cannot be reached") from None
    try:
        if changes:
            turns.take_all(state)
            turns.check(host, changing=True)
        yield HostRunner(host)
    finally:
        # A command may go on with a deploy, which is another process.
        turns.give_back(state)
        disconnect_all(state)
