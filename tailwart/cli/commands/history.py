"""The commands `tailwart history` and `tailwart diff`."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from typing import Any

from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment, SshTarget, load, selected_path
from tailwart.errors import TailwartError
from tailwart.history import inputs, rendered
from tailwart.history.latest import ON_HOST
from tailwart.history.record import Deploy, to_json
from tailwart.history.store import Store
from tailwart.history.working import checkout
from tailwart.inventory import roles
from tailwart.printing import say, style

_SIGNS = {"+": "green", "-": "red"}


def history(last: int, host: str | None, *, as_json: bool) -> None:
    """Print the newest ``last`` deploys of this machine, or those that a host remembers."""
    environment = load().environment
    if host is not None:
        _of_host(environment, host, last, as_json=as_json)
        return
    store = Store(environment.domain)
    found = store.all()[::-1][:last]
    if as_json:
        say(json.dumps([to_json(deploy) for deploy in found], indent=2))
        return
    for deploy in found:
        say(_headline(deploy))
        for name, changes in deploy.hosts.items():
            words = f"failed: {changes.failure.splitlines()[0]}" if changes.failure else ""
            count = f"{len(changes.operations)} changed" if changes.operations else ""
            say(f"      {name:<16} {'; '.join(filter(None, (count, words)))}")
    if found:
        say(f"Next: tailwart diff {found[0].number}")
    else:
        say("No deploy from this machine has changed anything yet. Next: pyinfra inventory.py deploy.py")


def diff(which: str, *, as_json: bool) -> None:
    """Print what a deploy changed and what differs since. `TailwartError` for one that is not known."""
    environment = load().environment
    store = Store(environment.domain)
    deploy = store.find(which)
    now = inputs.read(selected_path())
    settings = list(inputs.differences(store.inputs(deploy), now))
    files = list(file_differences(store.rendered(deploy), rendered.files(environment)))
    revision, modified = checkout()
    if as_json:
        document = {"deploy": to_json(deploy), "settings": settings, "files": files, "revision": revision}
        say(json.dumps(document, indent=2))
        return
    say(_headline(deploy))
    for name, changes in deploy.hosts.items():
        for operation in changes.operations:
            say(f"  {name}: {operation}")
        for line in changes.details:
            say(f"    {line}")
        for line in changes.failure.splitlines():
            say(style(f"    ! {line}", fg="red"))
    _section(f"Settings: deploy {deploy.number} → now", settings)
    _section(f"Files of the hosts: deploy {deploy.number} → now", files)
    if (revision, modified) != (deploy.revision, deploy.modified):
        say(f"Code: {deploy.code} → {revision or 'no revision'}{'+' if modified else ''}")
    say("Next: pyinfra inventory.py deploy.py --dry --diff shows what the hosts, the policy and the zone lack now.")


def file_differences(before: rendered.Texts, after: rendered.Texts) -> Iterator[str]:
    """Unified differences of the files of every host."""
    for host in sorted({*before, *after}):
        old, new = before.get(host, {}), after.get(host, {})
        for path in sorted({*old, *new}):
            name = f"{host}:{path}"
            lines = (old.get(path, "").splitlines(), new.get(path, "").splitlines())
            yield from difflib.unified_diff(*lines, name, name, lineterm="", n=2)


def show_difference(lines: list[str]) -> None:
    """A unified difference with its colours, where there is a terminal."""
    for line in lines:
        colour = _SIGNS.get(line[:1]) if sys.stdout.isatty() else None
        say(style(f"  {line}", fg=colour) if colour else f"  {line}")


def _section(title: str, lines: list[str]) -> None:
    say(title)
    show_difference(lines or ["no difference"])


def _headline(deploy: Deploy) -> str:
    result = "" if deploy.good else "  FAILED"
    at = f"{deploy.began:%Y-%m-%d %H:%M:%S} UTC"
    return f"{deploy.number:>4}  {at}  {deploy.code:<12} {deploy.who}  {deploy.command}  {deploy.seconds} s{result}"


def _of_host(environment: Environment, name: str, last: int, *, as_json: bool) -> None:
    lines = _lines(environment, _target(environment, name), last)
    if as_json:
        say(json.dumps(lines, indent=2))
        return
    for line in lines:
        code = f"{line['revision']}{'+' if line['modified'] else ''}"
        say(f"{line['began'][:19].replace('T', ' ')} UTC  {code:<12} {line['who']}  {line['command']}")
        for operation in line["operations"]:
            say(f"      {operation}")
    say(f"{len(lines)} deploys in {ON_HOST} of {name}")


def _lines(environment: Environment, target: SshTarget, last: int) -> list[dict[str, Any]]:
    with SshRunner(environment, target) as run:
        text = run(f"tail -n {last} {ON_HOST} 2>/dev/null || :").stdout
    found = []
    for line in reversed(text.splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and {"began", "revision", "modified", "who", "command"} <= document.keys():
            found.append({"operations": [], **document})
    return found


def _target(environment: Environment, name: str) -> SshTarget:
    targets = {"mailbox": environment.mailbox_ssh, "backends": environment.backends_ssh}
    targets |= {edge.name: edge.ssh for edge in environment.edges}
    target = targets.get(name)
    if target is None:
        known = [host for role in roles(environment) for host, _ in role.hosts if not host.startswith("@")]
        raise TailwartError(f"{name} is no host of this installation", expected=", ".join(known))
    return target
