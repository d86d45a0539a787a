"""Sizes of mailboxes as people write them: units are powers of 1024, in the same form as in `.env`."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from tailwart.errors import TailwartError
from tailwart.fields import Size

_SIZE: TypeAdapter[int] = TypeAdapter(Size)


def parse_size(text: str) -> int:
    """A size in bytes; raises TailwartError for a text that is not a size.

    parse_size("5G") == 5 * 1024**3
    """
    try:
        return _SIZE.validate_python(text)
    except ValidationError:
        raise TailwartError(
            f'invalid size "{text}"',
            expected="a number with K, M, G or T, such as 500M or 5G",
            remedy="give the size in that form",
        ) from None


def show_size(size: int) -> str:
    """Bytes in the largest unit that leaves a number of four digits or fewer.

    show_size(5 * 1024**3) == "5 GB"
    """
    value = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TB"
