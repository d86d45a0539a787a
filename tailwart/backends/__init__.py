"""The stores' host: Postgres role and database for the mailbox."""
