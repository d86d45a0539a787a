"""The commands of `tailwart env`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click

from tailwart.environment import Environment, load, selected_path
from tailwart.environment.example import render_example
from tailwart.environment.keys import account_key
from tailwart.inventory import roles
from tailwart.printing import say
from tailwart.strength import weakness


def check(*, as_json: bool) -> None:
    """Print the warnings and the roles of the selected `.env`. Raises `EnvironmentProblems` with all its problems."""
    loaded = load()
    found = roles(loaded.environment)
    warnings = [*loaded.warnings, *_weak(loaded.environment)]
    if as_json:
        document = {
            "path": str(selected_path()),
            "warnings": warnings,
            "roles": {role.name: [name for name, _ in role.hosts] for role in found},
        }
        say(json.dumps(document, indent=2))
        return
    for warning in warnings:
        say(f"Warning: {warning}", err=True)
    say(f"{selected_path()}: no problems")
    for role in found:
        say(f"  {role.name:<9}{', '.join(name for name, _ in role.hosts) or f'skipped: {role.absence}'}")
    say("Next: pyinfra inventory.py deploy.py --dry --diff")


def _weak(environment: Environment) -> Iterator[str]:
    """The passwords that a deploy would not write; one that is in use already stays in use."""
    admin = environment.stalwart_admin_password
    held = [("STALWART_ADMIN_PASSWORD", environment.stalwart_admin, admin, True)]
    held += [("METRICS_PASSWORD", "metrics", environment.metrics_password, False)]
    held += [(account_key(item.name, "password"), item.name, item.password, False) for item in environment.accounts]
    for setting, name, password, is_admin in held:
        address = f"{name}@{environment.domain}"
        if password and (text := weakness(password.get_secret_value(), address, admin=is_admin)):
            yield f"{setting}: {text}; a deploy refuses to write it. Choose another one, such as four random words"


def trust(*, yes: bool) -> None:
    """Print every host's key, ask, write the new ones. Raises TailwartError when a key changed or a host is away."""
    from tailwart.connectors.trust import shown_key  # pyinfra, which the other commands do not need

    hosts = [host for role in roles(load().environment) for host in role.hosts if "ssh_hostname" in host[1]]
    found = [shown_key(name, data) for name, data in hosts]
    for item in found:
        say(f"{item.name:<10} {item.describe()}")
    new = [item for item in found if item.new]
    if new and not yes:
        say("Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on each host's console.", err=True)
        click.confirm(f"Trust {', '.join(item.name for item in new)}?", abort=True, err=True)
    for item in new:
        item.remember()
        say(f"{item.name} is trusted: {item.known_hosts}")
    problems = [item.problem for item in found if item.problem is not None]
    if problems:
        first, *others = problems
        for problem in others:
            say(f"Error: {problem}", err=True)
        raise first
    say("Next: pyinfra inventory.py deploy.py --dry --diff")


def example() -> None:
    """Print `.env.example`."""
    # As it is: its addresses of stores show the place of a password, which `say` would mask.
    sys.stdout.write(render_example())
