"""Stalwart's releases: which one is deployed, which are supported, and what differs between them.

The one home of what this project knows by version. What a server's own schema says is not repeated here: fields and
their types are read from it (`tailwart.stalwart.schema`). A new series is one more `Series`, and a table of its kinds
in `tailwart/stalwart/protocol/kinds.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IMAGE = "stalwartlabs/stalwart"
_VERSION = re.compile(r"(?<![\d.])v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Series:
    """Releases that share a store. Patch levels: `oldest` and `default` are tested, later ones are checked first.

    `text_as_object`: from this patch level on, S3's `accessKey` is an object (`{"@type": "Value", "value": …}`), and a
    text before. The stored value survives a step to either side in this form alone: an older server cannot read the
    other new forms, and then stores message bodies in the data store without a word.
    """

    major: int
    minor: int
    oldest: int
    default: int
    text_as_object: int

    @property
    def name(self) -> str:
        """As people write it: `0.16.x`."""
        return f"{self.major}.{self.minor}.x"

    @property
    def image(self) -> str:
        """The image that is deployed unless `.env` says otherwise."""
        return f"{IMAGE}:v{self.major}.{self.minor}.{self.default}"


SUPPORTED = Series(0, 16, oldest=7, default=18, text_as_object=16)
DEFAULT_IMAGE = SUPPORTED.image

IMPORTER = "0.16.7"
"""The release whose `--import` takes an export of every supported one; that of 0.16.18 refuses each store."""
IMPORTER_IMAGE = f"{IMAGE}:v{IMPORTER}"

WAY_TO_1_0 = (
    "set STALWART_IMAGE back to a 0.16.x tag: 1.0 refuses a store of 0.16. That upgrade goes through 0.16.27 and a "
    "migration into a new, empty store (docs/upgrade.md)"
)
WAY_FROM_OLDER = f"set STALWART_IMAGE to {DEFAULT_IMAGE}; settings of older servers are not JMAP objects"


def find(text: str) -> str:
    """The first version in a text, as `major.minor.patch`; empty when there is none."""
    match = _VERSION.search(text)
    return ".".join(match.groups()) if match else ""


def numbers(version: str) -> tuple[int, ...]:
    """`0.16.18` as (0, 16, 18); empty for an empty text."""
    return tuple(map(int, version.split("."))) if version else ()


def supported(version: str) -> bool:
    """Whether this version is of the supported series."""
    return numbers(version)[:2] == (SUPPORTED.major, SUPPORTED.minor)


def newer(version: str) -> bool:
    """Whether this version comes after the supported series."""
    return numbers(version)[:2] > (SUPPORTED.major, SUPPORTED.minor)


def exports_known(version: str) -> bool:
    """Whether an export of this version is known to be imported whole by `IMPORTER`."""
    return supported(version) and SUPPORTED.oldest <= numbers(version)[2] <= SUPPORTED.default


def text_as_object(version: str) -> bool:
    """Whether this server takes S3's `accessKey` as an object; an unknown version (empty) is taken for the default."""
    return not version or numbers(version)[2] >= SUPPORTED.text_as_object
