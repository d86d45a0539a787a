"""The lab's live tailnet policy, read as the API's users read it."""

from __future__ import annotations

import requests
from lab.env import lab_env_path

from tailwart.environment import load


def policy_text() -> str:
    """The policy file as it lies at the server."""
    environment = load(lab_env_path()).environment
    token = requests.post(
        f"{environment.ts_api_url}/api/v2/oauth/token",
        data={
            "client_id": environment.ts_oauth_client_id,
            "client_secret": environment.ts_oauth_client_secret.get_secret_value()
            if environment.ts_oauth_client_secret
            else "",
        },
        timeout=20,
    ).json()["access_token"]
    answer = requests.get(
        f"{environment.ts_api_url}/api/v2/tailnet/-/acl",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/hujson"},
        timeout=20,
    )
    answer.raise_for_status()
    return answer.text
