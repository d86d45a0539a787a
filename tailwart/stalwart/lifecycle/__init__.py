"""The server's lifecycle: first start, restart, recovery, certificates, and the notes of them on the mailbox host."""
