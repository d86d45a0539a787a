"""Which packages the stores come in, and whether the server on the host is the deploy's own. Pure: shell and parser.

A server that was there before the deploy belongs to somebody: its configuration would be replaced. So the deploy leaves
a mark before it installs one, and refuses to take over a server without the mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from tailwart.errors import TailwartError
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch

DIRECTORY = "/opt/tailwart/backends"
PROBE = "stores"
_PACKAGES = {
    "postgres": ("postgresql",),
    "redis": ("redis-server",),
    "valkey": ("valkey-server",),
    "garage": ("curl",),
}
# Servers, not clients: psql and redis-cli belong to nobody.
_FOUND = {
    "postgres": "/usr/lib/postgresql/*/bin/postgres",
    "redis": "/usr/bin/redis-server",
    "valkey": "/usr/bin/valkey-server",
}
# Both serve REDIS_URL, on the same port.
_TWINS = {"redis": "valkey", "valkey": "redis"}
_NOTHING = Probe(1, b"")


def watch(stores: Sequence[str]) -> Watch:
    """The facts about these stores' packages and servers."""
    lines = [
        "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' " + " ".join(_names(stores)) + " 2>/dev/null",
    ]
    for store in stores:
        lines.append(f"[ ! -e {_mark(store)} ] || echo mark {store}")
        if store in _FOUND:
            lines.append(f"for file in {_FOUND[store]}; do [ ! -x $file ] || echo server {store} $file; done")
        if twin := _TWINS.get(store):
            lines.append(f"[ ! -x {_FOUND[twin]} ] || echo twin {twin} {_FOUND[twin]}")
            lines.append(f"[ ! -e {_mark(twin)} ] || echo twin-mark {twin}")
    return Watch(probes=((PROBE, "\n".join([*lines, ":"])),))


def missing(stores: Sequence[str], report: HostReport) -> list[str]:
    """The packages to install. Raises `TailwartError` for a server that somebody else has installed, and for Redis and
    Valkey beside each other.
    """
    text = report.probes.get(PROBE, _NOTHING).output.decode(errors="replace")
    rows = [line.split() for line in text.splitlines()]
    for row in rows:
        if row[0] == "server" and ["mark", row[1]] not in rows:
            raise TailwartError(
                f"{row[1]} was on the backends host before this deploy, and was left as it is",
                seen=row[2],
                expected="a host without it, or a store that the deploy has installed itself",
                remedy=f"leave {row[1]} out of BACKENDS_INSTALL: it is used as it is, and only what is this "
                f"installation's own is made in it; or let the deploy have it: `touch {_mark(row[1])}` on the host, "
                "which replaces its configuration",
            )
        if row[0] == "twin":
            raise _beside(row[1], row[2], ours=["twin-mark", row[1]] in rows)
    unmarked = [store for store in stores if ["mark", store] not in rows]
    installed = {row[1] for row in rows if row[0] == "installed"}
    needed = [name for name in _names(stores) if name not in installed]
    return needed or _names(unmarked)


def _beside(twin: str, path: str, *, ours: bool) -> TailwartError:
    named = _TWINS[twin]
    remedy = (
        f"`apt-get purge {twin}-server && rm {_mark(twin)}` on the host, which costs locks and rates and nothing else"
        if ours
        else f"leave {named} out of BACKENDS_INSTALL: {twin} is used as it is"
    )
    return TailwartError(
        f"{twin} is on the backends host, and BACKENDS_INSTALL names {named}: both serve REDIS_URL",
        seen=path,
        expected="one of the two",
        remedy=f"{remedy}; or name {twin} there" if ours else remedy,
    )


def install(stores: Sequence[str], packages: Sequence[str]) -> str:
    """The shell script that leaves the marks and installs."""
    marks = " ".join(map(_mark, stores))
    # The cluster that the package makes takes its encoding from the locale.
    return (
        f"{SETTLE}export LC_ALL=C.UTF-8; mkdir -p {DIRECTORY} && touch {marks} && sync {marks} || exit 1\n"
        f"apt update; apt --no-install-recommends install {' '.join(packages)}"
    )


def _names(stores: Sequence[str]) -> list[str]:
    return [name for store in stores for name in _PACKAGES[store]]


def _mark(store: str) -> str:
    return f"{DIRECTORY}/installed-{store}"
