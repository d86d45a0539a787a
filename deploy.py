"""The deploy, role by role: `pyinfra inventory.py deploy.py`, one role with `--limit`, the plan with `--dry --diff`."""

from pyinfra import config, host

from tailwart.operations.stage import stage_done
from tasks import backends, dns, edge, mailbox, tailnet

config.REQUIRE_PYINFRA_VERSION = "~=3.10"

# In this order: grants before the sidecar that needs them, stores before the server, an edge before the AAAA record
# that leads to it.
ROLES = {"tailnet": tailnet, "backends": backends, "mailbox": mailbox, "edge": edge, "dns": dns}

# pyinfra interleaves the operations of hosts that have none in common: the stages, which all hosts have, prevent it.
# host.loop, because pyinfra identifies an operation by its place in the code.
for number, (name, role) in enumerate(host.loop(ROLES.items()), start=1):
    if name in host.groups:
        role.deploy()
    stage_done(name=f"Stage {number} of {len(ROLES)}: {name} finished", role=name)
