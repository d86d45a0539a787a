"""The mailbox host changes hands, and back. Each step may be interrupted: the next run goes on from the journal.

What keeps every moment harmless:

1. the old project runs until files, images and volumes of the new one are there;
2. its containers are kept: stopped, without a restart policy, under another name. Nothing of them is recreated;
3. the volumes are filled once, while nothing runs, and that is noted before the mailbox first starts: filling them
   again would lose the mail that came in since;
4. a mailbox that does not come up gives way to the old project at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tailwart.adoption import journal as journals
from tailwart.adoption.containers import STOPPED_NAME
from tailwart.adoption.found import Mailbox
from tailwart.adoption.journal import DIRECTORY, Journal, Old, Step
from tailwart.adoption.transfers import bring, take_back
from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Completed, Runner

HOST = "mailbox"
_VOLUMES = ("stalwart-data", "stalwart-etc", "ts-state")
VARIABLES = f"{DIRECTORY}/variables.yaml"
_VALUES = f"{DIRECTORY}/variables.env"
_LIVE_SECONDS = 120


def begin(found: Mailbox) -> Journal:
    """The journal of a hand-over that is to begin."""
    return Journal(
        HOST,
        old=tuple(Old(item.name, item.identifier, item.restart) for item in (found.sidecar, found.stalwart)),
        transfers=found.transfers,
        owner=found.owner,
        project=found.stalwart.project,
        directory=found.stalwart.directory,
        files=found.stalwart.files,
    )


@dataclass(slots=True)
class Handover:
    """One mailbox host. ``prepare`` puts files of the mailbox there, ``up`` brings it up and waits until it is healthy.

    ``images`` are fetched while the old project serves. ``remove`` takes the role off the host, and keeps its volumes.
    """

    run: Runner
    journal: Journal
    images: tuple[str, ...]
    prepare: Callable[[], None]
    up: Callable[[], None]
    remove: Callable[[], None]
    log: Callable[[str], None]
    _seconds: int = field(default=0, init=False)

    def execute(self) -> None:
        """From wherever an earlier run has come to, until the mailbox serves. Raises `TailwartError`."""
        if self.journal.returning:
            raise TailwartError(
                "a way back was begun on this host",
                seen=journals.path(HOST),
                remedy="tailwart adopt --back finishes it; afterwards a hand-over can begin again",
            )
        if self.journal.step < Step.STOPPED:
            journals.write(self.run, self.journal)
            self._make_ready()
        if self.journal.step >= Step.SERVING:
            return
        try:
            self._change()
        except TailwartError as problem:
            self.log("the mailbox did not come up: the old project is started again")
            self.back()
            problem.expected = f"{problem.expected or 'a mailbox that comes up'}; the old project serves again"
            raise

    def _change(self) -> None:
        if self.journal.step < Step.STOPPED:
            self._stop()
        if self.journal.step < Step.FILLED:
            self.log("bringing store and node state into the volumes of the deploy")
            filled = self.run(bring(self.journal.transfers, self.journal.owner), timeout=14400)
            self._checked(filled, "fill the volumes")
            self._note(self.journal.at(Step.FILLED))
        self.up()
        self._seconds = self._clock() - self.journal.stopped_at
        self._note(self.journal.at(Step.SERVING))
        self.log(f"the mailbox serves: {self._seconds} s after the old one stopped")

    def adopted(self) -> None:
        """After a whole deploy: nothing of the hand-over is left to do."""
        self._note(self.journal.at(Step.ADOPTED))

    def back(self) -> None:
        """The old project serves again, with everything since; raises `TailwartError`."""
        filled = self.journal.step >= Step.FILLED
        if not self.journal.returning:
            lacking = self._lacking() if self.journal.step >= Step.SERVING and self.journal.project else ()
            self._note(replace(self.journal, returning=True, lacking=lacking))
        if not self.journal.returned:
            if lacking := self.journal.lacking:
                self._keep_variables(lacking)
            self.remove()
            if filled:
                self.log("bringing store and node state back into the old project's volumes")
                self._checked(self.run(take_back(self.journal.transfers), timeout=14400), "bring the store back")
            self._note(replace(self.journal, returned=True))
        self._start()
        if self.journal.lacking:
            self.log(
                f"the server's settings refer to {', '.join(self.journal.lacking)}: the old Compose project was "
                f"started with {VARIABLES} beside its own files, and needs it whenever it is recreated"
            )
        else:
            self.run(f"rm -f {VARIABLES} {_VALUES}", timeout=60)
        journals.forget(self.run, self.journal)

    def _make_ready(self) -> None:
        self.prepare()
        for image in self.images:
            name = shlex.quote(image)
            fetched = self.run(f"docker image inspect {name} >/dev/null 2>&1 || docker pull -q {name}", timeout=1800)
            self._checked(fetched, f"fetch {image}")
        # With the labels of Compose, which otherwise warns that they are not its own.
        label = f"--label com.docker.compose.project={names.PROJECT} --label com.docker.compose.volume="
        made = " && ".join(f"docker volume create {label}{one} {names.PROJECT}_{one}" for one in _VOLUMES)
        self._checked(self.run(made, timeout=120), "make the volumes")

    def _stop(self) -> None:
        self._note(replace(self.journal, stopped_at=self.journal.stopped_at or self._clock()))
        self.log("the old project stops")
        self._checked(self.run(stop_script(self.journal.old, seconds=60), timeout=300), "stop the old project")
        self._note(self.journal.at(Step.STOPPED))

    def _start(self) -> None:
        sidecar, server = self.journal.old
        self._checked(self.run(name_script(self.journal.old), timeout=120), "give the old containers their names back")
        if self.journal.lacking:
            files = " ".join(f"--file {shlex.quote(file)}" for file in (*self.journal.files, VARIABLES))
            project = f"--project-directory {shlex.quote(self.journal.directory)} --project-name {self.journal.project}"
            started = self.run(f"docker compose {project} {files} up -d 2>&1", timeout=900)
        else:
            started = self.run(_start_behind(sidecar, server), timeout=300)
        self._checked(started, "start the old project")
        self._checked(self.run(_live(server.name), timeout=_LIVE_SECONDS * 3), "reach the old server, now started,")

    def _lacking(self) -> tuple[str, ...]:
        """Variables of the mailbox's container that the old one lacks."""
        server = self.journal.old[-1]
        old = f"docker inspect --format '{{{{range .Config.Env}}}}{{{{println .}}}}{{{{end}}}}' {server.identifier}"
        done = self.run(
            f"{old} 2>/dev/null | cut -d= -f1; echo --; cut -d= -f1 {names.DIRECTORY}/.env 2>/dev/null || :", timeout=60
        )
        before, _, after = done.stdout.partition("--\n")
        return tuple(name for name in after.split() if name not in before.split())

    def _keep_variables(self, lacking: Iterable[str]) -> None:
        """The mailbox's own values, before they go with it; never over values that were kept before."""
        service = self._service()
        lines = f"services:\n  {service}:\n    env_file: [{_VALUES}]\n"
        pattern = "|".join(lacking)
        # Compose's own quoting of .env holds in an env_file as well.
        done = self.run(
            f"set -eu; umask 077; [ -s {_VALUES} ] || "
            f"{{ grep -E '^({pattern})=' {names.DIRECTORY}/.env >{_VALUES}.new; mv {_VALUES}.new {_VALUES}; }}; "
            f"printf %s {shlex.quote(lines)} >{VARIABLES}",
            timeout=60,
        )
        self._checked(done, "keep the variables of the mailbox")

    def _service(self) -> str:
        label = '{{index .Config.Labels "com.docker.compose.service"}}'
        done = self.run(f"docker inspect --format {shlex.quote(label)} {self.journal.old[-1].identifier}", timeout=60)
        return done.stdout.strip()

    def _clock(self) -> int:
        said = self.run("date +%s", timeout=60).stdout.strip()
        return int(said) if said.isdecimal() else 0

    def _note(self, journal: Journal) -> None:
        journals.write(self.run, journal)
        self.journal = journal

    @staticmethod
    def _checked(result: Completed, doing: str) -> None:
        if not result.ok:
            raise TailwartError(
                f"could not {doing} on the mailbox host",
                seen="\n".join((result.stderr or result.stdout).strip().splitlines()[-3:]) or "no message",
                remedy="fix the error above on the host, then run this again; tailwart adopt --back goes back",
            )


