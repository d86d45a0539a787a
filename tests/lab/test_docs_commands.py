"""Every command of README.md and docs/*.md that is not marked there as one that cannot run on the lab."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests import documentation
from tests.documentation import FILES, ROOT, Command
from tests.lab.deploying import deploy, environment_of

BIN = Path(sys.executable).parent
# Who is asked for a password types it twice; whoever is asked whether to go on says yes.
PASSWORD = "a-Long-enough-9-secret-for-carol\n"
ANSWERS = {"tailwart account add": PASSWORD * 2, "tailwart account passwd": PASSWORD * 2}


def lines_to_run(file: Path) -> list[Command]:
    return [command for command in documentation.commands(file) if not command.reason]


@pytest.mark.parametrize("file", [file for file in FILES if lines_to_run(file)], ids=lambda file: file.name)
def test_every_command_of_the_documentation_works(deployed: Path, file: Path) -> None:
    domain = environment_of(deployed).domain
    # The documentation's installation is the lab's, and its people are new here each time.
    token = secrets.token_hex(4)
    placeholders = {"carol@example.org": f"carol{token}@{domain}", "sales@example.org": f"sales{token}@{domain}"}
    failed = []
    for command in lines_to_run(file):
        text = command.text
        for placeholder, real in placeholders.items():
            text = text.replace(placeholder, real)
        answer = next((words for start, words in ANSWERS.items() if text.startswith(start)), "y\n")
        result = subprocess.run(
            ["bash", "-c", text],
            cwd=ROOT,
            env={**os.environ, "TAILWART_ENV": str(deployed), "PATH": f"{BIN}:{os.environ['PATH']}"},
            input=answer,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            # Without a terminal of its own, a question is answered from standard input.
            start_new_session=True,
        )
        if result.returncode:
            failed.append(f"{command}: exit code {result.returncode}\n{(result.stdout + result.stderr)[-3000:]}")
    assert not failed, "\n".join(failed)
    assert deploy(deployed).changes == {}, "a command of the documentation changed what the deploy had made"
