"""The mailbox moves to another host, under the name that it has: `tailwart migrate-host`."""
