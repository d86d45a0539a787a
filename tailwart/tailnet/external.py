"""A policy that is kept somewhere else: pushing to the live one would be undone by the next push from there.

Tailscale says so in two ways: the setting "Prevent edits in the admin console" with its link (`aclsExternallyManagedOn`
and `aclsExternalLink` of the tailnet's settings), and, older, a comment in the file: "This tailnet's ACLs are
maintained in LINK", which the admin console shows. Source: https://tailscale.com/kb/1204/gitops-acls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailwart.errors import TailwartError
from tailwart.tailnet.hujson import Document

_COMMENT = re.compile(
    r"this tailnet.s (?:acls|access controls|policy(?: file)?) (?:are|is) maintained in\s+(\S+)", re.I
)
UNNAMED = "elsewhere"


@dataclass(frozen=True, slots=True)
class ManagedElsewhere:
    """Where the policy is kept (a link, or `elsewhere`), and who says so."""

    where: str
    said_by: str

    @property
    def label(self) -> str:
        """How TS_ACKNOWLEDGED names it, for the place that pushes."""
        return f"managed:{self.where.replace(',', '%2C')}"

    def refusal(self) -> TailwartError:
        """Why nothing is pushed, and the two ways on."""
        return TailwartError(
            "The policy is managed elsewhere, so nothing was written",
            seen=f"{self.where}, says {self.said_by}",
            expected="changes made there: its next push would undo this one",
            remedy="in that repository: tailwart tailnet apply --file policy.hujson; "
            f"if this is the place that pushes: TS_ACKNOWLEDGED={self.label}",
        )


def by_comment(document: Document) -> ManagedElsewhere | None:
    """What a comment of the file says, if one does."""
    for offset, comment in document.comments(0, len(document.text)):
        found = _COMMENT.search(comment)
        if found:
            return ManagedElsewhere(found[1].removesuffix("*/"), f"the comment in line {document.line(offset)}")
    return None


def by_setting(settings: dict[str, object]) -> ManagedElsewhere | None:
    """What the settings of the tailnet say, as the API returns them."""
    if settings.get("aclsExternallyManagedOn") is not True:
        return None
    link = str(settings.get("aclsExternalLink") or UNNAMED)
    return ManagedElsewhere(link, "the tailnet's setting to prevent edits in the admin console")
