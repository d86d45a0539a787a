"""What the owner of the zone decides, from `group_data/dns.py`: the settings that are no value of one host.

    dns_records = {"_dmarc TXT": "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"}
    dns_exclude = ["autodiscover *", "_pop3s._tcp SRV"]
    dns_spf = ["include:_spf.example.net"]

Keys are `name TYPE`, the name relative to the main domain; names of an extra domain are absolute, with a final dot.
"""

from __future__ import annotations

import difflib
import re
import runpy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tailwart.dns.dmarc import STEPS
from tailwart.errors import TailwartError
from tailwart.providers.record import relative

PREFIX = "dns_"
PATH = Path("group_data/dns.py")


@dataclass(frozen=True, slots=True)
class Overrides:
    """The owner's decisions; every field is a variable of `group_data/dns.py` with ``dns_`` in front.

    ``records`` replaces a record set (an empty list publishes none), ``exclude`` leaves record sets alone altogether,
    ``spf`` and ``spf_remove`` are terms, ``tlsa`` publishes DANE records (needs DNSSEC), ``caa`` binds issuance to the
    ACME account (``caa_issuer`` where the CA's name does not follow from its directory, ``caa_account_uris`` further
    accounts, such as the web server's), ``allow_deletions`` allows a plan that deletes much. ``dmarc`` is the step of
    each domain's DMARC policy, `*` for all others; ``owner`` the installation's name in its mark, DOMAIN without one.
    ``allow_replacing`` are the record sets whose SPF or DMARC ``records`` may replace by something else.
    """

    records: Mapping[str, tuple[str, ...]]
    exclude: tuple[str, ...] = ()
    spf: tuple[str, ...] = ()
    spf_remove: tuple[str, ...] = ()
    tlsa: bool = False
    caa: bool = True
    caa_issuer: str | None = None
    caa_account_uris: tuple[str, ...] = ()
    allow_deletions: bool = False
    dmarc: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    allow_replacing: tuple[str, ...] = ()

    def dmarc_step(self, zone: str) -> str | None:
        """The DMARC policy that is asked for; None: what stands is kept, and a new domain starts at `none`."""
        return self.dmarc.get(zone, self.dmarc.get("*"))

    def excludes(self, zone: str, name: str, rtype: str, main: str) -> bool:
        """Whether a record set of ``zone`` is none of our business."""
        return _matches(self.exclude, "dns_exclude", (name, rtype), zone, main)

    def allows_replacing(self, zone: str, name: str, rtype: str, main: str) -> bool:
        """Whether `dns_records` may leave a name without its SPF or DMARC."""
        return _matches(self.allow_replacing, "dns_allow_replacing", (name, rtype), zone, main)

    def replacements(self, zone: str, main: str) -> dict[tuple[str, str], tuple[str, ...]]:
        """The record sets of ``zone`` that the owner wrote himself."""
        chosen = {}
        for key, values in self.records.items():
            owner, kind = split(key, "dns_records")
            name = place(owner, zone, main)
            if not name.endswith("."):
                chosen[(name, kind)] = values
        return chosen


def _matches(patterns: Iterable[str], variable: str, rrset: tuple[str, str], zone: str, main: str) -> bool:
    for pattern in patterns:
        owner, kind = split(pattern, variable)
        if fnmatchcase(rrset[0], place(owner, zone, main)) and fnmatchcase(rrset[1], kind):
            return True
    return False


def none() -> Overrides:
    """No decisions: what the mail server recommends."""
    return Overrides(records={})


def from_data(data: Mapping[str, Any]) -> Overrides:
    """Overrides from variables as group data has them; other variables are ignored.

    Raises `TailwartError` for a ``dns_`` variable that does not exist or has a value of the wrong kind.
    """
    known = {each.name for each in fields(Overrides)}
    chosen: dict[str, Any] = {"records": {}}
    for variable, value in data.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX)
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise TailwartError(
                f"{PATH}: unknown variable {variable}",
                expected=f"one of {', '.join(sorted(PREFIX + name for name in known))}",
                remedy=f"did you mean {PREFIX}{near[0]}?" if near else "remove it",
            )
        chosen[name] = _typed(variable, name, value)
    for pattern in chosen.get("exclude", ()):
        split(pattern, "dns_exclude")
    for pattern in chosen.get("allow_replacing", ()):
        split(pattern, "dns_allow_replacing")
    for key in chosen["records"]:
        split(key, "dns_records")
    return Overrides(**chosen)


def load(path: Path = PATH) -> Overrides:
    """Overrides from the file that pyinfra reads too, for the command line; none when there is no such file."""
    return from_data(runpy.run_path(str(path))) if path.exists() else none()


def split(key: str, variable: str) -> tuple[str, str]:
    """`name TYPE` as its two parts."""
    parts = key.split()
    if len(parts) != 2:
        raise TailwartError(
            f"{PATH}: {variable}", seen=key, expected='"name TYPE", for example "_dmarc TXT" or "autodiscover *"'
        )
    return parts[0].lower(), parts[1].upper()


def place(owner: str, zone: str, main: str) -> str:
    """An owner's name relative to ``zone``; with a final dot when it belongs to another zone."""
    if owner.endswith("."):
        return relative(owner, zone)
    if owner == main or owner.endswith(f".{main}"):
        return relative(f"{owner}.", zone)
    return owner if zone == main else f"{owner}.{main}."


def _typed(variable: str, name: str, value: Any) -> Any:
    if name in {"tlsa", "caa", "allow_deletions"}:
        words = {"true": True, "yes": True, "false": False, "no": False}  # `--data` of pyinfra hands over texts
        answer = words.get(str(value).lower())
        if answer is None:
            raise TailwartError(f"{PATH}: {variable}", seen=repr(value), expected="True or False")
        return answer
    if name == "records":
        if not isinstance(value, Mapping):
            raise TailwartError(f"{PATH}: {variable}", seen=repr(value), expected='{"name TYPE": value or [values]}')
        return {str(key): _texts(variable, values) for key, values in value.items()}
    if name == "caa_issuer":
        return None if value is None else str(value)
    if name == "owner":
        return _owner(variable, value)
    if name == "dmarc":
        return _steps(variable, value)
    return _texts(variable, value)


def _steps(variable: str, value: Any) -> dict[str, str]:
    if value is None:
        return {}
    chosen = (
        {str(key).lower(): str(step) for key, step in value.items()} if isinstance(value, Mapping) else {"*": value}
    )
    if any(step not in STEPS for step in chosen.values()):
        raise TailwartError(
            f"{PATH}: {variable}",
            seen=repr(value),
            expected=f'one of {", ".join(STEPS)}, or one per domain: {{"example.org": "quarantine"}}; None keeps what '
            "stands",
        )
    return chosen


def _owner(variable: str, value: Any) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", str(value)):
        raise TailwartError(f"{PATH}: {variable}", seen=repr(value), expected="up to 63 letters, digits, dots, hyphens")
    return None if value is None else str(value)


def _texts(variable: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        raise TailwartError(f"{PATH}: {variable}", seen=repr(value), expected="a text or a list of texts")
    return tuple(str(part) for part in value)
