"""Hosts and groups of the installation that `.env` (or TAILWART_ENV) describes."""

import sys

from tailwart.environment import load
from tailwart.errors import TailwartError, unexpected
from tailwart.inventory import roles
from tailwart.printing import say as _say
from tailwart.report import install

try:
    _loaded = load()
    _roles = roles(_loaded.environment)
except TailwartError as _error:
    # Before any connection is opened: a wrong setting must not leave half of the hosts changed.
    sys.exit(f"Error: {_error}")
except Exception as _error:
    sys.exit(f"Error: {unexpected(_error, 'run `tailwart env check`')}")

for _warning in _loaded.warnings:
    _say(f"Warning: {_warning}", err=True)
for _role in _roles:
    if _role.absence:
        _say(f"Role {_role.name} is skipped: {_role.absence}.", err=True)

# pyinfra takes each public name of this file for a group.
globals().update({_role.name: _role.inventory for _role in _roles})

install(_roles)
