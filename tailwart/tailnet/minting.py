"""One-time auth keys: made on the operator's machine, so that no host ever holds a credential of the tailnet's API.

A minted key joins one node with one tag, approved, within minutes; then it is worth nothing. The node that it joins
keeps its place by its own state, so the key is not needed again: a tagged node's key does not expire, and only an
ephemeral node is forgotten while it is away (`TS_EPHEMERAL`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.tailnet import session
from tailwart.tailnet.client import PolicyClient
from tailwart.tailnet.requesting import Credentials

KEY_SECONDS = 900
"""A key's life, in seconds: long enough for the first pull of the sidecar's image over a slow line."""
# An OAuth client's secret holds the client's id. Tailscale's own programs take one in place of an auth key, and in what
# follows a question mark what the key is to be; the API takes the secret alone.
_OAUTH_SECRET = re.compile(r"tskey-client-(?P<id>[A-Za-z0-9]+)-[^?]*")


def sidecar_key(environment: Environment) -> SecretStr:
    """For the mailbox's sidecar: TS_AUTHKEY, or one that is minted now for TAG_STALWART; raises `TailwartError`."""
    return _key(
        environment, environment.ts_authkey, "TS_AUTHKEY", (environment.tag_stalwart,), environment.ts_ephemeral
    )


def edge_key(environment: Environment) -> SecretStr | None:
    """For an edge: TS_EDGE_AUTHKEY, or one that is minted now for TAG_EDGE. None without a credential for either.

    Never ephemeral: an edge that was offline for an hour must not have left the tailnet. Raises `TailwartError`.
    """
    return _host_key(environment, environment.ts_edge_authkey, "TS_EDGE_AUTHKEY", (environment.tag_edge,))


def backends_key(environment: Environment) -> SecretStr | None:
    """For a backends host: TS_BACKENDS_AUTHKEY, or one for the tags of all its stores, as `edge_key`."""
    given = environment.ts_backends_authkey
    return _host_key(environment, given, "TS_BACKENDS_AUTHKEY", environment.backends_tags)


def _host_key(environment: Environment, given: SecretStr | None, setting: str, tags: Sequence[str]) -> SecretStr | None:
    if given is None and not session.has_credential(environment):
        return None
    return _key(environment, given, setting, tags, ephemeral=False)


def _key(
    environment: Environment, given: SecretStr | None, setting: str, tags: Sequence[str], ephemeral: bool
) -> SecretStr:
    oauth = _OAUTH_SECRET.match(given.get_secret_value()) if given else None
    if given is not None and oauth is None:
        return given
    client = (
        session.client(environment)
        if oauth is None
        else PolicyClient(str(environment.ts_api_url), Credentials(client_id=oauth["id"], client_secret=oauth[0]))
    )
    return mint(client, setting, tags, ephemeral=ephemeral)


def mint(client: PolicyClient, setting: str, tags: Sequence[str], *, ephemeral: bool = False) -> SecretStr:
    """A new one-time key for one node with ``tags``, approved beforehand.

    Tailscale's API, `POST /tailnet/-/keys`. ``setting`` is the key of `.env` that could hold a key instead. Raises
    `TailwartError` for a credential without the scope or the tag.
    """
    create = {"reusable": False, "ephemeral": ephemeral, "preauthorized": True, "tags": list(tags)}
    document = {
        "capabilities": {"devices": {"create": create}},
        "expirySeconds": KEY_SECONDS,
        # At most 50 letters, digits, hyphens and blanks.
        "description": f"tailwart one-time {'-'.join(tag.removeprefix('tag:') for tag in tags)}"[:50],
    }
    named = ", ".join(tags)
    try:
        answer = client.create_key(document)
    except TailwartError as problem:
        problem.expected = f"a credential with the scope auth_keys that may hand out {named}"
        problem.remedy = (
            f"give the OAuth client of TS_OAUTH_CLIENT_ID the scope auth_keys and {named} (admin console: Settings, "
            f"OAuth clients), or set {setting} to an auth key for {named}"
        )
        raise
    key = str(answer.get("key") or "")
    if not key:
        raise TailwartError("the answer to the request for an auth key holds no key", remedy="check TS_API_URL")
    return SecretStr(key)
