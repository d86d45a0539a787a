"""Every secret of the model stays out of everything that shows settings: errors, objects, and pyinfra's own listing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tailwart.environment import Account, load
from tailwart.environment.keys import account_key
from tailwart.environment.load import settings
from tailwart.environment.problems import EnvironmentProblems
from tailwart.fields import is_secret
from tailwart.providers import definitions

ROOT = Path(__file__).parents[3]
SECRETS = {key: info for key, info in settings().items() if is_secret(info)} | {
    account_key("alice", name): info for name, info in Account.model_fields.items() if is_secret(info)
}
PLAIN = {
    "DOMAIN": "example.org",
    "TS_TAILNET": "tail1234.ts.net",
    "ACCOUNTS": "alice",
    "TS_OAUTH_CLIENT_ID": "kX",
    "MAILBOX_SSH": "root@192.0.2.10",
    "BACKENDS_SSH": "root@192.0.2.11",
    "EDGES": "edge-1",
    "EDGE_1_SSH": "root@203.0.113.7",
    "EDGE_1_IPV4": "203.0.113.7",
}


def secret(key: str) -> str:
    """A value of the key's own that its type takes."""
    word = f"Owned-by-nobody-{key.lower().replace('_', '-')}"
    urls = {
        "REDIS_URL": f"redis://:{word}@redis.tail1234.ts.net:6379/3",
        "POSTGRES_ADMIN_URL": f"postgresql://postgres:{word}@db.example.net:5432/postgres",
    }
    return urls.get(key, word)


def write(path: Path, values: dict[str, str]) -> Path:
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return path


def leaked(text: str) -> list[str]:
    return [key for key in SECRETS if f"nobody-{key.lower().replace('_', '-')}" in text]


def test_what_gives_access_is_a_secret_of_the_model() -> None:
    assert {
        "REDIS_URL",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "TS_API_KEY",
        "OVH_APPLICATION_KEY",
        "ROUTE53_ACCESS_KEY_ID",
    } <= set(SECRETS)


def test_a_loaded_environment_shows_no_secret(tmp_path: Path) -> None:
    values = {**PLAIN, **{key: secret(key) for key in SECRETS if key.lower() not in _provider_keys()}}
    environment = load(write(tmp_path / ".env", values)).environment
    for text in (repr(environment), str(environment), str(environment.to_json()), environment.model_dump_json()):
        assert not leaked(text)


@pytest.mark.parametrize("key", SECRETS)
def test_an_error_about_a_secret_does_not_show_it(tmp_path: Path, key: str) -> None:
    """As `tailwart env check` prints it: the key twice, unusable, or beside an unusable other one."""
    for wrong in (f"{secret(key)} \"'`", f"{secret(key)}:6379/x", secret(key)):
        path = write(tmp_path / ".env", {**PLAIN, key: wrong, "DOMAIN": "not a domain"})
        path.write_text(path.read_text() + f"{key}={wrong}\n{secret(key)}\n")
        with pytest.raises(EnvironmentProblems) as caught:
            load(path)
        assert not leaked(f"{caught.value} {caught.value!r}")


def test_pyinfra_s_own_listing_of_hosts_and_data_shows_no_secret(tmp_path: Path) -> None:
    values = {**PLAIN, **{key: secret(key) for key in SECRETS if key.lower() not in _provider_keys()}}
    write(tmp_path / ".env", values)
    shutil.copy(ROOT / "inventory.py", tmp_path)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "mailbox.py").write_text(
        'mailbox_accounts = [{"address": "dave", "password": "Owned-by-\\"nobody-s3-secret-key"}]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "inventory.py", "debug-inventory"],
        cwd=tmp_path,
        env={**os.environ, "TAILWART_ENV": str(tmp_path / ".env")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert '"redis_url": "**********"' in shown
    assert '"password": "********"' in shown
    assert not leaked(shown)


def _provider_keys() -> set[str]:
    return {name for definition in definitions().values() for name in definition.keys.model_fields}
