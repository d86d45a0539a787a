"""The container engine: used when it is there, installed when it is not, restarted only when its settings require it.

Not pyinfra's own `apt.packages` and `systemd.service`: which packages there are is known only after `apt-get update`,
and whether the daemon runs with its settings is asked of the daemon.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.engine import EngineNeeds, needs
from tailwart.hosts.files import HostFile
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import DAEMON_JSON, ENGINE_INSTALLING, ENGINE_MARKER, Watch
from tailwart.operations.guard import operation
from tailwart.operations.hostfiles import write
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner

# Docker's own packages where their repository is configured, Debian's otherwise; decided before anything is installed,
# and written down: a run that is killed meanwhile must install the same, although part of it is there by then.
_PACKAGES = (
    SETTLE
    + r"""
set -u; marker=@MARKER@
candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '(none)'; }
known() { for name in "$@"; do [ -n "$(candidate $name)" ] && printf '%s ' $name; done; }
modern() { case $(candidate docker-compose) in ''|0.*|1.*) return 1 ;; esac; }
apt update || exit 3
packages=$(cat "$marker" 2>/dev/null)
engine=; [ -n "$(command -v docker)" ] || engine=missing
if [ -n "$packages" ]; then
  apt -f install || exit 3
elif [ -n "$(candidate docker-compose-plugin)" ]; then
  packages="docker-compose-plugin ${engine:+$(known docker-ce docker-ce-cli containerd.io docker-buildx-plugin)}"
elif modern; then
  packages="docker-compose ${engine:+$(known docker.io docker-cli docker-buildx iptables ca-certificates)}"
else
  echo "no-compose $(. /etc/os-release; echo "$PRETTY_NAME"), docker-compose $(candidate docker-compose)"; exit 4
fi
mkdir -p "${marker%/*}" && echo "$packages" >"$marker" && sync "$marker"
apt --no-install-recommends install $packages && rm -f "$marker"
""".replace("@MARKER@", ENGINE_INSTALLING)
)

_START = (
    SETTLE
    + """
systemctl daemon-reload; systemctl reset-failed docker.service docker.socket containerd.service 2>/dev/null
systemctl enable docker.service && systemctl start docker.service && docker version --format ok
"""
)


@operation()
def ensure(watch: Watch, ipv6_nat: bool = False) -> Generator[FunctionCommand, None, None]:
    """The engine and Compose v2 are installed, started and enabled.

    ``ipv6_nat`` also gives containers with ULA addresses IPv6 egress: engines before 27 need two switches in
    daemon.json for it, which are merged into what is there; the engine restarts only when it runs without them.
    """
    host = ctx_host.get()
    report = observe(host, watch)
    try:
        reasons = needs(report, ipv6_nat=ipv6_nat).reasons()
    except TailwartError as problem:
        # A plan only announces it: the operation fails when it executes.
        reasons = [str(problem)]
    if not reasons:
        host.noop(f"engine {report.engine.version} and Compose {report.engine.compose} are installed and up to date")
        return
    announce(host, "; ".join(reasons))
    yield command(host, partial(provide, ipv6_nat=ipv6_nat), "container engine")


def provide(run: Runner, *, ipv6_nat: bool) -> None:
    """Do what is needed, with facts gathered again after each step; raises `TailwartError` with the host's output."""
    needed = _needs(run, ipv6_nat)
    if needed.install or needed.compose:
        _install(run)
        needed = _needs(run, ipv6_nat)
    if needed.start:
        result = run(_START, timeout=600)
        if not result.ok:
            raise _not_running(run, result.stderr)
        needed = _needs(run, ipv6_nat)
    if needed.restart:
        _restart(run, needed, ipv6_nat)
    elif needed.marker_done:
        run(f"rm -f {ENGINE_MARKER}", timeout=60)
    left = _needs(run, ipv6_nat).reasons()
    if left:
        raise TailwartError(
            "the container engine is not up to date after all steps",
            seen="; ".join(left),
            expected="an engine that answers, with Compose v2, running with its settings",
            remedy="look at `docker version`, `docker compose version` and `journalctl -u docker` on the host",
        )


