"""Folders from one host to another over SSH: ahead of the stop, whole after it, and refused when they differ."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailwart.connectors.shell import SshRunner
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.migration import copying, streams, trees
from tailwart.migration.copying import Tree
from tests.unit.connectors.sshd import sshd
from tests.unit.migration.test_migration_trees import listed

LONG_AGO = 1_700_000_000


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[SshRunner, SshRunner]]:
    """Two connections, as to two hosts."""
    with sshd(tmp_path) as server:
        server.introduce()
        keys = {"ssh_key": str(server.identity), "ssh_known_hosts": str(server.known_hosts)}
        environment = Environment.model_validate({"domain": "example.org", "ts_tailnet": "tail1234.ts.net", **keys})
        host = SshTarget("root", "127.0.0.1", server.port)
        with SshRunner(environment, host) as source, SshRunner(environment, host) as target:
            yield source, target


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "data").mkdir(parents=True)
    target.mkdir()
    for number in range(40):
        table = source / "data" / f"{number:06}.sst"
        table.write_bytes(os.urandom(200_000))
        os.utime(table, (LONG_AGO, LONG_AGO))
    (source / "data" / "CURRENT").write_text("MANIFEST-1")
    (source / "data" / "name with space\nand line").write_text("odd")
    source.chmod(0o750)
    return Tree("the store", str(source), str(target))


def test_what_rests_goes_ahead_and_the_rest_follows(hosts: tuple[SshRunner, SshRunner], tree: Tree) -> None:
    said: list[str] = []
    copying.ahead(*hosts, tree, said.append)
    there = listed(Path(tree.target))
    assert len([path for path in there if path.endswith(".sst")]) == 40
    assert "data/CURRENT" not in there, "a file that has just changed may change again"
    assert said[-1] == "copying the store ahead, while the mailbox serves: 100 % (8.0 MB of 8.0 MB)"
    assert len(said) > 20, "its progress was told on the way"

    (Path(tree.source) / "data" / "000003.sst").unlink()
    said.clear()
    entries = copying.whole(*hosts, tree, said.append)
    assert entries == len(listed(Path(tree.source)))
    assert trees.unequal(listed(Path(tree.source)), listed(Path(tree.target))) == []
    assert Path(tree.target).stat().st_mode & 0o777 == 0o750
    assert said == [f"copying the store: 2 of {entries} entries"], "what went ahead is not sent again"


def test_a_file_that_goes_while_it_is_read_stops_nothing(hosts: tuple[SshRunner, SshRunner], tree: Tree) -> None:
    folders = (tree.source, tree.target)
    streams.send(*hosts, folders, ["data", "data/gone.sst", "data/000001.sst"], vanishing=True)
    assert (Path(tree.target) / "data" / "000001.sst").exists()
    with pytest.raises(TailwartError, match="could not be copied") as caught:
        streams.send(*hosts, folders, ["data/gone.sst"])
    assert "gone.sst" in caught.value.seen


def test_a_new_host_that_takes_nothing_says_why(hosts: tuple[SshRunner, SshRunner], tree: Tree) -> None:
    paths = sorted(path for path in listed(Path(tree.source)))
    with pytest.raises(TailwartError, match="could not be copied") as caught:
        streams.send(*hosts, (tree.source, f"{tree.target}/none"), paths)
    assert "none" in caught.value.seen


def test_a_copy_that_differs_is_refused(
    hosts: tuple[SshRunner, SshRunner], tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(source: SshRunner, target: SshRunner, folders: tuple[str, str], paths: tuple[str, ...]) -> None:
        del source, target, folders, paths

    monkeypatch.setattr(streams, "send", damaged)
    with pytest.raises(TailwartError, match="not the same on both hosts") as caught:
        copying.whole(*hosts, tree, lambda _: None)
    assert "data/000001.sst" in caught.value.seen
