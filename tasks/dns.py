"""DNS: the zones of all mail domains at the provider.

Runs last: the mail server must exist to name its keys, and every edge must answer before an address leads to it.
"""

from __future__ import annotations

from pyinfra import host

from tailwart.dns import operations
from tailwart.environment import Environment


def deploy() -> None:
    """Compare each zone with what the mail system needs; put the new, delete the old, ask the authoritative servers."""
    environment: Environment = host.data.environment

    operations.expect(host, environment)

    operations.zones(name="DNS: records of every mail domain at the provider", environment=environment)
