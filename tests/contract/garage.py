"""A Garage of a test's own, inside its namespace: one node that somebody else runs, with data of theirs."""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import programs
from tests.contract.namespace import Namespace
from tests.waiting import until

ENDPOINT = "http://127.0.0.1:3900"
ADMIN_URL = "http://127.0.0.1:3903"
REGION = "theirs"
_SETTINGS = """
metadata_dir = "{home}/meta"
data_dir = "{home}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:3901"
rpc_public_addr = "127.0.0.1:3901"
rpc_secret = "{rpc}"
[s3_api]
s3_region = "theirs"
api_bind_addr = "127.0.0.1:3900"
[admin]
api_bind_addr = "127.0.0.1:3903"
admin_token = "{token}"
"""


class Garage:
    """The node, and its command line as its owner uses it."""

    def __init__(self, space: Namespace, home: Path) -> None:
        self.space = space
        self.token = secrets.token_hex(16)
        self._home = home
        self._conf = home / "garage.toml"
        self._conf.write_text(_SETTINGS.format(home=home, rpc=secrets.token_hex(32), token=self.token))

    def words(self, *words: str) -> list[str]:
        """A command of the program inside the namespace."""
        return self.space.command(programs.binary("garage"), "-c", self._conf, *words)

    def cli(self, *words: str) -> str:
        """What the owner's command prints; fails where it fails."""
        done = subprocess.run(self.words(*words), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, function: str, **parameters: object) -> Any:
        """An answer of the admin API, by the node's own connection: a token costs half a second each time."""
        return json.loads(self.cli("json-api", function, json.dumps(parameters or None)))

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The server for the time of the block."""
        with (self._home / "log").open("wb") as log:
            process = subprocess.Popen(self.words("server"), stdout=log, stderr=log)
        try:
            ask = self.words("status")
            until(lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0, "Garage to answer", 60)
            yield
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def garage(space: Namespace) -> Iterator[Garage]:
    """An empty node without a layout, as the program leaves it at its first start."""
    if not programs.GARAGE.built:
        pytest.skip("needs Garage, which `tailwart lab up` compiles once")
    with tempfile.TemporaryDirectory(prefix="tailwart-garage-") as directory:
        made = Garage(space, Path(directory))
        with made.serving():
            yield made
