"""The commands `tailwart images` and `tailwart outdated`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

from tailwart.environment import load, selected_path
from tailwart.environment import lock as locking
from tailwart.printing import say
from tailwart.supply.outdated import Component, Sources, components
from tailwart.supply.registry import Registry


def lock(*, check: bool) -> None:
    """Write, or with ``check`` compare, the digests; exits with 1 for a difference that was only looked for."""
    environment = load().environment
    path = locking.beside(selected_path())
    registry = Registry(environment.registry_url or "")
    names = [
        image.partition("@")[0]
        for image in (
            environment.stalwart_image,
            environment.tailscale_image,
            environment.edge_base_image,
            *((environment.garage_image,) if "garage" in environment.backends_install else ()),
        )
    ]
    digests = {name: registry.digest(name) for name in names}
    before = locking.read(path).images
    for name, digest in digests.items():
        state = "up to date" if before.get(name) == digest else f"was {before.get(name, 'not locked')}"
        say(f"{name}  {digest}  {state}")
    if dict(before) == digests:
        say(f"{path}: up to date")
    elif check:
        say(f"{path}: out of date. Next: tailwart images lock")
        sys.exit(1)
    else:
        # Images that no setting names any more are dropped.
        locking.update(path, lambda known: replace(known, images=digests))
        say(f"{path}: written. Next: pyinfra inventory.py deploy.py --dry --diff")


def outdated(*, as_json: bool) -> None:
    """Print every program with its newer version and advisories.

    Exits with 1 for a known security fix, else with 2 when a look-up failed: silence of a service is no all-clear.
    """
    environment = load().environment
    found = components(environment, locking.read(locking.beside(selected_path())), Sources(environment))
    if as_json:
        say(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            for line in _lines(one):
                say(line)
    if any(one.advisories for one in found):
        sys.exit(1)
    if any(one.problem for one in found):
        sys.exit(2)


def _lines(one: Component) -> list[str]:
    state = f"→ {one.newer}   ({one.setting})" if one.newer else "up to date"
    if one.problem:
        state = f"not known: {one.problem}"
    elif one.current == "not locked":
        state = one.setting
    lines = [f"{one.name:<28}{one.current:<22}{state}"]
    lines += [
        f"  security, {flaw.severity}: {flaw.summary} ({flaw.identifier}, fixed in {flaw.fixed})"
        for flaw in one.advisories
    ]
    return lines
