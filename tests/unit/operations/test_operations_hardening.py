"""What a host lacks, whether it is the deploy's alone, and what becomes of a change that locks the operator out."""

from __future__ import annotations

import base64
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tailwart.errors import TailwartError
from tailwart.hosts.hardening import switch, texts
from tailwart.hosts.hardening.plan import HostRole, drift, reboot_due, state_of
from tailwart.hosts.report import HEADER, TRAILER, HostReport, parse
from tailwart.operations import hardening
from tailwart.runner import Completed
from tests.unit.operations import hardened
from tests.unit.operations.hardened import FACTS, record

EDGE = HostRole("tailwart-edge", (25, 465))


def socket(text: str, users: str) -> str:
    return f"socket {text} 0.0.0.0:* users:(({users}))"


def report(*facts: str, known: str = "", files: bool = True) -> HostReport:
    return parse([HEADER, *hardened.lines(EDGE, facts, known, files=files), TRAILER])


def without(prefix: str) -> list[str]:
    return [fact for fact in FACTS if not fact.startswith(prefix)]


def test_a_hardened_host_is_up_to_date() -> None:
    assert drift(EDGE, report(*FACTS, known=record(EDGE))) == []


@pytest.mark.parametrize(
    ("facts", "known", "reason"),
    [
        (without("tool unattended"), record(EDGE), "unattended-upgrades is installed"),
        ([*FACTS, "pending"], record(EDGE), "an earlier change was never proven"),
        (list(FACTS), record(EDGE, "other"), "the packet filter is not what the deploy has loaded"),
        ([*without("boot"), "boot disabled"], record(EDGE), "the packet filter would not survive a reboot"),
        # Another port of sshd, and a rule for it.
        ([*FACTS, "sshd port 2222"], record(EDGE), "the packet filter changes"),
        # An earlier file of its directory says otherwise.
        ([*without("sshd password"), "sshd passwordauthentication yes"], record(EDGE), "sshd refuses passwords"),
    ],
)
def test_each_deviation_is_a_reason(facts: list[str], known: str, reason: str) -> None:
    assert drift(EDGE, report(*facts, known=known)) == [reason]


def test_a_bare_host_lacks_everything() -> None:
    found = drift(EDGE, report("tool sshd", "sshd port 22", FACTS[-1], files=False))
    assert "nftables is installed" in found
    assert "the packet filter changes" in found
    assert "sshd refuses passwords" in found


@pytest.mark.parametrize(
    ("fact", "stranger"),
    [
        (socket("tcp LISTEN 0 511 0.0.0.0:80", '"nginx",pid=7,fd=6'), "nginx on tcp port 80"),
        (socket("udp UNCONN 0 0 [::]:51820", '"wg-thing",pid=7,fd=6'), "wg-thing on udp port 51820"),
        (socket("tcp LISTEN 0 511 *:25", '"caddy",pid=7,fd=6'), ""),
        (socket("tcp LISTEN 0 511 127.0.0.1:5432", '"postgres",pid=7,fd=6'), ""),
        (socket("tcp LISTEN 0 200 100.64.0.5:5432", '"postgres",pid=7,fd=6'), ""),
        (socket("tcp LISTEN 0 200 [fd7a:115c:a1e0::5]:5432", '"postgres",pid=7,fd=6'), ""),
        (socket("udp UNCONN 0 0 127.0.0.53%lo:53", '"systemd-resolve",pid=7,fd=6'), ""),
        (socket("tcp LISTEN 0 511 [::1]:6010", '"redis",pid=7,fd=6'), ""),
        (socket("udp UNCONN 0 0 0.0.0.0:41641", '"tailscaled",pid=7,fd=6'), ""),
        ("socket udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*", "the kernel on udp port 51820"),
        (socket("tcp LISTEN 0 511 *:9090", '"systemd",pid=1,fd=48'), "systemd on tcp port 9090"),
        (
            socket("tcp LISTEN 0 511 *:9090", '"cockpit-tls",pid=7,fd=3),("systemd",pid=1,fd=48'),
            "cockpit-tls on tcp port 9090",
        ),
        (socket("tcp LISTEN 0 511 0.0.0.0:111", '"systemd",pid=1,fd=48'), ""),
        (socket("tcp LISTEN 0 511 *:22", '"systemd",pid=1,fd=48'), ""),
        ("container shop-web-1 shop", "the container shop-web-1"),
        ("container registry", "the container registry"),
        ("container tailwart-edge tailwart-edge", ""),
        ("container tailwart-backup-1795 ", ""),
        ("container tailwart-drill-stalwart ", ""),
    ],
)
def test_services_and_containers_of_others_are_seen(fact: str, stranger: str) -> None:
    assert state_of(EDGE, report(*FACTS, fact)).strangers == ((stranger,) if stranger else ())


