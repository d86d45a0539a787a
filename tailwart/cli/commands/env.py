"""The commands of `tailwart env`."""

from __future__ import annotations

import json

from tailwart.environment import load, selected_path
from tailwart.environment.example import render_example
from tailwart.inventory import roles
from tailwart.printing import say


def check(*, as_json: bool) -> None:
    """Print the warnings and the roles of the selected `.env`. Raises `EnvironmentProblems` with all its problems."""
    loaded = load()
    found = roles(loaded.environment)
    if as_json:
        document = {
            "path": str(selected_path()),
            "warnings": list(loaded.warnings),
            "roles": {role.name: [name for name, _ in role.hosts] for role in found},
        }
        say(json.dumps(document, indent=2))
        return
    for warning in loaded.warnings:
        say(f"Warning: {warning}", err=True)
    say(f"{selected_path()}: no problems")
    for role in found:
        say(f"  {role.name:<9}{', '.join(name for name, _ in role.hosts) or f'skipped: {role.absence}'}")
    say("Next: pyinfra inventory.py deploy.py --dry --diff")


def example() -> None:
    """Print `.env.example`."""
    say(render_example(), nl=False)
