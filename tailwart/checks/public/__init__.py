"""The installation as a stranger meets it: `tailwart doctor --public`."""
