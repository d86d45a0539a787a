"""A Garage that the deploy runs in a container on the backends host: its project and its files. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailwart.backends.packages import DIRECTORY
from tailwart.hosts import membership, templates
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.project import ComposeProject, Preparation, Service, inputs_digest

PROJECT = "tailwart-backends"
CONTAINER = "tailwart-garage"
ADMIN_TOKEN = f"{DIRECTORY}/garage/admin-token"
_SECRETS = (ADMIN_TOKEN, f"{DIRECTORY}/garage/rpc-secret")
LOOPBACK = ("127.0.0.1",)


@dataclass(frozen=True, slots=True)
class GarageServer:
    """The server on ``port`` with the ``image``, answering requests for ``region``."""

    image: str
    port: int
    region: str

    def project(self, addresses: Sequence[str]) -> ComposeProject:
        """The Compose project, listening on loopback and these addresses of the tailnet."""
        conf = HostFile(
            f"{DIRECTORY}/garage/garage.toml", templates.render("backends/garage.toml.j2", region=self.region)
        )
        inputs = inputs_digest([conf])
        compose = templates.render(
            "backends/compose.yaml.j2",
            project=PROJECT,
            container=CONTAINER,
            image=self.image,
            addresses=[f"[{each}]" if ":" in each else each for each in (*LOOPBACK, *addresses)],
            port=self.port,
            inputs=inputs,
        )
        return ComposeProject(
            name=PROJECT,
            directory=DIRECTORY,
            files=(HostFile(f"{DIRECTORY}/compose.yaml", compose), conf),
            directories=(HostDirectory(f"{DIRECTORY}/garage", "0700"),),
            services=(Service("garage", inputs),),
            # Made on the host, where alone they are needed.
            preparations=(
                Preparation(
                    reason="secrets of Garage",
                    needed=f"! test -s {_SECRETS[0]} || ! test -s {_SECRETS[1]}",
                    script=f"set -eu; umask 077; for file in {' '.join(_SECRETS)}; do [ -s $file ] || {{ "
                    "head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' >$file.new; mv $file.new $file; }; done",
                    what="Garage's secrets could not be made",
                    remedy=f"look at `ls -la {DIRECTORY}/garage` and `df -h /opt` on the host",
                ),
            ),
            wait_seconds=120,
            beside=membership.WATCH,
        )
