"""The desired policy entries of one installation: tag owners, grants and tests (docs/tailnet.md lists them).

Pure data from an `Environment`. Every grant from a tag comes with a test that it works, and every connection that must
stay closed with a test that it is: the server runs the tests at every later write, whoever writes (lessons 5 and 11).
Grants of TS_MAIL_SRC and TS_ADMIN_SRC from anything else have none: the server takes no autogroup as a test's source,
and whether a person or a group exists is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tailwart.environment import Environment
from tailwart.network import HTTP, HTTPS, SMTP, SSH_PORT, STATUS_PORT, ports

_DEFAULT_PORTS = {"redis": 6379, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Grant:
    """One managed grant; ``name`` is the name in its mark, ``why`` what fails without it."""

    name: str
    sources: tuple[str, ...]
    tag: str
    ports: tuple[int, ...]
    why: str = ""

    def as_policy(self) -> dict[str, Any]:
        """The entry of the `grants` section."""
        return {"src": list(self.sources), "dst": [self.tag], "ip": [f"tcp:{port}" for port in self.ports]}


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """What the server checks for one source at every write."""

    name: str
    source: str
    accept: tuple[tuple[str, int], ...] = ()
    deny: tuple[tuple[str, int], ...] = ()

    def as_policy(self) -> dict[str, Any]:
        """The entry of the `tests` section; without empty lists, which some servers refuse."""
        entry: dict[str, Any] = {"src": self.source, "proto": "tcp"}
        for key, targets in (("accept", self.accept), ("deny", self.deny)):
            if targets:
                entry[key] = [f"{tag}:{port}" for tag, port in targets]
        return entry


@dataclass(frozen=True, slots=True)
class Desired:
    """All managed entries of one installation.

    ``scope`` is its domain, which keeps the installations on one tailnet apart. ``removing`` asks for the removal of
    all managed entries of that installation; the others then tell what has lost its mark, which goes only when
    ``unmarked`` says so. ``given`` are the tags whose owners the settings name one by one.
    """

    scope: str
    mailbox: str = ""
    edge: str = ""
    tag_owners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    tests: tuple[PolicyTest, ...] = ()
    given: frozenset[str] = frozenset()
    removing: bool = False
    unmarked: bool = False

    def owns(self, tag: str) -> bool:
        """Whether the owners of a tag have to be right; a tag of others, a smarthost's say, only has to exist."""
        return tag in (self.mailbox, self.edge) or tag in self.given

    def granted(self, source: str, tag: str) -> set[int]:
        """The TCP ports that the managed grants open from a source to a tag."""
        return {port for grant in self.grants if source in grant.sources and grant.tag == tag for port in grant.ports}


def desired(environment: Environment) -> Desired:
    """The desired state of one installation."""
    grants = tuple(_grants(environment))
    everybody, owners = tag_owners(environment.tag_owners)
    tags = dict.fromkeys([environment.tag_edge, environment.tag_stalwart, *(grant.tag for grant in grants)])
    return Desired(
        scope=environment.domain,
        mailbox=environment.tag_stalwart,
        edge=environment.tag_edge,
        tag_owners={tag: owners.get(tag, everybody) for tag in tags},
        given=frozenset(owners),
        grants=grants,
        tests=tuple(_tests(environment, grants)),
    )


def tag_owners(texts: Sequence[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """TAG_OWNERS: the owners of every tag, and those of the tags that are named (`tag:mail=group:postmasters`).

    >>> tag_owners(["autogroup:admin", "tag:mail=group:a", "tag:mail=group:b"])
    (('autogroup:admin',), {'tag:mail': ('group:a', 'group:b')})
    """
    everybody = tuple(text for text in texts if "=" not in text)
    named: dict[str, tuple[str, ...]] = {}
    for tag, _, owner in (text.partition("=") for text in texts if "=" in text):
        named[tag] = (*named.get(tag, ()), owner)
    return everybody or ("autogroup:admin",), named


def _grants(env: Environment) -> Iterator[Grant]:
    public = ports((*env.mail_services.public, HTTPS))
    yield Grant("edge-to-mailbox", (env.tag_edge,), env.tag_stalwart, public, "the edge cannot deliver")
    if env.mail_services.tailnet:
        inside = ports(env.mail_services.tailnet)
        yield Grant("tailnet-to-mailbox", tuple(env.ts_mail_src), env.tag_stalwart, inside, "MAIL_SERVICES :tailnet")
    if env.ts_admin_src:
        inner = (HTTP.port, STATUS_PORT) if env.status_page else (HTTP.port,)
        yield Grant("administration", tuple(env.ts_admin_src), env.tag_stalwart, inner, "TS_ADMIN_SRC")
    without_store = "the mailbox cannot reach its store (lesson 1)"
    if env.stalwart_store == "postgres":
        yield _from_mailbox(env, "postgres", env.tag_postgres, env.stalwart_db_port, without_store)
    if env.redis_url is not None:
        yield _from_mailbox(env, "redis", env.tag_redis, port_of(env.redis_url.get_secret_value()), without_store)
    if env.s3_endpoint is not None:
        yield _from_mailbox(env, "s3", env.tag_s3, port_of(str(env.s3_endpoint)), without_store)
    if env.smarthost_address is not None:
        why = "the mailbox can receive but not send (lesson 11)"
        yield _from_mailbox(env, "smarthost", env.tag_mail, env.smarthost_port, why)


def _from_mailbox(env: Environment, name: str, tag: str, port: int, why: str) -> Grant:
    return Grant(f"mailbox-to-{name}", (env.tag_stalwart,), tag, (port,), why)


def port_of(url: str) -> int:
    """The TCP port of a store's URL, explicit or that of its scheme. `KeyError` for a scheme without a known port."""
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _tests(env: Environment, grants: tuple[Grant, ...]) -> Iterator[PolicyTest]:
    mailbox, edge = env.tag_stalwart, env.tag_edge
    behind = list(
        dict.fromkeys((grant.tag, port) for grant in grants if mailbox in grant.sources for port in grant.ports)
    )
    tags_behind = list(dict.fromkeys(tag for tag, _ in behind))
    not_public = ports(env.mail_services.tailnet)
    status = (STATUS_PORT,) if env.status_page else ()
    # A mailbox that was broken into must not become a stepping stone, and neither must an edge.
    closed = {
        edge: [(mailbox, port) for port in (SSH_PORT, HTTP.port, *status, *not_public)] + behind,
        mailbox: [(edge, SSH_PORT), (edge, SMTP.port), *((tag, SSH_PORT) for tag in tags_behind)],
    } | {tag: [(mailbox, SMTP.port), (mailbox, HTTP.port)] for tag in tags_behind if tag not in (mailbox, edge)}
    for source in (source for grant in grants for source in grant.sources if source.startswith("tag:")):
        closed.setdefault(source, [])
    for source, ways in closed.items():
        accept = [(grant.tag, port) for grant in grants if source in grant.sources for port in grant.ports]
        deny = [way for way in dict.fromkeys(ways) if way not in accept and way[0] != source]
        if accept or deny:
            yield PolicyTest(_name(source), source, tuple(dict.fromkeys(accept)), tuple(deny))


def _name(source: str) -> str:
    return "from-" + source.removeprefix("tag:")
