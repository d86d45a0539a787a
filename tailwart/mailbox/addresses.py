"""Lesson 6: no file of a host may hold a tailnet address, because an ephemeral node gets a new one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from tailwart.network import TAILNET_V4, TAILNET_V6

_RANGES = (TAILNET_V4, TAILNET_V6)

# Wider than an address on purpose: what is found is parsed, and what does not parse is not an address.
_CANDIDATE = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,}:[0-9a-f:]*)(?:/\d{1,3})?(?![\w.])", re.I)


def tailnet_addresses(text: str, allowed: Iterable[str] = ()) -> list[str]:
    """The tailnet addresses in ``text``, in order, without those in ``allowed`` (a smarthost given as a literal).

    The tailnet's whole ranges, as trust lists name them, are not addresses.
    """
    kept = set(allowed)
    found = []
    for candidate in _CANDIDATE.findall(text):
        network = _network(candidate) or _network(candidate.rstrip(":"))
        if network is None or network in _RANGES or candidate in kept:
            continue
        if any(network.version == tailnet.version and network.network_address in tailnet for tailnet in _RANGES):
            found.append(candidate.rstrip(":") if _network(candidate) is None else candidate)
    return found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
