"""Accounts for daily use, and the way back in, on a server that runs."""

from __future__ import annotations

import pytest

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts.directory import Accounts, Entry, entries
from tailwart.stalwart.accounts.passwords import check_password
from tailwart.stalwart.accounts.signin import REFUSED, prove_sign_in, try_sign_in
from tailwart.stalwart.lifecycle.recovery import Recovery
from tailwart.stalwart.protocol.failures import SettingsError
from tests.plans.stalwart.stalwart_host import StalwartHost
from tests.unit.stalwart.sample import settings

ADDRESS = "carol@example.org"
PASSWORD = "four random words here"


@pytest.fixture
def deployed(host: StalwartHost) -> StalwartHost:
    host.deploy(settings())
    return host


def accounts(host: StalwartHost) -> Accounts:
    client = host.client()
    return Accounts(client, client.read())


def entry(host: StalwartHost, address: str) -> Entry:
    (found,) = (item for item in entries(host.client().read()) if item.address == address)
    return found


def test_add_sign_in_alias_quota(deployed: StalwartHost) -> None:
    accounts(deployed).add(ADDRESS, PASSWORD, ["c@example.org"], 5 << 30)
    prove_sign_in(deployed, ADDRESS, PASSWORD)
    assert entry(deployed, ADDRESS).aliases == ("c@example.org",)
    accounts(deployed).set_aliases(ADDRESS, ["c@example.org", "carola@example.org"])
    accounts(deployed).set_quota(ADDRESS, None)
    found = entry(deployed, ADDRESS)
    assert (found.aliases, found.quota_bytes) == (("c@example.org", "carola@example.org"), None)
    observed = deployed.plane(settings()).observe()
    assert observed.up_to_date, "the deploy leaves an account alone that it did not create"
    assert "Account: 1" in observed.planned.unmanaged, "counted, not listed"


def test_a_new_password_works_and_the_old_one_does_not(deployed: StalwartHost) -> None:
    accounts(deployed).add(ADDRESS, PASSWORD, [], None)
    accounts(deployed).set_password(ADDRESS, "another set of words")
    prove_sign_in(deployed, ADDRESS, "another set of words")
    assert try_sign_in(deployed, ADDRESS, PASSWORD) in REFUSED
    with pytest.raises(SettingsError, match="refused the login"):
        prove_sign_in(deployed, ADDRESS, PASSWORD)


def test_disable_and_back(deployed: StalwartHost) -> None:
    accounts(deployed).add(ADDRESS, PASSWORD, [], None)
    accounts(deployed).set_disabled(ADDRESS, True)
    assert entry(deployed, ADDRESS).disabled
    accounts(deployed).set_disabled(ADDRESS, False)
    assert not entry(deployed, ADDRESS).disabled
    prove_sign_in(deployed, ADDRESS, PASSWORD)


def test_what_does_not_exist_is_named(deployed: StalwartHost) -> None:
    with pytest.raises(TailwartError, match=r"no account nobody@example\.org[^§]*alice@example\.org"):
        accounts(deployed).set_quota("nobody@example.org", 1)
    with pytest.raises(TailwartError, match=r"elsewhere\.org is not a domain[^§]*EXTRA_DOMAINS"):
        accounts(deployed).add("carol@elsewhere.org", PASSWORD, [], None)
    with pytest.raises(SettingsError, match=r"Account alice@example\.org: primaryKeyViolation"):
        accounts(deployed).add("alice@example.org", PASSWORD, [], None)


@pytest.mark.parametrize("weak", ["x7!Q", "password12", "carolcarol1", "1234567890", "qwertyuiop"])
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(TailwartError) as caught:
        check_password(weak, ADDRESS)
    assert weak not in str(caught.value)


def test_recovery_on_a_running_server(deployed: StalwartHost) -> None:
    accounts(deployed).set_password("admin@example.org", "a password that got lost")
    assert deployed.client().read(), "the deploy signs in with a key of its own"
    starts = deployed.starts
    Recovery(deployed, deployed.up, directory=str(deployed.home)).reset_password(
        "admin@example.org", "admin-password-1"
    )
    assert deployed.starts == starts + 2
    assert deployed.plane(settings()).observe().up_to_date
    assert not [name for name in deployed.running_environment() if name.startswith("STALWART_RECOVERY")]
