"""Which Stalwart the lab runs: the operator's image or binary, the official image, or the stand-in, which says so."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import programs
from lab.console import say, step
from lab.engine import Docker
from lab.images import Spec, build, context, pulling
from tailwart.errors import TailwartError

VERSION = "v0.16.7"
OFFICIAL = f"stalwartlabs/stalwart:{VERSION}"
LABEL = "tailwart.lab.stalwart"


@dataclass(frozen=True)
class Stalwart:
    """A local image and the tag it gets in the lab's registry. ``identity`` is what reports call it."""

    reference: str
    tag: str
    identity: str

    @property
    def is_standin(self) -> bool:
        return self.tag.endswith("-standin")


def ensure(docker: Docker, slim: str, ca: bytes) -> Stalwart:
    """Build or derive the image. Raises TailwartError that names the variable when what it gives cannot be used."""
    if image := os.environ.get("LAB_STALWART_IMAGE"):
        return _derived(docker, image, ca, "LAB_STALWART_IMAGE")
    if binary := os.environ.get("LAB_STALWART_BINARY"):
        path = Path(binary).expanduser().resolve()
        if not os.access(path, os.X_OK) or not path.is_file():
            raise TailwartError("LAB_STALWART_BINARY cannot be run", seen=str(path), expected="an executable file")
        return _from_binary(docker, slim, path, _version_of(path), f"binary {path.name}, given by hand")
    if docker.has_image(OFFICIAL) or pulling.pulled(docker, OFFICIAL):
        return _derived(docker, OFFICIAL, ca, "the official image")
    programs.ensure([programs.STANDIN])
    return _from_binary(
        docker,
        slim,
        programs.binary("stalwart"),
        f"{VERSION}-standin",
        "STAND-IN for Stalwart 0.16.7 (not the real server)",
    )


def identity(docker: Docker, tag_reference: str) -> str:
    """What the image of this reference calls itself."""
    return docker.text("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', tag_reference)


def _derived(docker: Docker, image: str, ca: bytes, origin: str) -> Stalwart:
    if not docker.has_image(image):
        with step(f"pulling {image}"):
            docker.run("pull", "--quiet", image, timeout=600)
    document = docker.inspect("image", image)[0]
    user = document["Config"].get("User") or "root"
    arguments = {"BASE": image, "RUN_AS": user, "IDENTITY": f"{image}"}
    made = context.of(Spec("stalwart-derived"), {"ca.crt": ca})
    reference = build.ensure(docker, "stalwart-derived", made, document["Id"], arguments)
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else VERSION
    return Stalwart(reference, tag, f"{image} ({origin})")


def _from_binary(docker: Docker, slim: str, binary: Path, tag: str, identity: str) -> Stalwart:
    made = context.of(Spec("stalwart"), extra={"stalwart": binary})
    reference = build.ensure(docker, "stalwart", made, slim, {"IDENTITY": identity})
    return Stalwart(reference, tag, identity)


def _version_of(binary: Path) -> str:
    """`v1.2.3` from the binary's own --version; the deploy refuses a Stalwart whose version it was not made for."""
    try:
        result = subprocess.run([str(binary), "--version"], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TailwartError("LAB_STALWART_BINARY does not run here", seen=str(error)) from error
    found = re.search(rb"\d+\.\d+\.\d+", result.stdout + result.stderr)
    if found is None:
        say(f"{binary} tells no version; the lab calls it {VERSION}")
        return VERSION
    return f"v{found[0].decode()}"
