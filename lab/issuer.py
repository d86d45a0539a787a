"""Whose certificates the lab's mail server has: the roots of its ACME server, for those who send it a password."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

from lab import etc_lab, paths, topology
from tailwart.errors import TailwartError

# The same file as `roots`, where the lab's mail clients run.
ON_WORLD = "/etc/lab/acme.pem"
_END = "-----END CERTIFICATE-----"


def roots() -> Path:
    """A PEM file with the root of every ACME server that this lab has had."""
    return paths.state() / "acme.pem"


def remember() -> None:
    """Add the present root. The ACME server makes another one at each start, and certificates outlive it.

    Raises TailwartError when it does not answer, or cannot prove that it is the lab's.
    """
    path = roots()
    known = path.read_text() if path.is_file() else ""
    merged = merge(known, _present())
    for target in (path, etc_lab.directory(topology.WORLD) / Path(ON_WORLD).name):
        paths.write_private(target, merged.encode(), 0o644)


def merge(known: str, present: str) -> str:
    """The certificates of both, each once."""
    found = [f"{part.strip()}\n{_END}\n" for part in (known + present).split(_END) if part.strip()]
    return "".join(dict.fromkeys(found))


def _present() -> str:
    context = ssl.create_default_context(cadata=etc_lab.ca_pem().decode())
    port = topology.published(15000)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", "/roots/0")
        answer = connection.getresponse()
        text = answer.read().decode()
        seen = "" if answer.status == http.client.OK else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as error:
        text, seen = "", str(error) or type(error).__name__
    finally:
        connection.close()
    if seen:
        raise TailwartError(
            "the lab's ACME server does not say its root",
            seen=seen,
            expected=f"a certificate from https://127.0.0.1:{port}/roots/0",
            remedy="tailwart lab logs control",
        )
    return text
