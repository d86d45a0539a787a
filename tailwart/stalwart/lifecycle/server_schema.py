"""The schema of the running server, read only when it is needed, and kept on this machine by the server's own digest.

The server answers with a redirect whose last part is the schema's digest, so a copy that is here already is not sent
again: the whole schema (150 kB) crosses the connection once per release.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shlex
import zlib
from contextlib import suppress
from pathlib import Path

from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.protocol.container import READ_LOGIN, Login
from tailwart.stalwart.protocol.failures import LoginRefused, NotReachable, SettingsError
from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.schema.parsing import parse

CACHE = Path("_cache") / "stalwart"
"""Beside `_backup`, in the checkout: nothing in it is secret, and it may be deleted at any time."""

_DIGEST = re.compile(r"[0-9A-Za-z_-]{8,128}\Z")
# Line 1 of the input is the login, as in `ContainerTransport`. Prints status and address of the redirect, then, unless
# that digest is known here, the schema as the server sends it.
_INSIDE = (
    READ_LOGIN
    + r"""
ask() {
  curl --silent --show-error --max-time 60 --config /dev/fd/3 "$@" 3<<END
$login
END
}
where=$(ask --output /dev/null --write-out '%{http_code} %{redirect_url}' "$BASE/api/schema") || exit $?
echo "$where"
digest=${where##*/}
case " $KNOWN " in *" $digest "*) exit 0 ;; esac
case $where in 30?\ *) ask "$BASE/api/schema/$digest" ;; esac
"""
)


def read(run: Runner, login: Login, base: str = names.BASE, cache: Path | None = None) -> Schema | None:
    """The running server's schema; None when the server publishes none (HTTP 404).

    Raises LoginRefused for a login that is not valid there, NotReachable without an answer, SettingsError for an
    answer that is no schema.
    """
    cache = cache or CACHE
    known = " ".join(path.name.removesuffix(".json.gz") for path in _kept(cache))
    inside = f"BASE={shlex.quote(base)} KNOWN={shlex.quote(known)}; {_INSIDE}"
    first = f"{login.command}; cat" if login.command else "cat"
    # The schema comes compressed: base64 keeps it whole on the way.
    script = f"{{ {first}; }} | docker exec -i {names.CONTAINER} sh -c {shlex.quote(inside)} | base64"
    done = run(script, stdin=f"{login.text}\n" if login.text else "", timeout=180)
    try:
        answer = base64.b64decode(done.stdout)
    except ValueError:
        answer = b""
    head, _, body = answer.partition(b"\n")
    status, _, address = head.decode(errors="replace").partition(" ")
    digest = address.strip().rpartition("/")[2]
    if status == "401":
        raise LoginRefused(
            "Stalwart refused the administrator's login",
            seen="HTTP 401",
            remedy="check STALWART_ADMIN and STALWART_ADMIN_PASSWORD in .env, or run `tailwart recover`",
        )
    if status == "404":
        return None
    if not status.startswith("30") or not _DIGEST.match(digest):
        raise NotReachable(
            "Stalwart's schema cannot be read",
            seen=f"HTTP {status}" if status.strip("0") else done.stderr.strip()[-200:] or "no answer",
            expected="a redirect to the schema, as 0.16.x sends it",
            remedy="run this again; if it persists, read `docker logs --tail 50 stalwart` on the mailbox host",
        )
    return _parsed(_keep(digest, body, cache) if body else _again(cache / f"{digest}.json.gz"), digest)


def last_seen(cache: Path | None = None) -> Schema | None:
    """The schema that was read last from a server, without asking one; None when none was read here yet."""
    kept = _kept(cache or CACHE)
    return _parsed(kept[-1].read_bytes(), kept[-1].name.removesuffix(".json.gz")) if kept else None


def _kept(cache: Path) -> list[Path]:
    """The schemas that are here, the one read last at the end."""
    return sorted(cache.glob("*.json.gz"), key=lambda path: path.stat().st_mtime)


def _again(path: Path) -> bytes:
    """A schema that is here already: it counts as the one read last."""
    with suppress(OSError):
        path.touch()
    return path.read_bytes()


def _keep(digest: str, body: bytes, cache: Path) -> bytes:
    """Write a schema that can be read to the cache; without a writable directory it is not kept."""
    compressed = body if body[:2] == b"\x1f\x8b" else gzip.compress(body)
    _parsed(compressed, digest)
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / f"{digest}.{os.getpid()}.partial"
        partial.write_bytes(compressed)
        partial.rename(cache / f"{digest}.json.gz")
    return compressed


def _parsed(compressed: bytes, digest: str) -> Schema:
    try:
        document = json.loads(gzip.decompress(compressed))
    except (OSError, EOFError, ValueError, zlib.error):
        raise SettingsError(
            "Stalwart's schema came incomplete",
            seen=f"{len(compressed)} bytes that are no compressed JSON",
            remedy=f"run this again; delete {CACHE} if it persists",
        ) from None
    return parse(document, digest)
