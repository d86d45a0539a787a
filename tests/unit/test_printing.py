"""Texts of others on the terminal: every plane shows a control character, none lets it act."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.dns.check.findings import Finding, State
from tailwart.dns.check.findings import render as render_findings
from tailwart.environment import load
from tailwart.errors import TailwartError
from tailwart.plan import Action, Change, FieldChange, Plan, render
from tailwart.printing import printable, say, style
from tailwart.tailnet.push import unified_diff

# Clears the screen, sets a title, C1 CSI, right-to-left override, isolate, carriage return, backspace, DEL.
PAYLOAD = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066x\u2069\rb\x08\x7f"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _error() -> str:
    return str(TailwartError(PAYLOAD, seen=PAYLOAD, expected=PAYLOAD, remedy=PAYLOAD))


def _plan() -> str:
    fields = (FieldChange(PAYLOAD, PAYLOAD, [PAYLOAD]),)
    changes = (Change(Action.UPDATE, "TXT", PAYLOAD, fields, PAYLOAD), Change(Action.CREATE, "TXT", PAYLOAD, fields))
    return render(Plan("dns", changes, unmanaged=(PAYLOAD,), warnings=(PAYLOAD,)), colour=True)


def _findings() -> str:
    return render_findings([Finding("zone", PAYLOAD, State.WRONG, detail=PAYLOAD, remedy=PAYLOAD)], colour=True)


def _policy() -> str:
    return unified_diff("{}", f"{{}} // {PAYLOAD}")


@pytest.mark.parametrize("plane", [_error, _plan, _findings, _policy])
def test_nothing_that_a_terminal_obeys_is_printed(plane: Callable[[], str], capsys: pytest.CaptureFixture[str]) -> None:
    say(plane(), color=True)
    shown = capsys.readouterr().out
    assert not FORBIDDEN.search(COLOUR.sub("", shown))
    assert "\\u001b]0;owned\\u0007" in shown.replace("\\\\", "\\")


def test_a_line_end_in_a_value_makes_no_line_of_the_plan() -> None:
    field = FieldChange("value", "old", "new\n+ TXT forged")
    shown = render(Plan("dns", (Change(Action.UPDATE, "TXT", "a\n- MX gone", (field,)),), unmanaged=("b\n! c",)))
    assert [line[:2] for line in shown.splitlines()] == ["~ ", "  ", "  ", "dn"]


def test_colours_are_our_own_only(capsys: pytest.CaptureFixture[str]) -> None:
    say(style("\x1b[31mred?", fg="green") + "\x1b[31m", color=True)
    assert capsys.readouterr().out == "\x1b[32m\\u001b[31mred?\x1b[0m\\u001b[31m\n"


def test_a_setting_that_cannot_be_used_is_shown_harmless(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.touch(mode=0o600)
    path.write_text(f"DOMAIN={PAYLOAD}\nTS_TAILNET=tail1234.ts.net\n", newline="")
    with pytest.raises(TailwartError) as caught:
        load(path)
    assert not FORBIDDEN.search(str(caught.value))


def test_what_a_command_on_a_host_prints_is_shown_harmless(tmp_path: Path) -> None:
    """pyinfra's own log, with the output of a command that fails, and a log line of ours with a colour."""
    inventory = tmp_path / "inventory.py"
    inventory.write_text("from tailwart.report import install\nhosts = ['@local']\ninstall(())\n")
    script = "printf 'out \\033]0;owned\\007 \\302\\233 \\342\\200\\256\\n'; printf 'err \\033[2J\\n' >&2; exit 1"
    command = [sys.executable, "-m", "pyinfra", "-y", str(inventory), "exec", "--", "sh", "-c", f'"{script}"']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    said = done.stdout + done.stderr
    assert "out \\u001b]0;owned\\u0007 \\u009b \\u202e" in said, said
    assert "err \\u001b[2J" in said
    assert not FORBIDDEN.search(COLOUR.sub("", said))


@given(
    st.recursive(
        st.text() | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_json_document_stays_the_same_document(document: Any) -> None:
    for text in (json.dumps(document), json.dumps(document, indent=2)):
        assert json.loads(printable(text)) == document


@given(st.text())
def test_only_what_a_terminal_obeys_is_replaced_and_once_is_enough(text: str) -> None:
    shown = printable(text)
    assert not FORBIDDEN.search(shown)
    assert printable(shown) == shown
    assert printable("Zugänge für 邮件 📬\tx\n") == "Zugänge für 邮件 📬\tx\n"
