"""A host with an old project: real directories and shell, and a `docker` whose containers are directories.

`kill_after` lets a run die after its n-th command, as a broken connection or a killed process would.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tailwart.runner import Completed

DOCKER = r"""#!/bin/sh
# Stands in for docker: a directory for each container, named by its id, with a file for each of its properties.
here=$(dirname "$0")
of() {
  for c in "$here"/containers/*; do
    [ "${c##*/}" = "$1" ] || [ "$(cat "$c/name")" = "$1" ] || continue
    echo "$c"; return
  done
  echo "No such container: $1" >&2; return 1
}
for last; do :; done
case "$1 $2" in
inspect*)
  c=$(of "$last") || exit 1
  case $3 in
    *.Name*) echo "/$(cat "$c/name")" ;;
    *Health*) echo ;;
    *Env*) cat "$c/env" ;;
    *service*) cat "$c/service" ;;
  esac ;;
update*) c=$(of "$last") && echo "${2#*=}" >"$c/restart" ;;
stop*) c=$(of "$last") && echo no >"$c/running" ;;
start*)
  c=$(of "$2") || exit 1
  [ ! -e "$here/ours" ] || { echo "both installations would run" >&2; exit 1; }
  echo yes >"$c/running" ;;
rename*) c=$(of "$2") && echo "$3" >"$c/name" ;;
"volume create") mkdir -p "$here/../volumes/$last" ;;
"volume inspect") [ -d "$here/../volumes/$last" ] && cd "$here/../volumes/$last" && pwd ;;
exec*) c=$(of "$2") && [ "$(cat "$c/running")" = yes ] ;;
compose*) echo "$*" >"$here/composed"; for c in "$here"/containers/*; do echo yes >"$c/running"; done ;;
image*|pull*) [ ! -e "$here/missing" ] || { echo "no such image" >&2; exit 1; } ;;
esac
"""


class Killed(Exception):
    """The run dies here."""


@dataclass
class Rig:
    """The host: `old` is where the old project's volumes are, `volumes` where the deploy's are."""

    root: Path
    kill_after: int = 0
    commands: int = 0
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bin = self.root / "bin"
        self.volumes = self.root / "volumes"
        self.opt = self.root / "opt"
        for folder in (self.bin, self.volumes, self.opt):
            folder.mkdir()
        (self.bin / "docker").write_text(DOCKER)
        (self.bin / "docker").chmod(0o755)
        for name in ("systemctl", "sync"):
            (self.bin / name).write_text(f'#!/bin/sh\necho "$0 $*" >>{self.root}/{name}.log\n')
            (self.bin / name).chmod(0o755)
        for identifier, name, restart in (("a" * 64, "vpn", "unless-stopped"), ("b" * 64, "mail", "always")):
            folder = self.bin / "containers" / identifier
            folder.mkdir(parents=True)
            properties = {
                "name": name,
                "service": name,
                "restart": restart,
                "running": "yes",
                "env": "PATH=/bin\nOLD=1",
            }
            for key, value in properties.items():
                (folder / key).write_text(f"{value}\n")

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.commands += 1
        self.scripts.append(script)
        done = subprocess.run(
            ["sh", "-c", script.replace("/opt/tailwart", str(self.opt))],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"},
        )
        if self.kill_after == self.commands:
            raise Killed
        return Completed(done.returncode == 0, done.stdout, done.stderr)

    def set(self, flag: str, *, on: bool = True) -> None:
        """``ours``: the deploy's mailbox runs. ``missing``: no image can be had."""
        (self.bin / flag).touch() if on else (self.bin / flag).unlink(missing_ok=True)

    @property
    def composed(self) -> list[str]:
        """The words of the last `docker compose`."""
        return (self.bin / "composed").read_text().split()

    def named(self, name: str) -> tuple[bool, str]:
        """Whether a container of that name runs, and its restart policy."""
        for folder in (self.bin / "containers").iterdir():
            if (folder / "name").read_text().strip() == name:
                return (folder / "running").read_text().strip() == "yes", (folder / "restart").read_text().strip()
        raise AssertionError(f"no container {name}")
