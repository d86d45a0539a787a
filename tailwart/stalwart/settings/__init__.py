"""Stalwart's settings: desired objects from `.env` and group data, the plan against the live ones, the apply."""
