"""Where the stores of the backends host listen: loopback, and the host's own addresses on the tailnet. Pure.

The addresses may stand in files here: the host is no ephemeral node, and a run that finds it under another address
writes them anew. Everybody else gets its name (lesson 6). The kernel lets a store bind them before tailscaled is up, so
that no order of starts has to be kept at boot.
"""

from __future__ import annotations

from tailwart.errors import TailwartError
from tailwart.hosts import membership
from tailwart.hosts.files import HostFile, pending
from tailwart.hosts.report import HostReport, Probe
from tailwart.hosts.watch import Watch

_NOTHING = Probe(1, b"")
_SETTINGS = ("net.ipv4.ip_nonlocal_bind", "net.ipv6.ip_nonlocal_bind")
_PROBE = "early"


class EarlyBinding:
    """The kernel's setting, now and at every boot."""

    title = "binding before the tailnet is up"
    watch = Watch(
        paths=("/etc/sysctl.d/60-tailwart-backends.conf",),
        probes=((_PROBE, f"cat {' '.join('/proc/sys/' + name.replace('.', '/') for name in _SETTINGS)}"),),
    )

    def files(self, report: HostReport) -> tuple[HostFile, ...]:
        """The file that systemd-sysctl reads."""
        del report
        lines = "".join(f"{name} = 1\n" for name in _SETTINGS)
        text = "# Written by the deploy. The stores bind the tailnet's addresses, which come up later than they do.\n"
        return (HostFile(self.watch.paths[0], text + lines),)

    def drift(self, report: HostReport) -> list[str]:
        """Why it must be set."""
        reasons = [f"{file.path} changes" for file in pending(report, self.files(report))[0]]
        values = report.probes.get(_PROBE, _NOTHING).output.split()
        return reasons or ([] if values == [b"1"] * len(_SETTINGS) else ["the kernel has another setting"])

    def activate(self, report: HostReport) -> str:
        """The shell script that sets it."""
        del report
        return f"PATH=$PATH:/usr/sbin:/sbin; sysctl -q -p {self.watch.paths[0]}"

    def journal(self, report: HostReport) -> str:
        """The command whose output says why it cannot be set."""
        del report
        return "journalctl -u systemd-sysctl -n 4 -o cat --no-pager"


def own_addresses(report: HostReport) -> tuple[str, ...]:
    """The host's addresses on the tailnet; raises `TailwartError` while it is not there."""
    status = report.probes.get(membership.PROBE, _NOTHING).output.decode(errors="replace")
    found = membership.addresses(status)
    if not found:
        raise TailwartError(
            "the backends host is not on the tailnet",
            seen="`tailscale status` shows no address of its own",
            remedy="run the deploy again, which joins it",
        )
    return found
