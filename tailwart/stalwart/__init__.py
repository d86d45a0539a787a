"""Stalwart's settings as code: desired objects, plan, apply, and the server's lifecycle around them."""
