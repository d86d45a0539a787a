"""A PostgreSQL that the deploy has installed: its files, what runs, and why the two differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tailwart.backends.addresses import own_addresses
from tailwart.errors import TailwartError
from tailwart.hosts import membership, templates
from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.report import HostReport, PathState, Probe
from tailwart.hosts.watch import Watch
from tailwart.network import LOOPBACK, TAILNET_RANGES

PROBE = "postgres"
_NOTHING = Probe(1, b"")
_LOCAL = ("127.0.0.1/32", "::1/128")
_CONF = "conf.d/tailwart.conf"
_MEGABYTE = 1 << 20

# What the server has not taken up: settings of our file that wait for a restart, and files younger than their loading.
_STATE = """\
SELECT 'restart', name FROM pg_catalog.pg_file_settings WHERE sourcefile LIKE '%/conf.d/tailwart.conf' AND NOT applied;
SELECT 'reload', path FROM (VALUES (current_setting('hba_file')),
  (regexp_replace(current_setting('config_file'), '[^/]*$', 'conf.d/tailwart.conf'))) AS file (path)
  WHERE (pg_catalog.pg_stat_file(path, true)).modification > pg_catalog.pg_conf_load_time();
SELECT 'up';
"""
_AS_POSTGRES = "su postgres -s /bin/sh -c 'cd / && exec psql -X -A -t -q -w postgres'"
_ASK = f"""{_AS_POSTGRES} 2>/dev/null <<'END'
{_STATE}END
"""
_FACTS = f"""
for conf in /etc/postgresql/*/*/postgresql.conf; do
  [ -f "$conf" ] || continue
  cluster=${{conf%/postgresql.conf}}; version=${{cluster%/*}}
  echo "cluster|${{version##*/}}|${{cluster##*/}}"
  for file in "$cluster/{_CONF}" "$cluster/pg_hba.conf"; do
    [ ! -f "$file" ] || stat --printf "file|$file|%a|%U:%G|" "$file"
    [ ! -f "$file" ] || sha256sum <"$file" | cut -d ' ' -f 1
  done
done
sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/memory|\\1/p' /proc/meminfo
command -v psql >/dev/null && {_ASK}
:
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server on ``port``, by the addresses of the tailnet and loopback."""

    port: int
    title: str = "PostgreSQL"

    @property
    def watch(self) -> Watch:
        """The facts that it is compared with."""
        return membership.WATCH | Watch(probes=((PROBE, _FACTS),))

    def files(self, report: HostReport) -> tuple[HostFile, ...]:
        """Its configuration for this host; raises `TailwartError` while there is no cluster, or more than one."""
        directory = _directory(report)
        memory = _memory(report)
        return (
            HostFile(
                f"{directory}/{_CONF}",
                templates.render(
                    "backends/postgres.conf.j2",
                    addresses=(*LOOPBACK, *own_addresses(report)),
                    port=self.port,
                    memory=memory,
                    shared=max(64, min(memory // 8, 2048)),
                    cache=max(128, memory // 2),
                    maintenance=max(32, min(memory // 16, 256)),
                ),
                owner="postgres:postgres",
            ),
            HostFile(
                f"{directory}/pg_hba.conf",
                templates.render("backends/pg_hba.conf.j2", addresses=(*_LOCAL, *TAILNET_RANGES)),
                "0640",
                owner="postgres:postgres",
            ),
        )

    def drift(self, report: HostReport) -> list[str]:
        """Why it must be configured, in the operator's words."""
        reasons = [f"{file.path} changes" for file in pending(_with_files(report), self.files(report))[0]]
        rows = _rows(report)
        if ["up"] not in rows:
            return [*reasons, "PostgreSQL does not run"]
        reasons += [f"PostgreSQL has to restart for {row[1]}" for row in rows if row[0] == "restart"]
        return reasons + [f"PostgreSQL has not read {row[1]}" for row in rows if row[0] == "reload"]

    def activate(self, report: HostReport) -> str:
        """The shell script that makes the files count: a reload, and a restart only where a setting needs one."""
        version, cluster = _cluster(report)
        unit = f"postgresql@{version}-{cluster}.service"
        return f"""
set -u
ask() {{ {_ASK}
}}
systemctl reset-failed {unit} 2>/dev/null; systemctl enable --quiet postgresql.service
systemctl start postgresql.service {unit} && systemctl reload {unit} || exit 1
n=0; while ask | grep -q '^reload' && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done
! ask | grep -q '^restart' || systemctl restart {unit} || exit 1
n=0; until ask | grep -q '^up$' || [ $n -ge 100 ]; do n=$((n+1)); sleep 0.1; done
"""

    def journal(self, report: HostReport) -> str:
        """The command whose output says why it does not start."""
        version, cluster = _cluster(report)
        return f"tail -n 8 /var/log/postgresql/postgresql-{version}-{cluster}.log"


def _rows(report: HostReport) -> list[list[str]]:
    text = report.probes.get(PROBE, _NOTHING).output.decode(errors="replace")
    return [line.split("|") for line in text.splitlines()]


def _cluster(report: HostReport) -> tuple[str, str]:
    found = [(row[1], row[2]) for row in _rows(report) if row[0] == "cluster"]
    if len(found) != 1:
        raise TailwartError(
            f"{'several clusters' if found else 'no cluster'} of PostgreSQL on the backends host",
            seen=", ".join("/".join(each) for each in found) or "nothing below /etc/postgresql",
            expected="one, as the package postgresql makes it",
            remedy="`pg_upgradecluster` and `pg_dropcluster` on the host leave one; `pg_createcluster` makes one",
        )
    return found[0]


def _directory(report: HostReport) -> str:
    return "/etc/postgresql/{}/{}".format(*_cluster(report))


def _memory(report: HostReport) -> int:
    """Megabytes; of a host that does not say, as if it had one gigabyte."""
    kilobytes = next((int(row[1]) for row in _rows(report) if row[0] == "memory"), 1 << 20)
    return kilobytes * 1024 // _MEGABYTE


def _with_files(report: HostReport) -> HostReport:
    """The report with the files whose paths are known only on the host."""
    found = {row[1]: PathState("file", f"0{row[2]}", row[3], row[4]) for row in _rows(report) if row[0] == "file"}
    return replace(report, paths={**report.paths, **found})
