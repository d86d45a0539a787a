"""A role goes: what the deploy made is removed, data stays unless told, and nothing of others is touched."""
