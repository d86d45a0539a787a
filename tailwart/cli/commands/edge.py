"""The commands of `tailwart edge`."""

from __future__ import annotations

import json

from tailwart.edge.rollback import images, roll_back
from tailwart.environment import Edge, load
from tailwart.errors import TailwartError
from tailwart.operations.one_host import one_host
from tailwart.printing import say


def rollback(names: tuple[str, ...], *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Roll the named edges back, in this order; the first that fails ends it, so that the others go on serving."""
    environment = load().environment
    done = []
    for edge in _chosen(environment.edges, names, everything=everything):
        with one_host(environment, edge.name, edge.ssh, changes=not dry_run) as run:
            now, before = images(run)
            if not dry_run:
                roll_back(run)
        done.append({"edge": edge.name, "from": now, "to": before})
        if not as_json:
            kind = before if before != now else f"{before}, with the configuration before"
            say(f"{edge.name}: {'would serve' if dry_run else 'serves'} {kind}")
    if as_json:
        say(json.dumps({"dry_run": dry_run, "edges": done}, indent=2))
    elif not dry_run:
        say("Next: set in .env what you want to keep; the next deploy brings the edges to it.")


def _chosen(edges: tuple[Edge, ...], names: tuple[str, ...], *, everything: bool) -> list[Edge]:
    known = {edge.name: edge for edge in edges}
    wrong = [name for name in names if name not in known]
    if wrong or everything == bool(names):
        raise TailwartError(
            f"no edge {wrong[0]!r}" if wrong else "which edge is to be rolled back?",
            expected=f"some of {', '.join(known) or 'EDGES, which is empty'}, or --all",
            remedy=f"tailwart edge rollback {next(iter(known), 'EDGE')}",
        )
    return list(edges) if everything else [known[name] for name in names]
