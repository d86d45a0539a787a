"""Garage, the lab's S3 store, compiled from its crate: by the machine's own Rust, else inside the lab's base image.

Garage needs a newer Rust than many distributions have as `cargo`. Debian 13, the lab's base, has one for its browsers.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future
from pathlib import Path

from lab import paths, programs
from lab.engine import Docker
from lab.images.base import Bases
from lab.programs import GARAGE, Program, toolchains
from lab.topology import LABEL
from tailwart.errors import TailwartError

# The certificates that the machine trusts, where its owner may have added one; a container has only Debian's.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# `cargo-web` is Debian's newer cargo, kept for building browsers; where a suite has none, its `cargo` is the newest.
_IN_CONTAINER = """
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
cargo=$(apt-cache --names-only search '^cargo-web$' | cut -d' ' -f1)
apt-get -q install -y --no-install-recommends "${cargo:-cargo}" ca-certificates gcc libc6-dev make
"$@" --root /out
"""


def ensure(docker: Docker, bases: Future[Bases]) -> None:
    """Build Garage unless it is in the cache. ``bases`` is awaited only where the machine's own Rust is of no use."""

    def in_base_image(program: Program, into: Path, log: Path) -> None:
        _in_container(docker, bases.result().host, program, into, log)

    programs.build(GARAGE, _on_this_machine if toolchains.has_rust() else in_base_image)


def _install(program: Program) -> list[str]:
    command = ["cargo", "install", program.name, "--version", program.version, "--locked"]
    return [*command, "--no-default-features", "--features", ",".join(program.packages)]


def _settings() -> dict[str, str]:
    return {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "0", "CARGO_PROFILE_RELEASE_STRIP": "symbols"}


def _on_this_machine(program: Program, into: Path, log: Path) -> None:
    # Compiled objects are kept beside the cache until the build is whole, so that a killed one goes on where it was.
    objects = paths.cache() / "build" / program.key
    environment = {**os.environ, **_settings(), "CARGO_TARGET_DIR": str(objects)}
    programs.run([*_install(program), "--root", str(into / "root")], program, log, environment, paths.cache())
    (into / "root" / "bin" / "garage").rename(into / "garage")
    shutil.rmtree(into / "root")
    shutil.rmtree(objects, ignore_errors=True)


def _in_container(docker: Docker, image: str, program: Program, into: Path, log: Path) -> None:
    name = f"tailwart-lab-build-{program.name}"
    flags = ["--name", name, "--label", f"{LABEL}=build"]
    flags += [part for key, value in _settings().items() for part in ("--env", f"{key}={value}")]
    # By name: docker takes the values from this process, and leaves out what is not set.
    flags += [part for key in ("http_proxy", "https_proxy", "no_proxy") for part in ("--env", key)]
    if _CERTIFICATES.is_file():
        flags += ["--volume", f"{_CERTIFICATES}:/machine-certificates.crt:ro"]
        flags += ["--env", "CARGO_HTTP_CAINFO=/machine-certificates.crt"]
    log.unlink(missing_ok=True)
    docker.run("rm", "--force", name, check=False)
    try:
        docker.run("run", *flags, image, "/bin/sh", "-c", _IN_CONTAINER, "build", *_install(program), log=log)
        docker.run("cp", f"{name}:/out/bin/garage", str(into / "garage"))
    except TailwartError as error:
        raise TailwartError(
            f"compiling {program.name} {program.version} in the lab's base image failed",
            seen=error.seen,
            remedy=f"the whole output is in {log}; or bring Rust {toolchains.RUST_NEEDED} or newer into PATH",
        ) from error
    finally:
        docker.run("rm", "--force", name, check=False)
