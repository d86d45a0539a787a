"""The deploy's own login where passwords are proven by another server: an app password of the administrator."""

from __future__ import annotations

from tailwart.mailbox import names
from tailwart.network import LOOPBACK
from tailwart.runner import Runner
from tailwart.stalwart.accounts.app_passwords import AppPasswords
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.transport import ACCOUNT

NAME = "tailwart"


def is_app_password(run: Runner, directory: str) -> bool:
    """Whether the stored login is one already, or an API key; what they begin with is the server's own choice."""
    return run(f"grep -q -e '^Bearer API_' -e ':app_' {directory}/{names.CREDENTIALS}", timeout=60).ok


def app_password(client: Client) -> str:
    """A new one of whoever signs in, for the mailbox's own namespace; an earlier one, known to nobody, is revoked."""
    held = AppPasswords(client, "the administrator", ACCOUNT)
    if any(item.name == NAME for item in held.held()):
        held.revoke(NAME)
    return held.add(NAME, None, LOOPBACK)
