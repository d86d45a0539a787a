"""The three parts of an upgrade on the mailbox host; every one may be the last before a crash, and is done again.

Before the swap nothing has changed. From the swap on a note on the host says that the new images are not proven: the
next run goes on with the proof, or takes them back. An image that failed is noted too, and not tried again unasked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.hosts.project import ComposeProject
from tailwart.mailbox import names
from tailwart.network import Service
from tailwart.operations import hostfiles
from tailwart.operations.images import fetch
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import probing, version
from tailwart.stalwart.lifecycle.queue import Queue, held
from tailwart.upgrade import copies, proof, step, watching
from tailwart.upgrade.copies import Database
from tailwart.upgrade.step import Images, Note

Log = Callable[[str], None]
PREVIOUS = f"{names.DIRECTORY}/previous"
_FILES = ("compose.yaml", ".env", "config", "bootstrap.yaml")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What an upgrade has to know of the mailbox.

    ``embedded``: the store is on this host. ``database`` is the store elsewhere, where its host can be reached.
    ``recipient`` gets the message of the proof.
    """

    project: ComposeProject
    images: Images
    services: tuple[Service, ...]
    recipient: str
    embedded: bool
    database: Database | None = None

    @property
    def copy(self) -> str:
        """The kind of copy that can be made of the data; empty for none."""
        return copies.EMBEDDED if self.embedded else copies.DATABASE if self.database else ""


def prepare(run: Runner, mailbox: Mailbox, before: Images, log: Log) -> None:
    """All that can be done while the present version serves; raises `TailwartError`, with nothing changed."""
    note = Note(before, mailbox.images, mailbox.copy)
    if before.stalwart != mailbox.images.stalwart:
        running = version.running(run, before.stalwart)
        if remark := step.check(running, step.short(mailbox.images.stalwart)):
            log(f"! {remark}")
    log(f"{note.describe}: fetching what is not on the host yet")
    for image in {mailbox.images.stalwart, mailbox.images.sidecar} - {before.stalwart, before.sidecar}:
        fetch(run, image, "STALWART_IMAGE or TAILSCALE_IMAGE")
    _keep_files(run)
    if before.stalwart == mailbox.images.stalwart:
        note = replace(note, copy="")
    elif note.copy == copies.DATABASE and mailbox.database is not None:
        log(f"copying the database: {copies.DUMP} on the stores' host")
        copies.copy_database(mailbox.database)
    elif not note.copy:
        log("! no copy of the database is made: its host is not in BACKENDS_SSH. Within 0.16.x none was ever needed")
    hostfiles.write(run, [HostFile(step.NOTE, note.dump(), "0600")])


@contextmanager
def guarded(run: Runner, log: Log, mailbox: Mailbox) -> Iterator[None]:
    """Around the swap of the containers: the queue is held; new ones that do not come up are taken back."""
    note = read(run)
    with held(Queue(run, log=log)):
        if note is None:
            yield
            return
        if note.copy == copies.EMBEDDED:
            _stop(run)
            try:
                log("copying the embedded store while nobody writes to it")
                copies.copy_embedded(run)
            except TailwartError:
                take_back(run, note, mailbox, log, data=False)
                raise
        proof.begin_watch(run, mailbox.services)
        try:
            yield
        except TailwartError as problem:
            raise _taken_back(run, note, mailbox, log, problem) from problem


def conclude(run: Runner, mailbox: Mailbox, log: Log) -> None:
    """Prove the new images, forget the note, and report; raises `TailwartError` when they were taken back."""
    note = read(run)
    if note is None:
        return
    if "config" not in (hosts := run(f"ls -A {PREVIOUS} 2>/dev/null", timeout=60).stdout.split()):
        raise TailwartError(
            "an upgrade is not proven, and the files from before it are not complete",
            seen=f"{PREVIOUS}: {' '.join(hosts) or 'empty'}",
            remedy=f"look whether the mailbox serves; if it does, remove {step.NOTE} on the host and deploy again",
        )
    try:
        proof.prove(run, mailbox.services, mailbox.recipient, f"{note.describe} on {_now():%Y-%m-%d at %H:%M} UTC")
    except (TailwartError, TimeoutError) as problem:
        raise _taken_back(run, note, mailbox, log, problem) from problem
    seconds = watching.end(run)
    run(f"rm -f {step.NOTE} {step.REFUSED}", timeout=60)
    log(f"{note.describe}: healthy, and a message has arrived; nobody answered for {seconds:.1f} s")
    if note.copy:
        log(f"the data from before: {_place(note)}; it is replaced at the next upgrade")


def read(run: Runner) -> Note | None:
    """The note of an upgrade that is not proven."""
    return step.parse(run(f"cat {step.NOTE} 2>/dev/null || :", timeout=60).stdout)


