"""group_data/mailbox.py: a wrong value is named, before any connection is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.stalwart.mailbox_host import declared
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.groupdata import GROUP_DATA, MOVED

ENVIRONMENT = Environment.model_validate(
    {"domain": "example.org", "ts_tailnet": "tail1234.ts.net", "accounts": [{"name": "alice", "password": "secret"}]}
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mailbox_accounts": "alice"}, "mailbox_accounts"),
        ({"mailbox_accounts": [{"adress": "bob"}]}, "adress"),
        ({"mailbox_accounts": [{"aliases": []}]}, "without address"),
        ({"mailbox_accounts": [{"address": "bob", "quota": "5G"}]}, "quota of bob"),
        ({"mailbox_accounts": [{"address": "bob@elsewhere.org"}]}, "EXTRA_DOMAINS"),
        ({"mailbox_accounts": [{"address": "Alice"}]}, "given twice"),
        ({"mailbox_groups": [{"address": "office", "members": ["nobody"]}]}, "nobody@example.org is a member"),
        ({"mailbox_lists": [{"address": "news", "aliases": ["alice"]}]}, "given twice"),
        ({"mailbox_optional_listeners": ["pop3s"]}, "MAIL_SERVICES in .env"),
        ({"mailbox_ip_lookup": "v5Only"}, "v4ThenV6"),
    ],
)
def test_a_wrong_value_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(TailwartError, match=message):
        from_environment(ENVIRONMENT, data)


def test_the_documented_default_declares_nothing_and_every_name_is_known() -> None:
    path = Path(__file__).parents[3] / "group_data" / "mailbox.py"
    settings = declared(ENVIRONMENT, path)
    assert [item.address for item in settings.accounts] == ["admin@example.org", "alice@example.org"]
    assert (settings.groups, settings.lists) == ((), ())
    text = path.read_text()
    assert all(name in text for name in GROUP_DATA if name not in MOVED)


def test_bare_names_belong_to_the_main_domain() -> None:
    (group,) = from_environment(ENVIRONMENT, {"mailbox_groups": [{"address": "Office", "members": ["alice"]}]}).groups
    assert (group.address, group.members) == ("office@example.org", ("alice@example.org",))


def test_metrics_are_not_opened_with_a_password_that_is_easy_to_guess() -> None:
    def declared_with(password: str) -> bool:
        environment = ENVIRONMENT.model_copy(update={"metrics_password": SecretStr(password)})
        return from_environment(environment, {"mailbox_metrics": True}).metrics

    assert declared_with("47a0e1d25bb1c6f2a8d3e94c77f0b1c2")
    with pytest.raises(TailwartError, match="METRICS_PASSWORD: easy to guess") as caught:
        declared_with("password12345")
    assert "password12345" not in str(caught.value)
