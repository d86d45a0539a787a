"""Which directory of the old project goes into which volume of the deploy's, and back again: as shell. Pure.

Tables of RocksDB (`*.sst`) are never changed once they are written. On one file system they become hard links, so that
the time does not depend on how much mail there is; everything else is copied.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from tailwart.adoption.containers import Container, Mount
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.mailbox.render import ROCKSDB_PATH

DATA = "/var/lib/stalwart"
ETC = "/etc/stalwart"
STATE = "/var/lib/tailscale"
_STORE = ROCKSDB_PATH.removeprefix(f"{DATA}/")


@dataclass(frozen=True, slots=True)
class Transfer:
    """``source``, a directory of the host, and its place in ``volume``: the directory ``into`` of it, or its root.

    What ``skip`` (in the source) and ``skip_volume`` name is left alone: another transfer's. ``server``: it must
    belong to the user that Stalwart runs as.
    """

    source: str
    volume: str
    into: str = ""
    skip: str = ""
    skip_volume: str = ""
    server: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)

    @property
    def name(self) -> str:
        """The volume's name on the host."""
        return f"{names.PROJECT}_{self.volume}"


def transfers(stalwart: Container, sidecar: Container, store: str, state: str) -> tuple[Transfer, ...]:
    """What has to move. ``store`` is the path of an embedded store in the container, empty for Postgres.

    Raises `TailwartError` for a store that is in no mount: it would go with its container.
    """
    found = []
    data = stalwart.mount_of(DATA)
    place = stalwart.mount_of(store) if store else None
    if store and place is None:
        raise TailwartError(
            "the embedded store is in the container's own layer",
            seen=f"no mount of {stalwart.name} holds {store}",
            expected="a volume or a directory of the host",
            remedy=f"copy it out (`docker cp {stalwart.name}:{store} …`), mount it, start the project again, "
            "then run this again",
        )
    if place is None:
        if data is not None:
            found.append(Transfer(_below(*data), "stalwart-data"))
    else:
        below = _below(*place)
        within = data[0].inside(store) if data is not None and data[0] == place[0] else None
        if data is not None and within == _STORE:
            found.append(Transfer(_below(*data), "stalwart-data"))
        else:
            if data is not None and within != "":
                found.append(Transfer(_below(*data), "stalwart-data", skip=within or _STORE, skip_volume=_STORE))
            found.append(Transfer(below, "stalwart-data", into=_STORE))
    if (etc := stalwart.mount_of(ETC)) is not None:
        found.append(Transfer(_below(*etc), "stalwart-etc"))
    if state and (kept := sidecar.mount_of(state)) is not None:
        found.append(Transfer(_below(*kept), "ts-state", server=False))
    return tuple(found)


def _below(mount: Mount, rest: str) -> str:
    return f"{mount.source.rstrip('/')}/{rest}".rstrip("/") or "/"


_FILL = r"""
fill() { # from to skip-from skip-to owner
  [ -d "$1" ] || { echo "$1 is no directory" >&2; return 1; }
  mkdir -p "$2"
  if [ -n "$4" ]; then find "$2" -mindepth 1 -path "$2/$4" -prune -o ! -type d -exec rm -f {} +
  else find "$2" -mindepth 1 -delete; fi || return 1
  failed=$2/.tailwart-failed
  ( cd "$1" && tar --numeric-owner --exclude="./${3:-.tailwart-failed}" --exclude='*.sst' -cf - . || : >"$failed" ) |
    ( cd "$2" && tar --numeric-owner -xpf - ) && [ ! -e "$failed" ] || return 1
  ( cd "$1" && find . -path "./${3:-.tailwart-failed}" -prune -o -name '*.sst' -type f -print ) |
    while IFS= read -r file; do
      [ -n "$5" ] && [ "$(stat -c %u:%g "$1/$file")" != "$5" ] || ! ln "$1/$file" "$2/$file" 2>/dev/null || continue
      cp -p "$1/$file" "$2/$file" || exit 1
    done || return 1
  [ -z "$5" ] || find "$2" ! \( -user "${5%:*}" -group "${5#*:}" \) -exec chown -h "$5" {} +
}
"""


def bring(items: tuple[Transfer, ...], owner: str) -> str:
    """A script that fills the volumes; ``owner`` is ``uid:gid`` of the server's user."""
    lines = ["set -eu", _FILL]
    for item in items:
        lines += [
            f"to=$(docker volume inspect --format '{{{{.Mountpoint}}}}' {item.name})",
            _call(shlex.quote(item.source), f'"$to"{_tail(item.into)}', item.skip, item.skip_volume)
            + f" {shlex.quote(owner if item.server else '')}",
        ]
    return "\n".join([*lines, "sync", "echo filled"])


def take_back(items: tuple[Transfer, ...]) -> str:
    """A script that brings everything back to where it came from, with the owner that is there."""
    lines = ["set -eu", _FILL]
    for item in items:
        source = shlex.quote(item.source)
        lines += [
            f"from=$(docker volume inspect --format '{{{{.Mountpoint}}}}' {item.name})",
            f"owner=$(stat -c %u:%g {source})",
            _call(f'"$from"{_tail(item.into)}', source, item.skip_volume, item.skip)
            + (' "$owner"' if item.server else ' ""'),
        ]
    return "\n".join([*lines, "sync", "echo filled"])


def _tail(into: str) -> str:
    return f"/{shlex.quote(into)}" if into else ""


def _call(source: str, target: str, skip: str, skip_target: str) -> str:
    return f"fill {source} {target} {shlex.quote(skip)} {shlex.quote(skip_target)}"
