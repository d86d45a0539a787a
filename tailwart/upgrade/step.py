"""From one image of Stalwart to another: which steps are known to be good, and the note on the host. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from tailwart import releases
from tailwart.errors import TailwartError
from tailwart.mailbox import names

NOTE = f"{names.DIRECTORY}/upgrade.json"
"""There while an upgrade is not proven yet."""
REFUSED = f"{names.DIRECTORY}/upgrade-refused.json"
"""The image that failed its proof: it is not tried again unasked."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a mailbox's containers."""

    stalwart: str
    sidecar: str


@dataclass(frozen=True, slots=True)
class Note:
    """An upgrade that is under way: from which images to which, and what the copy of the data is (`copies`)."""

    before: Images
    after: Images
    copy: str = ""

    def dump(self) -> str:
        """The note as the host keeps it."""
        return json.dumps(asdict(self)) + "\n"

    @property
    def describe(self) -> str:
        """As people write it: `Stalwart 0.16.7 → 0.16.18`."""
        parts = [
            f"{what} {short(old)} → {short(new)}"
            for what, old, new in (
                ("Stalwart", self.before.stalwart, self.after.stalwart),
                ("sidecar", self.before.sidecar, self.after.sidecar),
            )
            if old != new
        ]
        return ", ".join(parts)


def parse(text: str) -> Note | None:
    """The note of a host; None for none, and for one that nobody can read."""
    try:
        document = json.loads(text)
        return Note(Images(**document["before"]), Images(**document["after"]), str(document["copy"]))
    except (ValueError, KeyError, TypeError):
        return None


def refused(text: str) -> str:
    """The image of Stalwart that failed its proof; empty for none."""
    try:
        return str(json.loads(text)["image"])
    except (ValueError, KeyError, TypeError):
        return ""


def images(compose_file: str) -> Images | None:
    """The images in the text of a compose.yaml that a deploy has written."""
    found = {
        service: match[1]
        for service in (names.CONTAINER, names.SIDECAR)
        if (match := re.search(rf'(?ms)^  {service}:\n(?:(?!^  \S).)*?^    image: "([^"\n]+)"$', compose_file))
    }
    if len(found) != 2:
        return None
    return Images(found[names.CONTAINER], found[names.SIDECAR])


def short(image: str) -> str:
    """The version in an image's tag, else the image without its digest."""
    bare = image.partition("@")[0]
    return releases.find(bare.rpartition(":")[2]) or bare


def check(before: str, after: str) -> str:
    """Whether one version of Stalwart may follow another; returns what to know of the step, or an empty text.

    Raises `TailwartError` with the way to go for every step that is not known to be good.
    """
    for version in (before, after):
        if version and not releases.supported(version):
            raise TailwartError(
                f"there is no direct way from Stalwart {before or 'unknown'} to {after}",
                seen=f"{version} is not of the series {releases.SUPPORTED.name}",
                expected=f"both versions among {releases.SUPPORTED.name}, which share one store",
                remedy=releases.WAY_TO_1_0 if releases.newer(version) else releases.WAY_FROM_OLDER,
            )
    numbers, newest = releases.numbers(after), releases.find(releases.DEFAULT_IMAGE)
    if numbers > releases.numbers(newest):
        return f"Stalwart {after} is newer than every release that was tested here ({newest})"
    if numbers and numbers < releases.numbers(before):
        return f"Stalwart {after} is older than {before}: known to work, as long as no setting needs the newer one"
    return ""


def with_version(image: str, version: str) -> str:
    """The image with another version in its tag, and without its digest.

    >>> with_version("registry.example.org/stalwart:v0.16.7-slim", "0.16.18")
    'registry.example.org/stalwart:v0.16.18-slim'
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    return f"{name}:{tag.replace(releases.find(tag), version, 1)}"
