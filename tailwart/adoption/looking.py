"""One command a host that changes nothing, and its output in sections. Pure: the caller runs it.

What it prints holds secrets (environments, config.json): it travels over SSH and is never shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

# Both places of its socket: containerboot's, and that of a tailscaled started by itself.
_STATUS = "tailscale --socket=/tmp/tailscaled.sock status --json 2>/dev/null || tailscale status --json 2>/dev/null"
_SCRIPT = r"""
mark=@mark@
echo "$mark addresses"
for f in 4 6; do ip -$f -o addr show scope global 2>/dev/null; done | sed -n 's|.*inet6* \([0-9a-f.:]*\)/.*|\1|p'
echo "$mark tailnet"; tailscale status --json --peers=false 2>/dev/null
echo "$mark journal"; cat /opt/tailwart/adoption/*.json 2>/dev/null; echo
echo "$mark listeners"; ss -Hlntp 2>/dev/null
echo "$mark processes"
for p in $(ss -Hlntp 2>/dev/null | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u); do
  echo "$p $(tr '\n' ' ' </proc/"$p"/cgroup 2>/dev/null)"
done
echo "$mark caddyfile"; [ ! -f /etc/caddy/Caddyfile ] || echo /etc/caddy/Caddyfile
command -v docker >/dev/null || exit 0
all=$(docker ps -aq --no-trunc 2>/dev/null)
echo "$mark containers"; [ -z "$all" ] || docker inspect $all 2>/dev/null
echo "$mark networks"; docker network inspect $(docker network ls -q 2>/dev/null) 2>/dev/null
for c in $(docker ps -q --no-trunc 2>/dev/null); do
  case $(docker inspect --format '{{.Config.Image}} {{.Path}} {{.Args}} {{json .Mounts}}' "$c") in
    *stalwart*)
      echo "$mark built $c"
      docker image inspect --format '{{json .Config.Env}}' "$(docker inspect --format '{{.Image}}' "$c")" 2>/dev/null
      echo "$mark config $c"
      docker exec "$c" sh -c 'cat "${CONFIG_PATH:-/etc/stalwart/config.json}"' 2>/dev/null; echo
      echo "$mark owner $c"; docker exec "$c" sh -c 'id -u; id -g' 2>/dev/null
      echo "$mark version $c"; timeout 20 docker exec "$c" env -u CONFIG_PATH stalwart --version 2>&1 ;;
  esac
  case $(docker inspect --format '{{.Config.Image}} {{.Path}} {{.Args}} {{.Config.Env}}' "$c") in
    *tailscale*|*TS_*)
      echo "$mark node $c"; timeout 20 docker exec "$c" sh -c '@status@'; echo ;;
  esac
done
echo "$mark units"
grep -lsE 'docker|compose' /etc/systemd/system/*.service 2>/dev/null | while read -r unit; do
  sed "s|^|$unit |" "$unit" 2>/dev/null
done
echo "$mark end"
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What a host has said: section → text, and for containers section → identifier → text."""

    sections: Mapping[str, str] = field(default_factory=dict, repr=False)
    each: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def text(self, section: str) -> str:
        """One section; empty where the host had nothing to say."""
        return self.sections.get(section, "")

    def of(self, section: str, identifier: str) -> str:
        """What was said of one container."""
        return self.each.get(section, {}).get(identifier, "")


def script(mark: str) -> str:
    """The command for a host; ``mark`` begins each section."""
    return _SCRIPT.replace("@mark@", mark).replace("@status@", _STATUS)


def new_mark() -> str:
    """A word that no output holds by chance."""
    return secrets.token_hex(12)


def parse(output: str, mark: str) -> Look:
    """The sections of what `script` has printed."""
    sections: dict[str, list[str]] = {}
    each: dict[str, dict[str, list[str]]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        if line.startswith(f"{mark} "):
            name, _, identifier = line.removeprefix(f"{mark} ").strip().partition(" ")
            lines = []
            if identifier:
                each.setdefault(name, {})[identifier] = lines
            else:
                sections[name] = lines
        else:
            lines.append(line)
    return Look(
        {name: "\n".join(found) for name, found in sections.items()},
        {name: {key: "\n".join(found) for key, found in per.items()} for name, per in each.items()},
    )
