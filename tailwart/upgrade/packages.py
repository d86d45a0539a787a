"""Packages of a store: what the archive has newer, whether that step is known to be good, and the way back. Pure.

The way back does not ask an archive, which keeps the newest version only: the packages of now are built again from the
files on the host before anything changes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tailwart.errors import TailwartError
from tailwart.hosts.packages import SETTLE

NOTE = "/var/lib/tailwart/upgrade-packages.json"
"""There while packages are not proven yet."""
KEPT = "/var/lib/tailwart/before-upgrade.packages"
"""The packages of before, and the files of a store that another version might not read."""

_INSTALLED = r"^Inst (\S+) (?:\[([^\]]+)\] )?\((\S+) "
_MAJOR = re.compile(r"(?:\d+:)?(\d+)")
_KEEP = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends"


@dataclass(frozen=True, slots=True)
class Package:
    """A package, its version of now, empty where it comes new, and the one to come."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Store:
    """A server that the deploy has installed.

    ``source`` is a regular expression for the source package that its own packages are built from, ``unit`` a pattern
    of systemd for its unit; ``data`` is the directory whose files a version of before might not read, if any.
    """

    title: str
    source: str
    unit: str
    port: int
    data: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Packages that were exchanged and are not proven yet."""

    title: str
    packages: tuple[Package, ...]

    def dump(self) -> str:
        """The note as the host keeps it."""
        return json.dumps(asdict(self)) + "\n"

    @property
    def describe(self) -> str:
        """As people write it: `PostgreSQL 17.12-0 → 17.13-0`."""
        return f"{self.title} {self.packages[0].before} → {self.packages[0].after}"


def parse(text: str) -> Note | None:
    """The note of a host; None for none, and for one that nobody can read."""
    try:
        document = json.loads(text)
        return Note(str(document["title"]), tuple(Package(**each) for each in document["packages"]))
    except (ValueError, KeyError, TypeError):
        return None


def ask(store: Store) -> str:
    """The script that lists what apt would do to the store's own packages; they may be held."""
    return f"""{SETTLE}
apt update || exit 1
own=$(dpkg-query -W -f '${{db:Status-Status}} ${{source:Package}} ${{Package}}\\n' |
  awk '$1 == "installed" && $2 ~ /{store.source}/ {{ print $3 }}')
[ -n "$own" ] || exit 0
printf 'Own %s\\n' $own
apt-get -s -q --ignore-hold --only-upgrade --no-install-recommends install $own
"""


def newer(store: Store, said: str) -> tuple[Package, ...]:
    """The store's own packages of which there is a newer version; the server's first.

    Raises `TailwartError` for a step that is not known to be good: to another major version, or one that removes.
    """
    if removed := re.findall(r"(?m)^Remv (\S+)", said):
        raise TailwartError(
            f"a newer {store.title} would remove packages; nothing was changed",
            seen=", ".join(removed),
            remedy="look at `apt-get -s upgrade` on the backends host",
        )
    own = re.findall(r"(?m)^Own (\S+)$", said)
    found = [Package(*row) for row in re.findall(f"(?m){_INSTALLED}", said) if row[0] in own]
    for package in found:
        old, new = (_MAJOR.match(version) for version in (package.before, package.after))
        if old and new and old[1] != new[1]:
            raise TailwartError(
                f"there is no direct way from {store.title} {package.before} to {package.after}",
                seen="two major versions",
                expected=f"a package of version {old[1]}: its files are read by every other release of it",
                remedy="take a backup, read the release notes, and upgrade by hand on the backends host "
                "(PostgreSQL: `pg_upgradecluster`); then deploy",
            )
    return tuple(sorted(found, key=lambda package: ("client" in package.name or "lib" in package.name, package.name)))


