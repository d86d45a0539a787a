"""The command `tailwart recover`."""

from __future__ import annotations

import click

from tailwart.environment import load
from tailwart.printing import say
from tailwart.stalwart.accounts.passwords import check_password
from tailwart.stalwart.lifecycle.assembly import recreation
from tailwart.stalwart.lifecycle.recovery import Recovery
from tailwart.stalwart.mailbox_host import mailbox_host
from tailwart.stalwart.settings.declaration import administrator_address


def recover(*, yes: bool) -> None:
    """Reset the administrator's password in recovery mode. Raises TailwartError when a step fails."""
    environment = load().environment
    address = administrator_address(environment)
    if environment.stalwart_admin_password:
        password = environment.stalwart_admin_password.get_secret_value()
    else:
        password = click.prompt(f"New password of {address}", hide_input=True, confirmation_prompt=True, err=True)
    check_password(password, address, admin=True)
    if not yes:
        click.confirm(f"Restart Stalwart twice and reset the password of {address}?", abort=True, err=True)
    with mailbox_host(environment, changes=True) as run:
        Recovery(run, recreation(run, environment), log=lambda text: say(text, err=True)).reset_password(
            address, password
        )
    say(f"{address} is the administrator again. Next: tailwart settings plan")
