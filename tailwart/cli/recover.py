"""`tailwart recover`: the way back in for a locked-out administrator."""

from __future__ import annotations

import click

from tailwart.environment import load
from tailwart.stalwart.accounts.passwords import check_password
from tailwart.stalwart.lifecycle.recovery import Recovery
from tailwart.stalwart.mailbox_host import mailbox_host, recreation
from tailwart.stalwart.settings.declaration import administrator_address


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def recover(yes: bool) -> None:
    """Locked out: give the administrator the password of .env again (lesson 17).

    Restarts Stalwart twice: into recovery mode, in which mail waits and nothing is lost, and out of it. Then removes
    both recovery variables and verifies that the recovery login is rejected. Without STALWART_ADMIN_PASSWORD in .env it
    asks for a new password.

    Interrupted anywhere, run it again, or run the deploy: both finish it.
    """
    environment = load().environment
    address = administrator_address(environment)
    if environment.stalwart_admin_password:
        password = environment.stalwart_admin_password.get_secret_value()
    else:
        password = click.prompt(f"New password of {address}", hide_input=True, confirmation_prompt=True, err=True)
        check_password(password, address)
    if not yes:
        click.confirm(f"Restart Stalwart twice and reset the password of {address}?", abort=True, err=True)
    with mailbox_host(environment) as run:
        Recovery(run, recreation(run, environment), log=lambda text: click.echo(text, err=True)).reset_password(
            address, password
        )
    click.echo(f"{address} is the administrator again. Next: tailwart settings plan")
