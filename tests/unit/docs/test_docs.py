"""What README.md and docs/*.md name exists: files, folders, commands and their options."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from tailwart.cli import cli
from tests import documentation
from tests.documentation import FILES, ROOT, Command

COMMANDS = [command for file in FILES for command in documentation.commands(file)]
# Written by the program in the operator's checkout, or by its tests, and not part of it.
MADE = ("_backup/", ".env", "build/")
# Not files of the project: the first words of image names, inventory hosts, paths inside the lab's image contexts.
FOREIGN = re.compile(r"@plane/.*|tailwart-lab/.*|compose\.yaml|caddy\.json|rootfs/|programs/|control/")


def tracked() -> set[str]:
    """Every file of the checkout and every folder above one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = {Path(name) for name in listed if (ROOT / name).exists()}
    return {str(path) for file in files for path in (file, *file.parents)}


@pytest.mark.parametrize(
    "file", [*FILES, ROOT / "CHANGELOG.md", ROOT / "lab/images/README.md"], ids=lambda file: file.name
)
def test_every_file_that_is_named_exists(file: Path) -> None:
    known = tracked()
    named = {path for path in documentation.paths(file.read_text()) if not FOREIGN.fullmatch(path)}
    named = {path for path in named if not path.startswith(MADE)}
    beside = file.parent.relative_to(ROOT)
    missing = [path for path in named if not {path.rstrip("/"), str(beside / path.rstrip("/"))} & known]
    assert not missing, f"{file.name} names what does not exist: {sorted(missing)}"


def test_the_map_names_every_folder_of_the_deploy_and_the_lab() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    folders = {str(Path(name).parent) for name in tracked() if name.endswith(".py")}
    shown = {folder for folder in folders if folder.split("/")[0] in {"tailwart", "tasks", "group_data"}}
    shown |= {folder for folder in folders if folder.startswith("lab/") and folder.count("/") == 1}
    missing = [folder for folder in sorted(shown - {"tailwart"}) if not re.search(rf"{re.escape(folder)}[\s/`]", text)]
    assert not missing, f"docs/architecture.md does not show: {missing}"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_of_a_console_block_exists(command: Command) -> None:
    for part in re.split(r"\s*&&\s*", command.text):
        _known(part, command)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_tailwart_command_in_a_sentence_exists(file: Path) -> None:
    for words in documentation.inline(file.read_text()):
        if words.startswith("tailwart "):
            group, _, alternatives = words.removeprefix("tailwart ").partition(" ")
            for alternative in alternatives.split(" | "):
                _known(f"tailwart {group} {alternative}".strip(), Command(file, 0, words))


def test_a_marker_without_its_command_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: `make tea`: no kettle -->\n```console\nmake lab  # starts it\n```\n")
    with pytest.raises(ValueError, match="make tea"):
        documentation.commands(page)
    page.write_text("<!-- not run: `make lab`: no kettle -->\n```console\nmake lab  # starts it\nmake down\n```\n")
    assert [(command.text, command.reason) for command in documentation.commands(page)] == [
        ("make lab", "no kettle"),
        ("make down", ""),
    ]


def _known(text: str, command: Command) -> None:
    """Fails unless the target, subcommand or option exists. Programs of others are taken as they are."""
    words = [word for word in shlex.split(text) if not re.match(r"[A-Z_]+=", word)]
    if words[:1] == ["make"]:
        targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
        assert words[1] in targets, f"{command}: the Makefile has no target {words[1]}"
    if words[:1] != ["tailwart"]:
        return
    current: click.Command = cli
    context = click.Context(cli)
    for word in words[1:]:
        if isinstance(current, click.Group) and not word.startswith("-"):
            following = current.get_command(context, word)
            assert following is not None, f"{command}: there is no `{word}`"
            current = following
        elif word.startswith("-"):
            options = {option for parameter in current.get_params(context) for option in parameter.opts}
            # After a host, `lab ssh` hands the words on as they are.
            assert word in options or current.name == "ssh", f"{command}: no option {word}"
