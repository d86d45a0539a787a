"""Rules between settings: what one value demands of another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from tailwart import providers
from tailwart.environment.keys import edge_key
from tailwart.environment.model import Environment
from tailwart.environment.problems import Problem
from tailwart.environment.sections.stores import INSTALLABLE
from tailwart.network import DISABLED_BY_WORD, SMTP
from tailwart.strength import ADMIN_MIN_LENGTH, MIN_LENGTH


def contradictions(env: Environment) -> Iterator[Problem]:
    """Every missing or contradicting setting of an otherwise well-formed environment."""
    yield from _mailbox(env)
    yield from _stores(env)
    yield from _installed(env)
    yield from _tailnet(env)
    yield from _dns(env)
    yield from _names(env)
    yield from _limits(env)
    yield from _hardening(env)
    yield from _edges(env)
    yield from _backup(env)


def _demand(env: Environment, why: str, *attributes: str) -> Iterator[Problem]:
    for attribute in attributes:
        if getattr(env, attribute) is None:
            yield Problem(attribute.upper(), f"a value, because {why}")


def _mailbox(env: Environment) -> Iterator[Problem]:
    if env.mailbox_ssh is None:
        return
    yield from _demand(env, "MAILBOX_SSH is set", "stalwart_admin_password")
    password = env.stalwart_admin_password
    for setting, value, shortest in (
        ("STALWART_ADMIN_PASSWORD", password, ADMIN_MIN_LENGTH),
        ("METRICS_PASSWORD", env.metrics_password, MIN_LENGTH),
    ):
        if value is not None and len(value.get_secret_value()) < shortest:
            yield Problem(setting, f"{shortest} characters or more", "short", secret=True)
    if password is not None and (same := _repeated(env, password.get_secret_value())):
        yield Problem("STALWART_ADMIN_PASSWORD", f"a password of its own: {same} has the same", "repeated", secret=True)
    if env.ts_authkey is None and env.ts_oauth_client_secret is None and env.ts_api_key is None:
        yield Problem(
            "TS_AUTHKEY", "an auth key, or TS_OAUTH_CLIENT_ID and …_SECRET, with which the deploy makes one-time keys"
        )
    if env.ts_ephemeral and env.ts_authkey is None:
        yield Problem(
            "TS_EPHEMERAL",
            "false, or a reusable key in TS_AUTHKEY: a one-time key cannot bring an ephemeral node back",
            "true",
        )
    if env.status_page and not env.ts_admin_src:
        yield Problem("TS_ADMIN_SRC", "who may read the page of STATUS_PAGE", "empty")
    if env.smarthost_address is not None and (env.smarthost_username is None) != (env.smarthost_password is None):
        missing = "smarthost_username" if env.smarthost_username is None else "smarthost_password"
        yield from _demand(env, "SMTP AUTH needs both user name and password", missing)


def _repeated(env: Environment, password: str) -> str:
    """The first other key with this value; empty when there is none."""
    others = {name: getattr(env, name) for name in type(env).model_fields if name != "stalwart_admin_password"}
    others |= {f"account_{account.name}_password": account.password for account in env.accounts}
    secrets = {**others, **env.provider_keys}.items()
    held = ((name, value) for name, value in secrets if isinstance(value, SecretStr))
    return next((name.upper() for name, value in held if value.get_secret_value() == password), "")


def _stores(env: Environment) -> Iterator[Problem]:
    if env.stalwart_store == "postgres" and (env.mailbox_ssh or env.backends_ssh):
        yield from _demand(env, "STALWART_STORE=postgres", "stalwart_db_host", "stalwart_db_password")
    if env.s3_endpoint is not None:
        yield from _demand(env, "S3_ENDPOINT is set", "s3_access_key", "s3_secret_key")
    # Without that host the role is skipped, and nothing would be made.
    for attribute in ("garage_admin_token", "postgres_admin_url"):
        if getattr(env, attribute) is not None:
            yield from _demand(env, f"{attribute.upper()} is used from that host", "backends_ssh")


def _installed(env: Environment) -> Iterator[Problem]:
    """What the stores that the deploy installs demand of the settings that name them."""
    names = env.backends_install
    if not names:
        return
    for name in names:
        if name not in INSTALLABLE or names.count(name) > 1:
            yield Problem("BACKENDS_INSTALL", f"each once, of {', '.join(INSTALLABLE)}", name)
            return
    if {"redis", "valkey"} <= set(names):
        yield Problem("BACKENDS_INSTALL", "redis or valkey: both serve REDIS_URL", ",".join(names))
    yield from _demand(env, "BACKENDS_INSTALL is set", "backends_ssh")
    if "postgres" in names and env.stalwart_store != "postgres":
        yield Problem("STALWART_STORE", "postgres, because BACKENDS_INSTALL names it", env.stalwart_store)
    if "redis" in env.installed_stores:
        yield from _redis(env)
    if "garage" in names:
        yield from _demand(env, "BACKENDS_INSTALL names garage", "s3_endpoint")
        if urlsplit(str(env.s3_endpoint or "")).scheme == "https":
            yield Problem(
                "S3_ENDPOINT", "http://: the tailnet encrypts, and Garage speaks no TLS", str(env.s3_endpoint)
            )
        yield from _garage_key(env)
    yield from _one_host(env)


def _redis(env: Environment) -> Iterator[Problem]:
    yield from _demand(env, "BACKENDS_INSTALL names redis or valkey", "redis_url")
    parts = urlsplit(env.redis_url.get_secret_value() if env.redis_url else "")
    if env.redis_url and (parts.scheme != "redis" or not parts.password or parts.username):
        yield Problem(
            "REDIS_URL", "redis://:password@host:port/index: a password, no name, no TLS", "another form", secret=True
        )


def _garage_key(env: Environment) -> Iterator[Problem]:
    for attribute, pattern, made in (
        ("s3_access_key", "GK[0-9a-f]{24}", "GK$(openssl rand -hex 12)"),
        ("s3_secret_key", "[0-9a-f]{64}", "$(openssl rand -hex 32)"),
    ):
        value: SecretStr | None = getattr(env, attribute)
        if value is None or not re.fullmatch(pattern, value.get_secret_value()):
            yield Problem(attribute.upper(), f"a key as Garage makes them: {made}", "another form", secret=True)


def _one_host(env: Environment) -> Iterator[Problem]:
    keys = {"postgres": "STALWART_DB_HOST", "redis": "REDIS_URL", "garage": "S3_ENDPOINT"}
    found = {name: host for name, host in env.store_endpoints.items() if name in env.installed_stores}
    for name, host in found.items():
        label, _, rest = host.partition(".")
        if rest != env.ts_tailnet or not label:
            yield Problem(keys[name], f"the backends host's name on the tailnet: <name>.{env.ts_tailnet}", host)
        elif host != env.backends_host:
            yield Problem(keys[name], f"{env.backends_host}: one host has one name on the tailnet", host)


def _tailnet(env: Environment) -> Iterator[Problem]:
    if env.ts_oauth_client_id is not None:
        yield from _demand(env, "TS_OAUTH_CLIENT_ID is set", "ts_oauth_client_secret")
    elif env.ts_oauth_client_secret is not None:
        yield from _demand(env, "TS_OAUTH_CLIENT_SECRET is set", "ts_oauth_client_id")
    tags = (env.tag_stalwart, env.tag_edge, env.tag_mail, env.tag_postgres, env.tag_redis, env.tag_s3)
    for text in env.tag_owners:
        tag, named, _ = text.partition("=")
        if named and tag not in tags:
            yield Problem("TAG_OWNERS", f"tags of this installation: {', '.join(dict.fromkeys(tags))}", text)


def _dns(env: Environment) -> Iterator[Problem]:
    if env.dns_provider != "none":
        yield from _provider(env, "DNS_PROVIDER", env.dns_provider)
        definition = providers.definition(env.dns_provider)
        if env.dns_ttl not in definition.ttl:
            yield Problem(
                "DNS_TTL",
                f"seconds from {definition.ttl.start} to {definition.ttl.stop - 1}, what {definition.label} accepts",
                str(env.dns_ttl),
            )
    if env.acme_directory is not None:
        yield from _demand(env, "ACME_DIRECTORY is set", "acme_contact")
        yield from _challenges(env)


def _provider(env: Environment, key: str, name: str) -> Iterator[Problem]:
    for attribute in providers.definition(name).required:
        if attribute not in env.provider_keys:
            yield Problem(attribute.upper(), f"a value, because {key}={name}")


def _challenges(env: Environment) -> Iterator[Problem]:
    if env.acme_dns == "none":
        yield Problem(
            "DNS_PROVIDER",
            "a provider: a wildcard certificate can only come by DNS-01 (lesson 4)",
            env.dns_provider,
        )
        return
    if providers.definition(env.acme_dns).dns_server is None:
        able = [name for name, definition in providers.definitions().items() if definition.dns_server]
        yield Problem(
            "ACME_DNS_PROVIDER",
            f"a provider through which Stalwart can answer DNS-01 challenges: {', '.join(able)}",
            env.acme_dns,
        )
    if env.acme_dns != env.dns_provider:
        yield from _provider(env, "ACME_DNS_PROVIDER", env.acme_dns)


def _names(env: Environment) -> Iterator[Problem]:
    taken = {"mailbox", "backends", "tailnet", "dns"}
    for edge in env.edges:
        if edge.name in taken:
            yield Problem(
                "EDGES", "names that differ from each other and from mailbox, backends, tailnet, dns", edge.name
            )
        taken.add(edge.name)
    names = [env.stalwart_admin]
    for account in env.accounts:
        for name in (account.name, *account.aliases):
            if name in names:
                yield Problem(
                    "ACCOUNTS", "account names and aliases that differ from each other and from STALWART_ADMIN", name
                )
            names.append(name)
    repeated = sorted({domain for domain in env.domains if env.domains.count(domain) > 1})
    if repeated:
        yield Problem("EXTRA_DOMAINS", "each domain once, without DOMAIN itself", ",".join(repeated))


def _edges(env: Environment) -> Iterator[Problem]:
    for edge in env.edges:
        if not edge.https and edge.web is not None:
            yield Problem(
                edge_key(edge.name, "https"), "true, or no …_WEB: a web server shares :443 by the edge", "false"
            )
        if unknown := [one.name for one in edge.services or () if one not in env.mail_services.public]:
            yield Problem(
                edge_key(edge.name, "services"),
                f"some of the public MAIL_SERVICES: {', '.join(one.name for one in env.mail_services.public)}",
                ",".join(unknown),
            )
        if edge.mx is not None and SMTP not in env.services_of(edge):
            yield Problem(edge_key(edge.name, "mx"), f"…_SERVICES with {SMTP.name}: an MX record leads to {SMTP}")
    if env.edges and not any(SMTP in env.services_of(edge) for edge in env.edges):
        yield Problem(edge_key(env.edges[0].name, "services"), f"at least one edge with {SMTP}, or no mail arrives")
    if env.edges and not any(map(env.serves_clients, env.edges)):
        clients = ", ".join(one.name for one in env.mail_services.public if one is not SMTP)
        yield Problem(
            edge_key(env.edges[0].name, "services"), f"at least one edge with all of {clients}: mail.DOMAIN leads there"
        )
    for name in env.edge_disable:
        if name not in DISABLED_BY_WORD:
            yield Problem("EDGE_DISABLE", f"some of {', '.join(DISABLED_BY_WORD)}", name)


def _hardening(env: Environment) -> Iterator[Problem]:
    known = ("mailbox", "backends", *(edge.name for edge in env.edges))
    for name in env.harden_skip:
        if name not in known:
            yield Problem("HARDEN_SKIP", f"names of hosts: {', '.join(known)}", name)


def _limits(env: Environment) -> Iterator[Problem]:
    # Below these neither program starts, and a typo (2 for 2G) would show as a container that is killed for ever.
    for attribute, least in (("stalwart_memory", 256), ("edge_memory", 64)):
        if getattr(env, attribute) < least << 20:
            yield Problem(attribute.upper(), f"{least}M or more", str(getattr(env, attribute)))


def _backup(env: Environment) -> Iterator[Problem]:
    if env.backup_target is None:
        return
    yield from _demand(env, "BACKUP_TARGET is set", "backup_password", "mailbox_ssh")
    if env.backup_target.startswith("sftp://"):
        yield from _demand(env, "BACKUP_TARGET is reached over SSH", "backup_ssh_key", "backup_ssh_host_key")
    if env.backup_target.startswith("s3:"):
        yield from _demand(env, "BACKUP_TARGET is in S3", "backup_s3_access_key", "backup_s3_secret_key")
    password = env.backup_password
    if password is not None and len(password.get_secret_value()) < 12:
        yield Problem("BACKUP_PASSWORD", "12 characters or more", "short", secret=True)
