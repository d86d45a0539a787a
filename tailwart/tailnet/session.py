"""The API client and the push of one installation, from its settings."""

from __future__ import annotations

from dataclasses import replace

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.desired import Desired, desired
from tailwart.tailnet.push import Push
from tailwart.tailnet.requesting import Credentials


def has_credential(environment: Environment) -> bool:
    """Whether the settings hold an OAuth client or an API key."""
    return bool((environment.ts_oauth_client_id and environment.ts_oauth_client_secret) or environment.ts_api_key)


def client(environment: Environment) -> PolicyClient:
    """The policy API at TS_API_URL, by the OAuth client or else the API key. `TailwartError` without either."""
    if not has_credential(environment):
        raise TailwartError(
            "There is no credential for the policy API",
            expected="TS_OAUTH_CLIENT_ID and TS_OAUTH_CLIENT_SECRET, or TS_API_KEY",
            remedy="make an OAuth client with the scope policy_file (admin console: Settings, OAuth clients)",
        )
    credentials = Credentials(
        client_id=environment.ts_oauth_client_id or "",
        client_secret=_plain(environment.ts_oauth_client_secret),
        api_key=_plain(environment.ts_api_key),
    )
    return PolicyClient(str(environment.ts_api_url), credentials)


def push(environment: Environment, *, remove: bool = False, unmarked: bool = False) -> Push:
    """The push of the installation's entries; with ``remove``, the push that takes them out.

    With ``unmarked``, it also takes out those that have lost their marks.
    """
    entries = wanted(environment, remove=remove, unmarked=unmarked)
    return Push(client(environment), entries, tuple(environment.ts_acknowledged))


def wanted(environment: Environment, *, remove: bool = False, unmarked: bool = False) -> Desired:
    """The entries of the installation, or their removal."""
    return replace(desired(environment), removing=remove, unmarked=unmarked)


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
