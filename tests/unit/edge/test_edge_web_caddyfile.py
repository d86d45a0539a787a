"""The Caddyfile editor on any text: no other byte changes, a second edit changes nothing, a restore is exact."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailwart.edge import web
from tailwart.errors import TailwartError

JMAP = "/opt/tailwart/edge/jmap.caddy"

_PIECES = (
    "{", "}", "\n", "\r\n", " ", "\t", "https_port", "443", "8443", '"', "`", "\\", "# note", "<<END", "END",
    "email a@b.c", "{$PORT}", "import sites/*", "(snippet)", "example.org", "respond ok", "&(named)", "\ufeff",
    "é", ",", "\u00a0", ";",
)  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=25).map("".join),
    st.text(max_size=60),
    st.lists(st.sampled_from(("{\n", "}\n", "\thttps_port 80\n", "a.org {\n", "\tlog # x\n", "\r\n", "}"))).map(
        "".join
    ),
)
sites = st.sampled_from((None, JMAP))


def _edit(text: str, site: str | None) -> str | None:
    try:
        return web.edit(text, site)
    except TailwartError:
        return None


@given(texts, sites)
@example("{\n}\n", JMAP)
@example("{\r\n\thttps_port 443\r\n}\r\na {\r\n}\r\n", JMAP)
@example("{ debug\n}", None)
@example("{\n\tdebug\n} example.org {\n}", JMAP)
def test_restore_gives_the_original(text: str, site: str | None) -> None:
    changed = _edit(text, site)
    if changed is not None:
        assert web.restore(changed) == text


@given(texts, sites)
def test_twice_is_once(text: str, site: str | None) -> None:
    changed = _edit(text, site)
    if changed is not None:
        assert web.edit(changed, site) == changed


@given(texts, sites)
def test_every_other_byte_stays_in_its_order(text: str, site: str | None) -> None:
    changed = _edit(text, site)
    if changed is not None:
        remaining = iter(changed)
        assert all(character in remaining for character in text)


@given(texts)
def test_an_import_no_longer_asked_for_is_removed(text: str) -> None:
    changed = _edit(text, JMAP)
    if changed is not None:
        assert web.edit(changed, None) == web.edit(text, None)


@given(texts)
def test_the_operators_later_changes_survive_a_restore(text: str) -> None:
    changed = _edit(text, None)
    if changed is not None:
        later = "\nexample.net {\n\trespond later\n}\n"
        assert web.restore(changed + later) == text + later


def test_an_existing_port_is_replaced_and_kept_for_later() -> None:
    text = "{\n\temail admin@example.org\n\thttps_port 4443 # old\n}\nexample.org {\n}\n"
    changed = web.edit(text)
    assert "\thttps_port 8443 # tailwart replaced 4443; # old\n" in changed
    assert changed.replace("8443 # tailwart replaced 4443;", "4443") == text


def test_an_option_of_the_same_name_below_a_site_or_nested_is_left_alone() -> None:
    text = "{\n\tservers {\n\t\thttps_port 1\n\t}\n}\nexample.org {\n\thttps_port 2\n}\n"
    changed = web.edit(text)
    assert "\t\thttps_port 1\n" in changed
    assert "\thttps_port 2\n" in changed


def test_a_port_in_a_comment_or_quoted_text_is_not_an_option() -> None:
    text = '{\n\t# https_port 1\n\temail "https_port\nhttps_port 3"\n}\n'
    assert web.restore(web.edit(text)) == text
    assert "# https_port 1\n" in web.edit(text)


def test_the_global_block_may_follow_snippets_and_imports() -> None:
    text = "import common\n(tls) {\n\ttls internal\n}\n{\n\tdebug\n}\n"
    assert web.edit(text).count("{") == text.count("{")


def test_a_port_already_right_is_left_alone() -> None:
    text = "{\n\thttps_port 8443\n}\n"
    assert web.edit(text) == text
    assert not web.edited(text)


def test_a_value_over_two_lines_is_refused_with_the_remedy() -> None:
    with pytest.raises(TailwartError, match="https_port 443"):
        web.edit('{\n\thttps_port "4\n43"\n}\n')


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(TailwartError, match="has no value"):
        web.edit("{\n\thttps_port\n}\n")


def test_jmap_site_dials_the_name_never_an_address() -> None:
    assert web.jmap_site("mail.example.org", "stalwart.tail1234.ts.net") == (
        "mail.example.org {\n\treverse_proxy http://stalwart.tail1234.ts.net:8080\n}\n"
    )
