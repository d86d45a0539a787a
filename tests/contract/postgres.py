"""A PostgreSQL of a test's own, inside its namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.namespace import Namespace
from tests.contract.server import SECRETS
from tests.waiting import until

STORE: Mapping[str, Any] = {
    "@type": "PostgreSql",
    "host": "127.0.0.1",
    "port": 5432,
    "database": "stalwart",
    "authUsername": "stalwart",
    "authSecret": {"@type": "EnvironmentVariable", "variableName": "STALWART_DB_PASSWORD"},
}


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return found[-1]


@contextmanager
def postgres(space: Namespace, superuser: str = "stalwart", database: str = "stalwart") -> Iterator[Path]:
    """A server on 127.0.0.1:5432 of the namespace with a role and a database; yields the directory of its socket.

    Over TCP it asks for the password of `SECRETS`, at the socket for the operating system's user of the same name.
    """
    programs = _programs()
    user = pwd.getpwnam("postgres")
    # Not pytest's own directory: only root can enter that one, and PostgreSQL refuses root.
    home = Path(tempfile.mkdtemp(prefix="tailwart-postgres-"))
    shutil.chown(home, "postgres", "postgres")
    secret = home / "secret"
    secret.write_text(SECRETS["STALWART_DB_PASSWORD"])
    secret.chmod(0o644)
    as_user: list[str] = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [*as_user, programs / "initdb", "-D", home / "data", "-U", superuser, "--auth-local=peer",
             "--auth-host=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-instructions"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        with (home / "log").open("wb") as log:
            serve = space.command(
                *as_user, programs / "postgres", "-D", home / "data", "-h", "127.0.0.1", "-F", "-k", home
            )
            process = subprocess.Popen(serve, stdout=log, stderr=log, cwd="/")
        environment = {**os.environ, "PGPASSWORD": SECRETS["STALWART_DB_PASSWORD"]}
        create = space.command(programs / "createdb", "-h", "127.0.0.1", "-U", superuser, database)

        def created() -> bool:
            return subprocess.run(create, env=environment, capture_output=True, check=False).returncode == 0

        until(created, "PostgreSQL to take the database", pause=0.2)
        yield home
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        shutil.rmtree(home, ignore_errors=True)
