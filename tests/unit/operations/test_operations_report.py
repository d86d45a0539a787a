"""The host report: what the script prints on a real machine parses, and nothing else passes for it."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.hosts.report import HEADER, TRAILER, ReportError, parse, started
from tailwart.hosts.watch import Watch, script
from tests.unit.operations.shell import Shell

CONTAINER = "\t".join(
    (
        "container",
        "stalwart",
        "/stalwart",
        "c1",
        "running",
        "healthy",
        "0",
        "inputs",
        "2026-11-21T02:23:16.1234Z",
        "container:c0",
        "PATH STALWART_DB_PASSWORD ",
    )
)


def framed(*lines: str) -> list[str]:
    return ["Linux banner", HEADER, *lines, TRAILER]


def test_a_bare_host_without_any_of_it_gives_an_empty_report() -> None:
    report = parse(framed())
    assert not report.paths
    assert not report.engine.present
    assert report.containers == ()


def test_the_script_reports_files_directories_contents_and_probes_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_bytes(b"x=1\n")
    (tmp_path / "a.env").chmod(0o600)
    (tmp_path / "link").symlink_to("a.env")
    (tmp_path / "sub").mkdir(mode=0o711)
    paths = tuple(str(tmp_path / name) for name in ("a.env", "link", "sub", "absent"))
    watch = Watch(paths=paths, contents=(paths[0], paths[3]), probes=(("two", "echo 1; echo 2"), ("bad", "exit 7")))

    report = parse(Shell()(script(watch)).stdout.splitlines())

    assert report.paths[paths[0]].mode == "0600"
    assert report.paths[paths[0]].kind == "file"
    assert report.paths[paths[1]].kind == "symbolic link"
    assert (report.paths[paths[2]].kind, report.paths[paths[2]].mode) == ("directory", "0711")
    assert paths[3] not in report.paths
    assert dict(report.contents)[paths[0]] == b"x=1\n"
    assert report.probes["two"].output == b"1\n2"
    assert report.probes["bad"].exit_code == 7


def test_the_script_survives_a_machine_without_engine(tmp_path: Path) -> None:
    # An empty PATH but for the coreutils it needs: no docker, no systemctl.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "stat", "sha256sum", "sed", "base64"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    bare = script(Watch(paths=("/etc/passwd",), project="tailwart-mailbox")).replace(
        "$PATH:/usr/sbin:/sbin", str(tools)
    )
    report = parse(Shell()(bare).stdout.splitlines())
    assert not report.engine.present
    assert report.paths["/etc/passwd"].owner == "root:root"


def test_a_container_line_is_read_in_full_and_holds_no_values_of_its_environment() -> None:
    container = parse(framed(CONTAINER)).container("stalwart")
    assert container is not None
    assert (container.name, container.network_mode, container.healthy) == ("stalwart", "container:c0", True)
    assert "STALWART_DB_PASSWORD" in container.variables


def test_a_missing_label_is_empty() -> None:
    container = parse(framed(CONTAINER.replace("\tinputs\t", "\t<no value>\t"))).container("stalwart")
    assert container is not None
    assert container.inputs == ""


def test_an_engine_that_does_not_answer_is_present_without_version() -> None:
    error = base64.b64encode(b"Cannot connect").decode()
    engine = parse(framed(f"engine\t\t\t2.26.1-4\t{error}", "unit\tenabled\tboot/0/0")).engine
    assert (engine.present, engine.version, engine.compose, engine.enabled) == (True, "", "2.26.1-4", True)
    assert engine.error == "Cannot connect"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [HEADER],
        [HEADER, "path\tregular file\t644\troot:root\t/etc/passwd"],
        framed("path\tregular file"),
        framed("surprise\tx"),
        framed("content\t!!\t/x"),
        framed(CONTAINER.replace("2026-11-21T", "yesterday ")),
    ],
)
def test_a_report_that_is_cut_off_or_damaged_is_refused(lines: list[str]) -> None:
    with pytest.raises(ReportError):
        parse(lines)


@given(st.lists(st.text(max_size=40), max_size=12))
def test_nothing_but_a_report_error_comes_of_arbitrary_output(lines: list[str]) -> None:
    try:
        parse(lines)
    except ReportError:
        return
    assert HEADER in lines


@given(st.datetimes(), st.integers(0, 999_999_999), st.integers(0, 999_999_999))
def test_start_times_sort_as_times_although_go_drops_trailing_zeros(moment: object, a: int, b: int) -> None:
    def text(nanoseconds: int) -> str:
        fraction = f"{nanoseconds:09d}".rstrip("0")
        return f"2026-11-21T02:23:16{'.' if fraction else ''}{fraction}Z"

    assert (started(text(a)) < started(text(b))) == (a < b)


def test_facts_of_several_operations_are_one_watch() -> None:
    role = Watch(("/a",), ("/b",), "project", (("one", "true"),))
    unit = Watch(("/a", "/c"), probes=(("two", "true"),))
    assert role | unit == Watch(("/a", "/c"), ("/b",), "project", (("one", "true"), ("two", "true")))
    assert (role | unit).covers(unit)
    assert not role.covers(unit), "an operation would never find its facts, and act at every run"


_DOCKER = r"""#!/bin/sh
echo "$1" >>"$0.calls"
case $1 in
  version) echo 26.1.5/false ;;
  compose) echo 2.26.1 ;;
  ps) printf '%s\n' c0 c1 ;;
  # What the template engine makes of the format: one part before the line break, one behind it.
  inspect)
    case $5 in *'{{println}}{{.ID}} {{json'*) ;; *) exit 1 ;; esac
    for id in c0 c1; do
      printf 'container\tweb\t/web-%s\t%s\trunning\t\t0\t<no value>\t2026-11-21T02:00:00.5Z\tbridge\tPATH \n' $id $id
      printf '%s "image  of %s" ["A=\\\\b"] null\n' $id $id
    done ;;
esac
"""


def test_containers_and_their_fingerprints_come_from_one_call_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    report = parse(Shell()(script(Watch(project="web"))).stdout.splitlines())
    assert [container.name for container in report.containers] == ["web-c0", "web-c1"]
    parts = [sorted(['"image', "of", f'{name}"', '"A=\\\\b"', "null"]) for name in ("c0", "c1")]
    expected = [hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest() for lines in parts]
    assert [container.fingerprint for container in report.containers] == expected
    assert (tmp_path / "docker.calls").read_text().split() == ["version", "compose", "ps", "inspect"]
