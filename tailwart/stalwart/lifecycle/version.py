"""The one version series that this deploy supports: 0.16.x."""

from __future__ import annotations

import re

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner

SUPPORTED = (0, 16)
_VERSION = re.compile(r"(?<![\d.])v?(\d+)\.(\d+)\.(\d+)")


def running(run: Runner, image: str) -> str:
    """The version of the program in the container, else of its image's tag, else an empty text.

    Without CONFIG_PATH, because with that variable the server ignores its arguments and starts a second time.
    """
    done = run(f"timeout 20 docker exec {names.CONTAINER} env -u CONFIG_PATH stalwart --version 2>&1", timeout=60)
    return find(done.stdout) if done.ok and find(done.stdout) else find(image.rpartition(":")[2])


def find(text: str) -> str:
    """The first version in a text, as `major.minor.patch`."""
    match = _VERSION.search(text)
    return ".".join(match.groups()) if match else ""


def check(version: str) -> None:
    """Raises TailwartError for another series; an unknown version (empty) passes, `.env` was checked for its tag."""
    if not version or tuple(map(int, version.split(".")[:2])) == SUPPORTED:
        return
    newer = tuple(map(int, version.split(".")[:2])) > SUPPORTED
    raise TailwartError(
        f"Stalwart {version} is not supported",
        seen=f"version {version} in the running container",
        expected="0.16.x",
        remedy=(
            "set STALWART_IMAGE back to a 0.16.x tag; a store of 0.16 is refused by 1.0: that upgrade goes through "
            "0.16.27 and a migration into a new, empty store"
            if newer
            else "set STALWART_IMAGE to stalwartlabs/stalwart:v0.16.7; older settings are not JMAP objects"
        ),
    )
