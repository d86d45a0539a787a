"""Why a Compose project did not come up: the container, the last output of its healthcheck and log, the cause."""

from __future__ import annotations

from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject, ContainerStory
from tailwart.hosts.report import Container, HostReport
from tailwart.runner import Runner

_LOG_LINES = 200
_SHOWN_LINES = 8
_OUTPUT_LINES = 6
_HEALTH = "{{if .State.Health}}{{range .State.Health.Log}}{{json .Output}}{{println}}{{end}}{{end}}"


def explain_failure(run: Runner, project: ComposeProject, report: HostReport, output: str) -> TailwartError:
    """The error for a project that is not up; ``output`` is that of Compose, or the reasons that remain."""
    culprits = [container for container in report.containers if not container.healthy]
    stories = [_story(run, project, container) for container in culprits]
    if project.explain is not None and (known := project.explain(stories)) is not None:
        return known
    seen = [line for line in project.masked(output).splitlines() if line.strip()][-_OUTPUT_LINES:]
    for story in stories:
        container = story.container
        state = f"{container.state}, {container.health}" if container.health else container.state
        seen.append(f"{container.name}: {state}, exit code {container.exit_code}")
        seen += [f"  healthcheck: {line}" for line in story.health_output.splitlines()[-3:]]
        seen += [f"  log: {line}" for line in story.log[-_SHOWN_LINES:]]
    names = ", ".join(container.name for container in culprits) or project.name
    return TailwartError(
        f"{names} did not come up",
        seen="\n".join(seen),
        expected=f"every container of {project.name} running and healthy within {project.wait_seconds} s",
        remedy=f"look at `docker compose logs` in {project.directory} on the host, then run again",
    )


def _story(run: Runner, project: ComposeProject, container: Container) -> ContainerStory:
    health = run(f"docker inspect --format '{_HEALTH}' {container.identifier} | grep . | tail -n 1", timeout=60)
    log = run(f"docker logs --tail {_LOG_LINES} {container.identifier} 2>&1", timeout=60)
    text = health.stdout.strip().strip('"').replace("\\n", "\n").strip()
    return ContainerStory(container, project.masked(text), tuple(project.masked(log.stdout).splitlines()))
