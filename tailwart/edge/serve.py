"""Brings one edge into service: staged, built, tested with the new binary, and only then activated."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from pyinfra.api.command import FunctionCommand
from pyinfra.context import ctx_host
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_fixed

from tailwart.edge import listeners, passing
from tailwart.edge.drain import drain
from tailwart.edge.image import CONTAINER, DIRECTORY, MOUNT, RELOAD, REPOSITORY, build_errors
from tailwart.edge.plan import NOTHING, PREVIOUS, STAGE, EdgePlan, drift, gaps, in_the_way, unloaded
from tailwart.edge.rollout import Rollout
from tailwart.edge.stock import Stock
from tailwart.environment.lock import Binary
from tailwart.errors import TailwartError
from tailwart.facts.host import observe
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.project import Check
from tailwart.hosts.project import drift as project_drift
from tailwart.operations import hostfiles
from tailwart.operations.compose import accepted, bring_up, check
from tailwart.operations.guard import operation
from tailwart.operations.progress import announce
from tailwart.operations.remote import command, gather
from tailwart.runner import Runner

Trust = Callable[[str, Binary], None]
"""Is told which Caddy a host is about to run, by architecture and modules; raises `TailwartError` for another one than
was met before."""

FALL_BACK = (
    f"cd {DIRECTORY} && "
    f"docker compose --project-name {CONTAINER} --file compose.yaml up -d --wait --wait-timeout 60 && "
    f"{RELOAD}"
)
"""Lets the files that are in place serve: the image first, then the configuration, which the container may have had."""

_BUILD_SECONDS = 1800
_LISTEN_SECONDS = 20


@operation()
def serve(plan: EdgePlan, trust: Trust, rollout: Rollout, stock: Stock) -> Generator[FunctionCommand, None, None]:
    """The edge runs the desired image with the desired configuration and listens; no change where it does."""
    host = ctx_host.get()
    report = observe(host, plan.project.watch)
    reasons = drift(plan, report)
    if not reasons:
        host.noop("the edge is up to date")
        return
    announce(host, "edge: " + "; ".join(reasons))
    if host.state.config.DIFF:
        hostfiles.show(host, report, hostfiles.pending(report, plan.files)[0])
    provide = partial(stock.provide, host)
    work = partial(activate, plan=plan, trust=trust, turn=partial(rollout.turn, host.name), provide=provide)
    yield command(host, work, "activate the edge")


def build_here(run: Runner, reference: str, build: Callable[[Runner], None]) -> None:
    """The image on a host that is alone: built unless it is there."""
    if not run(f"docker image inspect {reference} >/dev/null 2>&1", timeout=60).ok:
        build(run)


def activate(
    run: Runner,
    plan: EdgePlan,
    trust: Trust,
    turn: Callable[..., AbstractContextManager[None]] = lambda **_: nullcontext(),
    provide: Callable[[Runner, str, Callable[[Runner], None]], None] = build_here,
) -> None:
    """Do all that is missing; raises `TailwartError`.

    Until the new binary has accepted the new configuration, and it is this edge's ``turn``, nothing that serves is
    touched; if the new edge then does not come up, the previous one is put back.
    """
    report = gather(run, plan.project.watch)
    if taken := in_the_way(plan, report):
        raise listeners.refusal(taken)
    stage(run, plan, provide)
    _record_digest(run, plan, trust)
    if passing.begins(plan.routes, report.probes.get("config", NOTHING).output.decode(errors="replace")):
        passing.check(run, plan.routes, f"docker run --rm --network host --entrypoint /usr/bin/curl {plan.reference}")
    running = f"docker inspect --format '{{{{.State.Running}}}}' {CONTAINER} 2>/dev/null"
    served = run(f'test "$({running})" = true && test -f {DIRECTORY}/compose.yaml').ok
    with turn(serves=served):
        _swap(run, plan, keep=served)
        try:
            _start(run, plan, serves=served)
        except TailwartError as problem:
            if served:
                _fall_back(run)
                problem.expected += "; the previous edge was put back"
            raise
    _forget_older_images(run)


def stage(
    run: Runner,
    plan: EdgePlan,
    provide: Callable[[Runner, str, Callable[[Runner], None]], None] = build_here,
) -> None:
    """The new files beside those that serve, the image, and its test; raises `TailwartError`."""
    hostfiles.write(run, plan.staged, (*plan.directories, HostDirectory(STAGE)))
    provide(run, plan.reference, partial(_build, plan=plan))
    _test(run, plan)


def _build(run: Runner, plan: EdgePlan) -> None:
    # The host's own network: the resolver and the routes are known to work there, on an IPv6-only host as well. Without
    # the builder's cache: a download that was refused afterwards would come back from it.
    result = run(
        f"tar -C {STAGE} -c Dockerfile fetch-caddy.sh | "
        f"docker build --network host --no-cache --tag {plan.reference} - 2>&1",
        timeout=_BUILD_SECONDS,
    )
    if result.ok:
        return
    raise TailwartError(
        "the edge's image cannot be built",
        seen=build_errors(result.stdout),
        expected="a Caddy with caddy-l4 from CADDY_DOWNLOAD_URL; what served before still does",
        remedy="fix the error above and run the deploy again",
    )


def _test(run: Runner, plan: EdgePlan) -> None:
    """The new binary accepts the new configuration, and Compose the new project."""
    binary = f"docker run --rm --network none --volume {STAGE}:{MOUNT}:ro --entrypoint /usr/bin/caddy {plan.reference}"
    caddy = Check(
        what="the new Caddy does not accept the new caddy.json",
        script=f"{binary} validate --config {MOUNT}/caddy.json 2>&1",
        expected="`caddy validate` to pass; what served before still does",
        remedy="check CADDY_PLUGINS and CADDY_SHA256: another Caddy release may have changed the format",
    )
    check(run, STAGE, (caddy, accepted(plan.project)))


def _swap(run: Runner, plan: EdgePlan, *, keep: bool) -> None:
    names = shlex.join([*(file.path.rpartition("/")[2] for file in plan.files), "caddy.sha256"])
    steps = ["set -e", f"cd {DIRECTORY}"]
    if keep:
        running = f"docker inspect --format '{{{{.Image}}}}' {CONTAINER}"
        built = f"docker image inspect --format '{{{{.Id}}}}' {plan.reference}"
        steps += [
            # The copy is complete or absent: a run that dies here leaves no half of it.
            f'rm -rf {PREVIOUS}.part*; part=$(mktemp -d {PREVIOUS}.part-XXXXXX); chmod 755 "$part"',
            f'cp -p {names} "$part"; rm -rf {PREVIOUS}; mv -T "$part" {PREVIOUS}',
            f'[ "$({running})" = "$({built})" ] || docker tag "$({running})" {REPOSITORY}:previous',
        ]
    steps += [f"for name in {names}; do mv -fT -- {STAGE}/$name {DIRECTORY}/$name; done", f"rmdir {STAGE}"]
    result = run("\n".join(steps), timeout=120)
    if not result.ok:
        raise TailwartError(
            f"could not put the new files into {DIRECTORY}",
            seen=result.stderr.strip()[-500:],
            expected="a writable file system",
            remedy=f"look at `df -h {DIRECTORY}` on the host, then run again",
        )


def _start(run: Runner, plan: EdgePlan, *, serves: bool) -> None:
    if project_drift(plan.project, gather(run, plan.project.watch)):
        if serves:
            drain(run)
        bring_up(run, plan.project)
    report = gather(run, plan.project.watch)
    if unloaded(plan, report):
        result = run(f"{RELOAD} 2>&1", timeout=120)
        if not result.ok:
            raise TailwartError(
                "Caddy did not load the new configuration",
                seen=result.stdout.strip()[-1500:],
                expected="`caddy reload` to load caddy.json",
                remedy=f"look at `docker logs {CONTAINER}` on the host",
            )
        report = gather(run, plan.project.watch)
    if unloaded(plan, report) or gaps(plan, report):
        _await_listening(run, plan)


def _await_listening(run: Runner, plan: EdgePlan) -> None:
    def missing() -> list[str]:
        report = gather(run, plan.project.watch)
        found = [f"{gap} does not listen" for gap in gaps(plan, report)]
        return found or (["Caddy runs with another configuration than caddy.json"] if unloaded(plan, report) else [])

    def pause(seconds: float) -> None:
        run(f"sleep {seconds:g}")

    attempts: Retrying = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_attempt(_LISTEN_SECONDS),
        wait=wait_fixed(1),
        sleep=pause,
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    if left := attempts(missing):
        raise TailwartError(
            "the edge does not serve its new configuration",
            seen=", ".join(left),
            expected=f"ports {', '.join(map(str, plan.routes.ports))} on IPv4" + (" and IPv6" if plan.ipv6 else ""),
            remedy=f"look at `docker logs {CONTAINER}`; IPv6 needs net.ipv6.conf.all.disable_ipv6=0 on the host",
            lesson=8 if any("IPv6" in reason for reason in left) else None,
        )


def _fall_back(run: Runner) -> None:
    run(f"[ -d {PREVIOUS} ] && cp -p {PREVIOUS}/* {DIRECTORY}/ && {FALL_BACK}", timeout=300)


def _record_digest(run: Runner, plan: EdgePlan, trust: Trust) -> None:
    """Stage the digest of the binary that the image holds, as `sha256sum` would print it, once it is trusted."""
    inside = f"docker run --rm --network none --entrypoint /bin/sh {plan.reference} -c"
    found = run(f"{inside} 'cat /usr/bin/caddy.sha256; uname -m; /usr/bin/caddy version'", timeout=60)
    digest, machine, version = (*found.stdout.splitlines(), "", "", "")[:3]
    if not found.ok or not digest.strip():
        raise TailwartError(
            "the edge's new image does not say which Caddy it holds, so that cannot be trusted",
            seen=(found.stderr.strip().splitlines() or ["no output"])[-1],
            expected="the SHA-256 in /usr/bin/caddy.sha256 of the image",
            remedy="look at the host's memory and `docker info`, then run the deploy again",
        )
    try:
        trust(f"{machine} {' '.join(plan.inputs.modules)}", Binary(digest.strip(), version.split(" ")[0]))
    except TailwartError:
        # The next run downloads again: the service may have gone back to what is trusted.
        run(f"docker image rm {plan.reference} >/dev/null 2>&1", timeout=60)
        raise
    hostfiles.write(run, [HostFile(f"{STAGE}/caddy.sha256", f"{digest.strip()}  /usr/bin/caddy\n")])


def _forget_older_images(run: Runner) -> None:
    """Keep two images: the one that serves and the one before, which a failing start falls back to."""
    run(
        f"keep=$(grep -ho '{REPOSITORY}:[0-9a-f]*' {DIRECTORY}/compose.yaml {PREVIOUS}/compose.yaml 2>/dev/null)\n"
        f"docker image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {REPOSITORY} | grep -vFx '{REPOSITORY}:previous' "
        '| grep -vFx "$keep" | xargs -r docker image rm >/dev/null 2>&1 || :',
        timeout=120,
    )
