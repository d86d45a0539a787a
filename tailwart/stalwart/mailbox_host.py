"""The mailbox host and its server, wired for a deploy and for the commands beside it.

The commands open their own SSH connection, with the same inventory data and privileges as the deploy.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State

from tailwart.connectors.ssh import ssh_data
from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.mailbox.project import compose_project
from tailwart.operations.compose import bring_up
from tailwart.operations.remote import HostRunner
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import second_server
from tailwart.stalwart.lifecycle.server import Log, Server
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.groupdata import GROUP_DATA
from tailwart.stalwart.settings.inputs import MailboxSettings

GROUP_DATA_FILE = Path("group_data/mailbox.py")


def declared(environment: Environment, path: Path = GROUP_DATA_FILE) -> MailboxSettings:
    """What `.env` and `group_data/mailbox.py` declare; without that file, `.env` alone.

    Raises TailwartError naming the key or name whose value is not valid.
    """
    values = runpy.run_path(str(path)) if path.exists() else {}
    return from_environment(environment, {name: values[name] for name in GROUP_DATA if name in values})


@contextmanager
def mailbox_host(environment: Environment) -> Iterator[HostRunner]:
    """A connection to the mailbox host; raises TailwartError naming MAILBOX_SSH when there is none."""
    if environment.mailbox_ssh is None:
        raise TailwartError(
            "no mailbox host is configured",
            seen="MAILBOX_SSH is empty",
            expected="USER@HOST of the mailbox host",
            remedy="set MAILBOX_SSH in .env",
        )
    data = ssh_data(environment, environment.mailbox_ssh)
    inventory = Inventory((["mailbox"], {}), mailbox=([("mailbox", data)], {}))
    # With one host, any failure must stop the run: by default connect_all continues without the failed host.
    state = State(inventory, Config(FAIL_PERCENT=0))
    try:
        connect_all(state)
    except PyinfraError as problem:
        raise TailwartError(
            "the mailbox host cannot be reached",
            seen=str(problem),
            expected=f"SSH to {environment.mailbox_ssh}",
            remedy="check MAILBOX_SSH, SSH_KEY and SSH_KNOWN_HOSTS in .env",
        ) from None
    try:
        yield HostRunner(inventory.get_host("mailbox"))
    finally:
        disconnect_all(state)


def recreation(run: Runner, environment: Environment) -> Callable[[], None]:
    """A function that recreates the container with its current environment files (Compose "recreate")."""
    return partial(bring_up, run, compose_project(environment))


def server(run: Runner, host: Host, environment: Environment, settings: MailboxSettings, log: Log) -> Server:
    """The server on that host; refuses to write while a second server uses the same store."""
    check = partial(second_server.check, host, environment)
    return Server(run, settings, recreation(run, environment), log=log, check=check)
