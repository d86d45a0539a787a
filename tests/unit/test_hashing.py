"""A guess takes the memory of the hash that it is compared with, and a container has a limit."""

from __future__ import annotations

from tailwart.hashing import HASHER

CHECKED_AT_ONCE = 512
"""The most that the server checks at once: its runtime's bound of blocking threads."""
SERVER_MIB = 300


def test_as_many_guesses_as_the_server_checks_at_once_fit_into_four_gigabytes() -> None:
    written = HASHER.hash("a password")
    parameters = dict(item.split("=") for item in written.split("$")[3].split(","))
    # The least that OWASP recommends for argon2id: this memory with five passes.
    assert (int(parameters["m"]), int(parameters["t"]), int(parameters["p"])) == (7168, 5, 1)
    assert CHECKED_AT_ONCE * int(parameters["m"]) // 1024 + SERVER_MIB <= 4096
