"""What the world sees of an installation's names, checked live: `tailwart dns check`."""
