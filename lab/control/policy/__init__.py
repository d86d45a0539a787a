"""Tailscale's API for the policy file, auth keys and devices, in front of a real headscale."""