def test_without_names_of_processes_a_socket_says_nothing() -> None:
    facts = [*without("socket"), "socket udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*"]
    assert state_of(EDGE, report(*facts)).strangers == ()


def test_a_host_that_lets_root_in_by_no_means_keeps_it_so() -> None:
    assert "PermitRootLogin" not in texts.SSHD


def test_a_removal_that_was_interrupted_is_known_by_its_record_until_nothing_else_is_left() -> None:
    lines = switch.REMOVE.strip().splitlines()
    assert texts.RECORD not in switch.REMOVE
    assert lines[-1] == f"rm -rf {texts.DIRECTORY}"
    assert texts.RECORD.startswith(f"{texts.DIRECTORY}/")


@dataclass
class Host:
    """A `Runner` that answers as told and keeps what it was asked."""

    facts: HostReport
    refuses: str = ""
    scripts: list[str] = field(default_factory=list)

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if "tailwart-host-report" in script:
            probe = self.facts.probes["hardening"]
            encoded = base64.b64encode(probe.output).decode()
            return Completed(True, f"{HEADER}\nprobe\thardening\t0\t{encoded}\n{TRAILER}\n", "")
        if self.refuses and self.refuses in script:
            return Completed(False, "", "firewall.nft:3: Error: syntax error")
        return Completed(True, "written\n" if stdin else "", "")

    @property
    def taken_back(self) -> bool:
        return any(script.startswith("sh ") and script.endswith("restore.sh") for script in self.scripts)


def locked_out() -> None:
    raise TailwartError("SSH to root@192.0.2.7:22 failed")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardening, "PAUSES", (0.0, 0.0))


@pytest.mark.usefixtures("_at_once")
def test_a_connection_that_a_reloading_sshd_drops_is_tried_again() -> None:
    attempts: list[str] = []

    def dropped_once() -> None:
        attempts.append("tried")
        if len(attempts) == 1:
            raise TailwartError("Connection reset by peer")

    host = Host(report(*FACTS))
    # The scripted host goes on reporting what it had before: here only that the change was kept is of interest.
    with suppress(TailwartError):
        hardening.enforce(host, EDGE, dropped_once)
    assert len(attempts) == 2
    assert switch.COMMIT in host.scripts
    assert not host.taken_back


@pytest.mark.usefixtures("_at_once")
def test_a_change_that_no_new_connection_survives_is_taken_back_and_never_kept() -> None:
    host = Host(report(*FACTS))
    with pytest.raises(TailwartError, match="does not let the operator in") as caught:
        hardening.enforce(host, EDGE, locked_out)
    assert "HARDEN_SKIP" in caught.value.remedy
    assert host.taken_back
    assert switch.COMMIT not in host.scripts


def test_rules_that_the_host_refuses_change_nothing() -> None:
    proofs: list[str] = []
    host = Host(report(*FACTS), refuses="nft -c")
    with pytest.raises(TailwartError, match="cannot be activated") as caught:
        hardening.enforce(host, EDGE, lambda: proofs.append("tried"))
    assert "syntax error" in caught.value.seen
    assert proofs == []
    assert switch.COMMIT not in host.scripts


def test_nothing_is_changed_before_the_switch_is_armed_and_nothing_kept_before_the_proof() -> None:
    lines = switch.ENFORCE.splitlines()
    armed = next(index for index, line in enumerate(lines) if "is-active" in line)
    for change in ("nft -f ", "cp /opt/tailwart/host/next/sshd.conf", "\nreload_sshd\n"):
        place = switch.ENFORCE.index(change)
        assert switch.ENFORCE[:place].count("\n") > armed, change
    assert texts.RULES not in switch.ENFORCE, "the rules of the next boot"
    assert switch.COMMIT.index(texts.RECORD) < switch.COMMIT.index("rm -rf /opt/tailwart/host/pending")


def test_a_host_reboots_at_the_time_that_is_set_and_a_reboot_that_waits_is_said(tmp_path: Path) -> None:
    assert "Reboot" not in texts.apt()
    path = tmp_path / "52tailwart"
    path.write_text(texts.apt("03:40"))
    said = subprocess.run(["apt-config", "-c", str(path), "dump"], capture_output=True, text=True, check=True).stdout
    assert 'Unattended-Upgrade::Automatic-Reboot "true";' in said
    assert 'Unattended-Upgrade::Automatic-Reboot-Time "03:40";' in said
    timed = replace(EDGE, reboot="03:40")
    assert drift(timed, report(*FACTS, known=record(EDGE))) == [f"{texts.UPDATES} changes"]
    waiting = parse([HEADER, *hardened.lines(EDGE, FACTS), "probe\treboot is due\t0\t", TRAILER])
    assert "by itself at 03:40" in reboot_due(timed, waiting)[0]
    assert "set REBOOT_TIME" in reboot_due(EDGE, waiting)[0]
    assert reboot_due(EDGE, report(*FACTS)) == []
