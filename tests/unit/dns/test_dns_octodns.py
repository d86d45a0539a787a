"""The adapter over octoDNS without any server: order of changes, odd listings, loading only what is used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.errors import TailwartError
from tailwart.providers import definition
from tailwart.providers._octodns import joined_text, phases, records_of
from tailwart.providers._octodns_backend import Rrset, plain_text
from tailwart.providers.powerdns import presentation_text

ZONE = "example.org"


@dataclass(frozen=True)
class Changed:
    """A record set as octoDNS's changes name it."""

    name: str
    _type: str


@dataclass(frozen=True)
class Change:
    record: Changed


class Create(Change):
    pass


class Update(Change):
    pass


class Delete(Change):
    pass


def order(*changes: Change) -> list[list[str]]:
    """The phases, each change as `C`, `U` or `D` with its name."""
    found = phases(changes, (Update, Create, Delete))
    return [[f"{type(each).__name__[0]} {each.record.name}" for each in phase] for phase in found]


def test_what_is_new_comes_first_and_what_goes_comes_last() -> None:
    made = order(Delete(Changed("a", "A")), Update(Changed("", "TXT")), Create(Changed("b", "MX")))
    assert made == [["C b"], ["U "], ["D a"]]


def test_only_where_a_cname_is_involved_the_old_goes_first() -> None:
    made = order(
        Create(Changed("web", "A")),
        Delete(Changed("web", "CNAME")),
        Create(Changed("both", "AAAA")),
        Delete(Changed("both", "A")),
    )
    assert made == [["C both"], ["D web", "C web"], ["D both"]]


@pytest.mark.parametrize(
    ("rtype", "value"), [("LUA", "A \"pickrandom({'192.0.2.1'})\""), ("ALIAS", "x.example."), ("A", "not an address")]
)
def test_what_dns_does_not_know_is_locked_and_keeps_its_value(rtype: str, value: str) -> None:
    (entry,) = records_of(Rrset(f"x.{ZONE}.", rtype, 60, (value,)), ZONE)
    assert entry.locked
    assert (entry.name, entry.type) == ("x", rtype)
    assert entry.value.startswith("{"), "as other places know what is no DNS record"
    assert value.split(maxsplit=1)[0].replace('"', '\\"') in entry.value


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_presentation_text_means_the_text(text: str) -> None:
    assert joined_text(f'"{presentation_text(text)}"') == text


@pytest.mark.parametrize("text", ['say "hi"', "back\\slash", "grüße", "line\nbreak"])
def test_a_text_that_a_library_would_change_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="beyond ASCII"):
        plain_text(text)


@pytest.mark.parametrize("name", ["spaceship", "rfc2136"])
def test_octodns_is_not_loaded_for_other_providers(name: str) -> None:
    keys = {
        "spaceship_api_key": "k", "spaceship_api_secret": "s",
        "rfc2136_server": "192.0.2.53", "rfc2136_key_name": "k", "rfc2136_key": "c2VjcmV0",
    }  # fmt: skip
    program = f"""
import sys
from tailwart.environment import Environment
from tailwart.providers import definition
environment = Environment.model_validate({{
    "domain": "example.org", "ts_tailnet": "t.ts.net", "dns_provider": {name!r}, "provider_keys": {keys!r},
}})
assert not any(module.split(".")[0] in ("dns", "requests", "octodns") for module in sys.modules), "reading a .env"
definition(environment.dns_provider).open(environment.provider_keys, print)
assert not any(module.startswith("octodns") for module in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "octodns_powerdns", None)
    keys: dict[str, Any] = {"powerdns_api_url": "https://ns1.example.org:8081", "powerdns_api_key": "k"}
    known = definition("powerdns")
    provider = known.connect(known.keys.model_validate(keys), lambda _: None)
    with pytest.raises(TailwartError, match="needs the Python package octodns-powerdns") as missing:
        provider.read(ZONE)
    assert "tailwart[powerdns]" in missing.value.remedy
