"""The deploy, role by role: `pyinfra inventory.py deploy.py`, one role with `--limit`, the plan with `--dry --diff`."""

from pyinfra import config, host

from tailwart.operations.stage import stage_done
from tasks import backends, dns, edge, mailbox, tailnet

config.REQUIRE_PYINFRA_VERSION = "~=3.10"

# pyinfra interleaves the operations of hosts that have none in common; the stages put the roles into an order: grants
# before the sidecar that needs them, stores before the server, an edge before the AAAA record that leads to it.
if "tailnet" in host.groups:
    tailnet.deploy()
stage_done(name="Stage 1 of 5: tailnet finished", role="tailnet")

if "backends" in host.groups:
    backends.deploy()
stage_done(name="Stage 2 of 5: backends finished", role="backends")

if "mailbox" in host.groups:
    mailbox.deploy()
stage_done(name="Stage 3 of 5: mailbox finished", role="mailbox")

if "edge" in host.groups:
    edge.deploy()
stage_done(name="Stage 4 of 5: edges finished", role="edge")

if "dns" in host.groups:
    dns.deploy()
