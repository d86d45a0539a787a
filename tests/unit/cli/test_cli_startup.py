"""The command line before any command runs: what a help page imports, and what an unknown name is answered with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tailwart.cli import cli

HEAVY = ("pyinfra", "paramiko", "gevent", "requests", "pydantic", "dns", "jinja2", "tenacity", "cryptography")

# Shows every help page of a group in one process, then says which heavy packages were imported.
_SCRIPT = """
import io, json, sys
from contextlib import redirect_stdout
import click
from tailwart.cli import cli

def show(*arguments):
    page = io.StringIO()
    with redirect_stdout(page):
        try:
            cli([*arguments, "--help"])
        except SystemExit as end:
            assert end.code == 0, arguments
    assert "Usage:" in page.getvalue(), arguments

show()
pages = 1
for name in sys.argv[2:]:
    show(name)
    group = cli.get_command(click.Context(cli), name)
    commands = group.list_commands(click.Context(group)) if isinstance(group, click.Group) else []
    for command in commands:
        show(name, command)
    pages += 1 + len(commands)
heavy = sorted(set(json.loads(sys.argv[1])) & {module.split(".")[0] for module in sys.modules})
print(json.dumps({"pages": pages, "heavy": heavy}))
"""


def shown(*groups: str) -> dict[str, object]:
    """How many help pages were shown, and the heavy packages that this took."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(HEAVY), *groups], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    assert shown() == {"pages": 1, "heavy": []}


@pytest.mark.parametrize(
    "group",
    [
        "init",
        "history",
        "upgrade",
        "rollback",
        "remove",
        "tailnet",
        "env",
        "settings",
        "account",
        "bans",
        "recover",
        "dns",
        "lab",
    ],
)
def test_no_help_page_of_a_group_imports_anything_heavy(group: str) -> None:
    found = shown(group)
    assert found["heavy"] == []
    assert int(str(found["pages"])) > 1, "the group and its commands"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(("tailnte",), "tailnet"), (("setings", "plan"), "settings"), (("tailnet", "paln"), "plan")],
)
def test_an_unknown_command_is_answered_with_the_nearest_name(arguments: tuple[str, ...], nearest: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert f"Did you mean '{nearest}'?" in result.output


def test_an_unknown_command_unlike_any_other_gets_no_suggestion() -> None:
    result = CliRunner().invoke(cli, ["xyzzy"])
    assert result.exit_code == 2
    assert "No such command 'xyzzy'" in result.output
    assert "Did you mean" not in result.output


def test_every_command_of_the_table_can_be_loaded() -> None:
    context = cli.make_context("tailwart", ["env"])
    for name in cli.list_commands(context):
        assert cli.get_command(context, name) is not None
