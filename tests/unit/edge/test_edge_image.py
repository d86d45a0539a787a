"""The image's files as text, and the message of a failed build."""

from __future__ import annotations

import re

import pytest

from tailwart.edge.image import ImageInputs, build_errors, compose_file, dockerfile, reference

INPUTS = ImageInputs("debian:trixie-slim", "https://caddyserver.com/api/download")
TAILNET_ADDRESS = re.compile(r"\b100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.")


def test_no_tailnet_address_is_in_any_file() -> None:
    # Lesson 6: an ephemeral sidecar changes its address.
    assert not TAILNET_ADDRESS.search(dockerfile(INPUTS) + compose_file(reference(INPUTS), 512 << 20))


def test_values_reach_the_script_quoted() -> None:
    text = dockerfile(ImageInputs("debian:trixie-slim", "https://x.example/a?b=c&d='e", ("example.org/m@v1",)))
    assert "CADDY_URL='https://x.example/a?b=c&d='\"'\"'e'" in text
    assert "CADDY_MODULES='github.com/mholt/caddy-l4@v0.1.2 example.org/m@v1'" in text


def test_the_tag_is_stable_and_names_the_content() -> None:
    assert reference(INPUTS) == reference(ImageInputs("debian:trixie-slim", "https://caddyserver.com/api/download"))
    assert re.fullmatch(r"tailwart-edge:[0-9a-f]{16}", reference(INPUTS))


@pytest.mark.parametrize(
    "output",
    [
        # BuildKit, which repeats the last lines without the step number.
        "#7 [3/3] RUN ...\n#7 0.5 fetch-caddy: download 1 of 4\n#7 9.9 fetch-caddy: the download failed\n"
        "#7 9.9   seen: HTTP 502\n#7 ERROR: process failed\n------\n > [3/3] RUN:\n0.5 fetch-caddy: download 1 of 4\n"
        "9.9 fetch-caddy: the download failed\n9.9   seen: HTTP 502\n------\nERROR: failed to build",
        # The classic builder.
        "Step 3/5 : RUN ...\nfetch-caddy: download 1 of 4\nfetch-caddy: the download failed\n  seen: HTTP 502\n"
        "The command '/bin/sh -c ...' returned a non-zero code: 1",
    ],
)
def test_a_failed_build_shows_the_scripts_own_message(output: str) -> None:
    assert [line.strip() for line in build_errors(output).splitlines()] == [
        "the download failed",
        "seen: HTTP 502",
    ]


def test_a_build_that_fails_earlier_shows_its_end() -> None:
    assert "pull access denied" in build_errors("Step 1/5 : FROM x\npull access denied for x\n")
