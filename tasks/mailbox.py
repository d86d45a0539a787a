"""The mailbox: engine, files, the sidecar and Stalwart in its network, then Stalwart's settings."""

from __future__ import annotations

from pyinfra import host

from tailwart.environment import Environment
from tailwart.facts.host import expect
from tailwart.mailbox.follower import UNIT as FOLLOWER
from tailwart.mailbox.project import compose_project
from tailwart.operations import compose, engine, hostfiles, systemd
from tailwart.stalwart import operations as stalwart
from tailwart.stalwart.lifecycle import bootstrap


def deploy() -> None:
    """Nothing here is reachable from outside: no port is published, the edges come in over the tailnet."""
    environment: Environment = host.data.environment
    project = compose_project(environment)
    watch = project.watch | bootstrap.WATCH
    expect(host, watch)
    stalwart.expect(host, environment)

    # Stalwart prefers IPv6 where a recipient has it: without egress for the ULA prefix such mail waits for ever.
    engine.ensure(name="Mailbox: container engine with IPv6 egress for containers", watch=watch, ipv6_nat=True)

    hostfiles.put(
        name="Mailbox: files of the mailbox", files=project.files, directories=project.directories, watch=watch
    )

    # An uninitialised store needs a bootstrap credential for its first start.
    stalwart.prepare_bootstrap(name="Mailbox: credential for the first start", watch=watch)

    compose.up(name="Mailbox: sidecar and Stalwart up and healthy", project=project, around=stalwart.queue_held)

    # After the first start, or it would start a Stalwart whose files are still being written.
    systemd.activate(name="Mailbox: Stalwart follows its sidecar", unit=FOLLOWER, watch=watch)

    stalwart.apply_settings(name="Mailbox: settings of Stalwart", environment=environment)
