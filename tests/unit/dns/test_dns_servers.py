"""How Stalwart itself reaches each provider, against the schemas that the server publishes about its objects."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tailwart import providers
from tailwart.environment import load
from tailwart.environment.example import render_example
from tailwart.errors import TailwartError
from tailwart.fields import example_of, is_secret
from tailwart.mailbox import names
from tailwart.mailbox.project import compose_project
from tailwart.providers import definition, definitions
from tailwart.providers.definition import DnsServer, Variable
from tailwart.stalwart.settings.declaration import from_environment
from tailwart.stalwart.settings.desired import desired

VERSIONS = ("0.16.7", "0.16.18")
ABLE = [name for name, each in definitions().items() if each.dns_server]


@pytest.fixture(scope="session", params=VERSIONS)
def schema(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One version's schema, from `shared` beside the checkout; a checkout without such a folder has none."""
    shared = next((up / "shared" for up in Path(__file__).parents if (up / "shared" / "stalwart").is_dir()), None)
    if shared is None:
        pytest.skip("Stalwart's schemas are not part of this repository, and there is no ../shared/stalwart")
    with gzip.open(shared / "stalwart" / f"schema-{request.param}.json.gz") as file:
        document = json.load(file)
    assert isinstance(document, dict)
    return document


def server(name: str) -> DnsServer:
    """A provider's object, made of the example of each key."""
    known = definition(name)
    keys = {key: SecretStr(example_of(info)) for key, info in known.keys.model_fields.items()}
    assert known.dns_server is not None
    made = known.dns_server(known.parse(keys))
    assert isinstance(made, DnsServer)
    return made


@pytest.mark.parametrize("name", ABLE)
def test_an_access_is_what_the_server_takes(schema: dict[str, Any], name: str) -> None:
    made = server(name)
    assert made.provider == name
    variants = {each["name"]: each.get("schemaName") for each in schema["schemas"]["x:DnsServer"]["variants"]}
    fields = schema["fields"][variants[made.variant]]
    for field, value in made.fields.items():
        assert _fits(value, fields["properties"][field]["type"], schema["enums"]), (field, value)
    needed = {
        field
        for field, info in fields["properties"].items()
        if not info["type"].get("nullable") and field not in fields["defaults"] and field != "description"
    }
    # An optional secret and a switch are empty and off when nothing is said.
    kinds = {field: fields["properties"][field]["type"] for field in needed}
    silent = {field for field, kind in kinds.items() if kind.get("objectName", kind["type"]) in _MAY_BE_EMPTY}
    assert needed - silent <= made.fields.keys()


_MAY_BE_EMPTY = {"x:SecretKeyOptional", "boolean"}


def _fits(value: object, kind: Mapping[str, Any], enums: Mapping[str, Any]) -> bool:
    if isinstance(value, Variable):
        return kind["type"] == "object" and kind["objectName"] in {"x:SecretKey", "x:SecretKeyOptional", "x:SecretText"}
    if kind["type"] == "enum":
        return value in {each["name"] for each in enums[kind["enumName"]]}
    if kind["type"] == "number":
        return isinstance(value, int)
    return kind["type"] == "string" and isinstance(value, (str, SecretStr))


def test_every_variable_of_the_container_has_one_meaning() -> None:
    variables = [each.name for name in ABLE for each in server(name).variables]
    others = [value for name, value in vars(names).items() if name.startswith("ENV_")]
    assert len(variables) == len(set(variables))
    assert not set(variables) & set(others)


ENVIRONMENT = {
    "DOMAIN": "example.org",
    "TS_TAILNET": "tail1234.ts.net",
    "MAILBOX_SSH": "root@192.0.2.10",
    "STALWART_ADMIN_PASSWORD": "Correct-Horse-9",
    "TS_AUTHKEY": "tskey-auth-real",
    "ACME_DIRECTORY": "https://acme.example.net/directory",
    "ACME_CONTACT": "ops@example.org",
}


def with_provider(path: Path, name: str, **changes: str) -> Path:
    """A `.env` in which only DNS_PROVIDER and the provider's required keys are added."""
    fields = definition(name).keys.model_fields
    own = {
        key.upper(): f"{example_of(info)}{'x' if is_secret(info) else ''}"
        for key, info in fields.items()
        if info.is_required()
    }
    path.write_text("".join(f"{k}={v}\n" for k, v in {**ENVIRONMENT, "DNS_PROVIDER": name, **own, **changes}.items()))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", ABLE)
