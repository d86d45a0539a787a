"""What is known of Stalwart's releases, and the refusal of another series with the way to go on."""

from __future__ import annotations

import pytest

from tailwart import releases
from tailwart.environment import Environment

KEYS = {"domain": "example.org", "ts_tailnet": "tail1234.ts.net"}


def test_the_default_is_a_supported_release() -> None:
    version = releases.find(releases.DEFAULT_IMAGE)
    assert releases.supported(version)
    assert releases.text_as_object(version)
    assert Environment.model_validate(KEYS).stalwart_image == releases.DEFAULT_IMAGE


@pytest.mark.parametrize("tag", ["v0.16.7", "v0.16.18", "0.16.99", "v0.16.18-standin"])
def test_every_release_of_the_series_may_be_deployed(tag: str) -> None:
    image = f"registry.example.org/stalwart:{tag}"
    assert Environment.model_validate({**KEYS, "stalwart_image": image}).stalwart_image == image


def test_1_0_is_refused_in_the_settings_with_the_way() -> None:
    with pytest.raises(ValueError, match=r"0\.16\.x[^\xa7]*0\.16\.27[^\xa7]*migration into a new, empty store"):
        Environment.model_validate({**KEYS, "stalwart_image": "stalwartlabs/stalwart:v1.0.0"})
    with pytest.raises(ValueError, match=r"0\.16\.x") as older:
        Environment.model_validate({**KEYS, "stalwart_image": "stalwartlabs/stalwart:v0.15.4"})
    assert "0.16.27" not in str(older.value)


@pytest.mark.parametrize(
    ("version", "supported", "newer"), [("0.16.1", True, False), ("1.0.0", False, True), ("", False, False)]
)
def test_versions_are_compared_as_numbers(version: str, supported: bool, newer: bool) -> None:
    assert (releases.supported(version), releases.newer(version)) == (supported, newer)
