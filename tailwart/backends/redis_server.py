"""A Redis or Valkey that the deploy has installed: its files, what runs, and why the two differ. Pure."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field

from tailwart.backends.addresses import own_addresses
from tailwart.hosts import membership, templates
from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch
from tailwart.network import LOOPBACK

_NOTHING = Probe(1, b"")
_PROPERTIES = ("ActiveState", "UnitFileState", "NeedDaemonReload")


@dataclass(frozen=True, slots=True)
class RedisServer:
    """The server on ``port`` with a password; ``program`` is redis or valkey, ``index`` the highest database in use."""

    program: str
    port: int
    password: str = field(repr=False)
    index: int = 0

    @property
    def title(self) -> str:
        """As people write it."""
        return self.program.capitalize()

    @property
    def unit(self) -> str:
        """The distribution's unit."""
        return f"{self.program}-server.service"

    @property
    def watch(self) -> Watch:
        """The facts that it is compared with."""
        shown = f"systemctl show -p {','.join(_PROPERTIES)} {self.unit}; echo; cat {self._started} 2>/dev/null; :"
        return membership.WATCH | Watch(paths=(self._conf, self._drop_in), probes=((self.program, shown),))

    def files(self, report: HostReport) -> tuple[HostFile, ...]:
        """Its configuration for this host, and the lines with which systemd hands it on."""
        conf = templates.render(
            "backends/redis.conf.j2",
            addresses=(*LOOPBACK, *own_addresses(report)),
            port=self.port,
            password=quoted(self.password),
            databases=max(16, self.index + 1),
        )
        owner = f"{self.program}:{self.program}"
        return (
            HostFile(self._conf, conf, "0600", secret=True, owner=owner),
            HostFile(self._drop_in, self._lines()),
        )

    def drift(self, report: HostReport) -> list[str]:
        """Why it must be configured, in the operator's words."""
        files = self.files(report)
        reasons = [f"{file.path} changes" for file in pending(report, files)[0]]
        shown, _, started = report.probes.get(self.program, _NOTHING).output.decode(errors="replace").partition("\n\n")
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        if values.get("ActiveState") != "active":
            return [*reasons, f"{self.unit} does not run"]
        if values.get("UnitFileState") != "enabled":
            reasons.append(f"{self.unit} is not enabled")
        if not reasons and (values.get("NeedDaemonReload") != "no" or started.split()[:1] != [_digest(files)]):
            reasons.append(f"{self.unit} runs with older settings")
        return reasons

    def activate(self, report: HostReport) -> str:
        """The shell script that makes the files count."""
        del report
        return (
            f"systemctl daemon-reload && systemctl enable --quiet {self.unit}; "
            f"systemctl reset-failed {self.unit} 2>/dev/null; systemctl restart {self.unit}"
        )

    def journal(self, report: HostReport) -> str:
        """The command whose output says why it does not start."""
        del report
        return f"journalctl -u {self.unit} -n 6 -o cat --no-pager; tail -n 4 /var/log/{self.program}/*.log"

    @property
    def _conf(self) -> str:
        return f"/etc/{self.program}/tailwart.conf"

    @property
    def _drop_in(self) -> str:
        return f"/etc/systemd/system/{self.unit}.d/tailwart.conf"

    @property
    def _started(self) -> str:
        return f"/run/{self.program}/tailwart.sha256"

    def _lines(self) -> str:
        # Not lines in the distribution's own file: an upgrade that changes it would wait for an answer, for ever.
        # What it was started with is noted, so that a run that dies between a file and the restart is found.
        note = f"cat {self._conf} {self._drop_in} | sha256sum >{self._started}"
        return (
            "# Written by the deploy; changes made here are lost.\n[Service]\n"
            # With `+`, because the unit lets its own processes execute nothing but the server.
            f"ExecStartPre=+/bin/sh -c {shlex.quote(note)}\n"
            "ExecStart=\n"
            f"ExecStart=/usr/bin/{self.program}-server /etc/{self.program}/{self.program}.conf "
            f"--supervised systemd --daemonize no --include {self._conf}\n"
        )


def quoted(text: str) -> str:
    """A word of redis.conf: in double quotes, every byte that is no letter or digit as an escape."""
    parts = (chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())
    return f'"{"".join(parts)}"'


def _digest(files: tuple[HostFile, ...]) -> str:
    return hashlib.sha256(b"".join(file.data for file in files)).hexdigest()