def _needs(run: Runner, ipv6_nat: bool) -> EngineNeeds:
    return needs(gather(run, Watch()), ipv6_nat=ipv6_nat)


def _install(run: Runner) -> None:
    result = run(_PACKAGES, timeout=1800)
    if result.ok:
        return
    if result.stdout.startswith("no-compose"):
        raise TailwartError(
            "no package with Compose v2 on this host; nothing was installed",
            seen=result.stdout.strip().removeprefix("no-compose "),
            expected="Debian 13, or Docker's own apt repository with docker-compose-plugin",
            remedy="upgrade the host to Debian 13, or add Docker's repository (docs.docker.com/engine/install/debian) "
            "and run again",
        )
    raise TailwartError(
        "the container engine could not be installed",
        seen="\n".join(result.stderr.strip().splitlines()[-6:]),
        expected="apt-get update and install to succeed",
        remedy="look at /etc/apt/sources.list.d and at the host's network, then run again",
    )


def _restart(run: Runner, needed: EngineNeeds, ipv6_nat: bool) -> None:
    before = gather(run, Watch())
    # The marker comes first: a run that dies before the restart leaves a daemon that the marker still names.
    write(run, [HostFile(ENGINE_MARKER, before.engine.identity + "\n", "0600")])
    if needed.settings is not None:
        _validate(run, needed.settings)
        write(run, [HostFile(DAEMON_JSON, needed.settings)])
    result = run("systemctl restart docker.service && docker version --format ok", timeout=300)
    if not result.ok:
        problem = _not_running(run, result.stderr)
        if needed.settings is not None:
            _put_back(run, before)
        raise problem
    run(f"rm -f {ENGINE_MARKER}", timeout=60)
    if _needs(run, ipv6_nat).restart:
        raise TailwartError(
            "the engine was restarted and still runs without its settings",
            seen=f"`docker version` reports Experimental false although {DAEMON_JSON} has true",
            expected="the daemon to read that file",
            remedy="look for --config-file in `systemctl cat docker.service` on the host",
            lesson=9,
        )


def _validate(run: Runner, settings: bytes) -> None:
    # `dockerd --validate` came with engine 23; the settings of an older one cannot be checked before its restart.
    result = run(
        'candidate=$(mktemp) && trap \'rm -f "$candidate"\' EXIT && cat >"$candidate" && '
        'if dockerd --help 2>&1 | grep -q -e --validate; then dockerd --validate --config-file "$candidate" 2>&1; fi',
        stdin=settings.decode(),
        timeout=60,
    )
    if not result.ok:
        raise TailwartError(
            f"the engine does not accept {DAEMON_JSON} with experimental and ip6tables; it was left as it is",
            seen=(result.stdout or result.stderr).strip()[-500:],
            expected="a file that `dockerd --validate` accepts",
            remedy=f"correct the other keys of {DAEMON_JSON} on the host, then run again",
        )


def _put_back(run: Runner, before: HostReport) -> None:
    previous = before.contents.get(DAEMON_JSON)
    if previous is None:
        run(f"rm -f {DAEMON_JSON}", timeout=60)
    else:
        write(run, [HostFile(DAEMON_JSON, previous)])
    run(f"rm -f {ENGINE_MARKER}; systemctl reset-failed docker.service; systemctl restart docker.service", timeout=300)


def _not_running(run: Runner, output: str) -> TailwartError:
    journal = run("journalctl -u docker.service -n 8 -o cat --no-pager 2>&1", timeout=60).stdout
    return TailwartError(
        "the container engine does not start",
        seen="\n".join([*output.strip().splitlines()[-3:], *journal.strip().splitlines()]),
        expected="docker.service active and answering",
        remedy="look at `journalctl -u docker` on the host; the previous settings were put back if these were new",
    )
