"""The keys of `.env` that carry the name of an edge or an account."""

from __future__ import annotations

import re


def edge_key(name: str, attribute: str) -> str:
    """The `.env` key of an edge's attribute: `edge-1`, `ssh` → `EDGE_1_SSH`."""
    return f"{_upper(name)}_{attribute.upper()}"


def account_key(name: str, attribute: str) -> str:
    """The `.env` key of an account's attribute: `alice`, `password` → `ACCOUNT_ALICE_PASSWORD`."""
    return f"ACCOUNT_{_upper(name)}_{attribute.upper()}"


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
