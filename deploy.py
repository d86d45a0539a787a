"""The deploy, role by role: `pyinfra inventory.py deploy.py`, one role with `--limit`, the plan with `--dry --diff`."""

from importlib import import_module

from pyinfra import config, host

from tailwart.history.recording import follow
from tailwart.operations import stage

config.REQUIRE_PYINFRA_VERSION = "~=3.10"

# When the run has ended: what it changed, on each host and on this machine (`tailwart history`).
follow(host)

# In this order: grants before the sidecar that needs them, stores before the server, an edge before the AAAA record
# that leads to it. Each is a module of tasks/, loaded only when a host of the run has the role.
ROLES = ("tailnet", "backends", "mailbox", "edge", "dns")

# pyinfra interleaves the operations of hosts that have none in common: the stages, which all hosts have, prevent it.
# host.loop, because pyinfra identifies an operation by its place in the code.
for number, role in enumerate(host.loop(ROLES), start=1):
    if role in host.groups:
        stage.role(role, import_module(f"tasks.{role}").deploy)
    stage.stage_done(name=f"Stage {number} of {len(ROLES)}: {role} finished", role=role)
