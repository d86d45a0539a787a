"""The `.env`: what an operator is told about a file that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tailwart.cli.env import env
from tailwart.environment import EnvironmentProblems, load
from tailwart.environment.example import render_example
from tailwart.environment.load import settings as keys
from tailwart.errors import TailwartError
from tailwart.providers import definition

ROOT = Path(__file__).parents[3]

GOOD = {
    "DOMAIN": "example.org",
    "TS_TAILNET": "tail1234.ts.net",
    "MAILBOX_SSH": "root@192.0.2.10",
    "STALWART_ADMIN_PASSWORD": "Correct-Horse-9",
    "TS_AUTHKEY": "tskey-auth-real",
    "EDGES": "edge-1,edge-2",
    "EDGE_1_SSH": "root@203.0.113.7:2222",
    "EDGE_2_SSH": "root@[2001:db8::8]",
    "ACCOUNTS": "alice",
    "ACCOUNT_ALICE_PASSWORD": "Battery-Staple-7",
    "ACCOUNT_ALICE_QUOTA": "5G",
}


def write(tmp_path: Path, mode: int = 0o600, **changes: str) -> Path:
    path = tmp_path / "env"
    values = {**GOOD, **changes}
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    path.chmod(mode)
    return path


def problems(path: Path) -> EnvironmentProblems:
    with pytest.raises(EnvironmentProblems) as caught:
        load(path)
    return caught.value


def test_a_good_file_becomes_the_typed_object(tmp_path: Path) -> None:
    env = load(write(tmp_path)).environment
    assert env.mail_host == "mail.example.org"
    assert env.magic_host == "stalwart.tail1234.ts.net"
    assert [str(edge.ssh) for edge in env.edges] == ["root@203.0.113.7:2222", "root@[2001:db8::8]:22"]
    assert env.accounts[0].quota == 5 * 1024**3
    assert env.accounts[0].password.get_secret_value() == "Battery-Staple-7"
    assert "Battery-Staple-7" not in repr(env)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("STALWART_MEMORY", "2", "256M or more"),
        ("EDGE_MEMORY", "many", "a size in bytes"),
        ("DOMAIN", "example", "two labels"),
        ("DOMAIN", "exa mple.org", "domain name"),
        ("DOMAIN", "-bad.example.org", "domain name"),
        ("TS_TAILNET", "my tailnet", "MagicDNS"),
        ("STALWART_MAGIC_NAME", "stalwart.ts.net", "no dots"),
        ("SMARTHOST_PORT", "99999", "1 to 65535"),
        ("STALWART_DB_PORT", "five", "1 to 65535"),
        ("EDGE_1_IPV4", "203.0.113.300", "IPv4 address"),
        ("EDGE_1_IPV6", "203.0.113.7", "IPv6 address"),
        ("TAG_EDGE", "reverse-proxy", "tag:"),
        ("TAG_OWNERS", "admin", "group"),
        ("TAG_OWNERS", "tag:nobody=group:ops", "tag:stalwart"),
        ("TS_API_URL", "api.tailscale.com", "https://"),
        ("TS_API_URL", "http://api.example.org", "https://"),
        ("TS_API_URL", "https://user:pw@api.example.org", "without credentials"),
        ("S3_ENDPOINT", "http://garage.tail1234.ts.net", "with its port"),
        ("S3_ENDPOINT", "http://garage:3900", "bare name"),
        ("REDIS_URL", "redis://redis.tail1234.ts.net:6379", "index"),
        ("REDIS_URL", 'redis://:a"b@redis.tail1234.ts.net:6379/3', "percent-encoded"),
        ("REDIS_URL", "redis://[redis.tail1234.ts.net:6379/3", "index"),
        ("STALWART_IMAGE", "stalwartlabs/stalwart:latest", "fixed version"),
        ("STALWART_IMAGE", "stalwartlabs/stalwart:v1.0.0", "0.16.x"),
        ("STALWART_IMAGE", "stalwartlabs/stalwart", "fixed version"),
        ("MAILBOX_ULA", "2001:db8::/64", "unique local"),
        ("MAILBOX_ULA", "fd00:7a17:600d::/48", "/64"),
        ("MAILBOX_ULA", "fd00:7a17:600d::1/64", "host bits zero"),
        ("SMARTHOST_ADDRESS", "smtp.example.com", "lesson 8"),
        ("SMARTHOST_ADDRESS", "2001:db8::25", "lesson 8"),
        ("MAILBOX_SSH", "192.0.2.10", "user@host"),
        ("STALWART_STORE", "mysql", "postgres"),
        ("DNS_TTL", "0", "seconds"),
        ("RFC2136_PORT", "99999", "1 to 65535"),
        ("ACCOUNT_ALICE_QUOTA", "much", "size in bytes"),
        ("TS_EPHEMERAL", "maybe", "true or false"),
    ],
)
def test_a_malformed_value_names_key_value_and_expectation(tmp_path: Path, key: str, value: str, expected: str) -> None:
    error = problems(write(tmp_path, 0o600, **{key: value}))
    found = [problem for problem in error.problems if problem.key == key]
    assert len(found) == 1, str(error)
    assert expected in str(found[0])
    assert ("********" if found[0].secret else repr(value)) in str(found[0])


@pytest.mark.parametrize("ttl", ["30", "3601"])
def test_a_ttl_that_the_provider_does_not_accept_is_a_problem(tmp_path: Path, ttl: str) -> None:
    keys = {"DNS_PROVIDER": "spaceship", "SPACESHIP_API_KEY": "k", "SPACESHIP_API_SECRET": "s"}
    (found,) = problems(write(tmp_path, 0o600, DNS_TTL=ttl, **keys)).problems
    assert found.key == "DNS_TTL"
    assert "60 to 3600, what Spaceship accepts" in str(found)


def test_a_provider_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    error = problems(write(tmp_path, DNS_PROVIDER="record"))
    found = next(problem for problem in error.problems if problem.key == "DNS_PROVIDER")
    assert "none, " in found.expected
    assert "rfc2136" in found.expected


def test_a_misspelt_provider_does_not_demand_the_keys_of_another(tmp_path: Path) -> None:
    found = str(problems(write(tmp_path, DNS_PROVIDER="cloudfare", CLOUDFLARE_TOKEN="t", DNS_TTL="20")))
    assert "DNS_PROVIDER = 'cloudfare'" in found
    assert "1 problem," in found
    assert "did you mean cloudflare?" in found


def test_the_provider_of_challenges_needs_its_own_keys(tmp_path: Path) -> None:
    keys = {"DNS_PROVIDER": "spaceship", "SPACESHIP_API_KEY": "k", "SPACESHIP_API_SECRET": "s"}
    acme = {"ACME_DIRECTORY": "https://acme.example.net/dir", "ACME_CONTACT": "ops@example.org"}
    error = problems(write(tmp_path, 0o600, **keys, **acme, ACME_DNS_PROVIDER="rfc2136", RFC2136_SERVER="192.0.2.53"))
    assert {problem.key for problem in error.problems} == {"RFC2136_KEY_NAME", "RFC2136_KEY"}
    assert all("ACME_DNS_PROVIDER=rfc2136" in problem.expected for problem in error.problems)


def test_keys_of_a_provider_are_masked_and_reach_only_that_provider(tmp_path: Path) -> None:
    keys = {"DNS_PROVIDER": "spaceship", "SPACESHIP_API_KEY": "k-1", "SPACESHIP_API_SECRET": "s-1"}
    env = load(write(tmp_path, 0o600, **keys, RFC2136_KEY_NAME="other")).environment
    assert "s-1" not in repr(env)
    own = definition("spaceship").parse(env.provider_keys)
    assert own.spaceship_api_secret.get_secret_value() == "s-1"
    assert own.spaceship_api_url == "https://spaceship.dev/api/v1"
    with pytest.raises(TailwartError, match="RFC2136_KEY, RFC2136_SERVER") as refused:
        definition("rfc2136").parse(env.provider_keys)
    assert "other" not in str(refused.value)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    error = problems(
        write(tmp_path, DOMAIN="x", SMARTHOST_ADDRESS="smtp.example.com", EDGE_2_SSH="nobody", DNS_PROVIDER="spaceship")
    )
    found = {problem.key for problem in error.problems}
    assert found >= {"DOMAIN", "SMARTHOST_ADDRESS", "EDGE_2_SSH", "SPACESHIP_API_KEY", "SPACESHIP_API_SECRET"}


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"EDGE_1_HTTPS": "false", "EDGE_1_WEB": "/etc/caddy/Caddyfile"}, "EDGE_1_HTTPS"),
        ({"EDGE_1_SERVICES": "smtp"}, "EDGE_1_SERVICES"),
        ({"EDGE_1_SERVICES": "imaps,imap,submission,submissions"}, "EDGE_1_SERVICES"),
        ({"EDGE_1_SERVICES": "smtp,pop3s"}, "EDGE_1_SERVICES"),
        ({"EDGE_1_MX": "0"}, "EDGE_1_MX"),
        ({"EDGE_DISABLE": "sshd"}, "EDGE_DISABLE"),
    ],
)
def test_what_an_edge_cannot_be(tmp_path: Path, keys: dict[str, str], key: str) -> None:
    error = problems(write(tmp_path, 0o600, EDGES="edge-1", EDGE_1_SSH="root@192.0.2.1", **keys))
    assert {problem.key for problem in error.problems} == {key}


def test_secrets_are_masked_in_every_message(tmp_path: Path) -> None:
    error = problems(write(tmp_path, STALWART_ADMIN_PASSWORD="Short-1", DOMAIN="x"))
    assert "STALWART_ADMIN_PASSWORD" in str(error)
    assert "Short-1" not in str(error)


@pytest.mark.parametrize("value", ["change-me-admin"])
def test_a_secret_that_is_still_the_examples_is_refused(tmp_path: Path, value: str) -> None:
    error = problems(write(tmp_path, STALWART_ADMIN_PASSWORD=value))
    assert "the example's" in str(error)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    error = problems(write(tmp_path, mode=0o644))
    assert "chmod 600" in str(error)
    assert "0644" in str(error)


def test_unknown_keys_warn_with_the_nearest_name(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, SMARTHOST_ADRESS="100.64.0.9", TOTALLY_ELSE="1"))
    assert "SMARTHOST_ADRESS is not a setting; did you mean SMARTHOST_ADDRESS?" in loaded.warnings
    assert any(warning.startswith("TOTALLY_ELSE") for warning in loaded.warnings)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TailwartError, match=r"cp \.env\.example"):
        load(tmp_path / "absent")


def test_duplicate_keys_and_broken_lines_are_problems(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + "DOMAIN=example.net\n'broken line\n")
    text = str(problems(path))
    assert "one definition" in text
    assert "broken line" not in text  # the line may hold half a secret
    assert "line 13" in text


def test_a_dollar_sign_in_a_password_is_a_dollar_sign(tmp_path: Path) -> None:
    env = load(write(tmp_path, STALWART_ADMIN_PASSWORD="'Pa$${HOME}-word-1'")).environment
    assert env.stalwart_admin_password is not None
    assert env.stalwart_admin_password.get_secret_value() == "Pa$${HOME}-word-1"


def test_postgres_demands_its_host_and_password(tmp_path: Path) -> None:
    found = {problem.key for problem in problems(write(tmp_path, STALWART_STORE="postgres")).problems}
    assert found == {"STALWART_DB_HOST", "STALWART_DB_PASSWORD"}


def test_two_hosts_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "differ" in str(problems(write(tmp_path, EDGES="edge-1,edge-1")))


def test_the_example_file_is_what_the_model_says() -> None:
    assert (ROOT / ".env.example").read_text() == render_example()


def test_the_example_file_names_every_setting() -> None:
    text = render_example()
    for key in (*keys(), "SPACESHIP_API_KEY", "RFC2136_KEY"):
        assert f"{key}=" in text


def test_the_example_file_only_lacks_secrets_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text(render_example())
    path.chmod(0o600)
    error = problems(path)
    assert {problem.expected for problem in error.problems} == {"a secret of your own; this is the example's"}


@settings(max_examples=200)
@given(st.sampled_from(sorted(keys())), st.text(max_size=40))
def test_any_value_leads_to_an_object_or_to_problems_never_to_a_crash(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.mktemp("env") / "env"
    path.write_text("".join(f"{k}={v}\n" for k, v in {**GOOD, key: value}.items()), encoding="utf-8", errors="replace")
    path.chmod(0o600)
    try:
        load(path)
    except TailwartError as error:
        assert str(error)


@pytest.mark.parametrize("key", ["ACCOUNT_ALICE_PASSWORD", "SMARTHOST_PASSWORD", "METRICS_PASSWORD"])
def test_the_administrators_password_is_repeated_nowhere(tmp_path: Path, key: str) -> None:
    smarthost = {"SMARTHOST_ADDRESS": "100.64.0.9", "SMARTHOST_USERNAME": "relay", "SMARTHOST_PASSWORD": "other-9"}
    found = problems(write(tmp_path, 0o600, **{**smarthost, key: GOOD["STALWART_ADMIN_PASSWORD"]}))
    assert f"a password of its own: {key} has the same" in str(found)
    assert GOOD["STALWART_ADMIN_PASSWORD"] not in str(found)


def test_a_user_of_headscale_may_own_tags(tmp_path: Path) -> None:
    # headscale's users have no domain: `owner@`.
    assert load(write(tmp_path, TAG_OWNERS="owner@")).environment.tag_owners == ("owner@",)


@pytest.mark.parametrize("name", ["SECRET_", "SECRET_lower"])
def test_a_secret_with_a_wrong_name_is_not_said_to_be_missing(tmp_path: Path, name: str) -> None:
    (found,) = problems(write(tmp_path, 0o600, **{name: "hidden-one"})).problems
    assert found.key == name
    assert "(not set)" not in str(found)
    assert "hidden-one" not in str(found)


def test_a_status_page_that_nobody_may_read_is_a_problem(tmp_path: Path) -> None:
    (found,) = problems(write(tmp_path, STATUS_PAGE="on")).problems
    assert (found.key, found.expected) == ("TS_ADMIN_SRC", "who may read the page of STATUS_PAGE")


def test_a_short_password_of_the_metrics_is_a_problem(tmp_path: Path) -> None:
    (found,) = problems(write(tmp_path, 0o600, METRICS_PASSWORD="a")).problems
    assert (found.key, found.expected) == ("METRICS_PASSWORD", "10 characters or more")


@pytest.mark.parametrize("key", ["STALWART_ADMIN_PASSWORD", "METRICS_PASSWORD", "ACCOUNT_ALICE_PASSWORD"])
def test_env_check_warns_of_every_password_that_is_easy_to_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    strong = {
        "STALWART_ADMIN_PASSWORD": "vessel-mango-Quartz-71-otter",
        "ACCOUNT_ALICE_PASSWORD": "lantern-Pewter-29-gravel",
    }
    monkeypatch.setenv("TAILWART_ENV", str(write(tmp_path, 0o600, **{**strong, "EDGES": ""})))
    good = CliRunner().invoke(env, ["check"])
    assert good.exit_code == 0, good.output
    assert "easy to guess" not in good.output
    monkeypatch.setenv("TAILWART_ENV", str(write(tmp_path, 0o600, **{**strong, key: "password12345", "EDGES": ""})))
    shown = CliRunner().invoke(env, ["check", "--json"])
    assert shown.exit_code == 0, shown.output
    (warning,) = [text for text in json.loads(shown.stdout)["warnings"] if "easy to guess" in text]
    assert warning.startswith(f"{key}: easy to guess")
    assert "password12345" not in shown.output
