"""Making the lab's fake APIs misbehave for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from lab import credentials, topology

_PORTS = {"policy": 8201, "spaceship": 8202, "download": 8203}


@contextmanager
def fault(api: str, **members: Any) -> Iterator[None]:
    """Arm one fault of `lab.control.faults` at a fake API; disarmed again at the end."""
    url = f"http://127.0.0.1:{topology.published(_PORTS[api])}/lab/faults"
    headers = {"X-Lab-Admin": credentials.load()["LAB_ADMIN_TOKEN"]}
    requests.post(url, json=members, headers=headers, timeout=20).raise_for_status()
    try:
        yield
    finally:
        requests.delete(url, headers=headers, timeout=20).raise_for_status()
