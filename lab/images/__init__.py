"""The lab's images: directory, programs, certificate names, and the variables of lab.env that each one reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab import paths

DIRECTORY = paths.PROJECT / "lab" / "images"


@dataclass(frozen=True)
class Spec:
    """One directory below lab/images and what the build context adds to it.

    ``programs`` land in `programs/`; ``sources`` maps a path in the context to one of the project; ``names`` are DNS
    names for the host's certificate; ``ready`` is a command that succeeds once every service of the host answers.
    """

    name: str
    parent: str = "host"
    programs: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    ready: str = "/usr/local/lib/lab/ready"

    @property
    def directory(self) -> Path:
        return DIRECTORY / self.name


_CONTROL_NAMES = ("headscale", "tailscale", "spaceship", "download", "pkgs", "registry", "acme")
_CONTROL_VARIABLES = (
    *("LAB_ADMIN_TOKEN", "TS_OAUTH_CLIENT_ID", "TS_OAUTH_CLIENT_SECRET", "TS_API_KEY"),
    *("SPACESHIP_API_KEY", "SPACESHIP_API_SECRET", "TSIG_NAME", "TSIG_ALGORITHM", "TSIG_SECRET"),
)

HOST_IMAGES = {
    each.name: each
    for each in (
        Spec("host", "base", ready="systemctl is-active --quiet ssh"),
        Spec("node", "host", ("tailscale", "tailscaled"), ready="test -S /run/tailscale/tailscaled.sock"),
        Spec(
            "control",
            "node",
            ("caddy", "headscale", "pebble"),
            (("control", "lab/control"),),
            tuple(f"{name}.lab.test" for name in _CONTROL_NAMES),
            _CONTROL_VARIABLES,
        ),
        Spec("world"),
        Spec("relay", "node", variables=("SMARTHOST_USERNAME", "SMARTHOST_PASSWORD")),
    )
}
GARAGE = Spec("garage", "slim", ("garage",))
TAILSCALE = Spec("tailscale", "slim", ("containerboot", "tailscale", "tailscaled"))
