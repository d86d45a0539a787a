"""Which version runs, and the refusal of every series but the supported one (`tailwart/releases.py`)."""

from __future__ import annotations

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner


def running(run: Runner, image: str) -> str:
    """The version of the program in the container, else of its image's tag, else an empty text.

    Without CONFIG_PATH, because with that variable the server ignores its arguments and starts a second time.
    """
    done = run(f"timeout 20 docker exec {names.CONTAINER} env -u CONFIG_PATH stalwart --version 2>&1", timeout=60)
    return releases.find(done.stdout if done.ok else "") or releases.find(image.rpartition(":")[2])


def check(version: str) -> None:
    """Raises TailwartError for another series; an unknown version (empty) passes, `.env` was checked for its tag."""
    if not version or releases.supported(version):
        return
    raise TailwartError(
        f"Stalwart {version} is not supported",
        seen=f"version {version} in the running container",
        expected=releases.SUPPORTED.name,
        remedy=releases.WAY_TO_1_0 if releases.newer(version) else releases.WAY_FROM_OLDER,
    )
