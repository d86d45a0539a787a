"""Container images on a host: there before anything that serves is stopped for them."""

from __future__ import annotations

import shlex

from tailwart.errors import TailwartError
from tailwart.runner import Runner


def fetch(run: Runner, image: str, setting: str) -> None:
    """Have the image on the host; raises `TailwartError` that names its setting when no registry gives it."""
    name = shlex.quote(image)
    done = run(f"docker image inspect {name} >/dev/null 2>&1 || docker pull --quiet {name}", timeout=1800)
    if not done.ok:
        raise TailwartError(
            f"the image {image} cannot be fetched; what serves still does",
            seen=done.stderr.strip()[-500:] or "no output",
            expected="a registry that answers and has this tag",
            remedy=f"check {setting} in .env, and the host's way out, then run this again",
        )
