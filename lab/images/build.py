"""Images by content hash: built when the hash is new, found otherwise."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

from lab import paths
from lab.console import step
from lab.engine import Docker
from lab.images.context import Context
from lab.topology import LABEL, PREFIX


def ensure(docker: Docker, name: str, context: Context, parent: str, arguments: Mapping[str, str] | None = None) -> str:
    """`tailwart-lab/NAME:HASH` with exactly this content on exactly this parent.

    ``parent`` is the parent's own reference, so that a changed parent changes every descendant. Raises TailwartError
    with the builder's last words.
    """
    arguments = arguments or {}
    reference = f"{PREFIX}/{name}:{context.digest(parent, repr(sorted(arguments.items())))}"
    if not docker.has_image(reference):
        log = paths.ensure_private(paths.logs()) / f"image-{name}.log"
        log.unlink(missing_ok=True)
        with step(f"building image {name}"), tempfile.TemporaryFile() as archive:
            context.on(parent).write(archive)
            archive.seek(0)
            given = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
            # Never pulled: the parents are local, and a registry that hangs would hang the build.
            labels = ["--label", f"{LABEL}.image={name}"]
            docker.run("build", "--force-rm", *labels, *given, "--tag", reference, "-", stdin=archive, log=log)
    return reference


def prune(docker: Docker, keep: set[str]) -> None:
    """Drop earlier builds of the lab's images, so that the cache does not grow with every change."""
    listed = docker.lines("image", "ls", "--filter", f"label={LABEL}.image", "--format", "{{.Repository}}:{{.Tag}}")
    stale = [each for each in listed if each.startswith(f"{PREFIX}/") and each not in keep]
    if stale:
        # Images still in use by a container are refused, and that is right.
        docker.run("image", "rm", *stale, check=False)
