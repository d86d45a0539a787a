"""Another image of our own Garage: fetched first, and the one from before is back when the new one does not come up."""

from __future__ import annotations

import re

from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject
from tailwart.operations import hostfiles
from tailwart.operations.compose import bring_up
from tailwart.operations.images import fetch
from tailwart.runner import Runner

_IMAGE = re.compile(r'(?m)^    image: "([^"\n]+)"$')
_MAJOR = re.compile(r":v?(\d+)\.")


def image_of(compose_file: str) -> str:
    """The image in the text of a compose.yaml of Garage; empty for none."""
    found = _IMAGE.search(compose_file)
    return found[1] if found else ""


def check(before: str, after: str) -> None:
    """Raises `TailwartError` for a step that Garage's own upgrade guide has to be read for.

    Within a major version every release opens what the others have written; from one to the next, its metadata is
    migrated and the earlier release does not read it any more.
    """
    old, new = (_MAJOR.search(image.partition("@")[0]) for image in (before, after))
    if old and new and old[1] != new[1]:
        raise TailwartError(
            f"there is no direct way from {before} to {after}",
            seen="two major versions of Garage",
            expected=f"an image of version {old[1]}",
            remedy=f"set GARAGE_IMAGE to one of version {old[1]}; Garage's own guide has the steps to the next: "
            "https://garagehq.deuxfleurs.fr/documentation/operations/upgrading/",
        )


def serve(run: Runner, project: ComposeProject) -> None:
    """Bring the project up; raises `TailwartError`, with the image from before serving where there was one."""
    before = run(f"cat {project.compose_path} 2>/dev/null || :", timeout=60).stdout
    desired = next(file for file in project.files if file.path == project.compose_path).data.decode()
    old, new = image_of(before), image_of(desired)
    changes = bool(old) and old != new
    if changes:
        check(old, new)
        fetch(run, new, "GARAGE_IMAGE")
        run(f"cp -p {project.compose_path} {project.directory}/compose.previous", timeout=60)
    hostfiles.write(run, project.files, project.directories)
    try:
        bring_up(run, project)
    except TailwartError as problem:
        if not changes:
            raise
        raise _taken_back(run, project, old, new, problem) from problem


def _taken_back(run: Runner, project: ComposeProject, old: str, new: str, problem: TailwartError) -> TailwartError:
    back = run(
        f"cd {project.directory} && cp -p compose.previous compose.yaml && "
        f"flock -w 300 {project.lock_path} docker compose {project.options} up -d --remove-orphans --wait "
        f"--wait-timeout {project.wait_seconds} 2>&1",
        timeout=600,
    )
    if back.ok:
        return TailwartError(
            f"{new} failed and was taken back; {old} serves again",
            seen=f"{problem.what}\n{problem.seen}",
            expected="a Garage that becomes healthy",
            remedy=f"set GARAGE_IMAGE to {old} for now",
        )
    return TailwartError(
        f"neither {new} nor {old} comes up",
        seen=f"{problem.what}\n{back.stdout.strip()[-500:]}",
        expected="one of them healthy; message bodies wait in the queue meanwhile",
        remedy="look at `docker logs tailwart-garage` on the backends host",
    )
