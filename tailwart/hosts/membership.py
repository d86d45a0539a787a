"""What is missing before a host is on the tailnet, from ``tailscale status --json``. Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from enum import Enum

from tailwart.errors import TailwartError
from tailwart.hosts.watch import Watch

STATUS = "command -v tailscale >/dev/null || exit 127; tailscale status --json --peers=false"
"""The command whose exit code and output `step` reads."""
PROBE = "tailscale"
"""Its name among the probes of a role."""
WATCH = Watch(probes=((PROBE, STATUS),))


class Step(Enum):
    """What is still missing before the host is on the tailnet."""

    INSTALL = "install Tailscale"
    START = "start tailscaled"
    JOIN = "join the tailnet"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Membership:
    """How a host belongs to the tailnet: its MagicDNS suffix, its tags, the coordination server (empty: Tailscale).

    ``name`` is the host name that it must have there; empty: any. ``host`` is what messages call it; ``setting`` names
    its tags in `.env`, ``key_setting`` an auth key for it, ``purpose`` what it cannot do without its tags.
    """

    tailnet: str
    tags: tuple[str, ...]
    login_server: str = ""
    name: str = ""
    host: str = "edge host"
    setting: str = "TAG_EDGE"
    key_setting: str = "TS_EDGE_AUTHKEY"
    purpose: str = "no grant lets it reach the mailbox"

    @property
    def tag(self) -> str:
        """All tags, for people."""
        return ", ".join(self.tags)


def step(desired: Membership, installed: bool, exit_code: int, status: str) -> Step:
    """What to do next. A host that is on a tailnet already is not changed: raises `TailwartError` when it is the wrong
    tailnet, when the node lacks a tag that the grants are written for, or when it has another name."""
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


def addresses(status: str) -> tuple[str, ...]:
    """The host's own addresses on the tailnet, IPv4 first; none while it is not there."""
    try:
        document = json.loads(status)
        found = document["Self"]["TailscaleIPs"] if document["BackendState"] == "Running" else ()
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(sorted(map(str, found or ()), key=lambda address: ":" in address))


def up(desired: Membership, key: str) -> list[str]:
    """``tailscale up`` for this key, without the key itself, which must not be part of a command line.

    A key of Tailscale's own may need the tag spelled out. headscale's keys carry their tags, and it refuses a
    registration that asks for them again.
    """
    words = ["tailscale", "up", "--timeout=90s", "--accept-dns=true"]
    if desired.login_server:
        words.append(f"--login-server={desired.login_server}")
    if desired.name:
        words.append(f"--hostname={desired.name}")
    if key.startswith("tskey-"):
        words.append(f"--advertise-tags={','.join(desired.tags)}")
    return words


def no_key(desired: Membership) -> TailwartError:
    """The host must join, and there is no key to join it with."""
    by_hand = shlex.join(up(desired, "tskey-"))
    return TailwartError(
        f"the {desired.host} is not on the tailnet",
        seen="`tailscale status` reports it as logged out, and there is nothing to make an auth key with",
        expected=f"a node of {desired.tailnet} with {desired.tag}",
        remedy=f"set TS_OAUTH_CLIENT_ID and …_SECRET, or {desired.key_setting} to an auth key for {desired.tag}, or "
        f"run `{by_hand}` on the host and log in",
    )


def _check(desired: Membership, document: dict[str, object]) -> None:
    suffix = str(document.get("MagicDNSSuffix") or "").rstrip(".")
    node = document.get("Self")
    node = node if isinstance(node, dict) else {}
    tags = node.get("Tags") or []
    if suffix and suffix != desired.tailnet:
        raise TailwartError(
            f"the {desired.host} is on another tailnet",
            seen=suffix,
            expected=f"{desired.tailnet} (TS_TAILNET)",
            remedy="correct TS_TAILNET, or run `tailscale logout` on the host and the deploy again",
        )
    missing = [tag for tag in desired.tags if tag not in tags]
    if missing:
        raise TailwartError(
            f"the {desired.host} is on the tailnet without {', '.join(missing)}, so {desired.purpose}",
            seen=f"tags: {', '.join(map(str, tags)) or 'none'}",
            expected=f"{desired.tag} ({desired.setting})",
            remedy=f"give the machine {desired.tag} in the tailnet's admin console, or run "
            f"`tailscale up --advertise-tags={','.join(desired.tags)} --force-reauth` on the host",
        )
    name = str(node.get("DNSName") or "").rstrip(".")
    expected = f"{desired.name}.{desired.tailnet}"
    if desired.name and name and name != expected:
        raise TailwartError(
            f"the {desired.host} has another name on the tailnet than .env gives it",
            seen=name,
            expected=expected,
            remedy=f"rename the machine to {desired.name} in the tailnet's admin console (an older machine may still "
            "have that name: remove it there), or give .env the present name",
        )
