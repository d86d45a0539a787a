"""Sizes of mailboxes as people write them: powers of 1024, in the same form as in `.env`."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from tailwart.errors import TailwartError
from tailwart.fields import Size

_SIZE: TypeAdapter[int] = TypeAdapter(Size)


def parse_size(text: str) -> int:
    """`5G` in bytes; raises TailwartError for anything else."""
    try:
        return _SIZE.validate_python(text)
    except ValidationError:
        raise TailwartError("this is no size", seen=text, expected="a number with K, M, G or T, such as 5G") from None


def show_size(size: int) -> str:
    """Bytes in the largest unit that leaves a number of four digits or fewer."""
    value = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TB"