def test_the_keys_alone_bring_stalwart_its_access(tmp_path: Path, name: str) -> None:
    environment = load(with_provider(tmp_path / "env", name)).environment
    (made,) = [each for each in desired(from_environment(environment)) if each.kind == "DnsServer"]
    assert made.key == name
    referred = {value["variableName"] for value in made.fields.values() if isinstance(value, dict)}
    project = compose_project(environment)
    (file,) = [each for each in project.files if each.path.endswith("/.env")]
    (compose,) = [each for each in project.files if each.path.endswith("/compose.yaml")]
    assert referred
    for variable in referred:
        assert f"{variable}=" in file.data.decode()
        assert variable in compose.data.decode()
    for variable in server(name).variables:
        assert any(variable.value.get_secret_value() in secret for secret in project.secrets), "masked in what is shown"
    shown = str({field: value for field, value in made.fields.items() if field not in made.masked})
    assert not any(secret in shown for secret in project.secrets)


def test_a_provider_that_stalwart_does_not_know_is_reported_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(TailwartError) as refused:
        load(with_provider(tmp_path / "env", "powerdns"))
    assert "ACME_DNS_PROVIDER" in str(refused.value)
    assert "rfc2136" in str(refused.value)
    keys = {"RFC2136_SERVER": "192.0.2.53", "RFC2136_KEY_NAME": "k", "RFC2136_KEY": "c2VjcmV0"}
    path = with_provider(tmp_path / "env", "powerdns", ACME_DNS_PROVIDER="rfc2136", **keys)
    environment = load(path).environment
    (made,) = [each for each in desired(from_environment(environment)) if each.kind == "DnsServer"]
    assert made.key == "rfc2136"


def test_an_earlier_provider_keeps_its_variable_as_long_as_its_keys_are_set(tmp_path: Path) -> None:
    """Its object stays on the server, where a missing variable makes every reload of the settings fail."""
    earlier = {"SPACESHIP_API_KEY": "old-key", "SPACESHIP_API_SECRET": "old-secret", "OVH_APPLICATION_KEY": "alone"}
    environment = load(with_provider(tmp_path / "env", "cloudflare", **earlier)).environment
    (file,) = [each for each in compose_project(environment).files if each.path.endswith("/.env")]
    assert "SPACESHIP_API_SECRET='old-secret'" in file.data.decode()
    assert "STALWART_CLOUDFLARE_TOKEN=" in file.data.decode()
    assert "OVH" not in file.data.decode(), "a provider whose keys are incomplete has no access"


def test_secrets_of_a_provider_stay_here_without_acme(tmp_path: Path) -> None:
    environment = load(with_provider(tmp_path / "env", "spaceship", ACME_DIRECTORY="")).environment
    (file,) = [each for each in compose_project(environment).files if each.path.endswith("/.env")]
    assert "SPACESHIP" not in file.data.decode()


DEMO = """
from pydantic import SecretStr
from tailwart.fields import key
from tailwart.providers.definition import Definition, DnsServer, Keys, Variable

class DemoKeys(Keys):
    demo_zone_id: str = key("DNS: Demo", "Its zone.", "z1", "z1")
    demo_token: SecretStr = key("DNS: Demo", "Its token.", "change-me-demo", secret=True)

PROVIDER = Definition(
    label="Demo",
    keys=DemoKeys,
    ttl=range(300, 601),
    connect=lambda keys, notify: None,
    dns_server=lambda keys: DnsServer("demo", "Bunny", {"secret": Variable("DEMO_SECRET", keys.demo_token)}),
)
"""


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A further module in the package, and nothing else."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "demo.py").write_text(DEMO)
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path / "package")])
    caches = (providers.definitions, providers.settings)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()
    sys.modules.pop("tailwart.providers.demo", None)


@pytest.mark.usefixtures("demo")
def test_one_module_is_all_that_a_further_provider_needs(tmp_path: Path) -> None:
    assert "# Its token. Example: change-me-demo\n# DEMO_TOKEN=" in render_example()
    with pytest.raises(TailwartError) as refused:
        load(with_provider(tmp_path / "env", "demo", DEMO_TOKEN="", DEMO_ZONE="x"))
    assert "DEMO_TOKEN = (not set)" in str(refused.value)
    assert "seconds from 300 to 600, what Demo accepts" in str(refused.value)
    loaded = load(with_provider(tmp_path / "env", "demo", DNS_TTL="300", DEMO_ZONE="x"))
    assert loaded.warnings == ("DEMO_ZONE is not a setting; did you mean DEMO_ZONE_ID?",)
    (made,) = [each for each in desired(from_environment(loaded.environment)) if each.kind == "DnsServer"]
    assert made.fields == {
        "@type": "Bunny",
        "secret": {"@type": "EnvironmentVariable", "variableName": "DEMO_SECRET"},
    }
    (file,) = [each for each in compose_project(loaded.environment).files if each.path.endswith("/.env")]
    assert "DEMO_SECRET='change-me-demox'" in file.data.decode()
