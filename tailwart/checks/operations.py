"""The status page on the mailbox host, as pyinfra operations and as functions for the commands."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostFile
from tailwart.hosts.packages import SETTLE
from tailwart.hosts.watch import Watch
from tailwart.mailbox import status as names
from tailwart.operations import hostfiles
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command
from tailwart.runner import Runner

_PACKAGE = "busybox"


@operation()
def install(watch: Watch) -> Generator[FunctionCommand, None, None]:
    """The program that serves the page is installed."""
    host = ctx_host.get()
    found = observe(host, watch).probes.get(names.PROBE)
    if found and found.output.strip():
        host.noop(f"{_PACKAGE} is installed")
        return
    announce(host, f"{_PACKAGE} to be installed")
    yield command(host, _provide, f"install {_PACKAGE}")


def _provide(run: Runner) -> None:
    result = run(f"{SETTLE}\napt update && apt --no-install-recommends install {_PACKAGE}", timeout=900)
    if not result.ok:
        raise TailwartError(
            f"{_PACKAGE}, which serves the status page, could not be installed",
            seen="\n".join(result.stderr.strip().splitlines()[-6:]),
            expected="Debian's package",
            remedy="look at /etc/apt/sources.list.d and at the host's network, then run again; or STATUS_PAGE=off",
        )


@operation()
def remove(watch: Watch) -> Generator[FunctionCommand, None, None]:
    """Without STATUS_PAGE, nothing of an earlier one goes on."""
    host = ctx_host.get()
    paths = observe(host, watch).paths
    if not [path for path in off().paths if path in paths]:
        host.noop("no status page is served (STATUS_PAGE)")
        return
    announce(host, "STATUS_PAGE is off: the page, its timer and its server are removed")
    yield command(host, _remove, "remove the status page")


def off() -> Watch:
    """What tells a host that serves a page although it is switched off."""
    return Watch(paths=names.UNIT_FILES)


REMOVAL = f"""systemctl disable --now {" ".join(names.UNITS)} 2>/dev/null
docker rm -f tailwart-status >/dev/null 2>&1; docker image rm {names.IMAGE} >/dev/null 2>&1
rm -rf {names.DIRECTORY}; rm -f {" ".join(names.UNIT_FILES)}; systemctl daemon-reload"""


def _remove(run: Runner) -> None:
    result = run(REMOVAL, timeout=120)
    if not result.ok:
        raise TailwartError(
            "the status page cannot be removed",
            seen=result.stderr.strip()[-300:],
            expected="root's rights and systemd",
            remedy="look at the host, then run again",
        )


def publish(run: Runner, page: str) -> None:
    """Put the page of a whole run on the host, where the next refresh serves it, and refresh now.

    Raises `TailwartError` where no deploy has set STATUS_PAGE up.
    """
    if not run(f"[ -f /etc/systemd/system/{names.REFRESH}.timer ]", timeout=60).ok:
        raise TailwartError(
            "the mailbox host serves no status page",
            seen=f"no {names.REFRESH}.timer",
            expected="what the deploy installs with STATUS_PAGE=on",
            remedy="set STATUS_PAGE=on in .env, then: pyinfra inventory.py deploy.py --limit mailbox --limit tailnet",
        )
    hostfiles.write(run, [HostFile(names.SEEN, page)])
    done = run(f"systemctl start {names.REFRESH}.service", timeout=300)
    if not done.ok:
        raise TailwartError(
            "the status page cannot be refreshed",
            seen=done.stderr.strip()[-300:],
            remedy=f"journalctl -u {names.REFRESH} (on the mailbox host)",
        )
