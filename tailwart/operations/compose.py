"""Compose projects: brought up when what runs differs from what is desired, left alone otherwise.

`tailwart.hosts.project` explains what makes a container be recreated, and finds the reasons. The order here keeps every
crash harmless: the host's record ``.applied`` is written last, after everything was verified. So a run that dies before
that leaves an older record, and the next run brings the project up again.

Not pyinfra's own `docker.compose`: it reports a change at every run.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import Check, ComposeProject, Preparation, drift, record, stale_namespaces
from tailwart.hosts.report import HostReport
from tailwart.operations import hostfiles
from tailwart.operations.diagnosis import explain_failure
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner


@operation()
def up(
    project: ComposeProject,
    around: Callable[[Runner, Callable[[str], None]], AbstractContextManager[None]] | None = None,
) -> Generator[FunctionCommand, None, None]:
    """Bring ``project`` up and wait until every container runs and is healthy; no change where that is so already.

    Its files must have been put there before, by `hostfiles.put` with ``project.watch``. ``around`` surrounds what
    replaces containers: it may prepare them for their end, and look after their successors.
    """
    host = ctx_host.get()
    report = observe(host, project.watch)
    reasons = drift(project, report)
    if not host.state.is_executing:
        changed, made = hostfiles.pending(report, project.files, project.directories)
        # The plan of a run that will first write the files: their effect cannot be seen on the host yet.
        if paths := [item.path for item in made] + [item.path for item in changed]:
            prepared = [item.reason for item in project.preparations if item.pending(report)]
            reasons = [*(f"{path} changes" for path in paths), *prepared]
    if not reasons:
        host.noop(f"{project.name} is up to date")
        return
    announce(host, f"{project.name}: " + "; ".join(reasons))

    def work(run: Runner) -> None:
        resume(run, project)
        with around(run, host.log) if around else nullcontext():
            bring_up(run, project)

    yield command(host, work, f"bring up {project.name}")


def resume(run: Runner, project: ComposeProject) -> None:
    """End every `docker pause` in the project: Compose starts what is stopped, and fails on what is paused."""
    mine = f"--filter label=com.docker.compose.project={project.name}"
    run(_locked(project, f"sh -c 'docker ps -q --filter status=paused {mine} | xargs -r docker unpause'"), timeout=120)


def bring_up(run: Runner, project: ComposeProject) -> None:
    """Bring the project up now, wait until it is healthy, verify, and write the record.

    Raises `TailwartError` with the container, the last output of its healthcheck and log, the cause and the remedy.
    Also the way for other operations to make a changed file count: Compose recreates what differs, nothing else.
    """
    check(run, project.directory, (accepted(project), *project.checks), project.masked)
    for preparation in project.preparations:
        _prepare(run, project, preparation)
    _wait_for_health(run, project)
    # Pulling images takes its time too.
    patience = project.wait_seconds + 900
    report, reasons = _up(run, project, patience)
    if reasons:
        # Something else may have restarted a container since Compose's answer: the unit that keeps Stalwart with its
        # sidecar does just that. A second `up` changes nothing where all is well.
        report, reasons = _up(run, project, patience)
    if reasons:
        raise explain_failure(run, project, report, "; ".join(reasons))
    hostfiles.write(run, [HostFile(project.record_path, record(project, report), "0600")])


def accepted(project: ComposeProject) -> Check:
    """Whether Compose accepts the project's files."""
    return Check(
        what=f"docker compose does not accept the compose.yaml of {project.name}",
        script=f"docker compose {project.options} config --quiet",
        expected="a Compose v2 plugin and the files of this deploy; what runs was left as it is",
        remedy="look at `docker compose version` and at that file on the host, then run the deploy again",
    )


def check(
    run: Runner, directory: str, checks: Iterable[Check], masked: Callable[[str], str] = lambda text: text
) -> None:
    """Raise `TailwartError` for the first check that fails in ``directory``; nothing is changed by them."""
    for item in checks:
        result = run(f"cd {directory} && {item.script}", timeout=300)
        if not result.ok:
            seen = masked((result.stderr or result.stdout).strip()[-2000:]) or "no output"
            raise TailwartError(item.what, seen=seen, expected=item.expected, remedy=item.remedy)


def _prepare(run: Runner, project: ComposeProject, preparation: Preparation) -> None:
    steps = f"if {preparation.needed}; then {preparation.script} && ! {{ {preparation.needed}; }}; fi"
    result = run(_locked(project, f"sh -c {shlex.quote(steps)}"), timeout=600)
    if not result.ok:
        raise TailwartError(
            preparation.what,
            seen=project.masked((result.stderr or result.stdout).strip()[-2000:]) or "no output",
            expected=f"`{preparation.script}` to succeed",
            remedy=preparation.remedy,
        )


def _up(run: Runner, project: ComposeProject, patience: float) -> tuple[HostReport, list[str]]:
    _compose(run, project, "up", "-d", "--remove-orphans", *_waiting(project), timeout=patience)
    # Under the lock, so that no container is read in the middle of a restart.
    report = gather(run, project.watch, project.lock_path)
    for service in stale_namespaces(report):
        _compose(run, project, "up", "-d", "--force-recreate", *_waiting(project), service, timeout=patience)
        report = gather(run, project.watch, project.lock_path)
    return report, drift(project, report, recorded=False)


def _waiting(project: ComposeProject) -> tuple[str, ...]:
    return ("--wait", "--wait-timeout", str(project.wait_seconds))


def _wait_for_health(run: Runner, project: ComposeProject) -> None:
    # `up` gives up at once on a dependency that is unhealthy from an outage that has just ended: give it one more
    # round of its healthcheck to notice.
    run(
        "unhealthy() { docker ps -q --filter health=unhealthy "
        f"--filter label=com.docker.compose.project={project.name}; }}\n"
        'i=0; while [ $i -lt 20 ] && [ -n "$(unhealthy)" ]; do sleep 1; i=$((i+1)); done',
        timeout=120,
    )


def _compose(run: Runner, project: ComposeProject, *words: str, timeout: float) -> None:
    result = run(_locked(project, f"docker compose {project.options} {shlex.join(words)} 2>&1"), timeout=timeout)
    if not result.ok:
        raise explain_failure(run, project, gather(run, project.watch, project.lock_path), result.stdout)


def _locked(project: ComposeProject, line: str) -> str:
    return f"cd {project.directory} && flock -w 300 {project.lock_path} {line}"
