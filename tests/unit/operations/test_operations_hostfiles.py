"""Files are written whole, with their mode, in one command, and their content shows nowhere."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile, differences, paths, pending
from tailwart.hosts.report import HostReport, PathState, parse
from tailwart.hosts.watch import Watch, script
from tailwart.operations.hostfiles import write
from tests.unit.operations.shell import Shell

OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{pwd.getpwuid(os.getuid()).pw_name}"


def observe(files: list[HostFile], directories: list[HostDirectory]) -> HostReport:
    return parse(Shell()(script(Watch(tuple(paths(files, directories))))).stdout.splitlines())


def test_files_that_were_written_are_up_to_date(tmp_path: Path) -> None:
    files = [
        HostFile(f"{tmp_path}/role/config/config.json", '{"a": "ü"}\n', owner=OWNER),
        HostFile(f"{tmp_path}/role/secret.env", "A=b\n", "0600", secret=True, owner=OWNER),
    ]
    directories = [HostDirectory(f"{tmp_path}/role", "0700", OWNER)]
    assert pending(observe(files, directories), files, directories) == (files, directories)

    shell = Shell()
    write(shell, files, directories)

    assert len(shell.scripts) == 1
    assert pending(observe(files, directories), files, directories) == ([], [])
    assert (tmp_path / "role").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "role/secret.env").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "role").iterdir()) == ["config", "secret.env"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
def test_any_bytes_arrive_as_they_are(tmp_path: Path, contents: list[bytes]) -> None:
    files = [HostFile(f"{tmp_path}/f{index}", data, owner=OWNER) for index, data in enumerate(contents)]
    write(Shell(), files)
    assert [Path(file.path).read_bytes() for file in files] == contents


def test_no_content_and_no_digest_is_in_the_command(tmp_path: Path) -> None:
    secret = HostFile(f"{tmp_path}/s", "hunter2-hunter2\n", "0600", secret=True, owner=OWNER)
    shell = Shell()
    write(shell, [secret])
    assert "hunter2" not in shell.scripts[0]
    assert secret.sha256 not in shell.scripts[0]
    assert "hunter2" not in repr(secret)


def test_a_symbolic_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("foreign")
    (tmp_path / "f").symlink_to("target")
    write(Shell(), [HostFile(f"{tmp_path}/f", "ours", owner=OWNER)])
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "target").read_text() == "foreign"


def test_content_damaged_on_the_way_never_reaches_the_path(tmp_path: Path) -> None:
    class Damaging(Shell):
        def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None):  # type: ignore[no-untyped-def]
            return super().__call__(script, stdin=stdin.replace("b3Vycw==", "b3VyeA=="), timeout=timeout)

    (tmp_path / "f").write_text("before")
    with pytest.raises(TailwartError, match="damaged"):
        write(Damaging(), [HostFile(f"{tmp_path}/f", "ours", owner=OWNER)])
    assert (tmp_path / "f").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_run_killed_between_two_files_leaves_whole_files_only(tmp_path: Path) -> None:
    class Cut(Shell):
        def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None):  # type: ignore[no-untyped-def]
            return super().__call__(script, stdin=stdin.splitlines(keepends=True)[0], timeout=timeout)

    files = [HostFile(f"{tmp_path}/a", "A", owner=OWNER), HostFile(f"{tmp_path}/b", "B", owner=OWNER)]
    with pytest.raises(TailwartError):
        write(Cut(), files)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "A"}


def test_a_failure_names_the_path_and_what_the_host_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TailwartError) as failure:
        write(Shell(), [HostFile(f"{tmp_path}/file/below", "x", owner=OWNER)])
    assert f"{tmp_path}/file" in str(failure.value)
    assert "mkdir" in failure.value.seen


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a//b", "/a b", "/a'b", "/a\nb", "/a$b", "/a/"])
def test_a_path_the_shell_could_misread_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        HostFile(path, "")


def test_a_secret_that_others_could_read_is_refused() -> None:
    with pytest.raises(ValueError, match="0600"):
        HostFile("/a", "x", "0640", secret=True)


def test_differences_show_text_and_keep_secrets() -> None:
    assert "+new" in differences(b"old\n", HostFile("/a", "new\n"))
    assert differences(b"old", HostFile("/a", "new", "0600", secret=True)) == ["/a: content changed (secret)"]
    assert differences(b"\xff", HostFile("/a", b"\xfe")) == ["/a: content changed (binary)"]


def test_a_changed_mode_alone_is_a_difference() -> None:
    file = HostFile("/a", "x")
    state = PathState("file", "0600", "root:root", file.sha256)
    assert pending(HostReport(paths={"/a": state}), [file]) == ([file], [])


def test_the_shell_of_this_machine_is_a_posix_one() -> None:
    # These tests stand for Debian hosts only while sh is what it is there.
    assert subprocess.run(["sh", "-c", "echo $((1+1))"], capture_output=True, check=True).stdout == b"2\n"
