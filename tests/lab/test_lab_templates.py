"""The mailbox's Compose file, read by the Compose of a host."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab import hosts
from tailwart.mailbox.project import compose_project
from tests.lab.mailbox import shell
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

pytestmark = pytest.mark.leaves_deployed
DIRECTORY = "/tmp/compose-check"


def test_compose_reads_the_file_and_the_password_arrives_as_it_is(deployed: Path) -> None:
    project = compose_project(environment(**{**POSTGRES, "stalwart_db_password": """pa$$ w'or"d\\#{x}`"""}))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as stream:
        for file in project.files:
            if file.path.startswith(project.directory):
                entry = tarfile.TarInfo(file.path.removeprefix(project.directory + "/"))
                entry.size = len(file.data)
                stream.addfile(entry, io.BytesIO(file.data))
    unpack = f"mkdir -p {DIRECTORY} && tar -C {DIRECTORY} -xf -"
    hosts.exec("mailbox", ["sh", "-c", unpack], stdin=archive.getvalue())
    try:
        read = hosts.exec("mailbox", ["sh", "-c", f"cd {DIRECTORY} && docker compose config --format json"])
    finally:
        shell("mailbox", f"rm -rf {DIRECTORY}")
    # `config` doubles the dollar signs of what it prints.
    assert """pa$$$$ w'or\\"d\\\\#{x}`""" in read.stdout.decode()
