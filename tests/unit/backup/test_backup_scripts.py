"""The scripts' own functions, run by the shell of this machine: a damaged set is told, hashes are made once."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tailwart.backup.names import DIRECTORY
from tailwart.hosts import templates

SCRIPTS = ("common.sh", "backup.sh", "restore.sh", "drill.sh")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The backup's directory, with a common.sh that knows it."""
    (tmp_path / "common.sh").write_text(templates.text("backup/common.sh").replace(DIRECTORY, str(tmp_path)))
    (tmp_path / "settings").write_text("REPOSITORY=/nowhere BUCKET= ENDPOINT=\n")
    return tmp_path


def shell(here: Path, script: str) -> subprocess.CompletedProcess[str]:
    whole = f". {here}/common.sh; kind=test job=j begun=0 set=S; {script}"
    return subprocess.run(["sh", "-c", whole], capture_output=True, text=True, check=False)


def a_set(directory: Path) -> Path:
    """A set of two parts and two message bodies."""
    found = directory / "fetched"
    (found / "mailbox").mkdir(parents=True)
    (found / "blobs" / "ab").mkdir(parents=True)
    (found / "database.dump").write_bytes(b"dump" * 100)
    (found / "mailbox" / "credentials").write_bytes(b"key")
    bodies = {"./ab/one": b"first body", "./two": b"second body"}
    for name, body in bodies.items():
        (found / "blobs" / name).write_bytes(body)
    listed = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in bodies.items())
    (found / "blobs.sha256").write_text(listed)
    parts = ("database.dump", "mailbox/credentials", "blobs.sha256")
    digests = [{"path": name, "sha256": hashlib.sha256((found / name).read_bytes()).hexdigest()} for name in parts]
    (found / "manifest.json").write_text(json.dumps({"format": 1, "set": "S", "parts": digests}))
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_posix_shell(name: str) -> None:
    done = subprocess.run(
        ["dash", "-n"], input=templates.text(f"backup/{name}"), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_whole_set_is_proven(here: Path) -> None:
    done = shell(here, f"prove {a_set(here)} && echo proven")
    assert done.stdout.splitlines()[-1] == "proven", done.stderr


@pytest.mark.parametrize(
    "part", ["database.dump", "mailbox/credentials", "blobs/ab/one", "blobs.sha256", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_any_damage_to_any_part_is_told(here: Path, part: str, damage: str) -> None:
    path = a_set(here) / part
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if damage == "truncated" else bytes([whole[0] ^ 1]) + whole[1:])
    done = shell(here, f"prove {here}/fetched && echo proven")
    assert "proven" not in done.stdout
    assert done.returncode == 1
    told = json.loads((here / "test.result").read_text())
    assert told["ok"] is False
    assert told["what"].startswith("set S ")
    assert told["remedy"]


def test_a_body_is_hashed_once(here: Path) -> None:
    blobs = here / "blobs"
    blobs.mkdir()
    (blobs / "one").write_text("1")
    (blobs / "two words").write_text("2")
    assert shell(here, "list_blobs").returncode == 0
    listed = (here / "blobs.sha256").read_text()
    assert [line[66:] for line in listed.splitlines()] == ["./one", "./two words"]
    # What is known is not read again: a marked line stays as it is, what is gone leaves, what is new comes.
    (here / "blobs.sha256").write_text(listed.replace(listed[:64], "0" * 64))
    (blobs / "two words").unlink()
    (blobs / "three").write_text("3")
    assert shell(here, "list_blobs").returncode == 0
    again = (here / "blobs.sha256").read_text().splitlines()
    assert again == [f"{'0' * 64}  ./one", f"{hashlib.sha256(b'3').hexdigest()}  ./three"]


def test_rows_are_counted_by_table(here: Path) -> None:
    done = shell(here, "printf 'a|12\\nBEGIN\\nb|0\\n' | counts_json")
    assert json.loads(done.stdout) == {"a": 12, "b": 0}
