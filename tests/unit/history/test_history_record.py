"""The history on the operator's machine: bounded, private, without secrets, and whole whatever happens."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.environment.editing import edited, values
from tailwart.errors import TailwartError
from tailwart.history import inputs, store
from tailwart.history.record import Deploy, HostChanges, bounded, host_line, parse, to_json
from tailwart.history.store import Store

ENV = """# Hosts
DOMAIN=example.org
EDGES=edge-1,edge-2   # two of them
EDGE_2_SSH=root@192.0.2.8
STALWART_ADMIN_PASSWORD=Correct-Horse-9
REDIS_URL=redis://:hidden-1@redis.tail1234.ts.net:6379/3
SECRET_TOKEN=hidden-2
NOT_KNOWN=hidden-3
"""


def deploy(revision: str = "1a2b3c4d5e", **hosts: HostChanges) -> Deploy:
    began = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
    return Deploy(revision, False, "alice@laptop", began, 12, "deploy", "stalwartlabs/stalwart:v0.16.18", hosts)


def env(directory: Path, text: str = ENV) -> Path:
    path = directory / "env"
    path.write_text(text)
    return path


def test_secrets_of_the_settings_are_neither_kept_nor_compared(tmp_path: Path) -> None:
    now = inputs.read(env(tmp_path), tmp_path / "group_data")
    kept = Store("example.org", tmp_path / "state").add(deploy(mailbox=HostChanges(("x",))), now, {})
    everything = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
    assert "EDGE_2_SSH" in everything
    assert "STALWART_ADMIN_PASSWORD" in everything
    for secret in ("Correct-Horse-9", "hidden-1", "hidden-2", "hidden-3"):
        assert secret not in everything
    then = Store("example.org", tmp_path / "state").inputs(kept)
    other = (
        ENV.replace("Horse-9", "Horse-10").replace("edge-1,edge-2", "edge-1").replace("EDGE_2_SSH=root@192.0.2.8\n", "")
    )
    later = inputs.read(env(tmp_path, other), tmp_path / "group_data")
    lines = list(inputs.differences(then, later))
    assert "-EDGES=edge-1,edge-2" in lines
    assert not any("Horse" in line for line in lines)
    # The way back: the settings of then, the secrets of now, and every comment where it was.
    back = edited(other, inputs.changes(later, then))
    assert values(back) == {**values(ENV), "STALWART_ADMIN_PASSWORD": "Correct-Horse-10"}
    assert back.startswith("# Hosts\nDOMAIN")


def test_group_data_with_a_password_is_not_copied(tmp_path: Path) -> None:
    data = tmp_path / "group_data"
    data.mkdir()
    (data / "dns.py").write_text("dns_records = []\n")
    (data / "mailbox.py").write_text('mailbox_accounts = [{"address": "dave", "password": "open-sesame-1"}]\n')
    found = inputs.read(env(tmp_path), data)
    assert list(found.files) == ["group_data/dns.py"]
    assert found.withheld == ("group_data/mailbox.py",)
    assert "sesame" not in repr(found)


def test_files_are_private_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEEP", 3)
    kept = Store("example.org", tmp_path)
    now = inputs.read(env(tmp_path), tmp_path / "group_data")
    for number in range(5):
        kept.add(deploy(f"{number}" * 10, mailbox=HostChanges(("x",))), now, {"mailbox": {"/f": "text\n"}})
    assert [one.number for one in kept.all()] == [3, 4, 5]
    assert kept.find("3333").number == 4
    assert kept.find("5").number == 5
    assert kept.rendered(kept.find("5")) == {"mailbox": {"/f": "text\n"}}
    modes = {path.stat().st_mode & 0o777 for path in kept.directory.rglob("*.json")}
    assert modes == {0o600}
    assert kept.directory.stat().st_mode & 0o777 == 0o700
    with pytest.raises(TailwartError, match="no deploy 77"):
        kept.find("77")


def test_a_record_that_was_damaged_hides_no_other(tmp_path: Path) -> None:
    kept = Store("example.org", tmp_path)
    now = inputs.read(env(tmp_path), tmp_path / "group_data")
    for _ in range(3):
        kept.add(deploy(mailbox=HostChanges(("x",))), now, {})
    (kept.directory / "000002" / "record.json").write_text("{")
    (kept.directory / ".new-left-behind").mkdir()
    assert [one.number for one in kept.all()] == [1, 3]
    assert kept.add(deploy(), now, {}).number == 4


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=900), max_size=400), st.lists(st.text(max_size=50), max_size=90), st.text())
def test_a_record_is_bounded_and_reads_back(details: list[str], operations: list[str], failure: str) -> None:
    changes = bounded(HostChanges(tuple(operations), tuple(details), failure))
    whole = deploy(mailbox=changes)
    assert parse(json.loads(json.dumps(to_json(whole)))) == whole
    line = host_line(whole, "mailbox")
    assert "\n" not in line
    assert len(line) < 1_000_000
    assert whole.good is not bool(changes.failure)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    ),
    st.dictionaries(
        st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True),
        st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    ),
)
def test_an_edited_file_has_the_new_values_and_all_others(
    before: dict[str, str], changes: dict[str, str | None]
) -> None:
    text = edited("# kept\n", before)
    expected = {key: value.strip() for key, value in ({**before, **changes}).items() if value is not None}
    after = edited(text, changes)
    assert values(after) == expected
    assert after.startswith("# kept\n")
