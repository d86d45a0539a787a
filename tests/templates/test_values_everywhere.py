"""Every key of `.env`, filled with what shells, YAML, Compose, Caddy, JSON, SQL and systemd interpret.

A value is either refused where it is read, with its key, or arrives in every file as it is: each is parsed, and must be
what it is with the example's value, with the one in the place of the other. A new key of the model is covered by
itself.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailwart.backends import plan as backends_plan
from tailwart.backends import postgres
from tailwart.edge import plan as edge_plan
from tailwart.environment import Account, Edge, Environment, load
from tailwart.environment.keys import account_key, edge_key
from tailwart.environment.load import settings
from tailwart.environment.problems import EnvironmentProblems
from tailwart.fields import example_of, is_secret
from tailwart.hosts.files import HostFile
from tailwart.hosts.report import HostReport, Probe
from tailwart.mailbox.project import compose_project
from tailwart.providers import definitions
from tailwart.runner import Completed
from tailwart.stalwart.settings import stores
from tailwart.stalwart.settings.inputs import S3Store
from tailwart.tailnet.desired import desired
from tailwart.tailnet.hujson import value as policy_value
from tailwart.tailnet.merge import merge
from tailwart.tailnet.policy import Policy

NASTY = (
    "it's",
    'a"b',
    "a b",
    "a\nb",
    "a\tb",
    "$(id)",
    "`id`",
    "${HOME}",
    "$HOME",
    "{env.HOME}",
    "{$HOME}",
    "100%h",
    "{{ x }}",
    "a;id",
    "a\\nb",
    "a #b",
    "*/x",
    "a|id",
    "a&id",
    "--x",
    "a: b",
)
KEYS = {
    **settings(),
    **{edge_key("edge-1", name): info for name, info in Edge.model_fields.items() if name != "name"},
    **{account_key("alice", name): info for name, info in Account.model_fields.items() if name != "name"},
}
PROVIDERS = {name.upper() for definition in definitions().values() for name in definition.keys.model_fields}


def example(key: str) -> str:
    """The value of the documentation; of a secret, one of the key's own."""
    if is_secret(KEYS[key]) and "://" not in example_of(KEYS[key]):
        return f"Owned-{key.lower().replace('_', '-')}-7"
    return example_of(KEYS[key]).replace("change-me", "Owned")


def all_set() -> dict[str, str]:
    """An installation with as many keys as can be set together."""
    values = {key: example(key) for key in KEYS if key not in PROVIDERS}
    values |= {"STALWART_STORE": "postgres", "MAIL_SERVICES": "smtp,submissions,imaps", "DNS_PROVIDER": "cloudflare"}
    values |= {"ACME_DNS_PROVIDER": "cloudflare", "CLOUDFLARE_TOKEN": example("CLOUDFLARE_TOKEN")}
    values |= {"S3_ACCESS_KEY": f"GK{'5e' * 12}", "S3_SECRET_KEY": "b7" * 32}
    return {**values, "TS_API_KEY": "", "HARDEN_SKIP": "", "EXTRA_DOMAINS": "example.net"}


def read(directory: Path, values: dict[str, str]) -> Environment:
    path = directory / ".env"
    path.touch(mode=0o600)
    quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in values.items()}
    path.write_text("".join(f'{key}="{value}"\n' for key, value in quoted.items()), newline="")
    return load(path).environment


BASE = all_set()
ADDRESSES = ("100.64.0.5", "fd7a:115c:a1e0::5")
_NODE = json.dumps({"BackendState": "Running", "Self": {"TailscaleIPs": ADDRESSES}})
BACKENDS_HOST = HostReport(
    probes={"tailscale": Probe(0, _NODE.encode()), "postgres": Probe(0, b"cluster|17|main\nmemory|1048576")}
)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parsed(read(tmp_path_factory.mktemp("baseline"), BASE))


def test_nearly_every_key_has_a_value_in_the_baseline(baseline: dict[str, Any]) -> None:
    assert len([key for key in KEYS if BASE.get(key)]) > 80
    assert {"config.json", ".env", "Dockerfile", "caddy.json", "policy", "sql"} <= set(baseline)


