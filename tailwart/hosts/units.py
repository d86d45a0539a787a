"""systemd units as a host should have them, and why what systemd runs differs. Pure: no pyinfra, no host.

A unit is declared with `service`, `timer` or `path`. `drift` compares it with what systemd has loaded and started,
never with what a deploy believes to have done. The command line of every service ends with a digest of its script and
its own text, so that an older version shows, whatever became of the run that was to replace it. Up to date means

- service: enabled, active, loaded from the present file, and its main process has the command line with that digest;
- timer and path: enabled, active, loaded from the present file; the service that they start is loaded with that digest.

>>> backup = timer(
...     "tailwart-backup",
...     description="Backs the mailbox up",
...     script=HostFile("/opt/tailwart/backup/run.sh", "exec backup-the-mailbox", "0755"),
...     schedule=("OnCalendar=03:00", "Persistent=true"),
... )
>>> backup.name, backup.service
('tailwart-backup.timer', 'tailwart-backup.service')
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.report import HostReport
from tailwart.hosts.watch import Watch

_DIRECTORY = "/etc/systemd/system"
_PROPERTIES = ("Id", "LoadState", "FragmentPath", "NeedDaemonReload", "UnitFileState", "ActiveState", "ExecStart")
_Sections = Mapping[str, Sequence[str]]
_COMMAND_LINE = "CommandLine"  # not a property of systemd: what the main process was really started with


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit ``name`` that is enabled and started, the service that it is or starts, and the ``files`` of both.

    ``command`` is the service's command line. ``done`` is a shell command that changes nothing and succeeds when the
    service has no work left.
    """

    name: str
    service: str
    files: tuple[HostFile, ...]
    command: tuple[str, ...]
    done: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The unit and, where that is another one, its service."""
        return tuple(dict.fromkeys((self.name, self.service)))

    @property
    def watch(self) -> Watch:
        """What `drift` needs to know of the host; part of the `Watch` of the unit's role."""
        return Watch(paths=tuple(file.path for file in self.files), probes=((f"unit {self.name}", self._probe()),))

    def _probe(self) -> str:
        steps = [f"systemctl show -p {','.join(_PROPERTIES)} {shlex.join(self.names)}"]
        if self.name == self.service:
            process = f"/proc/$(systemctl show --value -p MainPID {self.name})/cmdline"
            steps.append(f"printf '{_COMMAND_LINE}=%s\\n' \"$(2>/dev/null tr '\\0' ' ' <\"{process}\")\"")
        steps.append(self.done or ":")
        return "\n".join(steps)


def service(
    name: str, *, description: str, script: HostFile, unit: Sequence[str] = (), options: Sequence[str] = ()
) -> Unit:
    """A service that runs ``script`` all the time, from boot on.

    ``unit`` and ``options`` are more lines of its sections ``[Unit]`` and ``[Service]``, like ``After=docker.service``.
    """
    # Type=exec: a start is over when the script runs, not already when systemd has forked.
    sections = {"Unit": (f"Description={description}", *unit), "Service": ("Type=exec", *options)}
    return _service(name, script, {**sections, "Install": ("WantedBy=multi-user.target",)})


