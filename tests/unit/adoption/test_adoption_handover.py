"""The mailbox changes hands on a host with real directories, and dies at every command: nothing is lost or doubled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.adoption import journal as journals
from tailwart.adoption.edges import EdgeHandover
from tailwart.adoption.handover import HOST, Handover
from tailwart.adoption.journal import Journal, Old, Step
from tailwart.adoption.transfers import Transfer, bring, take_back
from tailwart.errors import TailwartError
from tests.unit.adoption.rig import Killed, Rig

OWN = f"{os.getuid()}:{os.getgid()}"


class Host:
    """The old project of a rig, and the hand-over's own view of it."""

    def __init__(self, root: Path, *, healthy: bool = True) -> None:
        self.rig = Rig(root)
        self.healthy = healthy
        self.said: list[str] = []
        self.data = root / "old" / "data"
        self.vpn = root / "old" / "vpn"
        for folder in (self.data / "db", self.vpn):
            folder.mkdir(parents=True)
        (self.data / "db" / "000012.sst").write_text("table")
        (self.data / "db" / "MANIFEST").write_text("manifest")
        (self.data / "db" / "log").write_text("mail 1\n")
        (self.data / "kept.txt").write_text("beside")
        (self.vpn / "tailscaled.state").write_text("node key")

    def journal(self) -> Journal:
        return Journal(
            HOST,
            old=(Old("vpn", "a" * 64, "unless-stopped"), Old("mail", "b" * 64, "always")),
            transfers=(
                Transfer(str(self.data), "stalwart-data", skip="db", skip_volume="data"),
                Transfer(str(self.data / "db"), "stalwart-data", into="data"),
                Transfer(str(self.vpn), "ts-state", server=False),
            ),
            owner=OWN,
            project="mailproject",
            directory="/srv/mail",
            files=("/srv/mail/compose.yaml",),
        )

    def handover(self, journal: Journal | None = None) -> Handover:
        journal = journal or journals.read(self.rig, HOST) or self.journal()
        return Handover(self.rig, journal, ("image:1",), self._prepare, self._up, self._remove, self.said.append)

    def _prepare(self) -> None:
        folder = self.rig.opt / "mailbox"
        folder.mkdir(exist_ok=True)
        (folder / ".env").write_text("OLD='1'\nNEW_SECRET='s3cret'\n")

    def _up(self) -> None:
        self.rig("true  # up")
        for name in ("vpn", "mail"):
            assert not self.rig.named(f"{name}-before-tailwart")[0], "both would run"
        if not self.healthy:
            raise TailwartError("it is not healthy")
        self.rig.set("ours")
        store = self.rig.volumes / "tailwart-mailbox_stalwart-data" / "data"
        assert (store / "MANIFEST").read_text() == "manifest"
        with (store / "log").open("a") as log:
            log.write("mail 2\n")
        self.rig("true  # healthy")

    def _remove(self) -> None:
        self.rig("true  # remove")
        self.rig.set("ours", on=False)

    @property
    def store(self) -> Path:
        return self.rig.volumes / "tailwart-mailbox_stalwart-data" / "data"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_mailbox_goes_on_with_store_and_node_of_the_old_project(host: Host) -> None:
    host.handover().execute()
    volume = host.rig.volumes
    assert (host.store / "log").read_text() == "mail 1\nmail 2\n"
    assert (volume / "tailwart-mailbox_stalwart-data" / "kept.txt").read_text() == "beside"
    assert (volume / "tailwart-mailbox_ts-state" / "tailscaled.state").read_text() == "node key"
    assert not (volume / "tailwart-mailbox_stalwart-data" / "db").exists()
    assert any("s after the old one stopped" in line for line in host.said)


def test_tables_are_links_and_what_changes_is_a_copy(host: Host) -> None:
    host.handover().execute()
    assert (host.store / "000012.sst").samefile(host.data / "db" / "000012.sst")
    assert (host.data / "db" / "log").read_text() == "mail 1\n", "the old volume is as it was when it stopped"


