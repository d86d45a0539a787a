"""The mailbox host's desired state: files, Compose project, unit, causes of failure. Pure."""
