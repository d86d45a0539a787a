"""The settings plane's notes on the mailbox host, and which process runs there: read at once, written atomically.

The notes survive a run that dies: whether the server is initialised, which restart or reload is due, which secrets were
written last. Each is a file of mode 0600 in the mailbox's directory (`mailbox/names.py`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.objects.notes import Notes
from tailwart.stalwart.objects.notes import parse as parse_objects
from tailwart.stalwart.settings.fingerprints import Fingerprints, parse

# Prints the start of the process that runs now.
_STARTED = f"docker inspect --format '{{{{.State.StartedAt}}}}' {names.CONTAINER}"


@dataclass(frozen=True, slots=True)
class HostNotes:
    """What the notes say, and which process runs.

    `started_at` is empty when no container runs, `restart_since` is the start of the process that a noted restart
    replaces, `paused_since` that of the process whose queue was paused; all are times in the form of `docker inspect`.
    """

    initialised: bool
    bootstrap_pending: bool
    restart_since: str
    reload_due: bool
    started_at: str
    image: str
    fingerprints: Fingerprints
    # Whether the stored login is a key of the server's, rather than the password that earlier releases kept.
    has_key: bool
    objects: Notes
    paused_since: str = ""

    @property
    def running(self) -> bool:
        return bool(self.started_at)

    @property
    def restart_due(self) -> bool:
        """A restart is noted and has not happened yet."""
        return bool(self.restart_since) and self.restart_since == self.started_at

    @property
    def queue_paused(self) -> bool:
        """The queue was paused for a restart that did not happen: a pause ends with its process."""
        return bool(self.paused_since) and self.paused_since == self.started_at


EXIT_UNLESS_RUNNING = 'case $container in "running "*) ;; *) exit 0 ;; esac\n'
"""Behind `read_script` in one script: the rest runs only where the server does, without asking docker again."""


def read_script(mark: str, directory: str = names.DIRECTORY) -> str:
    """A script that prints one marked section per note; works on a host that has neither the directory nor docker."""
    state = shlex.quote("{{.State.Status}} {{.State.StartedAt}} {{.Config.Image}}")
    return (
        f"cd {shlex.quote(directory)} 2>/dev/null || cd /\n"
        f"echo {mark} key; grep -c '^Bearer ' {directory}/{names.CREDENTIALS} 2>/dev/null\n"
        f"echo {mark} initialised; [ -f {directory}/{names.INITIALISED} ] && echo yes\n"
        f"echo {mark} bootstrap; grep -c . {directory}/{names.BOOTSTRAP_ENV} 2>/dev/null\n"
        f"echo {mark} restart; cat {directory}/{names.RESTART_REQUIRED} 2>/dev/null\n"
        f"echo {mark} reload; [ -f {directory}/{names.RELOAD_REQUIRED} ] && echo yes\n"
        f"echo {mark} paused; cat {directory}/{names.QUEUE_PAUSED} 2>/dev/null\n"
        f"echo {mark} fingerprints; cat {directory}/{names.FINGERPRINTS} 2>/dev/null; echo\n"
        f"echo {mark} objects; cat {directory}/{names.OBJECTS} 2>/dev/null; echo\n"
        f"container=$(docker inspect --format {state} {names.CONTAINER} 2>/dev/null)\n"
        f'echo {mark} container; echo "$container"; echo {mark} end\n'
    )


def parse_notes(stdout: str, mark: str) -> HostNotes:
    """The sections of `read_script`'s output."""
    sections: dict[str, list[str]] = {}
    name = ""
    for line in stdout.splitlines():
        if line.startswith(f"{mark} "):
            name = line.removeprefix(f"{mark} ").strip()
            sections[name] = []
        elif name:
            sections[name].append(line)

    def text(section: str) -> str:
        return "\n".join(sections.get(section, ())).strip()

    status, _, rest = text("container").partition(" ")
    started, _, image = rest.partition(" ")
    return HostNotes(
        initialised=text("initialised") == "yes",
        has_key=text("key") == "1",
        bootstrap_pending=text("bootstrap") not in ("", "0"),
        restart_since=text("restart"),
        reload_due=text("reload") == "yes",
        started_at=started if status == "running" else "",
        image=image,
        fingerprints=parse(text("fingerprints")),
        objects=parse_objects(text("objects")),
        paused_since=text("paused"),
    )


def place(name: str, directory: str = names.DIRECTORY) -> str:
    """A shell command that writes its standard input to a note: private from its first byte, then renamed."""
    path = shlex.quote(f"{directory}/{name}")
    return f"(umask 077 && cat > {path}.new && sync {path}.new && mv -f {path}.new {path})"


def write(run: Runner, name: str, content: str, directory: str = names.DIRECTORY) -> None:
    """Write a note, mode 0600, or empty it; raises TailwartError when the host refuses."""
    line = content if not content or content.endswith("\n") else content + "\n"
    # Without content the command must bring its own end of input: a runner may not connect an empty one.
    done = run(f"{'' if line else ': | '}{place(name, directory)}", stdin=line, timeout=60)
    if not done.ok:
        raise TailwartError(
            f"{directory}/{name} cannot be written",
            seen=done.stderr.strip()[-300:] or "no output",
            remedy="check the mailbox host's disk, then run this again",
        )


def remember(restart: bool, directory: str = names.DIRECTORY) -> str:
    """A shell command that notes the post-apply action, before anything is written: so that no crash can lose it.

    A restart is noted with the start of the process that it replaces.
    """
    name = names.RESTART_REQUIRED if restart else names.RELOAD_REQUIRED
    return f"{_STARTED} | {place(name, directory)}"


def replaced(directory: str = names.DIRECTORY) -> str:
    """A shell command that succeeds when the process that was noted for a restart no longer runs."""
    return f'[ "$({_STARTED})" != "$(cat {directory}/{names.RESTART_REQUIRED} 2>/dev/null)" ]'


def forget(directory: str = names.DIRECTORY) -> str:
    """A shell command that removes both notes: a proven restart has read the settings again as well."""
    return f"rm -f {directory}/{names.RESTART_REQUIRED} {directory}/{names.RELOAD_REQUIRED}"


def remember_pause(directory: str = names.DIRECTORY) -> str:
    """A shell command that notes a pause of the queue before it is ordered, and prints the process it is for.

    It succeeds without a word where no server runs or where this directory is not there yet.
    """
    return (
        f"started=$({_STARTED} 2>/dev/null); "
        f'[ -z "$started" ] || [ ! -f {directory}/{names.INITIALISED} ] || '
        f'{{ echo "$started" | {place(names.QUEUE_PAUSED, directory)} && echo "$started"; }}'
    )


def forget_pause(directory: str = names.DIRECTORY) -> str:
    """A shell command that removes the note of a pause."""
    return f"rm -f {directory}/{names.QUEUE_PAUSED}"
