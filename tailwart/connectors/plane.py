"""`@plane/NAME`: an inventory host that is an outside API, driven from the operator's machine.

pyinfra's own `@local` can stand in an inventory only once; the tailnet policy and the DNS zone must be limited
separately (`--limit tailnet`, `--limit dns`), so each gets a host of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.local import LocalConnector


class PlaneConnector(LocalConnector):
    """The local connector under as many names as there are planes."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        if not name:
            raise InventoryError("@plane needs a name: @plane/tailnet or @plane/dns")
        yield f"@plane/{name}", {}, ["@plane"]
