"""Backup, restore and restore drill of the mailbox: what its host runs by a timer, and what the operator asks of it.

The work is done by three scripts on the mailbox host (`templates/backup`), so that the timer needs nobody. A set is a
snapshot in a restic repository with the tag `complete`, which it gets last of all; it holds a manifest of its parts.

    with mailbox_host(environment) as run:
        taken = take(run)                       # the same unit that the timer starts
        proof = drill.run(run, taken.name)      # restored into an isolated stack, compared, removed
        restore.load(run, environment, taken.name, overwrite=True)
"""