# What dpkg knows of a package and its files, as a package again. Directories that are links on a merged /usr stay out.
_REPACK = """
repack() {
  rm -rf "$kept/part" && mkdir -p "$kept/part/DEBIAN" || return 1
  dpkg-query -s "$1" | awk '/^Conffiles:/ { skip = 1; next } /^[^ ]/ { skip = 0 } !skip && !/^Status:/' \
    >"$kept/part/DEBIAN/control"
  for file in $(dpkg-query --control-list "$1"); do
    cp -p "$(dpkg-query --control-path "$1" "$file")" "$kept/part/DEBIAN/$file" || return 1
  done
  dpkg-query -L "$1" | grep '^/' | grep -vxE '/\\.|/(bin|sbin|lib|lib64)' |
    while IFS= read -r file; do [ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\\n' "${file#/}"; done |
    tar -C / --no-recursion -cf - -T - | tar -C "$kept/part" -xpf - || return 1
  dpkg-deb -Zgzip -z1 --build "$kept/part" "$kept" >/dev/null && rm -rf "$kept/part"
}
"""


def keep(store: Store, packages: Sequence[Package], kept: str = KEPT) -> str:
    """The script that builds the packages of now again, and keeps the files that another version might not read."""
    return f"""
kept={kept}; umask 022
{_REPACK}
rm -rf $kept && mkdir -p -m 0700 $kept || exit 1
for name in {_names(packages)}; do repack $name || {{ echo "$name cannot be packed" >&2; exit 1; }}; done
{f"cp -a {store.data} $kept/data || exit 1" if store.data else ":"}
sync
"""


def fetch(packages: Sequence[Package]) -> str:
    """The script that fetches the packages to come while those of now serve."""
    return f"""{SETTLE}
apt-mark unhold {_names(packages)} >/dev/null
apt {_KEEP} --download-only --only-upgrade install {_versions(packages)}
"""


def swap(store: Store, packages: Sequence[Package]) -> str:
    """The script that installs them, and has the server run what is installed."""
    installing = f"apt {_KEEP} --only-upgrade install {_versions(packages)} || exit 1"
    return f"{SETTLE}{installing}\n{_serve(store, packages, new=True)}"


def back(store: Store, packages: Sequence[Package], kept: str = KEPT) -> str:
    """The script that puts the packages of before back; nobody installs the others again until they are asked for."""
    data = f"""
systemctl is-active --quiet '{store.unit}' || {{
  systemctl stop '{store.unit}'; rm -rf {store.data}.failed && mv {store.data} {store.data}.failed &&
  cp -a {kept}/data {store.data} && systemctl reset-failed '{store.unit}'; systemctl start '{store.unit}'
}}
"""
    return f"""
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
dpkg --force-downgrade --force-confold --force-confdef -i {kept}/*.deb >&2 || exit 1
apt-mark hold {_names(packages)} >/dev/null
{_serve(store, packages, new=False)}{data if store.data else ""}"""


def _serve(store: Store, packages: Sequence[Package], *, new: bool) -> str:
    """The versions are installed, and no process runs a program that is no longer on the disk."""
    rows = "".join(f"{item.name} {item.after if new else item.before}\n" for item in packages)
    return f"""
systemctl reset-failed '{store.unit}' 2>/dev/null
for unit in $(systemctl list-units --all --plain --no-legend '{store.unit}' | awk '{{ print $1 }}'); do
  pid=$(systemctl show -p MainPID --value "$unit")
  case "$(systemctl is-active "$unit") $(readlink "/proc/$pid/exe")" in
    "active "*deleted* | inactive* | failed*) systemctl restart "$unit" ;;
  esac
done
now=$(dpkg-query -W -f '${{Package}} ${{Version}}\\n' {_names(packages)} | sort)
[ "$now" = "$(printf '%s' {shlex.quote(rows)} | sort)" ] || {{ echo "installed: $now" >&2; exit 1; }}
"""


def _names(packages: Sequence[Package]) -> str:
    return " ".join(shlex.quote(item.name) for item in packages)


def _versions(packages: Sequence[Package]) -> str:
    return " ".join(shlex.quote(f"{item.name}={item.after}") for item in packages)
