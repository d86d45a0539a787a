"""What is missing before an edge host is on the tailnet, from ``tailscale status --json``. Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from enum import Enum

from tailwart.errors import TailwartError

STATUS = "command -v tailscale >/dev/null || exit 127; tailscale status --json --peers=false"
"""The command whose exit code and output `step` reads."""


class Step(Enum):
    """What is still missing before the host is on the tailnet."""

    INSTALL = "install Tailscale"
    START = "start tailscaled"
    JOIN = "join the tailnet"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Membership:
    """How an edge belongs to the tailnet: its MagicDNS suffix, the tag, the coordination server (empty: Tailscale)."""

    tailnet: str
    tag: str
    login_server: str = ""


def step(desired: Membership, installed: bool, exit_code: int, status: str) -> Step:
    """What to do next. A host that is on a tailnet already is not changed: raises `TailwartError` when it is the wrong
    tailnet, or when the node lacks the tag that the grants are written for."""
    if not installed:
        return Step.INSTALL
    try:
        document = json.loads(status)
    except ValueError:
        document = {}
    backend = document.get("BackendState", "")
    if exit_code != 0 and not backend:
        return Step.START
    if backend in ("NeedsLogin", "NoState", "Stopped", "NeedsMachineAuth", ""):
        return Step.JOIN
    _check(desired, document)
    return Step.NOTHING


def up(desired: Membership, key: str) -> list[str]:
    """``tailscale up`` for this key, without the key itself, which must not be part of a command line.

    A key of Tailscale's own may need the tag spelled out. headscale's keys carry their tags, and it refuses a
    registration that asks for them again.
    """
    words = ["tailscale", "up", "--timeout=90s", "--accept-dns=true"]
    if desired.login_server:
        words.append(f"--login-server={desired.login_server}")
    if key.startswith("tskey-"):
        words.append(f"--advertise-tags={desired.tag}")
    return words


def no_key(desired: Membership) -> TailwartError:
    """The host must join, and there is no key to join it with."""
    by_hand = shlex.join(up(desired, "tskey-"))
    return TailwartError(
        "the edge host is not on the tailnet",
        seen="`tailscale status` reports it as logged out, and there is nothing to make an auth key with",
        expected=f"a node of {desired.tailnet} with {desired.tag}",
        remedy=f"set TS_OAUTH_CLIENT_ID and …_SECRET, or TS_EDGE_AUTHKEY to an auth key for {desired.tag}, or "
        f"run `{by_hand}` on the host and log in",
    )


def _check(desired: Membership, document: dict[str, object]) -> None:
    suffix = str(document.get("MagicDNSSuffix") or "").rstrip(".")
    node = document.get("Self")
    tags = node.get("Tags") if isinstance(node, dict) else None
    if suffix and suffix != desired.tailnet:
        raise TailwartError(
            "the edge host is on another tailnet",
            seen=suffix,
            expected=f"{desired.tailnet} (TS_TAILNET)",
            remedy="correct TS_TAILNET, or run `tailscale logout` on the host and the deploy again",
        )
    if desired.tag not in (tags or []):
        raise TailwartError(
            f"the edge host is on the tailnet without {desired.tag}, so no grant lets it reach the mailbox",
            seen=f"tags: {', '.join(map(str, tags or [])) or 'none'}",
            expected=f"{desired.tag} (TAG_EDGE)",
            remedy=f"give the machine {desired.tag} in the tailnet's admin console, or run "
            f"`tailscale up --advertise-tags={desired.tag} --force-reauth` on the host",
        )
