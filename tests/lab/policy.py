"""The lab's live tailnet policy, read and edited as a hand in the admin console would."""

from __future__ import annotations

from typing import Any

import requests

from lab import credentials, dotenv
from tailwart.environment import load
from tailwart.tailnet import splice
from tailwart.tailnet.policy import Policy


def policy_text() -> str:
    """The policy file as it lies at the server."""
    answer = requests.get(_url(), headers={**_login(), "Accept": "application/hujson"}, timeout=20)
    answer.raise_for_status()
    return answer.text


def write_policy(text: str) -> None:
    """Replace the policy, whatever is there."""
    headers = {**_login(), "Content-Type": "application/hujson"}
    requests.post(_url(), data=text.encode(), headers=headers, timeout=20).raise_for_status()


def drop_grants_to(tag: str) -> None:
    """Take out the grants to a tag, and the policy tests that would notice."""
    policy = Policy(policy_text())
    splices = []
    for section in (policy.grants, policy.tests):
        doomed = {entry.index for entry in section.entries if _leads_to(tag, entry.value)}
        assert section.node is not None, f"the policy has no {section.name}"
        splices += splice.remove(policy.document, section.node, doomed) if doomed else []
    assert splices, f"the policy has no grant to {tag}"
    edited = splice.apply(policy.text, splices)
    write_policy(edited)


def _leads_to(tag: str, value: dict[str, Any]) -> bool:
    return value.get("dst") == [tag] or any(
        str(target).startswith(f"{tag}:") for key in ("accept", "deny") for target in value.get(key, [])
    )


def _url() -> str:
    return f"{load(dotenv.path()).environment.ts_api_url}/api/v2/tailnet/-/acl"


def _login() -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.load()['TS_API_KEY']}"}
