"""Every secret of the lab: made once, kept in the state directory, the same for hosts and for the operator's `.env`."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping

from lab import paths


def _hex(count: int) -> Callable[[], str]:
    return lambda: secrets.token_hex(count)


def _tsig() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


# Name → how its value is made. The names are those that the hosts' units read from /etc/lab/lab.env.
_MAKERS: Mapping[str, Callable[[], str]] = {
    "LAB_ADMIN_TOKEN": _hex(16),
    # Tailscale's forms, so that a client which checks prefixes sees what it would see in the real service.
    "TS_OAUTH_CLIENT_ID": lambda: f"k{secrets.token_hex(8)}CNTRL",
    "TS_API_KEY": lambda: f"tskey-api-k{secrets.token_hex(8)}CNTRL-{secrets.token_hex(16)}",
    "SPACESHIP_API_KEY": _hex(10),
    "SPACESHIP_API_SECRET": _hex(30),
    "TSIG_NAME": lambda: "tailwart.",
    "TSIG_ALGORITHM": lambda: "hmac-sha256",
    "TSIG_SECRET": _tsig,
    "SMARTHOST_USERNAME": lambda: "stalwart",
    "SMARTHOST_PASSWORD": _hex(12),
    "S3_REGION": lambda: "garage",
    "S3_BUCKET": lambda: "stalwart-mail",
    "S3_ACCESS_KEY": lambda: f"GK{secrets.token_hex(12)}",
    "S3_SECRET_KEY": _hex(32),
    "REDIS_PASSWORD": _hex(16),
    "STALWART_ADMIN_PASSWORD": _hex(12),
    "STALWART_DB_PASSWORD": _hex(16),
    "ACCOUNT_ALICE_PASSWORD": _hex(10),
    "ACCOUNT_BOB_PASSWORD": _hex(10),
}


def load() -> dict[str, str]:
    """All secrets; those that are missing are made and saved (0600) before anybody sees them."""
    path = paths.state() / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    values = {name: known.get(name) or make() for name, make in _MAKERS.items()}
    # A client secret carries its client's id.
    values["TS_OAUTH_CLIENT_SECRET"] = (
        known.get("TS_OAUTH_CLIENT_SECRET") or f"tskey-client-{values['TS_OAUTH_CLIENT_ID']}-{secrets.token_hex(16)}"
    )
    paths.write_private(path, (json.dumps(values, indent=1, sort_keys=True) + "\n").encode())
    return values
