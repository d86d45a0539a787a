"""With which privileges and shell pyinfra runs a command on a host."""

from __future__ import annotations

from typing import Any, cast

from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host


def connector_arguments(host: Host) -> dict[str, Any]:
    """Those of the current operation (`_sudo` and the like), else those that every operation on the host has."""
    current = cast("dict[str, Any] | None", host.current_op_global_arguments)
    if current is None:
        current = cast("dict[str, Any]", pop_global_arguments(host.state, host, {})[0])
    return {key: current[key] for key in CONNECTOR_ARGUMENT_KEYS if current.get(key) is not None}
