"""Why the mailbox did not come up, where the cause is a known one: the only home of these messages.

The sidecar's healthcheck prints codes (`tailwart.mailbox.render`), so rewording a message here recreates nothing.
"""

from __future__ import annotations

import re

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.project import ContainerStory
from tailwart.mailbox.render import NO_STORE, NO_TAILNET

# What tailscaled and containerboot log when they cannot log in, among hundreds of other lines.
_LOGIN_TROUBLE = re.compile(r"backend error: .*|last login error was: .*|boot: failed .*|Received error: .*|.*approv.*")


def explain(environment: Environment, stories: list[ContainerStory]) -> TailwartError | None:
    """The error for a known cause, `None` for any other."""
    sidecar = next((story for story in stories if story.container.service == "ts-stalwart"), None)
    if sidecar is None:
        return None
    *output, code = sidecar.health_output.split("\n")
    if code == NO_STORE:
        return _no_store(environment, output)
    # A sidecar that cannot log in ends and is started again: its healthcheck often has no output at all.
    trouble = _login_trouble(sidecar)
    if code == NO_TAILNET or trouble:
        return _no_tailnet(environment, trouble or list(sidecar.log[-4:]) or output)
    return None


def _no_store(environment: Environment, output: list[str]) -> TailwartError:
    endpoint = f"{environment.stalwart_db_host}:{environment.stalwart_db_port}"
    return TailwartError(
        "Stalwart was not started: its store does not answer over the tailnet",
        # nc's own message distinguishes a name that no grant makes visible from a port on which nobody listens.
        seen="\n".join(output[-2:]) or f"no answer from {endpoint}",
        expected=f"a TCP connection from the sidecar to {endpoint}",
        remedy="start Postgres, or check STALWART_DB_HOST, STALWART_DB_PORT and the grant from "
        f"{environment.tag_stalwart} to {environment.tag_postgres}; then run the deploy again",
        lesson=1,
    )


def _no_tailnet(environment: Environment, output: list[str]) -> TailwartError:
    return TailwartError(
        "the mailbox's sidecar is not on the tailnet",
        seen="\n".join(output) or "no login in the sidecar's log",
        expected=f"a node {environment.stalwart_magic_name} with the tag {environment.tag_stalwart}",
        remedy="run the deploy again: a sidecar that the tailnet has forgotten then gets a new key. If that does not "
        "help, check TS_AUTHKEY where it is set, TS_LOGIN_SERVER, and whether the tailnet waits for an approval",
    )


def _login_trouble(sidecar: ContainerStory) -> list[str]:
    found = [match[0] for line in sidecar.log if (match := _LOGIN_TROUBLE.search(line))]
    # Newest last, each once: containerboot tries again and again.
    return list(dict.fromkeys(reversed(found)))[:3][::-1]
