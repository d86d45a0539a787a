"""`python -m lab.programs NAME…`: compile the programs of these names into the cache, before tests that need them."""

from __future__ import annotations

import sys

from lab import programs
from tailwart.errors import TailwartError

try:
    programs.ensure(dict.fromkeys(programs.owner(name) for name in sys.argv[1:]))
except TailwartError as problem:
    sys.exit(f"Error: {problem}")
