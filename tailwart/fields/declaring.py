"""How a setting of a `.env` is declared: its text, its example, whether it is a secret."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo


def key(section: str, description: str, example: str = "", default: Any = ..., secret: bool = False) -> Any:
    """A setting: its section and text in `.env.example`, an example, and a default when it may be left empty."""
    return Field(
        default, description=description, examples=[example], json_schema_extra={"section": section, "secret": secret}
    )


def is_secret(info: FieldInfo | None) -> bool:
    """Whether a setting's value must never be shown."""
    extra = info.json_schema_extra if info else None
    return isinstance(extra, dict) and bool(extra.get("secret"))


def example_of(info: FieldInfo | None) -> str:
    """The value that `.env.example` shows for a setting."""
    return str((info.examples or [""])[0]) if info else ""