def test_the_old_containers_are_kept_and_do_not_start_by_themselves(host: Host) -> None:
    host.handover().execute()
    for name in ("vpn-before-tailwart", "mail-before-tailwart"):
        assert host.rig.named(name) == (False, "no")


def test_an_image_that_cannot_be_fetched_stops_nothing(host: Host) -> None:
    host.rig.set("missing")
    with pytest.raises(TailwartError, match="fetch image:1"):
        host.handover().execute()
    assert host.rig.named("mail")[0]


def test_a_mailbox_that_does_not_come_up_gives_way_to_the_old_project(tmp_path: Path) -> None:
    host = Host(tmp_path, healthy=False)
    with pytest.raises(TailwartError, match="not healthy") as problem:
        host.handover().execute()
    assert "the old project serves again" in problem.value.expected
    assert host.rig.named("mail") == (True, "always")
    assert journals.read(host.rig, HOST) is None


def test_the_way_back_takes_the_mail_since_with_it(host: Host) -> None:
    host.handover().execute()
    host.handover().back()
    assert (host.data / "db" / "log").read_text() == "mail 1\nmail 2\n"
    assert (host.data / "db" / "000012.sst").read_text() == "table"
    assert (host.data / "kept.txt").read_text() == "beside"
    assert (host.vpn / "tailscaled.state").read_text() == "node key"
    for name, restart in (("vpn", "unless-stopped"), ("mail", "always")):
        assert host.rig.named(name) == (True, restart)
    assert journals.read(host.rig, HOST) is None


def test_variables_that_the_old_container_lacks_come_along_and_stay_secret(host: Host) -> None:
    host.handover().execute()
    host.handover().back()
    words = host.rig.composed
    assert words[words.index("--project-name") + 1] == "mailproject"
    files = [words[number + 1] for number, word in enumerate(words) if word == "--file"]
    assert files == ["/srv/mail/compose.yaml", str(host.rig.opt / "adoption" / "variables.yaml")]
    values = host.rig.opt / "adoption" / "variables.env"
    assert values.read_text() == "NEW_SECRET='s3cret'\n"
    assert values.stat().st_mode & 0o777 == 0o600
    assert any("NEW_SECRET" in line for line in host.said)
    assert not any("s3cret" in text for text in (*host.said, *host.rig.scripts))


def test_it_is_taken_over_again_after_the_way_back(host: Host) -> None:
    host.handover().execute()
    host.handover().back()
    host.handover().execute()
    assert (host.store / "log").read_text() == "mail 1\nmail 2\nmail 2\n"


def _killed_at_every_command(tmp_path: Path) -> Iterator[tuple[int, Host]]:
    """A host for each command of a hand-over, whose hand-over died at that command."""
    (tmp_path / "counted").mkdir()
    counted = Host(tmp_path / "counted")
    counted.handover().execute()
    for number in range(1, counted.rig.commands + 1):
        root = tmp_path / f"{number}"
        root.mkdir()
        host = Host(root)
        host.rig.kill_after = number
        with pytest.raises(Killed):
            host.handover().execute()
        host.rig.kill_after = 0
        yield number, host


def test_a_hand_over_that_dies_at_any_command_goes_on(tmp_path: Path) -> None:
    for number, host in _killed_at_every_command(tmp_path):
        journal = journals.read(host.rig, HOST)
        if journal is not None and journal.step is Step.FILLED:
            # `up` puts one more message into the store each time that it runs: a second filling would lose the first.
            known = (host.store / "log").read_text()
            host.handover().execute()
            assert (host.store / "log").read_text().startswith(known)
        else:
            host.handover().execute()
        assert (host.store / "log").read_text().startswith("mail 1\nmail 2\n"), f"died after command {number}"
        assert not host.rig.named("mail-before-tailwart")[0]


