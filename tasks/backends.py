"""The stores' host: the role and the database that Stalwart keeps its data in."""

from __future__ import annotations

from pyinfra import host

from tailwart.backends.operations import expect, role_and_database
from tailwart.backends.postgres import Desired
from tailwart.environment import Environment


def deploy() -> None:
    """Before the mailbox: Stalwart sets its tables up at its very first start, and only then (lesson 1)."""
    environment: Environment = host.data.environment
    if environment.stalwart_store != "postgres" or environment.stalwart_db_password is None:
        return

    desired = Desired(
        role=environment.stalwart_db_user,
        database=environment.stalwart_db_name,
        password=environment.stalwart_db_password.get_secret_value(),
    )
    expect(host, desired)

    role_and_database(name="Backends: role and database for Stalwart", desired=desired)
