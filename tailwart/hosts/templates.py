"""The files of ``templates/``, as they are or rendered."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ROOT = Path(__file__).resolve().parents[2] / "templates"


def text(name: str) -> str:
    """A file that is used as it stands, like ``mailbox/follow.sh``."""
    return (_ROOT / name).read_text()


def render(name: str, **values: object) -> str:
    """A template with its values; raises `jinja2.UndefinedError` for a name that it uses and nobody gave."""
    return _environment().get_template(name).render(values)


def page(name: str, **values: object) -> str:
    """An HTML template with its values, each escaped; raises as `render`."""
    return _environment().overlay(autoescape=True).get_template(name).render(values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_ROOT),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701 - YAML and a Dockerfile, whose values are typed or quoted; HTML is by `page`
    )
