"""What `MAIL_SERVICES` means for a verification.

The ports are written down a second time on purpose: checked with the deploy's own table, a wrong number there would
verify itself.
"""

from __future__ import annotations

from collections.abc import Collection

from tailwart.environment import Edge, Environment

PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 143, "imaps": 993, "pop3s": 995, "sieve": 4190}


def public(environment: Environment, edge: Edge | None = None) -> dict[str, int]:
    """Name and port of each service that is offered to the internet, by one edge where it is named."""
    found = _with_exposure(environment, "")
    if edge is None or edge.services is None:
        return found
    return {name: port for name, port in found.items() if name in {service.name for service in edge.services}}


def tailnet(environment: Environment) -> dict[str, int]:
    """Name and port of each service that nodes of the tailnet alone reach."""
    return _with_exposure(environment, "tailnet")


def first(services: Collection[str], *names: str) -> str | None:
    """The first of ``names`` that is among the services."""
    return next((name for name in names if name in services), None)


def _with_exposure(environment: Environment, expected: str) -> dict[str, int]:
    entries = (entry.partition(":") for entry in str(environment.mail_services).split(","))
    return {name: PORTS[name] for name, _, exposure in entries if exposure == expected}
