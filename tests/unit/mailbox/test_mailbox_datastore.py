"""Which data store a config.json names, and when a deploy may leave it."""

from __future__ import annotations

import pytest

from tailwart.errors import TailwartError
from tailwart.mailbox.datastore import leaves, place
from tailwart.mailbox.render import store_config_text
from tests.unit.mailbox.test_mailbox_render import POSTGRES, environment

EMBEDDED = place(store_config_text(environment()))
DATABASE = place(store_config_text(environment(**POSTGRES)))


def test_a_store_is_named_as_people_know_it() -> None:
    assert EMBEDDED.name == "embedded store /var/lib/stalwart/data"
    assert DATABASE.name == "PostgreSQL stalwart at postgres.tail1234.ts.net:5432"
    assert place("").kind == place("[]").kind == place('{"@type"').kind == ""


def test_a_store_is_left_by_its_name_and_never_by_another() -> None:
    assert not leaves(EMBEDDED, EMBEDDED, "")
    assert not leaves(place(""), EMBEDDED, ""), "nothing is known to be there"
    assert leaves(EMBEDDED, DATABASE, EMBEDDED.name)
    for given_up in ("", DATABASE.name, "yes"):
        with pytest.raises(TailwartError, match="stay behind") as caught:
            leaves(EMBEDDED, DATABASE, given_up)
        assert EMBEDDED.name in caught.value.seen
        assert DATABASE.name in caught.value.expected
        assert "tailwart store move" in caught.value.remedy
        assert f'mailbox_leaves_store = "{EMBEDDED.name}"' in caught.value.remedy


@pytest.mark.parametrize(
    "other",
    [
        {"stalwart_db_host": "other.tail1234.ts.net"},
        {"stalwart_db_name": "other"},
        {"stalwart_db_port": 5433},
    ],
)
def test_another_database_is_another_store(other: dict[str, object]) -> None:
    with pytest.raises(TailwartError, match="stay behind"):
        leaves(DATABASE, place(store_config_text(environment(**{**POSTGRES, **other}))), "")


def test_another_password_or_role_is_the_same_store() -> None:
    other = environment(**{**POSTGRES, "stalwart_db_password": "database-password-2", "stalwart_db_user": "mail"})
    assert not leaves(DATABASE, place(store_config_text(other)), "")
