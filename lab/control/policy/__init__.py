"""Tailscale's API for the policy file, auth keys and devices, in front of a real headscale."""

from lab.control.policy.app import create_app
from lab.control.policy.credentials import Client, Credentials
from lab.control.policy.headscale import Headscale

__all__ = ["Client", "Credentials", "Headscale", "create_app"]