def test_a_hand_over_that_dies_at_any_command_can_be_taken_back(tmp_path: Path) -> None:
    for number, host in _killed_at_every_command(tmp_path):
        taken = (host.store / "log").read_text() if (host.store / "log").exists() else "mail 1\n"
        if journals.read(host.rig, HOST) is None:
            continue  # not even begun
        host.handover().back()
        assert host.rig.named("mail")[0]
        assert (host.data / "db" / "log").read_text() == taken, f"died after command {number}"


def test_a_way_back_that_dies_at_any_command_goes_on_back(tmp_path: Path) -> None:
    (tmp_path / "counted").mkdir()
    counted = Host(tmp_path / "counted")
    counted.handover().execute()
    first = counted.rig.commands
    counted.handover().back()
    for number in range(first + 2, counted.rig.commands + 1):
        root = tmp_path / f"{number}"
        root.mkdir()
        host = Host(root)
        host.handover().execute()
        host.rig.kill_after = number
        with pytest.raises(Killed):
            host.handover().back()
        host.rig.kill_after = 0
        if (journal := journals.read(host.rig, HOST)) is not None:
            if journal.returning:
                with pytest.raises(TailwartError, match="way back was begun"):
                    host.handover().execute()
            host.handover().back()
        assert host.rig.named("mail")[0], f"died after command {number}"
        assert (host.data / "db" / "log").read_text() == "mail 1\nmail 2\n"


def test_a_damaged_journal_is_said(host: Host) -> None:
    (host.rig.opt / "adoption").mkdir()
    (host.rig.opt / "adoption" / "mailbox.json").write_text('{"host": "mailbox", "step": 9}')
    with pytest.raises(TailwartError, match="cannot be read"):
        journals.read(host.rig, HOST)


def test_another_owner_gets_copies_and_no_links(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root gives files away")
    host = Host(tmp_path)
    (host.rig.volumes / "tailwart-mailbox_stalwart-data").mkdir()
    assert host.rig(bring(host.journal().transfers[:2], "12345:12345")).ok
    table = host.store / "000012.sst"
    assert (table.stat().st_uid, table.samefile(host.data / "db" / "000012.sst")) == (12345, False)
    assert (host.data / "db" / "000012.sst").stat().st_uid == 0
    assert host.rig(take_back(host.journal().transfers[:2])).ok
    assert (host.data / "db" / "000012.sst").stat().st_uid == 0


def test_a_source_that_is_gone_fails_and_empties_nothing(host: Host) -> None:
    volume = host.rig.volumes / "tailwart-mailbox_stalwart-data"
    volume.mkdir()
    (volume / "here").write_text("kept")
    assert not host.rig(bring((Transfer("/nowhere", "stalwart-data"),), OWN)).ok
    assert (volume / "here").exists()


# -- edges


def _edge(rig: Rig, *, serves: bool, journal: Journal | None = None) -> EdgeHandover:
    fresh = Journal("edge-1", old=(Old("mail", "b" * 64, "always"), Old("caddy-l4.service", unit=True)))

    def activate() -> None:
        if not serves:
            raise TailwartError("it does not listen")

    return EdgeHandover(
        rig, journal or fresh, lambda: None, activate, lambda: rig.set("ours", on=False), rig.scripts.append
    )


def test_an_old_edge_stops_and_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    _edge(rig, serves=True).execute()
    assert not rig.named("mail-before-tailwart")[0]
    assert "disable --quiet --now caddy-l4.service" in (tmp_path / "systemctl.log").read_text()
    found = journals.read(rig, "edge-1")
    assert found is not None
    assert found.step is Step.SERVING
    _edge(rig, serves=True, journal=found).back()
    assert rig.named("mail")[0]
    assert "enable --quiet --now caddy-l4.service" in (tmp_path / "systemctl.log").read_text()


def test_an_old_edge_serves_again_where_the_new_one_does_not(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with pytest.raises(TailwartError, match="does not listen") as problem:
        _edge(rig, serves=False).execute()
    assert "the old edge serves again" in problem.value.expected
    assert rig.named("mail")[0]
    assert journals.read(rig, "edge-1") is None
