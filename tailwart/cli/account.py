"""`tailwart account`: accounts that are not declared. Names, options and help only, see `tailwart.cli`."""

from __future__ import annotations

from pathlib import Path

import click

_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, for scripts.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def account() -> None:
    """Mail accounts: list, add, passwd, alias, quota, disable, app-password, sieve.

    \b
      tailwart account add carol --quota 5G      asks for the password, twice
      tailwart account alias carol sales         sales@ reaches carol, too
      tailwart account passwd carol --password-stdin < file
      tailwart account app-password add carol phone

    A bare name belongs to the main domain. Passwords are never arguments: they are asked for or read from standard
    input, hashed on this machine, and proven by a sign-in. What .env or group_data/mailbox.py declares is changed
    there.
    """


@account.command("list")
@_JSON
def list_(as_json: bool) -> None:
    """List every address with its aliases, quota and use.

    `declared` marks accounts, groups and mailing lists of .env or group_data/mailbox.py.
    """
    from tailwart.cli.commands import account as commands

    commands.list_all(as_json=as_json)


@account.command()
@click.argument("address")
@click.option("--alias", "aliases", multiple=True, help="A further address; repeat it for more.")
@click.option("--quota", help="Largest size of the mailbox, such as 500M or 5G.")
@_STDIN
@_JSON
def add(address: str, aliases: tuple[str, ...], quota: str | None, password_stdin: bool, as_json: bool) -> None:
    """Create an account, and prove it by a sign-in.

    The last line names the services and ports for a mail client.
    """
    from tailwart.cli.commands import account as commands

    commands.add(address, aliases=aliases, quota=quota, password_stdin=password_stdin, as_json=as_json)


@account.command()
@click.argument("address")
@_STDIN
@_JSON
def passwd(address: str, password_stdin: bool, as_json: bool) -> None:
    """Set another password, and prove it by a sign-in.

    App passwords and keys of the account stay.
    """
    from tailwart.cli.commands import account as commands

    commands.passwd(address, password_stdin=password_stdin, as_json=as_json)


@account.command()
@click.argument("address")
@click.argument("alias")
@click.option("--remove", is_flag=True, help="Remove the alias.")
@_JSON
def alias(address: str, alias: str, remove: bool, as_json: bool) -> None:
    """Add a further address to an account, or remove one."""
    from tailwart.cli.commands import account as commands

    commands.alias(address, alias, remove=remove, as_json=as_json)


@account.command()
@click.argument("address")
@click.argument("size")
@_JSON
def quota(address: str, size: str, as_json: bool) -> None:
    """Limit the size of a mailbox: SIZE such as 500M or 5G, or none."""
    from tailwart.cli.commands import account as commands

    commands.quota(address, size, as_json=as_json)


@account.command()
@click.argument("address")
@click.option("--undo", is_flag=True, help="Allow signing in again.")
@_JSON
def disable(address: str, undo: bool, as_json: bool) -> None:
    """Forbid signing in; mail is still received.

    Nothing is lost, and --undo allows signing in again.
    """
    from tailwart.cli.commands import account as commands

    commands.disable(address, undo=undo, as_json=as_json)


@account.group("app-password")
def app_password() -> None:
    """App passwords: a login of its own for each program or device.

    \b
      tailwart account app-password add carol phone --expires 365d
      tailwart account app-password list carol
      tailwart account app-password revoke carol phone

    The server makes them up. They work where passwords do, also for an account whose password is limited to some
    networks (mailbox_sign_in) or asks for a second factor, and each is revoked on its own.
    """


@app_password.command("add")
@click.argument("address")
@click.argument("name")
@click.option("--expires", help="How long it works, such as 90d; without it, until it is revoked.")
@click.option("--from", "networks", multiple=True, help="A network that it works from, or tailnet; repeat it for more.")
@_JSON
def app_password_add(address: str, name: str, expires: str | None, networks: tuple[str, ...], as_json: bool) -> None:
    """Make an app password called NAME, prove it by a sign-in, and print it. It is shown once."""
    from tailwart.cli.commands import account as commands

    commands.app_password_add(address, name, expires=expires, networks=networks, as_json=as_json)


@app_password.command("list")
@click.argument("address")
@_JSON
def app_password_list(address: str, as_json: bool) -> None:
    """List an account's app passwords; never the passwords themselves."""
    from tailwart.cli.commands import account as commands

    commands.app_password_list(address, as_json=as_json)


@app_password.command("revoke")
@click.argument("address")
@click.argument("name")
@_JSON
def app_password_revoke(address: str, name: str, as_json: bool) -> None:
    """Revoke the app password NAME (or its id): the program that uses it is refused from now on."""
    from tailwart.cli.commands import account as commands

    commands.app_password_revoke(address, name, as_json=as_json)


@account.command()
@click.argument("address")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--remove", is_flag=True, help="Remove the script that this command has set.")
@_JSON
def sieve(address: str, file: Path | None, remove: bool, as_json: bool) -> None:
    """Make FILE an account's active Sieve script; without FILE, list its scripts.

    The person's other scripts stay, inactive. A script that does not compile is refused, and nothing changes.
    """
    from tailwart.cli.commands import account as commands

    commands.sieve(address, file, remove=remove, as_json=as_json)
