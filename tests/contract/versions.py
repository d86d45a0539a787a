"""Which versions of the server are under test: the recorded ones, or that of the binary in STALWART_BINARY."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache

# The newest first: what does not differ between versions is tested on it alone.
RECORDED = ("0.16.18", "0.16.7")


@cache
def under_test() -> tuple[str, ...]:
    """Versions to run what differs on."""
    binary = os.environ.get("STALWART_BINARY")
    if not binary:
        return RECORDED
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    assert found is not None, said
    return (found[0],)


def recording(version: str) -> str:
    """The recorded version that a server should behave as: the newest that is not newer than itself."""
    return next((each for each in RECORDED if number(each) <= number(version)), RECORDED[-1])


def number(version: str) -> tuple[int, ...]:
    """What versions are compared by."""
    return tuple(map(int, version.split(".")))