def timer(
    name: str,
    *,
    description: str,
    script: HostFile,
    schedule: Sequence[str],
    unit: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Unit:
    """A timer that runs ``script`` by ``schedule``, the lines of its section ``[Timer]`` (systemd.timer(5)).

    ``unit`` and ``options`` are more lines of the service that it starts.
    """
    sections = {"Unit": (f"Description={description}", *unit), "Service": ("Type=oneshot", *options)}
    trigger = {"Unit": sections["Unit"][:1], "Timer": schedule, "Install": ("WantedBy=timers.target",)}
    return _triggered(f"{name}.timer", trigger, _service(name, script, sections))


def path(
    name: str,
    *,
    description: str,
    script: HostFile,
    changed: str,
    done: str,
    unit: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Unit:
    """A path unit that runs ``script`` whenever the file ``changed`` was written (systemd.path(5)).

    It sees later changes only: as long as ``done`` fails, activating the unit runs the script once as well. ``unit``
    and ``options`` are more lines of the service that it starts.
    """
    sections = {"Unit": (f"Description={description}", *unit), "Service": ("Type=oneshot", *options)}
    install = ("WantedBy=multi-user.target",)
    trigger = {"Unit": sections["Unit"][:1], "Path": (f"PathChanged={changed}",), "Install": install}
    return replace(_triggered(f"{name}.path", trigger, _service(name, script, sections)), done=done)


_SANDBOX = (
    "NoNewPrivileges=yes",
    # Not `yes`: that leaves directories which root without capabilities may not even look into, and the docker command
    # would complain about its configuration.
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "UMask=0077",
)


def sandbox(
    *,
    writes: Sequence[str] | None = (),
    network: bool = False,
    capabilities: Sequence[str] = (),
    families: Sequence[str] = (),
) -> tuple[str, ...]:
    """Lines of the section ``[Service]`` (systemd.exec(5)) that leave a script what it needs and take the rest.

    ``writes`` are the paths that it may write; None: everything but /usr, /boot and /etc. Without ``network`` it
    reaches Unix sockets alone, the engine's among them. ``capabilities`` and ``families`` (of sockets) are added where
    a script works on the host's own network. Every unit of the deploy has these lines in its ``options``.
    """
    system = ("ProtectSystem=full",) if writes is None else ("ProtectSystem=strict", *_writable(writes))
    sockets = ("AF_UNIX", *(("AF_INET", "AF_INET6") if network else ()), *families)
    alone = () if network or families else ("PrivateNetwork=yes", "IPAddressDeny=any")
    bounds = (f"CapabilityBoundingSet={' '.join(capabilities)}", f"RestrictAddressFamilies={' '.join(sockets)}")
    return (*_SANDBOX, *bounds, *system, *alone)


def _writable(paths: Sequence[str]) -> tuple[str, ...]:
    return (f"ReadWritePaths={' '.join(paths)}",) if paths else ()


def drift(unit: Unit, report: HostReport) -> list[str]:
    """Why ``unit`` must be activated, in the operator's words; empty when it is up to date."""
    changed = [f"{file.path} changes" for file in pending(report, unit.files)[0]]
    if changed:
        return changed
    probe = report.probes.get(f"unit {unit.name}")
    blocks = _blocks("" if probe is None else probe.output.decode(errors="replace"))
    reasons = [reason for name in unit.names for reason in _not_loaded(unit, name, blocks.get(name, {}))]
    if reasons:
        return reasons
    shown = blocks[unit.name]
    if shown["UnitFileState"] != "enabled":
        reasons.append(f"{unit.name} is {shown['UnitFileState'] or 'not enabled'}")
    if shown["ActiveState"] != "active":
        reasons.append(f"{unit.name} is {shown['ActiveState']}")
    elif unit.name == unit.service and shown.get(_COMMAND_LINE, "").split() != list(unit.command):
        reasons.append(f"{unit.name} runs an older version")
    if not reasons and probe is not None and probe.exit_code != 0:
        reasons.append(f"{unit.service} has work to do")
    return reasons


def _not_loaded(unit: Unit, name: str, shown: dict[str, str]) -> list[str]:
    """A file that was replaced has no effect on systemd until that is asked to read it again."""
    if shown.get("LoadState") != "loaded":
        return [f"systemd has no {name}"]
    if shown["FragmentPath"] != f"{_DIRECTORY}/{name}":
        return [f"{name} is loaded from {shown['FragmentPath']}"]
    if shown["NeedDaemonReload"] != "no" or (name == unit.service and unit.command[-1] not in shown["ExecStart"]):
        return [f"systemd has loaded an older {name}"]
    return []


def _blocks(output: str) -> dict[str, dict[str, str]]:
    """Output of ``systemctl show`` for several units, by unit: lines ``property=value``, a blank line between units."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in output.split("\n\n")]
    defaults = dict.fromkeys(_PROPERTIES, "")  # a property that does not exist for a kind of unit is not printed
    return {block["Id"]: {**defaults, **block} for block in blocks if "Id" in block}


def _service(name: str, script: HostFile, sections: _Sections) -> Unit:
    digest = hashlib.sha256(f"{script.sha256}\n{_text(sections)}".encode()).hexdigest()
    # The digest at the end is no argument of the script: it shows which version runs.
    command = ("/bin/sh", script.path, digest)
    started = {**sections, "Service": (f"ExecStart={' '.join(command)}", *sections["Service"])}
    main = f"{name}.service"
    return Unit(main, main, (script, _file(main, started)), command)


def _triggered(name: str, sections: _Sections, service: Unit) -> Unit:
    return replace(service, name=name, files=(*service.files, _file(name, sections)))


def _text(sections: _Sections) -> str:
    parts = ("\n".join((f"[{name}]", *lines)) for name, lines in sections.items())
    return "# Written by the deploy; changes made here are lost.\n" + "\n\n".join(parts) + "\n"


def _file(name: str, sections: _Sections) -> HostFile:
    return HostFile(f"{_DIRECTORY}/{name}", _text(sections))