@pytest.mark.parametrize("key", KEYS)
def test_a_value_is_refused_or_arrives_as_it_is(tmp_path: Path, baseline: dict[str, Any], key: str) -> None:
    before = BASE.get(key) or ""
    together = "".join(piece for piece in NASTY if piece.isprintable())
    for piece in (together, *NASTY):
        for value in (f"{before}{piece}", piece):
            try:
                environment = read(tmp_path, {**BASE, key: value})
            except EnvironmentProblems as error:
                assert any(name in str(error) for name in (key, *_named_by(key, value))), (key, value, str(error))
                continue
            assert value.isprintable(), f"{key} took more than one line, or a control character"
            _compare(baseline, parsed(environment), before, value.strip(), key)
            if piece == together:
                # What takes all of it takes each of it.
                for control in ("a\nb", "a\tb"):
                    with pytest.raises(EnvironmentProblems, match=key):
                        read(tmp_path, {**BASE, key: control})
                return


def _named_by(key: str, value: str) -> Iterator[str]:
    """The keys that a list of hosts or accounts asks for: that one is missing is what is wrong with the list."""
    for name in value.split(","):
        if key == "EDGES":
            yield edge_key(name.strip(), "ssh")
        elif key == "ACCOUNTS":
            yield account_key(name.strip(), "password")
    if key == "TS_TAILNET":
        # The stores that the deploy installs are nodes of it.
        yield from ("STALWART_DB_HOST", "REDIS_URL", "S3_ENDPOINT")


def parsed(environment: Environment) -> dict[str, Any]:
    """Everything that is made of the settings, as the program that reads it sees it."""
    found: dict[str, Any] = {}
    (edge, *_) = environment.edges
    planned = edge_plan.of(environment, edge)
    plan = backends_plan.of(environment)
    stores_files: list[HostFile] = list(plan.garage.project(ADDRESSES).files) if plan.garage else []
    for server in (plan.postgres, plan.redis):
        stores_files += server.files(BACKENDS_HOST) if server else ()
    places = (("", compose_project(environment).files), ("edge/", planned.files), ("backends/", stores_files))
    for place, files in places:
        for file in files:
            name = file.path.rpartition("/")[2]
            found[name if name not in found else f"{place}{name}"] = _parsed_file(name, file)
    found["probes"] = [shlex.split(text) for name, text in planned.project.beside.probes if name == "caddyfile"]
    root = Policy(merge("{}", desired(environment)).text).document.root
    assert root is not None
    found["policy"] = policy_value(root)
    password = environment.stalwart_db_password
    assert password is not None
    wanted = postgres.Desired(environment.stalwart_db_user, environment.stalwart_db_name, password.get_secret_value())
    statements = [step.sql for step in postgres.plan(wanted, postgres.Current())] + [postgres.query(wanted)]
    # What is left of a statement without its constants and quoted names.
    found["sql"] = [re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "?", text) for text in statements]
    return found


def _parsed_file(name: str, file: HostFile) -> Any:
    text = file.data.decode()
    if name.endswith((".yaml", ".yml")):
        return _interpolated(_yaml(text))
    if name.endswith(".json"):
        document = json.loads(text)
        if name == "caddy.json":
            assert not [leaf for leaf in _leaves(document) if "{" in leaf], "Caddy would replace a placeholder"
        return document
    if name.endswith(".toml"):
        return tomllib.loads(text)
    if name.endswith(".env"):
        return dict(_compose_env(text))
    if name == "Dockerfile":
        return _dockerfile(text)
    return text


def _interpolated(node: Any) -> Any:
    """The document as Compose sees it after interpolation: `$$` is a dollar sign, `${NAME}` a variable of ours."""
    if isinstance(node, dict):
        # A digest of the files; the edge's image has a digest of the Dockerfile in its name.
        digest = {"tailwart.inputs"} | ({"image"} if str(node.get("image", "")).startswith("tailwart-edge:") else set())
        return {key: _interpolated(content) for key, content in node.items() if key not in digest}
    if isinstance(node, list):
        return [_interpolated(content) for content in node]
    if not isinstance(node, str):
        return node
    known = re.sub(
        r"\$\$|\$\{[A-Z][A-Z0-9_]*\}", lambda match: "\0" if match[0] == "$$" else f"<{match[0][2:-1]}>", node
    )
    assert "$" not in known, f"Compose would interpolate {node!r}"
    return known.replace("\0", "$")


