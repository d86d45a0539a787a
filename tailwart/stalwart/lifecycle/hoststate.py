"""What the settings plane keeps on the mailbox host, and what runs there: read in one command, written atomically."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.settings.fingerprints import Fingerprints, parse


@dataclass(frozen=True, slots=True)
class HostState:
    """`started_at`: empty when no container runs. `restart_since`: the start that a pending restart must replace."""

    initialised: bool
    bootstrap_pending: bool
    restart_since: str
    reload_due: bool
    started_at: str
    image: str
    fingerprints: Fingerprints

    @property
    def running(self) -> bool:
        return bool(self.started_at)

    @property
    def restart_due(self) -> bool:
        """A remembered restart that has not happened yet."""
        return bool(self.restart_since) and self.restart_since == self.started_at

    @property
    def restart_unproven(self) -> bool:
        """The process was started anew since, but nothing has verified it yet."""
        return bool(self.restart_since) and self.restart_since != self.started_at


def read_script(mark: str, directory: str = names.DIRECTORY, container: str = names.CONTAINER) -> str:
    """Prints one marked section per thing; works on a host that has neither the directory nor docker."""
    inspect = "{{.State.Status}} {{.State.StartedAt}} {{.Config.Image}}"
    return (
        f"cd {shlex.quote(directory)} 2>/dev/null || cd /\n"
        f"echo {mark} initialised; [ -f {directory}/{names.INITIALISED} ] && echo yes\n"
        f"echo {mark} bootstrap; grep -c . {directory}/{names.BOOTSTRAP_ENV} 2>/dev/null\n"
        f"echo {mark} restart; cat {directory}/{names.RESTART_REQUIRED} 2>/dev/null\n"
        f"echo {mark} reload; [ -f {directory}/{names.RELOAD_REQUIRED} ] && echo yes\n"
        f"echo {mark} fingerprints; cat {directory}/{names.FINGERPRINTS} 2>/dev/null; echo\n"
        f"echo {mark} container; docker inspect --format {shlex.quote(inspect)} {container} 2>/dev/null\n"
        f"echo {mark} end\n"
    )


def parse_state(stdout: str, mark: str) -> HostState:
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
    return HostState(
        initialised=text("initialised") == "yes",
        bootstrap_pending=text("bootstrap") not in ("", "0"),
        restart_since=text("restart"),
        reload_due=text("reload") == "yes",
        started_at=started if status == "running" else "",
        image=image,
        fingerprints=parse(text("fingerprints")),
    )


def place(name: str, directory: str = names.DIRECTORY) -> str:
    """A shell command that writes its standard input to one of our files: private from its first byte, then renamed."""
    path = shlex.quote(f"{directory}/{name}")
    return f"(umask 077 && cat > {path}.new && sync {path}.new && mv -f {path}.new {path})"


def write(run: Runner, name: str, content: str, directory: str = names.DIRECTORY) -> None:
    """One of our files, 0600; raises RuntimeError when the host refuses."""
    done = run(place(name, directory), stdin=content if content.endswith("\n") else content + "\n")
    if not done.ok:
        raise RuntimeError(f"{directory}/{name} cannot be written: {done.stderr.strip()[-300:]}")


def remember(restart: bool, directory: str = names.DIRECTORY, container: str = names.CONTAINER) -> str:
    """A shell command that notes, before anything is written, what has to follow: so that no crash can lose it.

    A restart is noted with the start of the process that has to be replaced.
    """
    name = names.RESTART_REQUIRED if restart else names.RELOAD_REQUIRED
    started = f"docker inspect --format '{{{{.State.StartedAt}}}}' {container}"
    return f"{started} | {place(name, directory)}"


def replaced(directory: str = names.DIRECTORY, container: str = names.CONTAINER) -> str:
    """A shell command that succeeds when the process that was noted for a restart does not run any more."""
    started = f"docker inspect --format '{{{{.State.StartedAt}}}}' {container}"
    return f'[ "$({started})" != "$(cat {directory}/{names.RESTART_REQUIRED} 2>/dev/null)" ]'


def forget(directory: str = names.DIRECTORY) -> str:
    """A shell command that takes both notes away: a proven restart has also read the settings anew."""
    return f"rm -f {directory}/{names.RESTART_REQUIRED} {directory}/{names.RELOAD_REQUIRED}"
