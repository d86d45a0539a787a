"""tailwart: a mail system that nobody can attack directly, as one pyinfra deploy."""

import os

__version__ = "0.1.0"

# `requests`, in every client of ours and of libraries, would put a machine's .netrc in the place of a token.
os.environ["NETRC"] = os.devnull
