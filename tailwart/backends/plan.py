"""What the backends host should have, derived from the settings. Pure: no pyinfra, no host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from tailwart.backends import garage_admin, packages
from tailwart.backends.addresses import EarlyBinding
from tailwart.backends.garage_server import PROJECT, GarageServer
from tailwart.backends.login import Endpoint
from tailwart.backends.postgres import Desired
from tailwart.backends.postgres_server import PostgresServer
from tailwart.backends.redis_server import RedisServer
from tailwart.environment import Environment
from tailwart.hosts import membership
from tailwart.hosts.hardening.plan import HostRole
from tailwart.hosts.membership import Membership
from tailwart.hosts.watch import Watch

ROLE = HostRole(PROJECT)
EARLY = EarlyBinding()


@dataclass(frozen=True, slots=True)
class BackendsPlan:
    """The stores that the deploy installs; empty for a host that others run."""

    stores: tuple[str, ...]
    membership: Membership
    postgres: PostgresServer | None = None
    redis: RedisServer | None = None
    garage: GarageServer | None = None

    @property
    def watch(self) -> Watch:
        """All facts of the role, in one remote command."""
        found = packages.watch(self.stores) | membership.WATCH | EARLY.watch | ROLE.watch
        for server in (self.postgres, self.redis):
            found |= server.watch if server else Watch()
        return found | (self.garage.project(()).watch if self.garage else Watch(project=PROJECT))


def of(environment: Environment) -> BackendsPlan:
    """The plan under these settings."""
    names = environment.backends_install
    redis = urlsplit(environment.redis_url.get_secret_value() if environment.redis_url else "")
    program = next((name for name in names if name in ("redis", "valkey")), "")
    s3 = urlsplit(str(environment.s3_endpoint or ""))
    return BackendsPlan(
        stores=names,
        membership=Membership(
            environment.ts_tailnet,
            environment.backends_tags,
            environment.ts_login_server or "",
            name=environment.backends_host.partition(".")[0],
            host="backends host",
            setting="TAG_POSTGRES, TAG_REDIS, TAG_S3",
            key_setting="TS_BACKENDS_AUTHKEY",
            purpose="no grant lets the mailbox reach its stores",
        ),
        postgres=PostgresServer(environment.stalwart_db_port) if "postgres" in names else None,
        redis=RedisServer(program, redis.port or 6379, unquote(redis.password or ""), int(redis.path.strip("/") or 0))
        if program
        else None,
        garage=GarageServer(str(environment.garage_image), s3.port or 3900, environment.s3_region)
        if "garage" in names
        else None,
    )


def role(environment: Environment) -> HostRole:
    """The host of the stores, as its hardening knows it."""
    return replace(ROLE, reboot=environment.reboot_time or "")


def database(environment: Environment) -> tuple[Desired, Endpoint] | None:
    """Role and database, and where the mailbox finds them; None where Stalwart keeps its data in itself."""
    password = environment.stalwart_db_password
    if environment.stalwart_store != "postgres" or password is None:
        return None
    role, name, secret = environment.stalwart_db_user, environment.stalwart_db_name, password.get_secret_value()
    endpoint = Endpoint(str(environment.stalwart_db_host), environment.stalwart_db_port, name, role, secret)
    return Desired(role=role, database=name, password=secret), endpoint


def bucket(environment: Environment) -> garage_admin.Desired | None:
    """Bucket and key in a Garage that the deploy has installed, or may administer; None in any other S3."""
    ours = "garage" in environment.backends_install
    access, secret = environment.s3_access_key, environment.s3_secret_key
    if environment.s3_endpoint is None or access is None or secret is None:
        return None
    if not ours and environment.garage_admin_token is None:
        return None
    return garage_admin.Desired(environment.s3_bucket, access.get_secret_value(), secret.get_secret_value(), ours=ours)
