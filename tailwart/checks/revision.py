"""Whether the code that was deployed is that of the checkout. What of `.env` is not deployed, the planes' plans say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tailwart.checks.model import CannotLook, Found, NotApplicable
from tailwart.history import latest
from tailwart.history.latest import ON_HOST, Latest
from tailwart.history.working import Working, changed_since, working

PROBE = "history"
SCRIPT = f"tail -n 3 {ON_HOST} 2>/dev/null || :"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Code:
    """The checkout, and what this machine has noted of its deploys, by host.

    ``changed`` names what differs from a revision, and None for one that the checkout does not have.
    """

    checkout: Working = field(default_factory=Working)
    noted: Mapping[str, Latest] = field(default_factory=dict)
    changed: Callable[[str], tuple[str, ...] | None] = changed_since


def here(domain: str) -> Code:
    """The code that a deploy from here would be made of."""
    return Code(working(), latest.read(domain))


def found(code: Code, host: str, lines: str) -> Found:
    """What of the checkout was not deployed to this host; ``lines`` are the last of its own record."""
    now = code.checkout
    if not now.revision:
        raise NotApplicable("this checkout is no git repository")
    then = latest.newest(latest.remembered(lines), code.noted.get(host))
    if then is None:
        raise CannotLook(f"no deploy is recorded, neither in {ON_HOST} nor on this machine")
    if then.tree == now.tree:
        return
    if not then.revision:
        raise CannotLook("the last deploy was made outside of a git repository")
    when = f"{then.at:%Y-%m-%d %H:%M} UTC"
    changed = code.changed(then.revision)
    if changed is None:
        yield f"deployed is {then.code} of {when}, which this checkout ({now.code}) does not have: git fetch"
        return
    # Without a digest, a deploy of what is in no commit cannot be compared.
    if changed or then.tree or then.modified:
        yield f"deployed is {then.code} of {when}, here is {now.code}{_differing(changed)}"
    if now.edited:
        yield f"in no commit: {_listed(now.edited)}"


def _differing(names: tuple[str, ...]) -> str:
    return f": {_listed(names)} changed" if names else ": deployed were files that are in no commit"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
