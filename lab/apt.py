"""The apt repository of the lab: the packages that a bare host installs, fetched once and served by control."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import paths
from lab.console import step
from lab.engine import Docker

# What the deploy's roles and the tests install on bare hosts. Their dependencies come along.
PACKAGES = (
    *("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables", "nftables", "postgresql-client", "jq"),
    *("unattended-upgrades", "postgresql", "redis-server"),
)
# What backup and restore drill need on the mailbox.
BACKUP_PACKAGES = ("restic", "rclone", "busybox", "postgresql")
_LISTS = {"made-for": PACKAGES, "made-for-backup": BACKUP_PACKAGES}

# The index is made inside a host's own image: apt there decides what a bare host lacks.
_FETCH = """
set -eu
apt-get update >&2
mkdir -p /out/partial
apt-get install -y --no-install-recommends --download-only -o Dir::Cache::archives=/out \\
    -o APT::Keep-Downloaded-Packages=true "$@" >&2
rm -rf /out/partial /out/lock
cd /out
for package in *.deb; do
    # Fast to unpack: a bare host spends most of an installation in xz.
    dpkg-deb --raw-extract "$package" /tmp/unpacked
    dpkg-deb -Zzstd -z1 --build /tmp/unpacked "$package" >&2
    rm -rf /tmp/unpacked
    dpkg-deb -f "$package"
    printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' \
        "$package" "$(stat -c %s "$package")" "$(sha256sum "$package" | cut -d' ' -f1)"
done > Packages
gzip -9kn Packages
printf 'Origin: tailwart lab\\nLabel: tailwart lab\\nSuite: lab\\nDate: %s\\nSHA256:\\n %s %s Packages\\n' \
    "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
chmod -R a+rX /out
tar -C /out -cf - .
"""


def directory() -> Path:
    """Where the repository is kept; mounted on control."""
    return paths.cache() / "apt"


def _replace(made: Path) -> None:
    """The content of the directory, not the directory: a running control has that mounted."""
    directory().mkdir(mode=0o755, exist_ok=True)
    fresh = {path.name for path in made.iterdir()}
    for stale in [path for path in directory().iterdir() if path.name not in fresh]:
        stale.unlink()
    # The index last: until then it names packages that are there.
    for path in sorted(made.iterdir(), key=lambda path: path.suffix != ".deb"):
        path.replace(directory() / path.name)


def fetch(docker: Docker, host_image: str, packages: Sequence[str]) -> bytes:
    """A repository of these packages and of what a host of this image lacks for them, as a tar archive."""
    return docker.run("run", "--rm", host_image, "/bin/sh", "-c", _FETCH, "fetch", *packages).stdout


def ensure(docker: Docker, host_image: str) -> None:
    """Fetch the packages for hosts of this image, unless they are there."""
    keys = {
        directory() / name: hashlib.sha256(repr((host_image, packages, _FETCH)).encode()).hexdigest()
        for name, packages in _LISTS.items()
    }
    if all(marker.is_file() and marker.read_text() == key for marker, key in keys.items()):
        return
    directory().parent.mkdir(parents=True, exist_ok=True)
    packages = [package for each in _LISTS.values() for package in each]
    with step("fetching the packages that bare hosts install"):
        archive = fetch(docker, host_image, packages)
        temporary = Path(tempfile.mkdtemp(prefix=".apt-", dir=directory().parent))
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
                stream.extractall(temporary, filter="data")
            _replace(temporary)
            for marker, key in keys.items():
                marker.write_text(key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