def _compose_env(text: str) -> Iterator[tuple[str, str]]:
    """By the rules of Compose: single quotes are literal, double quotes know escapes."""
    for line in text.splitlines():
        name, _, value = line.partition("=")
        literal = re.fullmatch(r"'([^']*)'", value)
        escaped = re.fullmatch(r'"((?:[^"\\$]|\\[\\"$])*)"', value)
        assert literal or escaped, f"Compose would interpret {line!r}"
        yield name, literal[1] if literal else re.sub(r"\\(.)", r"\1", escaped[1] if escaped else "")


@cache
def _yaml(text: str) -> Any:
    return yaml.safe_load(text)


@cache
def _dockerfile(text: str) -> list[str]:
    """The base image, and what the shell of the build gives to the script."""
    (base,) = re.findall(r"^FROM (\S+)$", text, re.M)
    assignments = text.partition("RUN ")[2].partition("sh /usr/local/lib")[0]
    shown = 'env -i A="$CADDY_URL" B="$CADDY_MODULES" C="$CADDY_SHA256" env'
    script = assignments.replace("\\\n", " ").strip() + f"; {shown}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert len(done.stdout.splitlines()) == 3, done.stdout
    return [base, *done.stdout.splitlines()]


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, content in node.items():
            yield str(key)
            yield from _leaves(content)
    elif isinstance(node, list):
        for content in node:
            yield from _leaves(content)
    elif isinstance(node, str):
        yield node


def _compare(one: Any, other: Any, before: str, value: str, key: str) -> None:
    """The same document but for strings with the value in the place of the one before."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert {_replaced(name, before, value) for name in one} >= set(other) or set(other) >= set(one), (key, value)
        for name, content in other.items():
            if name in one:
                _compare(one[name], content, before, value, key)
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) == len(other):
            for left, right in zip(one, other, strict=True):
                _compare(left, right, before, value, key)
    elif isinstance(one, str) and isinstance(other, str) and one != other:
        # A list of the settings may have another part, and a URL no slash at its end.
        parts = {value, *(part.strip() for part in value.split(",")), value.rstrip("/")}
        assert any(_stands_for(one, other, before, part) for part in parts), (key, value, one, other)


def _replaced(text: str, before: str, value: str) -> str:
    return text.replace(before, value) if before else text


def _stands_for(one: str, other: str, before: str, value: str) -> bool:
    return other in (value, _replaced(one, before, value), _replaced(one, before.rstrip("/"), value)) or value in other


class Shell:
    """The shell of a host on which there are the programs of a directory; ``seen`` is what they printed."""

    def __init__(self, tools: Path) -> None:
        self._path = f"{tools}:/usr/bin:/bin"
        self.seen = ""

    def __call__(self, script: str, *, stdin: str = "", timeout: float | None = None) -> Completed:
        words = ["sh", "-c", script]
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, check=False, timeout=10, env={"PATH": self._path}
        )
        self.seen += done.stdout
        return Completed(done.returncode == 0, done.stdout, done.stderr)


def test_the_probe_of_a_store_hands_region_and_key_on_as_they_are(tmp_path: Path) -> None:
    """Through two shells: the host's, and the one in the container."""
    (tmp_path / "docker").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf "<%s>\\n" "$@"\nprintf "code 200\\n" >&2\n')
    for tool in ("docker", "curl"):
        (tmp_path / tool).chmod(0o755)
    for piece in NASTY:
        if piece.isprintable():
            run = Shell(tmp_path)
            stores.probe_s3(run, S3Store("http://garage.tail1234.ts.net:3900", piece, "mail", piece))
            assert f"<aws:amz:{piece}:s3>" in run.seen
