"""The auth key of a node in a container, the mailbox's sidecar: on the host while it joins, and no longer.

The file is there from just before the node's login until its container is healthy. A run that dies in between leaves
a key that can join one node within minutes; the next run removes it. What a restart needs is the node's own state, in
its volume. A node that has lost it, or that the tailnet has forgotten, is found logged out by the next run and gets
a new key. Only an ephemeral node cannot wait for that: its key (TS_AUTHKEY, reusable) stays on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

from pydantic import SecretStr
from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostFile
from tailwart.hosts.nodekey import NodeKey
from tailwart.hosts.project import ComposeProject
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.runner import Runner

FORMER = (
    "Warning: an earlier release joined the sidecar, as an ephemeral node unless TS_EPHEMERAL said otherwise. "
    "The tailnet forgets one that was away for an hour, and then mail waits for your next deploy: "
    "docs/hosts.md (ephemeral) has the steps that make it join for good"
)
Key = Callable[[], SecretStr]
"""Gives an auth key; called only when a node has to join. Raises `TailwartError`."""


@operation()
def provide_key(project: ComposeProject, node: NodeKey, key: Key) -> Generator[FunctionCommand, None, None]:
    """A node that is not on the tailnet finds an auth key when it starts; one that is there gets none."""
    host = ctx_host.get()
    container = observe(host, project.watch).container(node.service)
    if container is not None and container.healthy:
        host.noop(f"{node.service} is on the tailnet")
        return
    announce(host, f"{node.service} is not up: it gets an auth key if it is not logged in")
    yield command(host, partial(provide, node=node, key=key), f"auth key of {node.service}")


def provide(run: Runner, node: NodeKey, key: Key) -> None:
    """Write the key where the node is logged out, and have one that runs read it; raises `TailwartError`."""
    result = run(node.login, timeout=120)
    if result.stdout.split()[-1:] == ["joined"]:
        return
    file = HostFile(node.path, f"{key().get_secret_value()}\n", "0600", secret=True)
    hostfiles.write(run, [file])
    # It reads the file once, when it starts; a loop of failing starts may pause for a minute.
    run(f"docker restart --time 2 {node.service} >/dev/null 2>&1 || :", timeout=60)


@operation()
def forget_key(project: ComposeProject, node: NodeKey) -> Generator[FunctionCommand, None, None]:
    """No key is left on the host, but for one that the project itself declares."""
    host = ctx_host.get()
    declared = {file.path for file in project.files}
    paths = observe(host, project.watch).paths
    left = [path for path in (node.path, *node.former) if path in paths and path not in declared]
    if not left:
        host.noop("no auth key is on the host")
        return
    announce(host, f"the auth key of {node.service} is removed: it has joined")
    if not {*node.former}.isdisjoint(left):
        announce(host, FORMER)
    yield command(host, partial(_remove, paths=left), "remove the auth key")


def _remove(run: Runner, paths: list[str]) -> None:
    result = run(f"rm -f {' '.join(paths)}", timeout=60)
    if not result.ok:
        raise TailwartError(
            "an auth key cannot be removed from the host",
            seen=result.stderr.strip(),
            expected="a writable file system",
            remedy=f"remove {' '.join(paths)} by hand",
        )
