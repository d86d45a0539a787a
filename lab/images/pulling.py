"""Official images, where a registry answers; a refusal is remembered for a while, so that it costs its time once."""

from __future__ import annotations

import time

from lab import paths
from lab.console import say, step
from lab.engine import Docker
from tailwart.errors import TailwartError

# Seconds that a registry gets to hand over an image. Where none is reachable the refusal mostly comes at once.
_TIMEOUT = 180.0
_REMEMBERED = 3600.0


def pulled(docker: Docker, image: str) -> bool:
    """Pull an official image; False when no registry hands it over."""
    marker = paths.state() / "no-registry"
    if marker.is_file() and time.time() - marker.stat().st_mtime < _REMEMBERED:
        return False
    try:
        with step(f"pulling {image}", quiet_under=3.0):
            docker.run("pull", "--quiet", image, timeout=_TIMEOUT)
    except TailwartError:
        say(f"no image registry hands over {image}: the lab makes its own instead")
        paths.ensure_private(paths.state())
        marker.touch()
        return False
    return True
