"""Hosts and groups of the installation that `.env` (or TAILWART_ENV) describes."""

import sys

from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.inventory import roles
from tailwart.report import install

try:
    _loaded = load()
except TailwartError as _error:
    # Before any connection is opened: a wrong setting must not leave half of the hosts changed.
    sys.exit(f"Error: {_error}")

_roles = {_role.name: _role for _role in roles(_loaded.environment)}
for _warning in _loaded.warnings:
    print(f"Warning: {_warning}", file=sys.stderr)
for _role in _roles.values():
    if _role.absence:
        print(f"Role {_role.name} is skipped: {_role.absence}.", file=sys.stderr)

tailnet = list(_roles["tailnet"].hosts)
backends = list(_roles["backends"].hosts)
mailbox = list(_roles["mailbox"].hosts)
edge = list(_roles["edge"].hosts)
dns = list(_roles["dns"].hosts)

install(tuple(_roles.values()))
