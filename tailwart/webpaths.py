"""The paths of Stalwart's HTTP server that may be public: the one place that says which path is what.

The server has one HTTP server for everything, administration and metrics included. What is not named here is closed
from outside (`settings/endpoints.py`): a path that a later version adds stays closed until it is added to a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths as they are (``exact``), everything below a prefix (``below``), and prefixes without regard to case."""

    exact: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()

    def __or__(self, other: Paths) -> Paths:
        return Paths(
            tuple(dict.fromkeys(self.exact + other.exact)),
            tuple(dict.fromkeys(self.below + other.below)),
            tuple(dict.fromkeys(self.folded + other.folded)),
        )


PUBLIC = Paths(
    (
        "/.well-known/mta-sts.txt",  # RFC 8461, section 3.3
        "/mail/config-v1.1.xml",
        "/.well-known/autoconfig/mail/config-v1.1.xml",
        "/.well-known/mail-v1.xml",
        "/.well-known/user-agent-configuration.json",
    ),
    ("/.well-known/acme-challenge/",),  # RFC 8555, section 8.3
    ("/autodiscover/autodiscover.",),  # .xml and .json, written /Autodiscover and /AutoDiscover as well
)
"""What strangers ask for before they know the server. Nothing here takes a login."""

_OAUTH = Paths(
    (
        "/.well-known/oauth-authorization-server",  # RFC 8414
        "/.well-known/oauth-protected-resource",  # RFC 9728
        "/.well-known/openid-configuration",
        "/login",
        "/device",
        "/api/auth",
    ),
    ("/auth/", "/api/discover/"),
)
_JMAP = Paths(("/jmap", "/.well-known/jmap"), ("/jmap/",))  # RFC 8620, section 2.2
_DAV = Paths(
    ("/.well-known/caldav", "/.well-known/carddav", "/calendar/rsvp"),  # RFC 6764, section 5
    ("/dav/",),
)
# The account pages are a program in the browser: it signs in by OAuth and speaks JMAP.
_ACCOUNT = Paths(("/", "/account", "/api/account", "/api/schema"), ("/account/", "/api/schema/")) | _OAUTH | _JMAP

VHOST = {"jmap": _JMAP, "dav": _DAV, "oauth": _OAUTH, "account": _ACCOUNT}
"""What `JMAP_VHOST_SERVES` chooses from, for https://mail.DOMAIN. Each takes a login."""


def serves(text: str) -> tuple[str, ...]:
    """From a comma-separated list of names of `VHOST`, in that order; raises `ValueError` that names what is unknown.

    >>> serves("dav, jmap")
    ('jmap', 'dav')
    """
    given = {part.strip().lower() for part in text.split(",") if part.strip()}
    if unknown := sorted(given - VHOST.keys()):
        raise ValueError(f"a list of {', '.join(VHOST)}; {unknown[0]!r} is none")
    if not given:
        raise ValueError(f"one or more of {', '.join(VHOST)}; to serve none, set JMAP_VHOST=false")
    return tuple(name for name in VHOST if name in given)


def of(names: Iterable[str]) -> Paths:
    """All paths of these names of `VHOST`."""
    found = Paths()
    for name in names:
        found |= VHOST[name]
    return found
