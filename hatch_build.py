"""tailwart is used from a checkout: tasks, templates, group data and the lab are not part of an installed package.

An editable installation (`make setup`) puts the `tailwart` command beside Python. A wheel to carry away would lack what
the command works on, so none is built.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CheckoutOnly(BuildHookInterface):  # type: ignore[type-arg]  # no type information at build time
    """Refuses every wheel but the editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            raise SystemExit("Error: tailwart is no wheel\n  remedy:   clone the repository, then: make setup")
