"""How passwords are hashed: for the server's store, and for the notes that say which one was written."""

from __future__ import annotations

from argon2 import PasswordHasher, Type

# OWASP's recommendations of argon2id resist guessing equally; this is the one with the least memory, 7 MiB. The server
# takes it for every guess that is under way, up to 512 at once, and its container has a limit: with the 64 MiB of RFC
# 9106's second recommendation, thirty-two guesses at one moment were more than 2 GiB.
HASHER = PasswordHasher(time_cost=5, memory_cost=7168, parallelism=1, type=Type.ID)
