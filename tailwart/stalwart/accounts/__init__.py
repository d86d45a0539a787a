"""Mail accounts: the server's directory, passwords and sizes, for the `tailwart account` commands and for recovery."""
