"""The nodes of an installation for the matrix: where to probe from, and what to probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from urllib.parse import urlsplit

from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.network import SMTP, SSH_PORT
from tailwart.network import ports as ports_of
from tailwart.runner import Runner
from tailwart.tailnet.desired import port_of
from tailwart.tailnet.matrix import Run, Source, Target

SIDECAR = "ts-stalwart"
_IN_SIDECAR = f"docker exec -i {SIDECAR} sh -s"


class Nodes:
    """The nodes of one measurement and the connections to them; a context manager that closes them.

    ``connect`` opens a connection to a host, ``extra`` are further nodes as (name, tags, target). A node that cannot be
    reached raises nothing here: its measurements are unknown.
    """

    def __init__(
        self,
        environment: Environment,
        connect: Callable[[SshTarget], AbstractContextManager[Runner]],
        extra: Sequence[tuple[str, tuple[str, ...], SshTarget]] = (),
    ) -> None:
        self._environment = environment
        self._connect = connect
        self._extra = extra
        self._connections = ExitStack()

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    def sources(self) -> list[Source]:
        """Every node of the settings. The mailbox is probed from inside its sidecar: its host has another identity."""
        env = self._environment
        found = []
        if env.mailbox_ssh:
            found.append(Source("mailbox", (env.tag_stalwart,), self._runner(env.mailbox_ssh, _IN_SIDECAR)))
        found += [Source(edge.name, (env.tag_edge,), self._runner(edge.ssh)) for edge in env.edges]
        if env.backends_ssh:
            found.append(Source("backends", env.backends_tags, self._runner(env.backends_ssh)))
        found += [Source(name, tags, self._runner(target)) for name, tags, target in self._extra]
        return found

    def targets(self) -> list[Target]:
        """Every port to probe: those that grants open, and those that must stay closed."""
        env = self._environment
        ports = (SSH_PORT, *ports_of(env.mail_services.listeners))
        found = [Target("mailbox", "mailbox", env.magic_host, (env.tag_stalwart,), port) for port in ports]
        home = env.backends_host
        for label, host, tag, port in _backends(env):
            node, tags = ("backends", env.backends_tags) if host == home else (label, (tag,))
            found += [Target(label, node, host, tags, number) for number in (port, SSH_PORT)]
        if env.smarthost_address is not None:
            relay = next((name for name, tags, _ in self._extra if env.tag_mail in tags), "smarthost")
            address = str(env.smarthost_address)
            found += [
                Target("smarthost", relay, address, (env.tag_mail,), port) for port in (env.smarthost_port, SMTP.port)
            ]
        return found + self._edge_targets()

    def _edge_targets(self) -> list[Target]:
        edges = self._environment.edges
        with ThreadPoolExecutor(max(len(edges), 1)) as pool:
            addresses = pool.map(lambda edge: self._address(edge.ssh), edges)
        return [
            Target(edge.name, edge.name, address, (self._environment.tag_edge,), port)
            for edge, address in zip(edges, addresses, strict=True)
            if address
            for port in (SSH_PORT, SMTP.port)
        ]

    def _address(self, target: SshTarget) -> str:
        try:
            return next(iter(self._runner(target)("tailscale ip -4").split()), "")
        except (TailwartError, TimeoutError):
            return ""

    def _runner(self, target: SshTarget, shell: str = "sh -s") -> Run:
        connection = self._connections.enter_context(self._connect(target))
        # Root is needed for docker only; a user other than root has it by sudo, as in the deploy.
        command = f"sudo -n {shell}" if target.user != "root" and shell == _IN_SIDECAR else shell
        return lambda script: connection(command, stdin=script).stdout


def _backends(env: Environment) -> Iterator[tuple[str, str, str, int]]:
    if env.stalwart_store == "postgres" and env.stalwart_db_host:
        yield "postgres", env.stalwart_db_host, env.tag_postgres, env.stalwart_db_port
    redis = env.redis_url.get_secret_value() if env.redis_url else None
    for label, url, tag in (("redis", redis, env.tag_redis), ("s3", env.s3_endpoint, env.tag_s3)):
        if url is not None:
            yield label, str(urlsplit(str(url)).hostname), tag, port_of(str(url))
