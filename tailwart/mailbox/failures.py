"""Why the mailbox did not come up, where the cause is a known one."""

from __future__ import annotations

import re

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.project import ContainerStory
from tailwart.mailbox.render import NO_POSTGRES, NO_TAILNET

# What tailscaled and containerboot say when they cannot log in, among hundreds of lines of other things.
_LOGIN_TROUBLE = re.compile(r"backend error: .*|last login error was: .*|boot: failed .*|Received error: .*|.*approv.*")


def explain(environment: Environment, stories: list[ContainerStory]) -> TailwartError | None:
    """The error for a known cause, `None` for any other."""
    sidecar = next((story for story in stories if story.container.service == "ts-stalwart"), None)
    if sidecar is None:
        return None
    if NO_POSTGRES in sidecar.health_output:
        return TailwartError(
            "Stalwart was not started: its store does not answer over the tailnet",
            # nc's own words tell a name that no grant makes visible from a port that nobody listens on.
            seen="\n            ".join(sidecar.health_output.strip().splitlines()[-2:]),
            expected="a TCP connection from the sidecar to "
            f"{environment.stalwart_db_host}:{environment.stalwart_db_port}",
            remedy="start Postgres, or check STALWART_DB_HOST, STALWART_DB_PORT and the grant from "
            f"{environment.tag_stalwart} to {environment.tag_postgres}; then run the deploy again",
            lesson=1,
        )
    # A sidecar that cannot log in ends and is started again: its healthcheck often has no last word at all.
    if NO_TAILNET in sidecar.health_output or _logged_trouble(sidecar):
        return TailwartError(
            "the mailbox's sidecar is not on the tailnet",
            seen="\n            ".join(_trouble(sidecar)),
            expected=f"a node {environment.stalwart_magic_name} with the tag {environment.tag_stalwart}",
            remedy="check TS_AUTHKEY or TS_OAUTH_CLIENT_SECRET (an OAuth client may only hand out its own tags), "
            "TS_LOGIN_SERVER, and whether the tailnet waits for somebody to approve the device",
        )
    return None


def _trouble(sidecar: ContainerStory) -> list[str]:
    return _logged_trouble(sidecar) or list(sidecar.log[-4:]) or [sidecar.health_output.strip()]


def _logged_trouble(sidecar: ContainerStory) -> list[str]:
    found = [match[0] for line in sidecar.log if (match := _LOGIN_TROUBLE.search(line))]
    # Newest last, each once: containerboot tries again and again.
    return list(dict.fromkeys(reversed(found)))[:3][::-1]
