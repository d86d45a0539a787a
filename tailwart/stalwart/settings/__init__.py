"""Stalwart's settings: desired objects from `.env` and group data, their plan against the live ones, the apply."""
