"""The edge: a Caddy with caddy-l4 that owns the public mail ports and pipes them over the tailnet."""
