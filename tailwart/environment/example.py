"""`.env.example`, written from the model so that it cannot say anything else."""

from __future__ import annotations

import textwrap
from itertools import groupby

from pydantic.fields import FieldInfo

from tailwart.environment.keys import account_key, edge_key
from tailwart.environment.load import settings
from tailwart.environment.model import Environment
from tailwart.environment.sections.hosts import Edge
from tailwart.environment.sections.mail import Account
from tailwart.fields import example_of

_HEAD = """\
# Settings of one installation. Copy to .env, `chmod 600 .env`, fill in; `tailwart env check` names what is missing.
# A key that is commented out has the default shown. The deploy skips a role without its keys.
"""


def render_example() -> str:
    """The whole documented file: what everybody sets with examples, the rest commented out with its default."""
    blocks = [_HEAD]
    for section, members in groupby(settings().items(), key=lambda item: _section(item[1])):
        blocks.append(f"# --- {section} " + "-" * (100 - len(section)))
        for key, info in members:
            # What a DNS provider requires is required of its users only.
            everybody = info.is_required() and key.lower() in Environment.model_fields
            blocks.append(_entry(key, info, shown=everybody or key in _SHOWN))
            if key == "ACCOUNTS":
                blocks += [
                    _entry(account_key("alice", a), i, shown=True)
                    for a, i in Account.model_fields.items()
                    if a != "name"
                ]
            if key == "EDGES":
                blocks += [
                    _entry(edge_key("edge-1", a), i, shown=a in {"ssh", "ipv4"})
                    for a, i in Edge.model_fields.items()
                    if a != "name"
                ]
    return "\n".join([*blocks, _SECRETS]) + "\n"


_SECRETS = f"""\
# --- Secrets {"-" * 93}
# Further secrets, as many as you like, under names that begin with SECRET_: what stalwart_objects in
# group_data/mailbox.py refers to as {{"env": "SECRET_<NAME>"}}. Each is a variable of the server's container.
# Example: change-me-ldap
# SECRET_LDAP="""

_SHOWN = {
    "STALWART_ADMIN_PASSWORD", "ACCOUNTS", "MAILBOX_SSH", "EDGES", "TS_OAUTH_CLIENT_ID", "TS_OAUTH_CLIENT_SECRET",
}  # fmt: skip


def _entry(key: str, info: FieldInfo, *, shown: bool) -> str:
    comment = "\n".join(textwrap.wrap(info.description or "", 110, initial_indent="# ", subsequent_indent="# "))
    example = example_of(info)
    default = "" if info.is_required() or info.default in (None, ()) else _text(info.default)
    if shown:
        return f"{comment}\n{key}={example}"
    if default:
        return f"{comment}\n# {key}={default}"
    return f"{comment} Example: {example}\n# {key}="


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _section(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["section"])
