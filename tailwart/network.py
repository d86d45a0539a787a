"""The tailnet's address ranges: where the edges' connections come from, and what no file may hold an address of."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

TAILNET_V4 = IPv4Network("100.64.0.0/10")
"""Tailscale's IPv4 range: the shared address space of RFC 6598."""
TAILNET_V6 = IPv6Network("fd7a:115c:a1e0::/48")
"""Tailscale's own unique local prefix."""

TAILNET_RANGES = (str(TAILNET_V4), str(TAILNET_V6))
