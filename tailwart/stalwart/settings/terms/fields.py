"""The kinds of value in `group_data/mailbox.py`; every check raises ValueError with what was expected."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from tailwart import fields
from tailwart.network import TAILNET_RANGES

_DURATION = re.compile(r"(?P<number>[1-9]\d{0,5})\s*(?P<unit>[smhdw])\Z")
_MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ADDRESS = re.compile(r"[^\s@'\"\\]+@[^\s@'\"\\]+\Z")
# What is not in this form could end a string in one of the server's expressions.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}\Z")
_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)\Z")


class Term(BaseModel):
    """One mapping of `group_data/mailbox.py`; a key that is left out stays as it is on the server."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    def gives(self, name: str) -> bool:
        """Whether the operator wrote this key, if only to set it back (None)."""
        return name in self.model_fields_set


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a period of milliseconds."""

    count: int
    period: int

    def document(self) -> dict[str, int]:
        """The server's form."""
        return {"count": self.count, "period": self.period}


class Clock(NamedTuple):
    """A time of day, in the server's time zone (UTC in its container)."""

    hour: int
    minute: int


def duration(value: object) -> int:
    """Milliseconds.

    >>> duration("30d")
    2592000000
    """
    match = _DURATION.match(str(value))
    if match is None:
        raise ValueError("a duration with s, m, h, d or w, such as 90s, 12h or 30d")
    return int(match["number"]) * _MILLISECONDS[match["unit"]]


def rate(value: object) -> Rate:
    """A count in a period.

    >>> rate("200/1h")
    Rate(count=200, period=3600000)
    """
    count, slash, period = str(value).partition("/")
    period = period if period[:1].isdigit() else f"1{period}"
    if not slash or not re.fullmatch(r"[1-9]\d{0,5}", count.strip()):
        raise ValueError("a count in a period, such as 5/1s or 200/1h")
    return Rate(int(count), duration(period.strip()))


def address(value: object, info: ValidationInfo) -> str:
    """A whole address in lower case; a bare name belongs to the main domain."""
    text = str(value).strip().lower() if isinstance(value, str) else ""
    domain = (info.context or {}).get("domain", "")
    full = text if "@" in text else f"{text}@{domain}"
    if not text or not _ADDRESS.match(full):
        raise ValueError("an address, or a bare name of the main domain")
    return full


def sender(value: object) -> str:
    """An address, or a domain for everybody in it."""
    text = str(value).strip().lower()
    if _ADDRESS.match(text):
        return text
    try:
        return fields.domain_name(text)
    except ValueError:
        raise ValueError("an address such as bob@example.com, or a domain such as example.com") from None


def networks(value: object) -> tuple[str, ...]:
    """Networks in the server's form; `tailnet` stands for Tailscale's ranges."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError('a list of networks, such as ["tailnet", "203.0.113.0/24"]')
    found: list[str] = []
    for item in value:
        if item == "tailnet":
            found += TAILNET_RANGES
            continue
        try:
            network = ipaddress.ip_network(str(item))
        except ValueError:
            raise ValueError(f'networks, or the word "tailnet"; not {str(item)[:60]!r}') from None
        found.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    return tuple(dict.fromkeys(found))


def clock(value: object) -> Clock:
    """A time of day: "03:30"."""
    match = _CLOCK.match(str(value))
    if match is None:
        raise ValueError("a time of day such as 03:30 (UTC)")
    return Clock(int(match["hour"]), int(match["minute"]))


def text_or_file(value: object) -> str:
    """A text, or the content of the file that a `Path` names."""
    if isinstance(value, Path):
        try:
            text = value.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise ValueError(f"a file that can be read; {value}: {type(problem).__name__}") from None
    elif isinstance(value, str):
        text = value
    else:
        raise ValueError('a text, or Path("a file beside .env")')  # noqa: TRY004 - collected with the other problems
    if not text.strip():
        raise ValueError("a text that is not empty")
    # In the form in which the server keeps it: without blanks and line ends around it.
    return text.replace("\r\n", "\n").strip()


def name(value: object) -> str:
    """A short name of the operator's own."""
    if not _NAME.match(str(value)):
        raise ValueError("a short name: lower-case letters, digits and hyphens")
    return str(value)


def texts(items: Any) -> str:
    """A list of strings as the server's expressions write it; no string may hold a quote (`sender`, `address`)."""
    return "[" + ", ".join(f"'{item}'" for item in items) + "]"


Duration = Annotated[int, BeforeValidator(duration)]
RateText = Annotated[Rate, BeforeValidator(rate)]
Address = Annotated[str, BeforeValidator(address)]
Sender = Annotated[str, BeforeValidator(sender)]
Networks = Annotated[tuple[str, ...], BeforeValidator(networks)]
TimeOfDay = Annotated[Clock, BeforeValidator(clock)]
Script = Annotated[str, BeforeValidator(text_or_file)]
Name = Annotated[str, BeforeValidator(name)]


def _whole(low: int, high: int) -> AfterValidator:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"a number from {low} to {high}")
        return value

    return AfterValidator(check)


def _decimal(low: float, high: float) -> BeforeValidator:
    def check(value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return int(value) if float(value).is_integer() else float(value)

    return BeforeValidator(check)


Score = Annotated[int | float, _decimal(-100, 100)]
Threshold = Annotated[int | float, _decimal(0.1, 100)]
Count = Annotated[int, _whole(1, 1_000_000)]
