"""Compose projects: brought up when what runs differs from what is desired, left alone otherwise.

Nothing is decided from a prediction. After every successful ``docker compose up`` the host keeps a record
(``.applied`` in the project's directory) of the files that Compose read and of the fingerprint that each container got.
A run that dies anywhere before that leaves an older record, so that the next one brings the project up again; Compose
itself then recreates only what differs. A container that somebody recreated from another compose.yaml has another
fingerprint and is found the same way. Bind-mounted files mean nothing to Compose: a service that reads some carries
their digest in the label ``tailwart.inputs`` (`inputs_digest`).
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.api.operation import operation
from pyinfra.context import ctx_host

from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject, drift, record, stale_namespaces
from tailwart.hosts.report import HostReport, parse
from tailwart.hosts.watch import script
from tailwart.operations import hostfiles
from tailwart.operations.diagnosis import explain_failure
from tailwart.operations.remote import command
from tailwart.runner import Runner


@operation()
def up(project: ComposeProject) -> Generator[FunctionCommand, None, None]:
    """Bring ``project`` up and wait until every container runs and is healthy; nothing to do when that is so already.

    Its files must have been put there before, by `hostfiles.put` with ``project.watch``.
    """
    host = ctx_host.get()
    report = observe(host, project.watch)
    reasons = drift(project, report)
    if not host.state.is_executing:
        changed, made = hostfiles.pending(report, project.files, project.directories)
        # The plan of a run that will first write the files: what they bring about is not to be seen on the host yet.
        paths = [item.path for item in made] + [item.path for item in changed]
        reasons = [f"{path} changes" for path in paths] or reasons
    if not reasons:
        host.noop(f"{project.name} runs as it must")
        return
    if host.state.is_executing or host.state.config.DIFF:
        host.log(f"{project.name}: " + "; ".join(reasons))
    yield command(host, partial(bring_up, project=project), f"bring up {project.name}")


def bring_up(run: Runner, project: ComposeProject) -> None:
    """Bring the project up now, wait until it is healthy, verify, and write the record.

    Raises `TailwartError` with the container, the last words of its healthcheck and log, the cause and the remedy.
    Also the way for other planes to make a changed file count: Compose recreates what differs, nothing else.
    """
    _validate(run, project)
    if project.built:
        _compose(run, project, "build", "--quiet", timeout=project.build_seconds)
    for check in project.checks:
        result = run(f"cd {project.directory} && {check.script}", timeout=300)
        if not result.ok:
            raise TailwartError(
                check.what,
                seen=project.masked((result.stderr or result.stdout).strip()[-2000:]),
                expected="a configuration its own program accepts; what runs was left as it is",
                remedy=check.remedy,
            )
    _wait_for_health(run, project)
    # Pulling images takes its time too.
    patience = project.wait_seconds + 900
    report, reasons = _up(run, project, patience)
    if reasons:
        # Somebody else may have restarted a container between Compose's last word and our look: the unit that keeps
        # Stalwart with its sidecar does just that. A second `up` changes nothing where all is well.
        report, reasons = _up(run, project, patience)
    if reasons:
        raise explain_failure(run, project, report, "; ".join(reasons))
    run_record = record(project, report)
    hostfiles.write(run, [HostFile(project.record_path, run_record, "0600")])


def _up(run: Runner, project: ComposeProject, patience: float) -> tuple[HostReport, list[str]]:
    _compose(run, project, "up", "-d", "--remove-orphans", *_waiting(project), timeout=patience)
    report = _observe(run, project)
    for service in stale_namespaces(report):
        # Compose leaves a container alone whose provider of the network namespace was replaced or restarted under it.
        _compose(run, project, "up", "-d", "--force-recreate", *_waiting(project), service, timeout=patience)
        report = _observe(run, project)
    return report, drift(project, report, recorded=False)


def _validate(run: Runner, project: ComposeProject) -> None:
    result = run(f"cd {project.directory} && docker compose {project.options} config --quiet", timeout=120)
    if not result.ok:
        raise TailwartError(
            f"docker compose does not accept {project.directory}/compose.yaml",
            seen=project.masked(result.stderr.strip()[-2000:]) or "no output",
            expected="a Compose v2 plugin and the files of this deploy",
            remedy="run the deploy again without --limit to an operation; if it persists, look at the file on the host",
        )


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
    locked = f"flock -w 300 {project.lock_path} docker compose {project.options} {shlex.join(words)}"
    line = f"cd {project.directory} && {locked} 2>&1"
    result = run(line, timeout=timeout)
    if not result.ok:
        raise explain_failure(run, project, _observe(run, project), result.stdout)


def _observe(run: Runner, project: ComposeProject) -> HostReport:
    # Under the project's lock, so that a container is not seen in the middle of a restart.
    locked = f"flock -w 300 {project.lock_path} sh -c {shlex.quote(script(project.watch))}"
    return parse(run(locked, timeout=420).stdout.splitlines())
