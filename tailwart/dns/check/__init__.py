"""What the world sees of an installation's names, looked at live: `tailwart dns check`."""
