"""The edge's image and Compose project as files, and the tag that identifies the image by its content."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from dataclasses import dataclass

from tailwart.edge.caddy_config import ADMIN_SOCKET
from tailwart.hosts import templates

DIRECTORY = "/opt/tailwart/edge"
CONTAINER = "tailwart-edge"
REPOSITORY = "tailwart-edge"
MOUNT = "/etc/caddy"
"""Where the container sees `DIRECTORY`."""

RELOAD = f"docker exec {CONTAINER} caddy reload --config {MOUNT}/caddy.json --address unix/{ADMIN_SOCKET}"
"""Loads what is on disk beside what runs: connections that are open stay open."""
LOAD = (
    f"docker exec -i {CONTAINER} curl -fsS --max-time 20 --unix-socket {ADMIN_SOCKET} "
    "-H 'Content-Type: application/json' --data-binary @- http://edge/load"
)
"""Loads the configuration on standard input in the same way, until the next one."""

L4_MODULE = "github.com/mholt/caddy-l4"
L4_VERSION = "v0.1.2"
"""The version that is asked for unless CADDY_PLUGINS names another."""
USER_ID = 65532
"""The user Caddy runs as; in no range that Debian hands out."""

PIDS = 512
"""Threads that Caddy may have: a few more than processors, and those of its healthcheck."""

_SPEAKER = "fetch-caddy: "
_BUILDKIT = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?")


@dataclass(frozen=True)
class ImageInputs:
    """All that the image is made from. ``sha256`` pins the downloaded Caddy; empty takes what the service builds."""

    base_image: str
    download_url: str
    plugins: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules to ask for: caddy-l4, at the version that the plugins name if they do, then the others."""
        pinned = [plugin for plugin in self.plugins if plugin.partition("@")[0] == L4_MODULE]
        others = [plugin for plugin in self.plugins if plugin not in pinned]
        return (pinned[0] if pinned else f"{L4_MODULE}@{L4_VERSION}", *dict.fromkeys(others))


def dockerfile(inputs: ImageInputs) -> str:
    """The Dockerfile; needs `fetch_script` beside it in the build context."""
    return templates.render(
        "edge/Dockerfile.j2",
        base_image=inputs.base_image,
        download_url=shlex.quote(inputs.download_url),
        modules=shlex.quote(" ".join(inputs.modules)),
        sha256=shlex.quote(inputs.sha256),
        uid=USER_ID,
        config=f"{MOUNT}/caddy.json",
    )


def fetch_script() -> str:
    """The shell script that downloads and checks Caddy during the build."""
    return templates.text("edge/fetch-caddy.sh")


def reference(inputs: ImageInputs) -> str:
    """``tailwart-edge:<digest>``: another one exactly when the build would differ, so an image is built once."""
    digest = hashlib.sha256(f"{dockerfile(inputs)}\0{fetch_script()}".encode()).hexdigest()
    return f"{REPOSITORY}:{digest[:16]}"


def compose_file(image: str, memory: int) -> str:
    """compose.yaml of the project, running ``image`` with at most ``memory`` bytes."""
    return templates.render(
        "edge/compose.yaml.j2",
        image=image,
        container=CONTAINER,
        directory=DIRECTORY,
        mount=MOUNT,
        uid=USER_ID,
        admin_socket=ADMIN_SOCKET,
        memory=memory,
        pids=PIDS,
    )


def build_errors(output: str) -> str:
    """The error message of `fetch_script` in a failed build; the end of the builder's output where there is none.

    BuildKit puts step and time before each line (and once more without them), the classic builder nothing.
    """
    lines = [_BUILDKIT.sub("", line).rstrip() for line in output.splitlines()]
    start = max((index for index, line in enumerate(lines) if line.startswith(_SPEAKER)), default=None)
    if start is None:
        shown = [line for line in lines if line][-6:]
    else:
        shown = [lines[start].removeprefix(_SPEAKER)]
        shown += itertools.takewhile(lambda line: line.startswith("  "), lines[start + 1 :])
    return "\n".join(line.strip() for line in shown)
