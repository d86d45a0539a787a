"""The stores' host: PostgreSQL, Redis and Garage where the deploy installs them, and what Stalwart keeps its data in.

On a bare host of ours (BACKENDS_INSTALL) in order: packages; the tailnet, whose addresses the stores listen on; the
servers. In stores that others run, nothing but our own role, database, bucket and key is made.
"""

from __future__ import annotations

from functools import partial

from pydantic import SecretStr
from pyinfra import host

from tailwart.backends import buckets, servers
from tailwart.backends import operations as postgres
from tailwart.backends import plan as backends_plan
from tailwart.backends.plan import EARLY, BackendsPlan
from tailwart.connectors.shell import prove_login
from tailwart.environment import Environment
from tailwart.facts.host import expect
from tailwart.operations import engine, hardening
from tailwart.operations.membership import join_tailnet


def deploy() -> None:
    """Before the mailbox: Stalwart sets its tables up at its very first start, and only then (lesson 1)."""
    environment: Environment = host.data.environment
    plan = backends_plan.of(environment)
    if plan.stores:
        expect(host, plan.watch)

    database = None
    if found := backends_plan.database(environment):
        superuser = environment.postgres_admin_url
        database = postgres.Database(*found, superuser=superuser.get_secret_value() if superuser else "")
        postgres.expect(host, database)

    bucket = backends_plan.bucket(environment)
    api = buckets.api_of(environment)
    if bucket:
        buckets.expect(host, api, bucket)

    if plan.stores:
        _install(environment, plan)

    if database:
        postgres.role_and_database(name="Backends: role and database for Stalwart", database=database)

    if bucket:
        buckets.bucket_and_key(name="Backends: bucket and key for message bodies", api=api, desired=bucket)

    if plan.stores:
        assert environment.backends_ssh is not None, "the role has a host"
        # Last: a host that does not let the operator in under the new rules has its stores all the same.
        hardening.harden(
            name="Backends: packet filter, SSH and security updates",
            role=backends_plan.role(environment),
            watch=plan.watch,
            prove=partial(prove_login, environment, environment.backends_ssh),
            wanted=environment.hardens("backends"),
        )


def _install(environment: Environment, plan: BackendsPlan) -> None:
    watch = plan.watch
    servers.install(name=f"Backends: packages for {', '.join(plan.stores)}", stores=plan.stores, watch=watch)

    def key() -> SecretStr | None:
        # Loaded where a node has to join: a run that changes nothing asks no API.
        from tailwart.tailnet.minting import backends_key  # noqa: PLC0415 - only a node that joins needs it

        return backends_key(environment)

    # Before the servers, which listen on the tailnet's addresses and on loopback, and nowhere else.
    join_tailnet(
        name=f"Backends: on the tailnet with {plan.membership.tag}", desired=plan.membership, watch=watch, key=key
    )
    servers.configure(name="Backends: stores start before the tailnet is up", server=EARLY, watch=watch)

    if plan.postgres:
        servers.configure(name="Backends: PostgreSQL on the tailnet", server=plan.postgres, watch=watch)
    if plan.redis:
        servers.configure(name=f"Backends: {plan.redis.title} on the tailnet", server=plan.redis, watch=watch)
    if plan.garage:
        engine.ensure(name="Backends: container engine and Compose", watch=watch)
        buckets.serve(name="Backends: Garage on the tailnet", server=plan.garage, watch=watch)
