"""What a host has and what it should have: files, engine, Compose projects, units. Pure: no pyinfra, no connection."""
