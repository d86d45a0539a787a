"""The mailbox host's desired state: files, Compose project, causes of failure. Pure logic, no pyinfra but its types."""
