"""The script that refreshes the status page, run by the host's shell beside an engine that answers from files."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tailwart.checks import page
from tailwart.checks.model import Verdict
from tailwart.checks.published import published
from tailwart.environment import Environment
from tailwart.mailbox import status
from tests.unit.checks.sample import environment, looks, outcome
from tests.unit.checks.test_checks_shown import Parsed

NOW = datetime.now(UTC)
DIALLED = "STALWART_DB_HOST {}\nSMARTHOST_ADDRESS {}\nPROBE_IPV6 {}\n"
DOCKER = r"""#!/bin/sh
cd "$(dirname "$0")"
case "$*" in
  inspect*) cat state ;;
  *'nc -z'*) cat dialled ;;
  *healthz*) [ ! -e unhealthy ] || { echo "curl: (7) refused" >&2; exit 7; } ;;
  *smtp://*) [ ! -e refused ] || exit 1; echo "to $*" >>mail; cat >>mail ;;
  *) cat >/dev/null; cat answer ;;
esac
"""
ANSWER = (
    '{"methodResponses":[["x:QueuedMessage/query",{"ids":[],"total":%d},"0"],["x:QueuedMessage/get",{"list":[%s]},"1"],'
    '["x:Task/query",{"ids":["t"]},"2"],["x:Task/get",{"list":[{"createdAt":"2020-01-01T00:00:00Z","status":%s}]},"3"],'
    '["x:Certificate/get",{"list":[%s]},"4"]]}\n200\nanswered exit 0\n'
)


CERTIFICATE = (
    '{"certificate":{"@type":"Text","value":"-----BEGIN CERTIFICATE-----\\nMII\\n"},"id":"c1","issuer":"an authority",'
    '"notValidAfter":"%s","notValidBefore":"2026-01-01T00:00:00Z","privateKey":{"@type":"Text","value":"*"},'
    '"subjectAlternativeNames":{%s}}'
)
WILD = "*.example.org"


def certificate(days: int, *names: str) -> str:
    shown = ",".join(f'"{name}":true' for name in names)
    return CERTIFICATE % (f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}", shown)


def answer(
    total: int = 0,
    message: str = "",
    task: str = '{"@type":"Pending"}',
    held: str = certificate(60, WILD, "example.org"),
) -> str:
    return ANSWER % (total, message, task, held)


def job(ok: bool, hours: int) -> str:
    ended = f"{NOW - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    return f'{{\n  "ok": {str(ok).lower()},\n  "what": "the target is full",\n  "ended": "{ended}"\n}}\n'


@dataclass(frozen=True)
class Host:
    """A mailbox host: the page's directory, and what the engine answers."""

    directory: Path
    engine: Path

    def set(self, name: str, text: str) -> None:
        (self.engine / name).write_text(text)

    def refresh(self) -> str:
        """One run; returns the page that is served."""
        done = subprocess.run(
            [shutil.which("dash") or "sh", str(self.directory / "refresh.sh")],
            env={**os.environ, "PATH": f"{self.engine}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (self.directory / "www/index.html").read_text()

    def mails(self) -> list[str]:
        file = self.engine / "mail"
        return [] if not file.exists() else file.read_text().split("to exec -i")[1:]

    def results(self) -> dict[str, tuple[str, str]]:
        rows = [line.split("\t") for line in (self.directory / "results").read_text().splitlines()]
        return {row[0]: (row[1], row[2]) for row in rows}


SETTINGS = environment(
    ts_admin_src="tag:desk", status_page="on", smarthost_address="192.0.2.25", stalwart_store="postgres",
    stalwart_db_host="postgres.tail1.ts.net", backup_target="/srv/backup", backup_password="long-enough-for-it",
    acme_directory="https://acme.example.org/dir",
)  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return installed(SETTINGS, tmp_path)


def installed(settings: Environment, path: Path) -> Host:
    """What a deploy puts there, on a host where all is well; a disk and a memory of the test's own."""
    directory, engine = path / "status", path / "bin"
    (directory / "www").mkdir(parents=True)
    engine.mkdir()
    declared = published(settings)
    for file in (*declared.files, *(file for unit in declared.units for file in unit.files)):
        if file.path.startswith(status.DIRECTORY):
            (directory / Path(file.path).name).write_bytes(file.data)
    with (directory / "settings").open("a") as stream:
        stream.write(f"LAST_BACKUP={path}/backup.last\nLAST_DRILL={path}/drill.last\n")
    (directory / "host.sh").write_text("echo memory 900000000; echo disk / 90000000000 20\n")
    (path / "backup.last").write_text(job(ok=True, hours=9))
    (path / "drill.last").write_text(job(ok=True, hours=50))
    (engine / "docker").write_text(DOCKER)
    (engine / "docker").chmod(0o755)
    found = Host(directory, engine)
    found.set("state", "running healthy\n")
    found.set("dialled", DIALLED.format(0, 0, 0))
    found.set("answer", answer())
    return found


def test_all_is_well_and_nobody_is_written_to(host: Host) -> None:
    shown = host.refresh()
    host.refresh()
    assert {found for found, _ in host.results().values()} == {"passed"} and len(host.results()) == 13
    assert "All 13 checks of the mailbox host pass" in shown and "no whole run yet" in shown
    assert host.mails() == []
    assert list(host.directory.glob("*.new")) == []


BROKEN = (
        ("state", "running unhealthy\n", "mailbox.containers-healthy", "stalwart is running unhealthy"),
        ("unhealthy", "", "mailbox.http-answers", "refused"),
        ("dialled", DIALLED.format(1, 0, 0), "mailbox.stores-reached", "STALWART_DB_HOST"),
        ("dialled", DIALLED.format(0, 1, 0), "mailbox.smarthost-reached", "SMARTHOST"),
        ("dialled", DIALLED.format(0, 0, 143), "mailbox.ipv6-egress", "PROBE_IPV6"),
        ("../status/host.sh", "echo memory 900000000; echo disk / 9000 95\n", "mailbox.disk", "/ is 95 % full"),
        ("../status/host.sh", "echo memory 9000000; echo disk / 90000000000 9\n", "mailbox.memory", "8 MiB"),
        ("../status/host.sh", "echo reboot linux-image\n", "mailbox.no-reboot-due", "for linux-image"),
        ("../backup.last", job(ok=False, hours=1), "mailbox.backup", "the target is full"),
        ("../backup.last", job(ok=True, hours=60), "mailbox.backup", "the last one ended on"),
        ("../drill.last", job(ok=True, hours=300), "mailbox.drill", "the last one ended on"),
        ("answer", answer(201), "server.queue", "201 messages wait"),
        ("answer", answer(1, '{"createdAt":"2026-01-01T00:00:00Z"}'), "server.queue", "since 2026-01-01"),
        ("answer", answer(task='{"@type":"Failed","failureReason":"no <b>key</b>"}'), "server.tasks", "no <b>key"),
        ("answer", answer(held=certificate(3, WILD)), "server.certificate", "mail.example.org: valid until"),
        ("answer", answer(held=""), "server.certificate", "mail.example.org has none"),
        ("answer", answer(held=certificate(60, "*.other.example")), "server.certificate", "mail.example.org has none"),
        (
            "answer",
            answer(held=f"{certificate(60, WILD)},{certificate(3, 'mta-sts.example.org')}"),
            "server.certificate",
            "mta-sts.example.org: valid until",
        ),
)  # fmt: skip


# The texts hold the time, so they are no part of a name.
@pytest.mark.parametrize(
    ("name", "text", "identifier", "seen"), BROKEN, ids=[f"{number}-{case[2]}" for number, case in enumerate(BROKEN)]
)
def test_each_check_fails_for_what_it_is_about_and_no_other_does(
    host: Host, name: str, text: str, identifier: str, seen: str
) -> None:
    host.set(name, text)
    shown = host.refresh()
    failed = {each: said for each, (found, said) in host.results().items() if found != "passed"}
    assert list(failed) == [identifier] and seen in failed[identifier]
    assert "1 of 13 checks of the mailbox host fail" in shown and "<b>key" not in shown


def test_an_old_certificate_beside_its_successor_is_no_failure(host: Host) -> None:
    host.set("answer", answer(held=f"{certificate(3, WILD)},{certificate(60, WILD)}"))
    host.refresh()
    assert host.results()["server.certificate"] == ("passed", "")


def test_what_cannot_be_looked_at_is_never_green(host: Host) -> None:
    host.set("answer", "\nanswered exit 7\n")
    shown = host.refresh()
    found = host.results()
    assert {name for name, (verdict, _) in found.items() if verdict == "could not look"} == {
        "server.queue", "server.tasks", "server.certificate",
    }  # fmt: skip
    assert "3 of 13 checks of the mailbox host could not look" in shown


def test_a_change_is_mailed_once_when_two_runs_have_found_it(host: Host) -> None:
    host.refresh()
    host.set("dialled", DIALLED.format(1, 0, 0))
    host.refresh()
    assert host.mails() == [], "one run may have met a restart"
    host.refresh()
    host.refresh()
    (mail,) = host.mails()
    assert "To: <admin@example.org>" in mail and "Subject: example.org: 1 of 13 checks of the mailbox host fail" in mail
    assert "mailbox.stores-reached: Every store answers from inside the namespace" in mail
    assert "  was: passed\n  now: failed\n  seen: STALWART_DB_HOST is not reached;" in mail
    assert "  remedy: " in mail and "http://stalwart.tail1.ts.net:8090/" in mail
    host.set("dialled", DIALLED.format(0, 0, 0))
    for _ in range(3):
        host.refresh()
    assert len(host.mails()) == 2
    assert "is well again" in host.mails()[1] and "  was: failed\n  now: passed\n" in host.mails()[1]


def test_what_cannot_be_mailed_is_mailed_later(host: Host) -> None:
    host.set("refused", "")
    host.set("answer", answer(201))
    for _ in range(3):
        host.refresh()
    assert host.mails() == []
    (host.engine / "refused").unlink()
    host.refresh()
    host.refresh()
    assert len(host.mails()) == 1 and "server.queue" in host.mails()[0]


def test_the_page_of_a_whole_run_is_served_with_its_age_and_what_the_host_sees(host: Host) -> None:
    whole = outcome({"edge.listens": Verdict.FAILED})
    (host.directory / "seen.html").write_text(page.render(whole, SETTINGS, looks(), served=True))
    shown = host.refresh()
    parsed = Parsed()
    parsed.feed(shown)
    assert not parsed.open
    assert '<header class="failed">' in shown and "pass; the last whole run found failures" in shown
    assert "edges, tailnet and zone as tailwart doctor saw them" in shown
    assert "The mailbox host, now" in parsed.text and "edge.listens" in parsed.text
    assert shown.count("<h1>") == shown.count("<main>") == 1
    assert not {"src", "href"} & {name for _, attributes in parsed.tags for name in attributes}


def test_what_an_installation_does_not_have_is_not_looked_at(tmp_path: Path) -> None:
    host = installed(environment(ts_admin_src="tag:desk", status_page="on", stalwart_store="rocksdb"), tmp_path)
    host.refresh()
    left = {"mailbox.stores-reached", "mailbox.smarthost-reached", "mailbox.backup", "mailbox.drill"}
    assert not left & set(host.results())