def stop_script(old: Iterable[Old], *, seconds: int) -> str:
    """Stops the old containers, the last to start first; without a restart policy, and under another name.

    One that somebody has removed in the meantime is not missed.
    """
    return "\n".join(
        [
            "set -eu",
            *(
                f"if {_now(item)}; then docker update --restart=no {item.identifier} >/dev/null\n"
                f"docker stop --time {seconds} {item.identifier} >/dev/null\n"
                f'[ "$now" = /{item.name}{STOPPED_NAME} ] || '
                f"docker rename {item.identifier} {item.name}{STOPPED_NAME}; fi"
                for item in reversed(tuple(old))
            ),
        ]
    )


def name_script(old: Iterable[Old]) -> str:
    """Their own names and restart policies again."""
    return "\n".join(
        [
            "set -eu",
            *(
                f'{_now(item)}; [ "$now" = /{item.name} ] || docker rename {item.identifier} {item.name}\n'
                f"docker update --restart={item.restart} {item.identifier} >/dev/null"
                for item in old
            ),
        ]
    )


def _now(item: Old) -> str:
    return f"now=$(docker inspect --format '{{{{.Name}}}}' {item.identifier} 2>/dev/null)"


def _start_behind(sidecar: Old, server: Old) -> str:
    # Where its sidecar has a healthcheck, Stalwart waits for it, as Compose has it wait (lesson 1).
    health = shlex.quote("{{if .State.Health}}{{.State.Health.Status}}{{end}}")
    return (
        f"docker start {sidecar.name} >/dev/null || exit 1\n"
        "i=0; while [ $i -lt 120 ]; do\n"
        f'case "$(docker inspect --format {health} {sidecar.name})" in healthy|"") break ;; esac\n'
        f"sleep 1; i=$((i+1)); done; docker start {server.name} >/dev/null"
    )


def _live(name: str) -> str:
    """Waits until the old server answers; one without curl only has to run."""
    return (
        f"i=0; while [ $i -lt {_LIVE_SECONDS} ]; do "
        f"docker exec {name} sh -c 'command -v curl >/dev/null || exit 0; "
        f"curl -fsS -o /dev/null --max-time 3 {names.BASE}/healthz/live' 2>/dev/null && exit 0; "
        "sleep 1; i=$((i+1)); done; "
        f"docker logs --tail 3 {name} >&2; exit 1"
    )
