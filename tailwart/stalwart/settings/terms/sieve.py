"""Sieve scripts of the server: those it runs itself, and those that people include in their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from tailwart.stalwart.protocol.jmap import SINGLETON
from tailwart.stalwart.protocol.kinds import MARK
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.terms.fields import Name, Script

SYSTEM_KINDS = ("SieveSystemScript",)
USER_KINDS = ("SieveUserScript",)
Stage = Literal["connect", "ehlo", "mail", "rcpt", "data"]
_STAGES: Mapping[Stage, str] = {
    "connect": "MtaStageConnect",
    "ehlo": "MtaStageEhlo",
    "mail": "MtaStageMail",
    "rcpt": "MtaStageRcpt",
    "data": "MtaStageData",
}
SystemScripts = Mapping[Stage, Script]
UserScripts = Mapping[Name, Script]


def system_objects(scripts: SystemScripts) -> Iterator[DesiredObject]:
    """One script per stage; a stage without one runs none. All five stages are owned together.

    A script comes before the stage that names it, and is deleted after the stage has let go of it.
    """
    for stage, script in scripts.items():
        yield _script("SieveSystemScript", f"tailwart-{stage}", script)
    for stage, kind in _STAGES.items():
        name = f"'tailwart-{stage}'" if stage in scripts else "false"
        yield DesiredObject(kind, SINGLETON, {"script": {"match": (), "else": name}})


def user_objects(scripts: UserScripts) -> Iterator[DesiredObject]:
    """Scripts for `include :global "NAME"` in people's own scripts."""
    for name, script in scripts.items():
        yield _script("SieveUserScript", name, script)


def _script(kind: str, name: str, contents: str) -> DesiredObject:
    fields: dict[str, Any] = {"contents": contents, "isActive": True}
    return DesiredObject(kind, name, fields, at_creation={"name": name, "description": f"{MARK}: {name}"})
