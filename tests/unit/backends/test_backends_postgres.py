"""The Postgres role: its password is compared by its verifier, set again on drift, never sent."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.backends import scram
from tailwart.backends.postgres import Current, Desired, literal, look, name, parse, plan
from tailwart.errors import TailwartError

WANTED = Desired("stalwart", "stalwart", "correct horse battery")


def test_the_server_signature_of_rfc_7677_follows_from_the_verifier() -> None:
    # RFC 7677 §3, the recorded exchange of user "user" with password "pencil".
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    exchange = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}"
    made = scram.verifier("pencil", salt=base64.b64decode(salt), iterations=4096)
    server_key = base64.b64decode(made.rpartition(":")[2])
    signature = base64.b64encode(hmac.digest(server_key, exchange.encode(), "sha256"))
    assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert scram.matches("pencil", made)
    assert not scram.matches("pencil ", made)


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_password_matches_its_own_verifier(password: str) -> None:
    assert scram.matches(password, scram.verifier(password, iterations=2))


def test_equivalent_spellings_are_one_password() -> None:
    # SASLprep: a no-break space is a space, a soft hyphen nothing, a ligature its letters (RFC 4013).
    assert scram.matches("a b", scram.verifier("a\u00a0b"))
    assert scram.matches("IX", scram.verifier("I\u00adX"))
    assert scram.matches("fi", scram.verifier("\ufb01"))


@pytest.mark.parametrize("present", ["", "md5" + "0" * 32, "SCRAM-SHA-256$4096:!$a:b", "correct horse battery"])
def test_anything_but_its_verifier_is_no_match(present: str) -> None:
    assert not scram.matches(WANTED.password, present)


def test_an_empty_server_gets_role_and_database() -> None:
    assert [step.words for step in plan(WANTED, parse([]))] == ["create role stalwart", "create database stalwart"]


def test_a_second_run_has_nothing_to_do() -> None:
    lines = [f"role|t|{scram.verifier(WANTED.password)}", "database|stalwart"]
    assert plan(WANTED, parse(lines)) == []


@pytest.mark.parametrize("line", ["role|t|md5abc", "role|t|", f"role|f|{scram.verifier(WANTED.password)}"])
def test_drift_of_password_or_login_is_repaired_by_an_alter(line: str) -> None:
    (step,) = plan(WANTED, parse([line, "database|stalwart"]))
    assert step.sql.startswith('ALTER ROLE "stalwart" LOGIN PASSWORD')


def test_neither_password_nor_verifier_shows() -> None:
    steps = plan(WANTED, Current())
    assert all(WANTED.password not in step.sql for step in steps)
    assert "SCRAM" not in repr(steps)
    assert WANTED.password not in repr(WANTED)
    assert WANTED.password not in look(WANTED)


def test_a_foreign_database_is_left_alone() -> None:
    with pytest.raises(TailwartError, match="belongs to another role"):
        plan(WANTED, Current(True, scram.verifier(WANTED.password), "nextcloud"))


@given(st.text(max_size=20))
def test_quoting_closes_what_it_opens(value: str) -> None:
    assert literal(value)[1:-1].replace("''", "") == value.replace("'", "")
    assert name(value)[1:-1].replace('""', "") == value.replace('"', "")
