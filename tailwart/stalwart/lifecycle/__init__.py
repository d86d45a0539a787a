"""The server's life: first start, restart, recovery, certificates, and the notes about them on the mailbox host."""
