"""Back to the image and the configuration that served before the last change of an edge."""

from __future__ import annotations

import shlex

from tailwart.edge.caddy_config import same_meaning
from tailwart.edge.drain import drain
from tailwart.edge.image import CONTAINER, DIRECTORY
from tailwart.edge.plan import PREVIOUS, running_config
from tailwart.edge.serve import FALL_BACK
from tailwart.errors import TailwartError
from tailwart.runner import Runner

_IMAGE = "sed -n 's/^ *image: *//p'"


def images(run: Runner) -> tuple[str, str]:
    """The image that serves, and the one before. Raises `TailwartError` when there is nothing to go back to."""
    result = run(
        f"cd {DIRECTORY} && {_IMAGE} compose.yaml && {_IMAGE} {PREVIOUS}/compose.yaml && "
        f'docker image inspect "$({_IMAGE} {PREVIOUS}/compose.yaml)" >/dev/null'
    )
    found = result.stdout.split()
    if not result.ok or len(found) != 2:
        raise TailwartError(
            "there is nothing to go back to on this edge",
            seen=(result.stderr.strip().splitlines() or [f"no {PREVIOUS}"])[-1],
            expected=f"{PREVIOUS} and its image, which the first change of a serving edge leaves",
            remedy="run the deploy with the settings that you want",
        )
    return found[0], found[1]


def roll_back(run: Runner) -> None:
    """Let what served before serve again, and keep what serves now as the one before. Raises `TailwartError`."""
    now, before = images(run)
    if now != before:
        drain(run)
    swap = run(
        "set -e\n"
        f"cd {DIRECTORY}; names=$(ls {PREVIOUS})\n"
        # Complete or absent: whoever dies in between leaves files that the next deploy puts right.
        f"rm -rf {PREVIOUS}.part; mkdir -p {PREVIOUS}.part; cp -p $names {PREVIOUS}.part/\n"
        f"for name in $names; do cp -p {PREVIOUS}/$name .$name.new; mv -fT .$name.new $name; done\n"
        f"rm -rf {PREVIOUS}; mv {PREVIOUS}.part {PREVIOUS}",
        timeout=60,
    )
    started = run(FALL_BACK, timeout=300) if swap.ok else swap
    loaded = run(running_config(), timeout=60)
    if not started.ok or not same_meaning(loaded.stdout, run(f"cat {DIRECTORY}/caddy.json").stdout):
        raise TailwartError(
            "the edge does not serve what served before",
            seen=(started.stderr or started.stdout).strip()[-800:] or "another configuration than caddy.json",
            expected="the earlier image and configuration to serve again",
            remedy=f"look at `docker logs {shlex.quote(CONTAINER)}` on the host; the next deploy brings it to .env",
        )
