"""The Caddyfile editor on any text: no other byte changes, a second edit changes nothing, a restore is exact."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailwart.edge import web
from tailwart.errors import TailwartError

# What an edit of an earlier release looks like.
IMPORT = "# tailwart: JMAP and webmail of the mail server\nimport /opt/tailwart/edge/jmap.caddy"

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


def _edit(text: str) -> str | None:
    try:
        return web.edit(text)
    except TailwartError:
        return None


@given(texts)
@example("{\n}\n")
@example("{\r\n\thttps_port 443\r\n}\r\na {\r\n}\r\n")
@example("{ debug\n}")
@example("{\n\tdebug\n} example.org {\n}")
def test_restore_gives_the_original(text: str) -> None:
    changed = _edit(text)
    if changed is not None:
        assert web.restore(changed) == text


@given(texts)
def test_twice_is_once(text: str) -> None:
    changed = _edit(text)
    if changed is not None:
        assert web.edit(changed) == changed


@given(texts)
def test_every_other_byte_stays_in_its_order(text: str) -> None:
    changed = _edit(text)
    if changed is not None:
        remaining = iter(changed)
        assert all(character in remaining for character in text)


def test_the_import_of_an_earlier_release_is_taken_out() -> None:
    text = "{\n\tdebug\n}\nexample.org {\n}\n"
    before = f"{{\n\tdebug\n}}\n{IMPORT}\nexample.org {{\n}}\n"
    assert web.restore(before) == text
    assert web.edit(before) == web.edit(text)


@given(texts)
def test_the_operators_later_changes_survive_a_restore(text: str) -> None:
    changed = _edit(text)
    if changed is not None:
        later = "\nexample.net {\n\trespond later\n}\n"
        assert web.restore(changed + later) == text + later


def _without_servers(changed: str) -> str:
    """An edited file without the option that reads visitors' addresses, which stands at the block's beginning."""
    lines = "\n".join(f"\t{line}" for line in web.SERVERS)
    note = next(line for line in changed.splitlines() if "(servers" in line)
    return changed.replace(f"\n{note}\n{lines}", "")


def test_an_existing_port_is_replaced_and_kept_for_later() -> None:
    text = "{\n\temail admin@example.org\n\thttps_port 4443 # old\n}\nexample.org {\n}\n"
    changed = web.edit(text)
    assert "\thttps_port 8443 # tailwart replaced 4443; # old\n" in changed
    assert _without_servers(changed).replace("8443 # tailwart replaced 4443;", "4443") == text


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
    assert _without_servers(web.edit(text)).count("{") == text.count("{")


def test_a_port_already_right_is_left_alone() -> None:
    text = "{\n\thttps_port 8443\n}\n"
    assert _without_servers(web.edit(text)) == text
    assert not web.edited(text)


def test_a_servers_option_of_ones_own_is_left_alone() -> None:
    text = "{\n\thttps_port 8443\n\tservers {\n\t\tprotocols h1\n\t}\n}\n"
    assert web.edit(text) == text


def test_a_value_over_two_lines_is_refused_with_the_remedy() -> None:
    with pytest.raises(TailwartError, match="https_port 443"):
        web.edit('{\n\thttps_port "4\n43"\n}\n')


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(TailwartError, match="has no value"):
        web.edit("{\n\thttps_port\n}\n")
