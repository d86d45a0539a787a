"""The mailbox host for the commands beside the deploy: what it declares, and an SSH connection to it.

The commands use the same inventory data and privileges as the deploy.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from tailwart.connectors.host import HostConnector
from tailwart.connectors.ssh import ssh_data
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.facts import turns
from tailwart.inventory import host_name
from tailwart.operations.remote import HostRunner
from tailwart.stalwart.settings.declaration import NAMES, from_environment
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.terms.reading import refuse_unknown

GROUP_DATA_FILE = Path("group_data/mailbox.py")


def declared(environment: Environment, path: Path = GROUP_DATA_FILE) -> MailboxSettings:
    """What `.env` and `group_data/mailbox.py` declare; without that file, `.env` alone.

    Raises TailwartError naming the key or name whose value is not valid.
    """
    values = runpy.run_path(str(path)) if path.exists() else {}
    refuse_unknown(values, NAMES)
    return from_environment(environment, {name: values[name] for name in NAMES if name in values})


@contextmanager
def mailbox_host(environment: Environment, *, changes: bool = False) -> Iterator[HostRunner]:
    """A connection to the mailbox host; raises TailwartError naming MAILBOX_SSH when there is none.

    A command that ``changes`` something waits until no deploy and no other command is at work there.
    """
    if environment.mailbox_ssh is None:
        raise TailwartError(
            "no mailbox host is configured",
            seen="MAILBOX_SSH is empty",
            expected="USER@HOST of the mailbox host",
            remedy="set MAILBOX_SSH in .env",
        )
    data = ssh_data(environment, environment.mailbox_ssh)
    inventory = Inventory(([host_name("mailbox")], {}), mailbox=([(host_name("mailbox"), data)], {}))
    # With one host, any failure must stop the run: by default connect_all continues without the failed host.
    state = State(inventory, Config(FAIL_PERCENT=0))
    host = inventory.get_host("mailbox")
    try:
        connect_all(state)
    except PyinfraError:
        raise cast("HostConnector", host.connector).problem or TailwartError(
            "the mailbox host cannot be reached"
        ) from None
    try:
        if changes:
            turns.take_all(state)
            turns.check(host, changing=True)
        yield HostRunner(host)
    finally:
        disconnect_all(state)
