"""Which Stalwart the lab runs: the operator's image or binary, the official image, or the stand-in, which says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import paths, programs
from lab.console import say, step
from lab.engine import Docker
from lab.images import Spec, build, context, pulling
from tailwart import releases
from tailwart.errors import TailwartError

OFFICIAL = releases.DEFAULT_IMAGE
VERSION = OFFICIAL.rpartition(":")[2]
# The release that upgrades are tried from.
EARLIER = f"v{releases.SUPPORTED.major}.{releases.SUPPORTED.minor}.{releases.SUPPORTED.oldest}"
# Seconds for an image that was asked for by name: large ones over slow lines are waited for.
_GIVEN_TIMEOUT = 900.0
_VERSION = re.compile(rb"\d+\.\d+\.\d+")


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
    variable, value = _given()
    if variable == "LAB_STALWART_IMAGE":
        image = _load(docker, Path(value)) if Path(value).is_file() else value
        if not docker.has_image(image):
            _pull_given(docker, image)
        return _derived(docker, image, ca, variable)
    if variable == "LAB_STALWART_BINARY":
        path = Path(value)
        if not os.access(path, os.X_OK) or not path.is_file():
            raise TailwartError(f"{variable} cannot be run", seen=str(path), expected="an executable file")
        return _from_binary(docker, slim, path, _version_of(path), f"binary {path} ({variable})")
    if docker.has_image(OFFICIAL) or pulling.pulled(docker, OFFICIAL):
        return _derived(docker, OFFICIAL, ca, "the official image")
    return _standin(docker, slim, VERSION)


def earlier(docker: Docker, slim: str) -> Stalwart:
    """The stand-in as an earlier release, for labs that run the stand-in."""
    return _standin(docker, slim, EARLIER)


def _standin(docker: Docker, slim: str, version: str) -> Stalwart:
    programs.ensure([programs.STANDIN])
    identity = f"STAND-IN for Stalwart {version.removeprefix('v')} (not the real server)"
    return _from_binary(docker, slim, programs.binary("stalwart"), f"{version}-standin", identity)


def forget_choice() -> None:
    """The next lab starts without anybody's choice, unless a variable says otherwise."""
    _memory().unlink(missing_ok=True)


def _memory() -> Path:
    return paths.state() / "stalwart-choice.json"


def _given() -> tuple[str, str]:
    """Variable and value of the choice, ("", "") for none.

    A choice holds until `lab down`, an empty variable, or another one: tests and further starts of the same lab must
    not fall back to the stand-in because a shell lacks the variable.
    """
    for variable in ("LAB_STALWART_IMAGE", "LAB_STALWART_BINARY"):
        value = os.environ.get(variable)
        if value == "":
            forget_choice()
        elif value is not None:
            path = Path(value).expanduser()
            chosen = (variable, str(path.resolve()) if variable.endswith("BINARY") or path.is_file() else value)
            paths.write_private(_memory(), json.dumps(chosen).encode())
            return chosen
    if not _memory().is_file():
        return "", ""
    variable, value = json.loads(_memory().read_text())
    say(f"Stalwart as chosen before: {variable}={value} (set it to nothing to forget)")
    return variable, value


def _derived(docker: Docker, image: str, ca: bytes, origin: str) -> Stalwart:
    document = docker.inspect("image", image)[0]
    user = document["Config"].get("User") or "root"
    identity = f"{image} ({origin})"
    made = context.of(Spec("stalwart-derived"), {"ca.crt": ca})
    arguments = {"RUN_AS": user, "IDENTITY": identity}
    reference = build.ensure(docker, "stalwart-derived", made, document["Id"], arguments)
    return Stalwart(reference, _tag(docker, image), identity)


def _load(docker: Docker, archive: Path) -> str:
    """Load what `docker save` wrote; the reference it carries."""
    with step(f"loading {archive}"), archive.open("rb") as stream:
        said = docker.run("load", stdin=stream).stdout.decode()
    # "Loaded image: NAME:TAG" or, for an archive without a name, "Loaded image ID: sha256:…".
    return said.strip().splitlines()[-1].partition(": ")[2]


def _pull_given(docker: Docker, image: str) -> None:
    try:
        with step(f"pulling {image}"):
            docker.run("pull", "--quiet", image, timeout=_GIVEN_TIMEOUT)
    except TailwartError as error:
        raise TailwartError(
            "LAB_STALWART_IMAGE cannot be had",
            seen=error.seen or error.what,
            expected="an image that the lab's engine holds or can pull, or an archive made by docker save",
            remedy=f"load it: docker save {image} | {_load_command(docker)}",
        ) from error


def _load_command(docker: Docker) -> str:
    return f"docker --host {docker.socket} load" if docker.socket else "docker load"


def _tag(docker: Docker, image: str) -> str:
    """The image's own tag when it is a version; otherwise what the program inside says."""
    tag = image.rpartition(":")[2]
    if _VERSION.fullmatch(tag.removeprefix("v").encode()):
        return tag
    result = docker.run("run", "--rm", "--entrypoint", "stalwart", image, "--version", check=False, timeout=60)
    return _version_in(result.stdout + result.stderr, image)


def _from_binary(docker: Docker, slim: str, binary: Path, tag: str, identity: str) -> Stalwart:
    made = context.of(Spec("stalwart"), extra={"stalwart": binary})
    arguments = {"IDENTITY": identity, "VERSION": tag.removeprefix("v").removesuffix("-standin")}
    reference = build.ensure(docker, "stalwart", made, slim, arguments)
    return Stalwart(reference, tag, identity)


def _version_of(binary: Path) -> str:
    try:
        result = subprocess.run([str(binary), "--version"], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TailwartError("LAB_STALWART_BINARY does not run here", seen=str(error)) from error
    return _version_in(result.stdout + result.stderr, str(binary))


def _version_in(output: bytes, origin: str) -> str:
    """`v1.2.3`: the deploy refuses a Stalwart of a version that it was not made for, so it must be the true one."""
    found = _VERSION.search(output)
    if found is None:
        say(f"{origin} names no version; the lab calls it {VERSION}")
        return VERSION
    return f"v{found[0].decode()}"
