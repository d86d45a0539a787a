"""The Postgres role: its password is compared by its verifier, set again on drift, never sent."""

from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.backends import scram
from tailwart.backends.postgres import Current, Desired, literal, name, parse, plan, query
from tailwart.errors import TailwartError

# Made by PostgreSQL 15 itself with `CREATE ROLE … PASSWORD '…'`; each begins with SCRAM-SHA-256$4096:
MADE_BY_POSTGRES = [
    (
        "a\xa0b",
        "jjufyH2OFreDUz/oSGHCQg==$hbay19JNwqXy8u1PLkyua11YLMBZ86vWfzjLWNQKXYc=:V0GKrhhNa/ZhQLpNjWtfDRL/quEb+vLBdNYLSlcS3+g=",
    ),
    (
        "\xad",
        "S3G8gn0K6joL3y420n+I2w==$ae9M8sKEcOvCEnxBYRPAq6xqhReF/fRZ/1vHbUq5Rkc=:rTsTJrTopNV90zzmvpkM37ccgorPTBEb/ev9G7dcrpU=",
    ),
    (
        "I\xadX",
        "o9S96RaDD86MChQ5fEK7YA==$yWEfZmkIAzw9K+pQM19x1Dkkn1X1+OhfCobSJi7cPx4=:9uu9hcresFNjTHMBRggxlbC8Lh3fYYIatfD3okAapnY=",
    ),
    (
        "\ufb01",
        "3+VEqyyDSWHctaCnkXo2Rg==$eHM/Vafiu8xa379FIFu0os2DFBOnOJFwEy24luKGhn0=:tLhndMznwDk09dLMPo5Xq3t7aFwEKm7x8Y5h8FG665I=",
    ),
    (
        "x\u200bx",
        "TRtauMov6AmlaFa3akg6IA==$bHP4EiDzDnIYWOXGPrHeasjF2dg9LYFZ+nBFEXCgHXo=:BT8VLOg1lF8gUJWNFgCoiOGD8SGLzwkgnemErHCubF4=",
    ),
    (
        "\U0001f100x",
        "vtGCudG5mf3GhPXkdedn2Q==$vWsiOJiJJrwE04vCjp6sqlm6ZDgQ8Mc0FZZ7MaM9NtU=:KloQWyrBgTQZWP38uNtJAepguXb3YrhLxvgsApMGXVo=",
    ),
    (
        "\u0627a\u0627",
        "gV8V01D+jKCOzJ87I777iw==$33ZG56r2uOnl/lnz4IQhX84T8EJDSV7XPMTT1MXMl1M=:qPwzNlc994LFfklwsi1a91Dh4CMQmdyqierLEUU9klY=",
    ),
    (
        "pa\tss",
        "YBKnPxUBMDSx7TJUgFA9CQ==$079pfdzjFbn6EQIRI0iEUPMHuSK6dDcBVhOH0J6wvdc=:SUNqFbERm2ttdyU2A6eR1+L2nODAFS8QB4dlvpU5G8k=",
    ),
]

DESIRED = Desired("stalwart", "stalwart", "correct horse battery")


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


@settings(max_examples=20)
@given(st.text(min_size=1, max_size=30))
def test_any_password_matches_its_own_verifier(password: str) -> None:
    assert scram.matches(password, scram.verifier(password, iterations=2))


def test_equivalent_spellings_are_one_password() -> None:
    # SASLprep: a no-break space is a space, a soft hyphen nothing, a ligature its letters (RFC 4013).
    assert scram.matches("a b", scram.verifier("a\u00a0b"))
    assert scram.matches("IX", scram.verifier("I\u00adX"))
    assert scram.matches("fi", scram.verifier("\ufb01"))


@pytest.mark.parametrize(("password", "made"), MADE_BY_POSTGRES)
def test_verifiers_that_postgres_made_are_recognised(password: str, made: str) -> None:
    # Spaces, nothing left of it, ligatures, letters unknown to Unicode 3.2, mixed directions, a control character.
    assert scram.matches(password, f"SCRAM-SHA-256$4096:{made}")
    assert not scram.matches(f"{password}x", f"SCRAM-SHA-256$4096:{made}")


@pytest.mark.parametrize("present", ["", "md5" + "0" * 32, "SCRAM-SHA-256$4096:!$a:b", "correct horse battery"])
def test_anything_but_its_verifier_is_no_match(present: str) -> None:
    assert not scram.matches(DESIRED.password, present)


def test_an_empty_server_gets_role_and_database() -> None:
    steps = plan(DESIRED, parse([]))
    assert [step.description for step in steps] == [
        "create role stalwart",
        "create database stalwart",
        "nobody but stalwart connects to stalwart",
    ]


def test_a_second_run_has_nothing_to_do() -> None:
    lines = ["role|t", f"verifier|{scram.verifier(DESIRED.password)}", "database|stalwart"]
    assert plan(DESIRED, parse(lines)) == []


@pytest.mark.parametrize(("login", "verifier"), [("t", "md5abc"), ("t", ""), ("f", scram.verifier(DESIRED.password))])
def test_drift_of_password_or_login_is_repaired_by_an_alter(login: str, verifier: str) -> None:
    (step,) = plan(DESIRED, parse([f"role|{login}", f"verifier|{verifier}", "database|stalwart"]))
    assert step.sql.startswith('ALTER ROLE "stalwart" LOGIN PASSWORD')


def test_neither_password_nor_verifier_shows() -> None:
    steps = plan(DESIRED, Current())
    assert all(DESIRED.password not in step.sql for step in steps)
    assert "SCRAM" not in repr(steps)
    assert DESIRED.password not in repr(DESIRED)
    assert DESIRED.password not in query(DESIRED)


def test_a_foreign_database_is_left_alone() -> None:
    with pytest.raises(TailwartError, match="belongs to another role"):
        plan(DESIRED, Current(True, scram.verifier(DESIRED.password), "nextcloud"))


@given(st.text(max_size=20))
def test_quoting_closes_what_it_opens(value: str) -> None:
    assert literal(value)[1:-1].replace("''", "") == value.replace("'", "")
    assert name(value)[1:-1].replace('""', "") == value.replace('"', "")
