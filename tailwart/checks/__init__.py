"""What must hold of a deployed installation: each check once, for `tailwart doctor` and for `pytest tests/verify`."""
