"""The policy text: validated by headscale, stored in headscale, byte for byte as it was pushed.

Where headscale accepts the text as it is, it is stored unchanged. Where only one of headscale's limits is in the way
(:mod:`lab.control.policy.translation`), the stored text is the translation below a comment that carries the
original.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from lab.control.policy import hujson
from lab.control.policy.headscale import Headscale, Refused
from lab.control.policy.translation import Translation, Unacceptable, translate

#: What a new tailnet has: everybody reaches everybody. headscale without a policy behaves like this.
DEFAULT_POLICY = """{
	// Allow all connections.
	"grants": [
		{"src": ["*"], "dst": ["*"], "ip": ["*"]},
	],
}
"""

_ENVELOPE = "// Translated for headscale by the lab's policy API. The text that was pushed:\n// original "
_FAILED_TEST = re.compile(r"^(?P<src>\S+) -> (?P<dst>\S+?)(?: \(\S+\))?: expected (?P<want>\w+), got (?P<got>\w+)$")
_UNRESOLVED = re.compile(r"^(?P<src>\S+?)(?: \(\S+\))?: (?P<error>(?:failed to resolve|source|error testing) .*)$")
_VERDICT = {"ALLOWED": "Accept", "DENIED": "Drop"}


class Rejected(Exception):
    """The text is not accepted. `document` is the error document of the API: message and, for tests, data."""

    def __init__(self, message: str, data: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.document: dict[str, Any] = {"message": message} if data is None else {"message": message, "data": data}


def etag(text: str) -> str:
    """The quoted SHA-256 of the text, as Tailscale builds it."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()}"'


class PolicyStore:
    """The policy of one tailnet, in one headscale."""

    def __init__(self, headscale: Headscale) -> None:
        self._headscale = headscale

    def text(self) -> str:
        """The text that was pushed last, or that headscale was given directly since."""
        stored = self._headscale.policy()
        if not stored:
            return DEFAULT_POLICY
        if not stored.startswith(_ENVELOPE):
            return stored
        original = stored[len(_ENVELOPE) :].split("\n", 1)[0]
        return base64.b64decode(original).decode()

    def check(self, text: str, tests: list[dict[str, Any]] | None = None) -> Translation:
        """Validates `text`, with `tests` in place of its own when given. Raises Rejected."""
        try:
            policy = hujson.parse(text)
            if tests is not None and isinstance(policy, dict):
                policy["tests"] = tests
            translation = translate(policy, self._headscale.nodes())
        except (hujson.SyntaxProblem, Unacceptable) as problem:
            raise Rejected(str(problem)) from problem
        except (AttributeError, TypeError, KeyError) as problem:
            raise Rejected(f"wrong type in the policy file: {problem}") from problem
        self._validate(translation)
        return translation

    def put(self, text: str) -> None:
        """Validates and stores. Raises Rejected, and the old text stays active."""
        translation = self.check(text)
        try:
            self._headscale.set_policy(text)
        except Refused:
            original = base64.b64encode(text.encode()).decode()
            self._headscale.set_policy(f"{_ENVELOPE}{original}\n{json.dumps(translation.stored, indent=2)}\n")

    def _validate(self, translation: Translation) -> None:
        try:
            self._headscale.check_policy(json.dumps(translation.checked))
        except Refused as refusal:
            # Node attributes decide nothing about access; headscale refuses those it cannot offer.
            if "does not yet support" in str(refusal) and translation.checked.pop("nodeAttrs", None):
                translation.stored.pop("nodeAttrs", None)
                self._validate(translation)
                return
            raise _rejection(str(refusal), translation.names) from refusal


def _rejection(message: str, names: dict[str, str]) -> Rejected:
    head, _, lines = message.partition("\n")
    if not head.startswith("test(s) failed"):
        return Rejected(message.removeprefix("parsing policy: "))
    errors: dict[str, list[str]] = {}
    for line in lines.splitlines():
        if failed := _FAILED_TEST.match(line):
            host, _, port = failed["dst"].rpartition(":")
            want, got = _VERDICT[failed["want"]], _VERDICT[failed["got"]]
            error = f'address "{names.get(host, host)}:{port}": want: {want}, got: {got}'
        elif failed := _UNRESOLVED.match(line):
            error = failed["error"]
        else:
            continue
        errors.setdefault(names.get(failed["src"], failed["src"]), []).append(error)
    return Rejected("test(s) failed", [{"user": user, "errors": found} for user, found in errors.items()])
