"""Another image of Garage: which steps are taken, and what serves when the new one does not come up."""

from __future__ import annotations

import pytest

from tailwart.backends import garage_upgrade
from tailwart.backends.garage_server import GarageServer
from tailwart.backends.garage_upgrade import check, image_of, serve
from tailwart.errors import TailwartError
from tailwart.hosts.project import ComposeProject
from tailwart.runner import Completed, Runner

OLD, NEW = "dxflrs/garage:v1.1.0", "dxflrs/garage:v1.2.0"


def project(image: str) -> ComposeProject:
    return GarageServer(image, 3900, "garage").project(())


def compose_file(image: str) -> str:
    found = project(image)
    return next(file.data.decode() for file in found.files if file.path == found.compose_path)


class Host:
    """A backends host with a Garage; `answers` says how a script ends that holds a word."""

    def __init__(self, image: str = OLD, **answers: bool) -> None:
        self.scripts: list[str] = []
        self._file = compose_file(image) if image else ""
        self._answers = answers

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        self.scripts.append(script)
        if script.startswith("cat "):
            return Completed(True, self._file, "")
        ok = all(answer for word, answer in self._answers.items() if word in script)
        return Completed(ok, "written\n", "said")


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(run: Runner, project: ComposeProject) -> None:
        raise TailwartError("Garage is not healthy")

    monkeypatch.setattr(garage_upgrade, "bring_up", failing)


@pytest.fixture
def comes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garage_upgrade, "bring_up", lambda run, project: None)


def test_the_image_is_read_from_the_file_of_a_deploy() -> None:
    assert image_of(compose_file(OLD)) == OLD
    assert image_of("") == ""


@pytest.mark.parametrize("after", [NEW, "dxflrs/garage:v1.0.1", "registry.example.org:5000/garage@sha256:ab", OLD])
def test_steps_within_a_version_and_of_images_without_one_are_taken(after: str) -> None:
    check(OLD, after)


def test_another_major_version_is_refused_before_anything_changes() -> None:
    host = Host()
    with pytest.raises(TailwartError, match="no direct way") as caught:
        serve(host, project("dxflrs/garage:v2.0.0"))
    assert "version 1" in caught.value.remedy
    assert len(host.scripts) == 1, "the host was only looked at"


@pytest.mark.usefixtures("comes_up")
def test_the_new_image_is_there_before_the_old_one_ends() -> None:
    host = Host()
    serve(host, project(NEW))
    assert [NEW in script for script in host.scripts[1:2]] == [True]
    assert "docker pull" in host.scripts[1]


@pytest.mark.usefixtures("comes_up")
def test_an_image_that_nobody_has_changes_nothing() -> None:
    host = Host(pull=False)
    with pytest.raises(TailwartError, match="cannot be fetched") as caught:
        serve(host, project(NEW))
    assert "GARAGE_IMAGE" in caught.value.remedy
    assert len(host.scripts) == 2


@pytest.mark.usefixtures("fails")
def test_one_that_does_not_come_up_is_taken_back() -> None:
    host = Host()
    with pytest.raises(TailwartError, match=f"{OLD} serves again"):
        serve(host, project(NEW))
    assert "cp -p compose.previous compose.yaml" in host.scripts[-1]


@pytest.mark.usefixtures("fails")
def test_what_does_not_come_up_without_another_image_says_its_own_reason() -> None:
    for host in (Host(), Host(image="")):
        with pytest.raises(TailwartError, match="not healthy"):
            serve(host, project(OLD))


@pytest.mark.usefixtures("fails")
def test_when_neither_comes_up_it_says_so() -> None:
    with pytest.raises(TailwartError, match="neither"):
        serve(Host(previous=False), project(NEW))
