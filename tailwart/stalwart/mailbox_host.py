"""The mailbox host for the commands beside the deploy: what it declares, and an SSH connection to it.

The commands use the same inventory data and privileges as the deploy.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.operations.one_host import one_host
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
    with one_host(environment, "mailbox", environment.mailbox_ssh, changes=changes) as run:
        yield run