def take_back(run: Runner, note: Note, mailbox: Mailbox, log: Log, *, data: bool = True) -> str:
    """The files and images from before serve again; returns where the data of the failed version is kept, if anywhere.

    Raises `TailwartError` when the earlier version does not come up either.
    """
    log(f"taking {note.describe} back")
    problem = _serve_previous(run, mailbox)
    kept = ""
    if problem and data and note.copy:
        log(f"the version from before does not come up on the store ({problem}); putting the copy of it back")
        stamp = f"{_now():%Y%m%d%H%M%S}"
        _stop(run)
        if note.copy == copies.EMBEDDED:
            kept = copies.restore_embedded(run, stamp)
        elif mailbox.database is not None:
            kept = copies.restore_database(mailbox.database, stamp)
        problem = _serve_previous(run, mailbox)
    if problem:
        raise TailwartError(
            f"neither the new version nor the one from before comes up: {note.describe}",
            seen=problem,
            expected=f"the files in {PREVIOUS} and the copy of the data to be as they were before",
            remedy="read `docker logs stalwart` on the mailbox host; senders keep their mail and try again meanwhile",
        )
    run(f"rm -f {step.NOTE}", timeout=60)
    return kept


def _taken_back(run: Runner, note: Note, mailbox: Mailbox, log: Log, problem: Exception) -> TailwartError:
    kept = take_back(run, note, mailbox, log)
    seconds = watching.end(run)
    cause = problem.what if isinstance(problem, TailwartError) else f"no end in time: {problem}"
    # What the operator needs to know first is on the last lines of the run: they hold a few lines of the cause only.
    seen = "\n".join(problem.seen.splitlines()[-3:]) if isinstance(problem, TailwartError) else ""
    refusal = json.dumps({"image": note.after.stalwart, "cause": cause, "at": f"{_now():%Y-%m-%d %H:%M} UTC"})
    if note.after.stalwart != note.before.stalwart:
        hostfiles.write(run, [HostFile(step.REFUSED, f"{refusal}\n", "0600")])
    data = (
        f"the store was put back to the copy from before; what the new version wrote, mail that it accepted included, "
        f"is kept: {kept}"
        if kept
        else "the store is as it was left: nothing that was accepted is lost"
    )
    return TailwartError(
        f"{note.describe} failed and was taken back; {step.short(note.before.stalwart)} serves again",
        seen="\n".join(filter(None, (f"nobody answered for {seconds:.1f} s; {data}", cause, seen))),
        expected="a container that becomes healthy, listens on every port, and delivers a message",
        remedy=f"set STALWART_IMAGE to {note.before.stalwart} for now; `tailwart upgrade` tries the other again",
    )


def _keep_files(run: Runner) -> None:
    done = run(
        f"set -e; cd {names.DIRECTORY}; rm -rf {PREVIOUS}.part; mkdir -m 0700 {PREVIOUS}.part; "
        f"cp -pr {' '.join(_FILES)} {PREVIOUS}.part/; rm -rf {PREVIOUS}; mv {PREVIOUS}.part {PREVIOUS}",
        timeout=60,
    )
    if not done.ok:
        raise TailwartError(
            f"the files of now cannot be kept in {PREVIOUS}; nothing has been changed",
            seen=done.stderr.strip()[-500:],
            remedy=f"look at `df -h {names.DIRECTORY}` on the host, then run this again",
        )


def _serve_previous(run: Runner, mailbox: Mailbox) -> str:
    """Put the files from before in place and start what they say; returns what is wrong, or an empty text."""
    project = mailbox.project
    done = run(
        f"set -e; cp -pr {PREVIOUS}/. {project.directory}/; cd {project.directory}; "
        f"flock -w 300 {project.lock_path} docker compose {project.options} up -d --remove-orphans --wait "
        "--wait-timeout 150 2>&1",
        timeout=900,
    )
    log = run(f"docker logs --tail 4 {names.CONTAINER} 2>&1", timeout=60).stdout.strip()
    if not done.ok:
        return project.masked("\n".join([*done.stdout.strip().splitlines()[-2:], *log.splitlines()]))
    try:
        probing.wait_until_live(run)
    except TailwartError as problem:
        return problem.seen
    return ""


def _stop(run: Runner) -> None:
    done = run(f"docker stop {names.CONTAINER} >/dev/null", timeout=120)
    if not done.ok:
        raise TailwartError(
            "Stalwart cannot be stopped for the copy of its store",
            seen=done.stderr.strip()[-300:],
            remedy="look at `docker ps` on the mailbox host, then run this again",
        )


def _place(note: Note) -> str:
    where = {copies.EMBEDDED: f"before-upgrade beside the volume {copies.VOLUME}", copies.DATABASE: copies.DUMP}
    return where.get(note.copy, note.copy)


def _now() -> datetime:
    return datetime.now(UTC)
