"""What follows a write: every row names its measurement, and the documentation holds the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailwart.plan.model import Action
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.effects import EFFECTS, UNMEASURED, PostApply, effects_of, post_apply_of
from tailwart.stalwart.protocol.kinds import KINDS
from tailwart.stalwart.protocol.values import Ref
from tailwart.stalwart.settings.planning import ObjectChange, SettingsPlan
from tests.unit.stalwart import schemas

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_documentation_holds_the_same_table() -> None:
    text = DOCS.read_text()
    for row in (*EFFECTS, UNMEASURED):
        fields = f" ({', '.join(sorted(row.fields))})" if row.fields else ""
        first = f"| {', '.join(row.kinds) or 'everything else'}{fields} | {row.action.value or 'nothing'}"
        (line,) = (line for line in text.splitlines() if line.startswith(first))
        assert line.endswith(f"| {row.measured} |"), line


@pytest.mark.parametrize("version", schemas.versions())
def test_every_row_is_about_a_kind_and_fields_that_exist(version: str) -> None:
    schema = schemas.schema(version)
    for row in EFFECTS:
        for kind in row.kinds:
            assert kind in schema.kinds
            assert row.fields <= set(schema.kinds[kind].structure.field_names())


@pytest.mark.parametrize(
    ("kind", "fields", "action"),
    [
        ("BlobStore", {"accessKey"}, PostApply.RESTART),
        ("InMemoryStore", {"url"}, PostApply.RESTART),
        ("SystemSettings", {"defaultHostname"}, PostApply.RESTART),
        ("SystemSettings", {"threadPoolSize"}, PostApply.RELOAD),
        ("Account", {"aliases"}, PostApply.NOTHING),
        ("AllowedIp", set(), PostApply.RELOAD),
        ("NeverHeardOf", {"x"}, PostApply.RELOAD),
    ],
)
def test_the_action_of_a_write(kind: str, fields: set[str], action: PostApply) -> None:
    assert post_apply_of(kind, fields) is action
    if kind in KINDS:
        assert KINDS[kind].post_apply_of(fields) is action


def test_lifting_a_ban_takes_three_steps() -> None:
    gone = SettingsPlan((ObjectChange(Action.DELETE, Ref("BlockedIp", "198.51.100.5"), "b"),))
    assert gone.post_apply is PostApply.RELOAD
    assert gone.reloads == (orders.RELOAD_BANS,)
    assert gone.orders_afterwards == (orders.maintenance(orders.RESET_RATE_LIMITERS),)
    made = SettingsPlan((ObjectChange(Action.CREATE, Ref("BlockedIp", "198.51.100.5")),))
    assert (made.reloads, made.orders_afterwards) == ((orders.RELOAD_BANS,), ())
    assert effects_of("NeverHeardOf", ()) == (UNMEASURED,)
