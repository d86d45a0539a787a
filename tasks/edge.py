"""The edge: a Caddy with caddy-l4 on the public mail ports that passes every connection on over the tailnet.

In order: nobody else has the edge's ports; the host is a node of the tailnet; the web Caddy beside it leaves :443
before the edge takes it; the image is built and the new configuration tested before anything that serves is replaced.
A change of routes alone is a reload, which keeps open connections.
"""

from __future__ import annotations

from functools import partial

from pydantic import SecretStr
from pyinfra import host

from tailwart.connectors.shell import prove_login
from tailwart.edge import plan as edge_plan
from tailwart.edge.limits import limit_clients
from tailwart.edge.ports import free_ports
from tailwart.edge.resolver import UNIT as RESOLVER
from tailwart.edge.rollout import Rollout
from tailwart.edge.serve import serve
from tailwart.edge.share import give_https_back, share_https
from tailwart.edge.stock import Stock
from tailwart.environment import lock, selected_path
from tailwart.environment.keys import edge_key
from tailwart.facts.host import expect
from tailwart.hosts.hardening.plan import HostRole
from tailwart.operations import engine, hardening, systemd
from tailwart.operations.membership import join_tailnet

ROLLOUT, STOCK = Rollout(), Stock()
"""What the edges of one run share: their order, and the image that one of them has."""


def deploy() -> None:
    """Bring one edge host into service."""
    environment = host.data.environment
    plan = edge_plan.of(environment, host.data.edge)

    role = HostRole(plan.project.name, plan.routes.ports, environment.reboot_time or "")
    watch = plan.project.watch | role.watch
    expect(host, watch)

    # Before anything is changed: a host that is no edge yet is left as it is where its ports are somebody's.
    free_ports(
        name="Edge: its ports are free",
        plan=plan,
        disable=environment.edge_disable,
        https_key=edge_key(host.data.edge.name, "https"),
    )

    engine.ensure(name="Edge: container engine and Compose", watch=watch)

    def key() -> SecretStr | None:
        # Loaded where a node has to join: a run that changes nothing asks no API.
        from tailwart.tailnet import minting  # noqa: PLC0415 - only a node that joins needs it

        return minting.edge_key(environment)

    # Before the edge: a resolver that knows the tailnet's names is copied into its container at the start.
    join_tailnet(name=f"Edge: on the tailnet with {plan.membership.tag}", desired=plan.membership, watch=watch, key=key)

    if plan.caddyfile:
        # Before the edge: two programs cannot both listen on :443.
        share_https(name=f"Edge: {plan.caddyfile} leaves :443 to the edge", plan=plan)

    # All edges of the installation run one Caddy: the first that is met, or the one that .env names.
    trust = partial(lock.trust, lock.beside(selected_path()))

    def trusted(kind: str, binary: lock.Binary) -> None:
        trust(kind, binary, accepted=binary.sha256 == environment.caddy_sha256)

    serve(name="Edge: image, configuration and ports", plan=plan, trust=trusted, rollout=ROLLOUT, stock=STOCK)
    systemd.activate(name="Edge: the container follows the host's resolver", unit=RESOLVER, watch=plan.project.watch)

    limit_clients(name="Edge: limits per client address", door=plan.door, watch=plan.project.watch)

    # After the edge, which no longer listens on :443 by then.
    give_https_back(name="Edge: a web Caddy no longer shared has :443 back", plan=plan)

    # Last: a host that does not let the operator in under the new rules serves all the same.
    hardening.harden(
        name="Edge: packet filter, SSH and security updates",
        role=role,
        watch=watch,
        prove=partial(prove_login, environment, host.data.edge.ssh),
        wanted=environment.hardens(host.data.edge.name),
    )
