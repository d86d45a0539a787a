"""The two Debian file systems everything else is built on: a host's, and a small one for containers."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import paths
from lab.console import step
from lab.engine import Docker, install
from lab.images import pulling
from lab.topology import LABEL, PREFIX
from tailwart.errors import TailwartError

SUITE = "trixie"

_HOST_PACKAGES = (
    "bind9-dnsutils ca-certificates curl dbus debconf-utils e2fsprogs iproute2 iptables iputils-ping kmod "
    "libpam-systemd netcat-openbsd nftables openssh-server procps systemd systemd-sysv xz-utils"
)


# Documentation and translations are a third of a small image, and nobody reads them there. As in Debian's own images:
# a half-installed package after a crash of the machine is worth no wait for the disk, the image would be made again.
_DPKG = (*(f"path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale", "info")), "force-unsafe-io")
# As in Debian's own images: apt leaves neither its binary index (90 MB a layer) nor what it downloaded. The hooks run
# at the end, because mmdebstrap itself needs what it has downloaded.
_APT = ('Dir::Cache::pkgcache ""', 'Dir::Cache::srcpkgcache ""', 'APT::Keep-Downloaded-Packages "false"')
_HOOKS = (
    f"printf '%s;\\n' {shlex.join(_APT)} > \"$1/etc/apt/apt.conf.d/90tailwart-lab\"",
    'rm -f "$1"/var/cache/apt/*.bin',
)


@dataclass(frozen=True)
class Bases:
    """References of the two base images."""

    host: str
    slim: str


@dataclass(frozen=True)
class _Base:
    name: str
    official: str
    packages: tuple[str, ...]

    @property
    def reference(self) -> str:
        digest = hashlib.sha256(repr((SUITE, self.packages, _DPKG, _HOOKS)).encode()).hexdigest()[:12]
        return f"{PREFIX}/{self.name}:{digest}"


_HOST = _Base("base", f"debian:{SUITE}", tuple(_HOST_PACKAGES.split()))
_SLIM = _Base("base-slim", f"debian:{SUITE}-slim", ("ca-certificates", "curl"))


def ensure(docker: Docker) -> Bases:
    """Both base images, pulled where a registry answers, else made with mmdebstrap from Debian's packages."""
    absent = [each for each in (_HOST, _SLIM) if not docker.has_image(each.reference)]
    if absent and not _pulled(docker, absent):
        install.ensure(
            {
                "mmdebstrap": (
                    "mmdebstrap debian-archive-keyring",
                    "makes the hosts' base image where no image registry answers",
                )
            }
        )
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda each: _bootstrap(docker, each), absent):
                pass
    return Bases(_HOST.reference, _SLIM.reference)


def _pulled(docker: Docker, bases: list[_Base]) -> bool:
    for each in bases:
        if not pulling.pulled(docker, each.official):
            return False
        docker.run("tag", each.official, each.reference)
    return True


def _bootstrap(docker: Docker, base: _Base) -> None:
    if os.geteuid() != 0:
        raise TailwartError(
            "making a base image needs root, and no image registry answers",
            remedy=f"run as root, or make {base.official} available: docker load, or docker pull from a registry",
        )
    log = paths.ensure_private(paths.logs()) / f"image-{base.name}.log"
    with (
        step(f"making {base.name} image of Debian {SUITE} with mmdebstrap"),
        tempfile.TemporaryDirectory(prefix="tailwart-base-") as directory,
        log.open("wb") as stream,
    ):
        archive = Path(directory) / "rootfs.tar"
        command = [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(base.packages)}",
            *(f"--dpkgopt={each}" for each in _DPKG),
            *(f"--customize-hook={each}" for each in _HOOKS),
            SUITE,
            str(archive),
        ]
        # No archive is named: mmdebstrap knows Debian's own, and the machine's sources may be of another suite.
        result = subprocess.run(
            command,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if result.returncode != 0:
            words = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise TailwartError(
                f"mmdebstrap could not make the {base.name} image",
                seen="\n".join(words),
                remedy=f"the whole output is in {log}; Debian's packages must be reachable for the first start",
            )
        docker.run("import", "--change", f"LABEL {LABEL}.image={base.name}", str(archive), base.reference)
