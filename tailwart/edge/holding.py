"""Lets senders wait at the edge while the mailbox is away for longer than a restart.

An edge dials the mailbox for ten seconds before it gives a connection up. While a mailbox moves, it dials for minutes:
whoever comes meanwhile waits for the greeting, for which RFC 5321 (4.5.3.2.1) grants five minutes, and is served as
soon as the mailbox answers again. Who does not want to wait that long comes back later, as mail servers do.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from tailwart.edge.image import DIRECTORY, LOAD, RELOAD
from tailwart.errors import TailwartError
from tailwart.runner import Runner

PATIENCE = "240s"
"""How long a connection waits: below the five minutes of RFC 5321."""
_AT_MOST = 3 * 3600  # seconds, after which an edge that was forgotten is as before
_UNIT = "tailwart-edge-release"
_LOCAL = ("127.0.0.1:", "[::1]:", "localhost:")
_END = f"systemctl stop {_UNIT}.timer 2>/dev/null; systemctl reset-failed {_UNIT}.service 2>/dev/null"


def holding(document: dict[str, Any]) -> dict[str, Any]:
    """The configuration with patience for every upstream but those on the edge itself; all else as it is."""
    changed = copy.deepcopy(document)
    for handler in _proxies(changed):
        dials = [dial for upstream in handler.get("upstreams") or () for dial in upstream.get("dial") or ()]
        if any(not str(dial).startswith(_LOCAL) for dial in dials):
            handler.setdefault("load_balancing", {})["try_duration"] = PATIENCE
    return changed


def _proxies(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in _proxies(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("handler") == "proxy" else []
    return own + [found for item in node.values() for found in _proxies(item)]


def hold(run: Runner) -> None:
    """From now on new connections wait; raises `TailwartError` where the edge does not serve as the deploy left it.

    A run that dies leaves no patient edge behind: the host ends it by itself after hours, and any deploy at once.
    """
    present = run(f"cat {DIRECTORY}/caddy.json", timeout=60)
    try:
        document = json.loads(present.stdout)
    except ValueError:
        raise _refused(present.stderr.strip() or f"{DIRECTORY}/caddy.json is no JSON") from None
    done = run(
        f"{_END}\nsystemd-run --quiet --collect --unit={_UNIT} --on-active={_AT_MOST} {RELOAD} && {LOAD}",
        stdin=json.dumps(holding(document)),
        timeout=90,
    )
    if not done.ok:
        raise _refused(done.stderr.strip()[-300:] or "no output")


def release(run: Runner) -> None:
    """The edge is as its file says again. Whoever still waits is let go, and comes back later."""
    run(f"{_END}\n{RELOAD}", timeout=90)


def _refused(seen: str) -> TailwartError:
    return TailwartError(
        "the edge cannot hold mail back",
        seen=seen,
        expected="a running edge of this deploy",
        remedy="pyinfra inventory.py deploy.py --limit edge; or go on without: senders try again by themselves",
    )
