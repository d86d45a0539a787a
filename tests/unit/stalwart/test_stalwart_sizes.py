"""Sizes of mailboxes as an operator types and reads them."""

from __future__ import annotations

import pytest

from tailwart.errors import TailwartError
from tailwart.stalwart.accounts.sizes import parse_size, show_size


@pytest.mark.parametrize(("text", "size"), [("500M", 500 << 20), ("5G", 5 << 30), ("1T", 1 << 40), ("1024", 1024)])
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["5X", "", "big", "-1G", "5 apples"])
def test_an_invalid_size_is_named_with_examples(text: str) -> None:
    with pytest.raises(TailwartError) as caught:
        parse_size(text)
    assert f'invalid size "{text}"' in str(caught.value)
    assert "500M or 5G" in str(caught.value)


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (5 << 30, "5 GB"), (1536, "1.5 KB"), (1 << 40, "1 TB")])
def test_a_size_is_shown_in_the_largest_unit(size: int, text: str) -> None:
    assert show_size(size) == text
