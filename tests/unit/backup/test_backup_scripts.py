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


@pytest.mark.parametrize(
    ("done", "total", "unit", "expected"),
    [
        ("450", "1000", "", "work: 45 % (450 B of 1.0 KB)"),
        ("1250000000", "2600000000", "", "work: 48 % (1.2 GB of 2.6 GB)"),
        ("12", "10", "files", "work: 100 % (10 of 10 files)"),
        ("5", "0", "", "work"),
        ("", "", "", "work"),
    ],
)
def test_how_far_it_is_becomes_the_stage(here: Path, done: str, total: str, unit: str, expected: str) -> None:
    assert shell(here, f"stage work; progress work '{done}' '{total}' {unit}").returncode == 0
    assert (here / "test.progress").read_text() == f"{expected}\n"


def test_progress_is_read_from_what_the_programs_say(here: Path) -> None:
    restic = '{"message_type":"status","percent_done":0.5,"total_bytes":2000,"bytes_done":1000}'
    rclone = (
        '{"level":"warning","stats":{"bytes":30,"totalBytes":40,"transferring":[{"bytes":1,"name":"x"}],"transfers":1}}'
    )
    said = f"repository() {{ echo '{restic}'; sleep 0.01; }}; percent uploading; cat {here}/test.progress"
    assert shell(here, said).stdout.splitlines()[-1] == "uploading: 50 % (1.0 KB of 2.0 KB)"
    said = f"bucket() {{ echo '{rclone}' >&2; }}; transfer fetching; cat {here}/test.progress"
    assert shell(here, said).stdout.splitlines()[-1] == "fetching: 75 % (30 B of 40 B)"
    bucket = """bucket() { echo '{"level":"error","msg":"no such bucket"}' >&2; return 3; }"""
    failed = f'{bucket}; transfer fetching || echo "why: $why"'
    assert shell(here, failed).stdout.splitlines()[-1] == "why: no such bucket"


def awaiting(here: Path, text: str) -> str:
    """Shell text that waits until the stage has that text, for a minute at most."""
    look = f"grep -q '{text}' {here}/test.progress"
    return f"i=0; until {look} || [ $i -ge 600 ]; do sleep 0.1; i=$((i+1)); done"


def test_what_is_read_is_followed_and_its_failure_is_told(here: Path) -> None:
    (here / "dump").write_bytes(b"x" * 1000)
    (here / "work.sh").write_text(f"head -c 250 >/dev/null; {awaiting(here, ': 25 % (250 B of 1.0 KB)')}")
    done = shell(here, f"reading restoring {here}/dump sh {here}/work.sh; echo $?")
    assert done.stdout.splitlines()[-1] == "0", done.stderr
    assert "restoring: 25 % (250 B of 1.0 KB)" in done.stdout
    done = shell(here, f"reading restoring {here}/dump sh -c 'echo broken >&2; exit 4' || echo \"$? $why\"")
    assert done.stdout.splitlines()[-1] == "4 broken"


def test_a_file_that_grows_is_followed_until_it_is_whole(here: Path) -> None:
    (here / "dump").write_bytes(b"x" * 500)
    seen = f"{awaiting(here, '%')}; cat {here}/test.progress; grown; stage next"
    done = shell(here, f"growing dumping {here}/dump 1000; {seen}")
    assert "dumping: 50 % (500 B of 1.0 KB)" in done.stdout
    assert (here / "test.progress").read_text() == "next\n"


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
