"""tailwart: a mail system that nobody can attack directly, as one pyinfra deploy."""

__version__ = "0.1.0"
