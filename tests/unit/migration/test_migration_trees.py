"""Two folders and what makes the second equal to the first, with find, sha256sum, tar and rm as a host has them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.migration import trees
from tailwart.migration.trees import Difference, Entry


def listed(root: Path, skip: tuple[str, ...] = (), *, hashed: bool = True) -> dict[str, Entry]:
    script = trees.listing(str(root), skip, hashed=hashed)
    return trees.parse(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)


def copied(source: Path, target: Path, found: Difference) -> None:
    """As the move does it: what is too much goes, then one stream of tar."""
    gone, sent = ("".join(f"{path}\0" for path in paths) for paths in (found.remove, found.send))
    subprocess.run(["xargs", "-0r", "rm", "-rf", "--"], input=gone, text=True, cwd=target, check=True)
    packing = ["sh", "-c", trees.packing(str(source))]
    packed = subprocess.run(packing, input=sent.encode(), capture_output=True, check=True)
    subprocess.run(["sh", "-c", trees.unpacking(str(target))], input=packed.stdout, check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "data" / "empty").mkdir(parents=True)
    (root / "data" / "000012.sst").write_bytes(b"table" * 1000)
    (root / "data" / "with space\nand line").write_text("odd")
    (root / "data" / "-begins-with-a-dash").write_text("odd too")
    (root / "CURRENT").write_text("MANIFEST-1")
    (root / "CURRENT").chmod(0o600)
    (root / "link").symlink_to("CURRENT")
    return root


def test_an_empty_folder_becomes_equal(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    found = trees.difference(listed(source), listed(target))
    assert set(found.send) == set(listed(source))
    copied(source, target, found)
    assert trees.unequal(listed(source), listed(target)) == []
    assert (target / "CURRENT").stat().st_mode & 0o777 == 0o600
    assert not trees.difference(listed(source), listed(target))


def test_only_what_differs_is_sent_and_what_is_too_much_goes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    copied(source, target, trees.difference(listed(source), {}))
    # Of the same size and time, and another content: what only a digest shows.
    other = target / "data" / "000012.sst"
    before = other.stat()
    other.write_bytes(b"tabel" * 1000)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    (target / "data" / "old").mkdir()
    (target / "data" / "old" / "000001.sst").write_text("of an earlier life")
    (target / "link").unlink()
    (target / "link").mkdir()
    assert "data/000012.sst" not in trees.difference(listed(source, hashed=False), listed(target, hashed=False)).send
    found = trees.difference(listed(source), listed(target))
    assert set(found.send) == {"data/000012.sst", "link"}
    assert found.remove == ("link", "data/old/000001.sst", "data/old")
    copied(source, target, found)
    assert trees.unequal(listed(source), listed(target)) == []


def test_what_belongs_to_the_host_is_left_alone_on_both_sides(source: Path, tmp_path: Path) -> None:
    (source / ".lock").write_text("")
    target = tmp_path / "target"
    (target / "join").mkdir(parents=True)
    (target / "join" / "authkey").write_text("of the new host")
    skip = (".lock", "join")
    found = trees.difference(listed(source, skip), listed(target, skip))
    assert ".lock" not in found.send and found.remove == ()


def test_nothing_is_below_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert listed(tmp_path / "none") == {}


def test_bytes_are_those_of_files(source: Path) -> None:
    assert trees.octets(listed(source, hashed=False), ["data", "data/000012.sst", "CURRENT", "gone"]) == 5010


entries = st.dictionaries(
    st.sampled_from(["a", "a/b", "c", "d"]),
    st.builds(Entry, st.sampled_from("fdl"), st.just("600"), st.just("0:0"), st.sampled_from(["1", "2"])),
)


@given(entries, entries)
def test_a_difference_makes_the_target_equal(source: dict[str, Entry], target: dict[str, Entry]) -> None:
    found = trees.difference(source, target)
    left = {path: entry for path, entry in target.items() if path not in found.remove}
    result = left | {path: source[path] for path in found.send}
    assert trees.unequal(source, result) == []
