"""The proof of the database password over the tailnet: what psql says, and what the operator is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tailwart.backends.login import Attempts, Endpoint, parse, problem, script, trusting

ENDPOINT = Endpoint("stores.tail1234.ts.net", 5432, "stalwart", "stalwart", "the password")
LISTENS = {"port": "5432", "listen_addresses": "localhost"}
REFUSED = 'connection to server at "stores.tail1234.ts.net" (100.64.0.5), port 5432 failed: Connection refused'


def after(code: int, said: str, settings: dict[str, str] | None = None) -> str:
    found = problem(ENDPOINT, Attempts((code, said), (2, "")), settings or {})
    return str(found) if found else ""


def test_the_right_password_alone_is_a_proof() -> None:
    assert after(0, "1") == ""
    trusted = problem(ENDPOINT, Attempts((0, "1"), (0, "1")), {})
    assert trusted is not None
    assert "trusts" in trusted.what


def test_a_host_without_psql_proves_nothing_and_says_nothing() -> None:
    assert problem(ENDPOINT, parse(""), {}) is None


@pytest.mark.parametrize(
    ("said", "settings", "named"),
    [
        (REFUSED, LISTENS, "listen_addresses"),
        (REFUSED, {"port": "5433", "listen_addresses": "*"}, "STALWART_DB_PORT=5433"),
        ('FATAL:  no pg_hba.conf entry for host "100.64.0.5", user "stalwart"', LISTENS, "100.64.0.0/10 scram-sha-256"),
        ('could not translate host name "stores" to address', LISTENS, "STALWART_DB_HOST"),
        ('FATAL:  password authentication failed for user "stalwart"', LISTENS, "another PostgreSQL answers there"),
        ('FATAL:  database "stalwart" does not exist', LISTENS, "server's log"),
        ("timeout expired", LISTENS, "packet filter"),
    ],
)
def test_every_refusal_is_explained(said: str, settings: dict[str, str], named: str) -> None:
    assert named in after(2, said, settings)
    assert "the password" not in after(2, said, settings).replace("the password that", "")


def test_loopback_that_trusts_is_told() -> None:
    assert trusting(ENDPOINT, ()) == ""
    assert "127.0.0.1" in trusting(ENDPOINT, ("127.0.0.1", "::1"))


def test_both_passwords_are_tried_and_neither_is_an_argument(tmp_path: Path) -> None:
    psql = tmp_path / "psql"
    psql.write_text(
        '#!/bin/sh\necho "$*" >>"$SEEN"\n[ "$PGPASSWORD" = "the password" ] && [ "$PGHOST:$PGPORT" = '
        "stores.tail1234.ts.net:5432 ] && { echo 1; exit 0; }\nprintf 'FATAL:  no\\nreally\\n' >&2\nexit 2\n"
    )
    psql.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script(ENDPOINT)],
        input=f"{ENDPOINT.password}\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SEEN": str(tmp_path / "seen")},
    )
    assert parse(done.stdout) == Attempts((0, "1"), (2, "FATAL:  no really"))
    assert "password" not in (tmp_path / "seen").read_text()
