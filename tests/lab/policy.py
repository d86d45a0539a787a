"""The lab's live tailnet policy, read and edited as a hand in the admin console would."""

from __future__ import annotations

import re

import requests

from lab import credentials, dotenv
from tailwart.environment import load


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
    text = policy_text()
    lines = [line for line in text.splitlines() if f'"dst": ["{tag}"]' not in line and f"{tag}:" not in line]
    edited = "\n".join(lines) + "\n"
    assert re.search(re.escape(tag), text)
    assert edited != text, "the policy has no line of its own for that grant"
    write_policy(edited)


def _url() -> str:
    return f"{load(dotenv.path()).environment.ts_api_url}/api/v2/tailnet/-/acl"


def _login() -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials.load()['TS_API_KEY']}"}
