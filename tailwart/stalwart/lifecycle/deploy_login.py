"""The login that the deploy keeps on the mailbox host: an API key of the administrator's, never the password.

The key counts inside the mailbox's own namespace alone, so that whoever copies it from there cannot use it anywhere
else; and no external directory judges it, so that the deploy goes on where passwords are proven by another server. Each
is made with the administrator's password of `.env`, stored, and then replaces those before it: a run that
dies in between leaves one too many, which the next one removes.
"""

from __future__ import annotations

from tailwart.mailbox import names
from tailwart.network import LOOPBACK
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import notes
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import bearer
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.protocol.values import TYPE

DESCRIPTION = f"{MARK}: the deploy, on the mailbox host"
# The server allows five keys an account: leftovers must never be what prevents the next one.
_TOO_MANY = 3


def store(run: Runner, administrator: Client, directory: str) -> None:
    """Prove the administrator's login, and keep a new key of theirs on the host.

    Raises LoginRefused for a login that is not valid, SettingsError when the server makes no key.
    """
    found, _ = administrator.call(
        [Call("ApiKey", "get", {"ids": None}), Call("SystemSettings", "get", {"ids": [SINGLETON]})]
    )
    old = [str(item["id"]) for item in found.objects if item.get("description") == DESCRIPTION]
    if len(old) >= _TOO_MANY:
        administrator.call([Call("ApiKey", "set", {"destroy": old})])
        old = []
    key = {
        "description": DESCRIPTION,
        "permissions": {TYPE: "Inherit"},
        "allowedIps": dict.fromkeys(LOOPBACK, True),
    }
    (made,) = administrator.call([Call("ApiKey", "set", {"create": {"deploy": key}})])
    secret = ((made.arguments.get("created") or {}).get("deploy") or {}).get("secret")
    if not secret:
        error = (made.arguments.get("notCreated") or {}).get("deploy") or {}
        raise SettingsError(
            "Stalwart makes no API key for the deploy",
            seen=f"{error.get('type', 'no answer')} {error.get('description') or ''}".strip(),
            expected="a key of the administrator's, which the deploy signs in with from the mailbox host",
            remedy="remove API keys of STALWART_ADMIN that are not needed (five are allowed), then run this again",
        )
    notes.write(run, names.CREDENTIALS, bearer(str(secret)), directory)
    if old:
        administrator.call([Call("ApiKey", "set", {"destroy": old})])
