"""The facts that a role needs of its host, and the one shell script that gathers them. Pure: no pyinfra, no host."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TypeVar

from tailwart.hosts.report import HEADER, TRAILER

_Item = TypeVar("_Item")

DAEMON_JSON = "/etc/docker/daemon.json"
ENGINE_MARKER = "/opt/tailwart/engine-restart-required"
ENGINE_INSTALLING = "/opt/tailwart/engine-installing"
"""The packages of an installation that has begun and not ended."""

# `.ID`, the name of the field in the client's own types: with `.Id` it falls back to the engine's JSON, where a
# template fails as a whole on whatever is left out for being empty (`.HostConfig.Sysctls`).
_CONTAINER = "\\t".join(
    (
        '{{index .Config.Labels "com.docker.compose.service"}}',
        "{{.Name}}",
        "{{.ID}}",
        "{{.State.Status}}",
        "{{if .State.Health}}{{.State.Health.Status}}{{end}}",
        "{{.State.ExitCode}}",
        '{{index .Config.Labels "tailwart.inputs"}}',
        "{{.State.StartedAt}}",
        "{{.HostConfig.NetworkMode}}",
        '{{range .Config.Env}}{{index (split . "=") 0}} {{end}}',
    )
)

_ENGINE = r"""
docker=$(command -v docker || :)
[ ! -f @INSTALLING@ ] || printf 'content\t%s\t%s\n' "$(base64 -w0 @INSTALLING@)" @INSTALLING@
if [ -n "$docker" ]; then
  version=$(docker version --format '{{.Server.Version}}/{{.Server.Experimental}}' 2>&1) && error= || {
    error=$(printf %s "$version" | base64 -w0); version=; }
  compose=$(docker compose version --short 2>/dev/null) || compose=
  printf 'engine\t%s\t%s\t%s\t%s\n' "${version%/*}" "${version##*/}" "$compose" "$error"
  for path in @DAEMON_JSON@ @MARKER@; do
    [ ! -f $path ] || printf 'content\t%s\t%s\n' "$(base64 -w0 $path)" $path
  done
  if [ -d /run/systemd/system ]; then
    systemctl show docker.service -p UnitFileState -p MainPID -p ExecMainStartTimestampMonotonic |
      { while IFS== read -r key value; do case $key in
          UnitFileState) enabled=$value ;; MainPID) pid=$value ;;
          ExecMainStartTimestampMonotonic) since=$value ;;
        esac; done
        read -r boot </proc/sys/kernel/random/boot_id || boot=
        printf 'unit\t%s\t%s\n' "$enabled" "$boot/$pid/$since"; }
  fi
fi
"""

# Everything of a container that a Compose file decides, but for the identifiers in it.
_FINGERPRINT = " ".join(
    f"{{{{json {field}}}}}"
    for field in (
        ".Config.Image",
        ".Config.Env",
        ".Config.Entrypoint",
        ".Config.Cmd",
        ".Config.User",
        ".Config.Healthcheck",
        ".HostConfig.Binds",
        ".HostConfig.Mounts",
        ".HostConfig.PortBindings",
        ".HostConfig.Devices",
        ".HostConfig.CapAdd",
        ".HostConfig.CapDrop",
        ".HostConfig.Privileged",
        ".HostConfig.SecurityOpt",
        ".HostConfig.Sysctls",
        ".HostConfig.RestartPolicy",
        ".HostConfig.LogConfig",
        ".HostConfig.ReadonlyRootfs",
        ".HostConfig.Tmpfs",
        ".HostConfig.Memory",
        ".HostConfig.PidsLimit",
    )
)

# Not `docker compose config --hash`, which cannot be compared with the labels of what runs: it leaves out what env_file
# adds (docker/compose issue 14001, from 2.22 on), while the label of a service in another's network namespace holds the
# identifier of that container and so changes with it.
_PROJECT = r"""
if [ -n "$docker" ] && [ -n "$version" ]; then
  ids=$(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$project" 2>/dev/null) || ids=
  if [ -n "$ids" ]; then
    # Two lines for each container; each start of the docker command takes longer than all that it prints.
    docker inspect --type container --format "container${tab}@CONTAINER@{{println}}{{.ID}} "'@FINGERPRINT@' $ids \
      2>/dev/null | while IFS= read -r line; do case $line in
        "container$tab"*) printf '%s\n' "$line" ;;
        # Compose orders variables and volumes anew at each recreate: the parts count, not their order.
        *' '*) made=$(printf %s "${line#* }" | tr -s '][{}, ' '\n' | sort | sha256sum | cut -d ' ' -f 1)
          printf 'fingerprint\t%s\t%s\n' "${line%% *}" "$made" ;;
      esac; done
  fi
fi
"""


@dataclass(frozen=True, slots=True)
class Watch:
    """The facts that a role needs of its host: paths (files and directories), contents of files, its Compose project.

    ``probes`` are names and POSIX shell commands of the role's own: they change nothing, and their output holds no
    secret. `a | b` asks for the facts of both.
    """

    paths: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    project: str = ""
    probes: tuple[tuple[str, str], ...] = ()

    def __or__(self, other: Watch) -> Watch:
        return Watch(
            _merged(self.paths, other.paths),
            _merged(self.contents, other.contents),
            self.project or other.project,
            _merged(self.probes, other.probes),
        )

    def covers(self, other: Watch) -> bool:
        """Whether a report on this holds every fact that ``other`` asks for."""
        return self | other == self


def _engine() -> str:
    text = _ENGINE.replace("@DAEMON_JSON@", DAEMON_JSON).replace("@MARKER@", ENGINE_MARKER)
    return text.replace("@INSTALLING@", ENGINE_INSTALLING).strip()


def script(watch: Watch) -> str:
    """The shell script whose output `tailwart.hosts.report.parse` reads."""
    parts = ["export LC_ALL=C PATH=\"$PATH:/usr/sbin:/sbin\"; tab=$(printf '\\t')", f"echo '{HEADER}'"]
    if watch.paths:
        names = " ".join(shlex.quote(path) for path in watch.paths)
        parts.append(f"stat --printf 'path\\t%F\\t%a\\t%U:%G\\t%n\\n' -- {names} 2>/dev/null || :")
        # A directory among the names is an error message and nothing else.
        parts.append(f'sha256sum -- {names} 2>/dev/null | sed "s/^\\([0-9a-f]*\\)  /sha256${{tab}}\\1${{tab}}/"')
    for path in watch.contents:
        name = shlex.quote(path)
        parts.append(f"[ ! -f {name} ] || printf 'content\\t%s\\t%s\\n' \"$(base64 -w0 {name})\" {name}")
    parts.append(_engine())
    if watch.project:
        parts.append(f"project={shlex.quote(watch.project)}")
        container = _CONTAINER.replace('"', '\\"').replace("\\t", "${tab}")
        parts.append(_PROJECT.replace("@CONTAINER@", container).replace("@FINGERPRINT@", _FINGERPRINT).strip())
    for name, probe in watch.probes:
        parts.append(f"output=$({probe}\n) && code=0 || code=$?")
        parts.append(
            f'printf \'probe\\t%s\\t%s\\t%s\\n\' {shlex.quote(name)} $code "$(printf %s "$output" | base64 -w0)"'
        )
    parts.append(f"echo '{TRAILER}'")
    return "\n".join(parts)


def _merged(one: tuple[_Item, ...], other: tuple[_Item, ...]) -> tuple[_Item, ...]:
    return tuple(dict.fromkeys((*one, *other)))
