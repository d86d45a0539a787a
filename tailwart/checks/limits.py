"""How near the certificates that were issued are to Let's Encrypt's limits (lesson 7). Pure.

https://letsencrypt.org/docs/rate-limits/: in seven days 50 certificates for a registered domain, and 5 for one and the
same set of names. A renewal by its own order (ARI) is exempt there and counts here all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from tailwart.checks.model import Found, NotApplicable
from tailwart.environment import Environment
from tailwart.supply.issuances import Issuance

_WEEK = timedelta(days=7)
_PER_DOMAIN, _PER_NAMES = 50, 5
_NEAR_DOMAIN, _NEAR_NAMES = 45, 4


def applies(environment: Environment) -> None:
    """Raises `NotApplicable` where nothing is to be counted."""
    directory = environment.acme_directory
    if directory is None:
        raise NotApplicable("ACME_DIRECTORY is not set")
    if environment.acme_staging:
        raise NotApplicable("ACME_STAGING=true: certificates for trials are neither logged nor limited like this")
    default = type(environment).model_fields["certspotter_url"].default
    if environment.offline:
        # A lab has no logs; one that stands in for them is named.
        if environment.certspotter_url == default:
            raise NotApplicable("OFFLINE=true")
    elif "letsencrypt.org" not in directory:
        raise NotApplicable("the limits of this certificate authority are not known")


def near(domain: str, issued: Iterable[Issuance], now: datetime) -> Found:
    """What is near a limit, or has reached it."""
    recent = [issuance for issuance in issued if now - issuance.begins < _WEEK]
    if len(recent) >= _NEAR_DOMAIN:
        yield f"{domain}: {len(recent)} of {_PER_DOMAIN} certificates in seven days"
    sets = Counter(issuance.names for issuance in recent)
    for names, count in sets.most_common():
        if count >= _NEAR_NAMES:
            oldest = min(issuance.begins for issuance in recent if issuance.names == names)
            free = f"{oldest + _WEEK:%Y-%m-%d %H:%M} UTC"
            yield f"{', '.join(sorted(names))}: {count} of {_PER_NAMES} in seven days; the next is free at {free}"
