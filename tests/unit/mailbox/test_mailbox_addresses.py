"""Lesson 6: tailnet addresses are found in any syntax, ranges and other addresses are not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwart.mailbox.addresses import tailnet_addresses

V4 = st.integers(0, 2**22 - 1).map(lambda offset: str(ipaddress.IPv4Address("100.64.0.0") + offset))
V6 = st.integers(0, 2**80 - 1).map(lambda offset: str(ipaddress.IPv6Address("fd7a:115c:a1e0::") + offset))


@given(V4 | V6, st.sampled_from(["{}", '"{}"', "redis://{}", "[{}]", "host: {}", "{},x", "({})", "a {}\nb", "{}/32"]))
def test_an_address_is_found_in_any_syntax(address: str, syntax: str) -> None:
    if "/" in syntax and ":" in address:
        syntax = "{}/128"
    found = tailnet_addresses(syntax.format(address))
    assert [ipaddress.ip_interface(item).ip for item in found] == [ipaddress.ip_address(address)]


def test_an_address_with_a_port_is_found() -> None:
    assert tailnet_addresses("http://100.101.102.103:3900") == ["100.101.102.103"]
    assert tailnet_addresses("http://[fd7a:115c:a1e0::1]:3900") == ["fd7a:115c:a1e0::1"]


@pytest.mark.parametrize(
    "text",
    [
        "100.64.0.0/10 fd7a:115c:a1e0::/48",
        "100.63.255.255 100.128.0.0 198.51.100.23 10.0.0.1",
        "fd00:7a17:600d::/64 fd00:7a17:600d::1 2001:db8::1 ::1",
        "version v100.64.0.1-rc image:1.2.3.4.5 03:20:10 abcdef:0123",
        "garage.tail1234.ts.net:3900",
    ],
)
def test_ranges_and_other_addresses_are_none(text: str) -> None:
    assert tailnet_addresses(text) == []


def test_a_smarthost_given_as_a_literal_is_allowed() -> None:
    assert tailnet_addresses("100.64.0.10 100.64.0.11", ["100.64.0.10"]) == ["100.64.0.11"]
