"""The `tailwart` command, fast to start: `--help` of any command imports click and little else.

Each group is two modules. `tailwart/cli/GROUP.py` declares names, options and help texts, and imports only click;
the body of each of its functions imports `tailwart.cli.commands.GROUP`, which does the work and imports what it needs,
and calls the function of the same name there. The lab's two are `lab/cli.py` and `lab/commands.py`. The group itself is
loaded by the name in `_COMMANDS` when it is called.
So a help page costs neither pyinfra and paramiko (0.5 s of a start on a small machine) nor pydantic, requests or dns.
`tests/unit/cli` asserts it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import NoReturn

import click

from tailwart import __version__
from tailwart.errors import TailwartError, unexpected
from tailwart.printing import say

# name → (module, attribute, help line)
_COMMANDS = {
    "lab": ("lab.cli", "lab", "The whole system on this machine: up, down, status, ssh, logs, send, fetch."),
    "settings": ("tailwart.cli.settings", "settings", "Stalwart's settings: plan, apply, export."),
    "account": (
        "tailwart.cli.account",
        "account",
        "Mail accounts: list, add, passwd, alias, quota, disable, app-password, sieve.",
    ),
    "bans": ("tailwart.cli.bans", "bans", "Addresses that the mail server refuses: list, lift."),
    "doctor": ("tailwart.cli.doctor", "doctor", "Is all as it must be? Every check at once, with a status page."),
    "trace": ("tailwart.cli.trace", "trace", "One message's way: who brought it, every try, every answer."),
    "queue": ("tailwart.cli.queue", "queue", "Mail that waits to be delivered: list, retry, cancel."),
    "edge": ("tailwart.cli.edge", "edge", "The edges: back to the image that served before."),
    "upgrade": ("tailwart.cli.upgrade", "upgrade", "Another release of Stalwart, with the way back built in."),
    "rollback": ("tailwart.cli.rollback", "rollback", "Back to the last good deploy, each plane's diff first."),
    "remove": ("tailwart.cli.remove", "remove", "Take a role off its host: what the deploy made, not the data."),
    "history": ("tailwart.cli.history", "history", "What deploys changed, when, by whom, from which revision."),
    "diff": ("tailwart.cli.history", "diff", "What one deploy changed, and what differs between then and now."),
    "store": ("tailwart.cli.store", "store", "Data store and message bodies: move them, compared before the change."),
    "migrate-host": (
        "tailwart.cli.migrate_host",
        "migrate_host",
        "The mailbox to another host; mail waits at the edges meanwhile.",
    ),
    "recover": ("tailwart.cli.recover", "recover", "Locked out: reset the administrator's password (lesson 17)."),
    "tailnet": ("tailwart.cli.tailnet", "tailnet", "The tailnet policy: plan, apply, test, restore, matrix."),
    "dns": ("tailwart.cli.dns", "dns", "The zone: plan, apply, check, snapshot, restore, zonefile, diff."),
    "backup": ("tailwart.cli.backup", "backup", "Take a backup now; also list, verify, prune."),
    "restore": ("tailwart.cli.backup", "restore", "A backup back into the stores, on this host or a bare one."),
    "drill": ("tailwart.cli.backup", "drill", "Prove a backup: restore it into an isolated stack and compare."),
    "init": ("tailwart.cli.init", "init", "The first .env: asks what nobody can find out, checks each answer at once."),
    "adopt": ("tailwart.cli.adopt", "adopt", "Take over an installation made by hand, and the way back."),
    "env": ("tailwart.cli.env", "env", "The .env file: check it, trust its hosts' keys, or print the example."),
    "images": ("tailwart.cli.images", "images", "The images that hosts run, by digest: lock."),
    "outdated": ("tailwart.cli.images", "outdated", "What has newer versions, known security fixes first."),
}


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called.

    Its ``commands`` are placeholders: click suggests the nearest of their names for an unknown one.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported here; None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help page; click's own would import every command only to read its first help line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name) for name in _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
def cli() -> None:
    """Tools beside the deploy. TAILWART_ENV=path selects another .env file."""


def main() -> None:
    """Entry point: every exception becomes a message and exit code 1; TAILWART_DEBUG=1 prints its traceback as well."""
    try:
        cli()
    except TailwartError as error:
        _fail(error)
    except Exception as error:
        _fail(unexpected(error, "run again with TAILWART_DEBUG=1 set, and report what it prints"))


def _fail(error: TailwartError) -> NoReturn:
    if os.environ.get("TAILWART_DEBUG"):
        traceback.print_exc()
    say(f"Error: {error}", err=True)
    sys.exit(1)
