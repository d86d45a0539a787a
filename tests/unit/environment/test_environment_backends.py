"""What BACKENDS_INSTALL demands of the settings that name the stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailwart.environment import Environment, load
from tailwart.environment.problems import EnvironmentProblems

STORES = {
    "DOMAIN": "example.org",
    "TS_TAILNET": "tail1234.ts.net",
    "BACKENDS_SSH": "root@192.0.2.20",
    "BACKENDS_INSTALL": "postgres,redis,garage",
    "STALWART_STORE": "postgres",
    "STALWART_DB_HOST": "stores.tail1234.ts.net",
    "STALWART_DB_PASSWORD": "Harbour-Lantern-42",
    "REDIS_URL": "redis://:Battery-Staple-7@stores.tail1234.ts.net:6379/3",
    "S3_ENDPOINT": "http://stores.tail1234.ts.net:3900",
    "S3_ACCESS_KEY": f"GK{'5e' * 12}",
    "S3_SECRET_KEY": "b7" * 32,
}


def read(directory: Path, **changes: str) -> Environment:
    path = directory / ".env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}={value}\n" for key, value in {**STORES, **changes}.items()))
    return load(path).environment


def test_one_host_has_one_name_and_the_tags_of_all_its_stores(tmp_path: Path) -> None:
    environment = read(tmp_path)
    assert environment.backends_host == "stores.tail1234.ts.net"
    assert environment.backends_tags == ("tag:postgres", "tag:redis", "tag:garage")
    assert environment.hardens("backends")


def test_valkey_serves_the_same_setting(tmp_path: Path) -> None:
    assert read(tmp_path, BACKENDS_INSTALL="valkey").installed_stores == ("redis",)
    other = read(tmp_path, BACKENDS_INSTALL="", REDIS_URL="valkey://:pa55-Word-9@other.example.net:6379/3").redis_url
    assert other is not None
    assert other.get_secret_value() == "redis://:pa55-Word-9@other.example.net:6379/3", "as Stalwart reads it"


def test_a_foreign_store_beside_our_own_may_be_anywhere(tmp_path: Path) -> None:
    changes = {
        "BACKENDS_INSTALL": "redis",
        "STALWART_DB_HOST": "db.example.net",
        "S3_ENDPOINT": "https://s3.example.net:443",
    }
    environment = read(tmp_path, **changes, S3_ACCESS_KEY="AKIA", S3_SECRET_KEY="Any-Form-9")
    assert environment.backends_host == "stores.tail1234.ts.net"
    assert environment.backends_tags == ("tag:redis",)


def test_without_anything_to_install_the_host_is_that_of_postgres(tmp_path: Path) -> None:
    environment = read(tmp_path, BACKENDS_INSTALL="", REDIS_URL="redis://redis.tail1234.ts.net:6379/3")
    assert environment.backends_host == "stores.tail1234.ts.net"
    assert environment.backends_tags == ("tag:postgres", "tag:garage")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("BACKENDS_INSTALL", "postgres,mysql", "postgres, redis, valkey, garage"),
        ("BACKENDS_INSTALL", "redis,valkey", "redis or valkey"),
        ("BACKENDS_INSTALL", "redis,redis", "each once"),
        ("BACKENDS_SSH", "", "because BACKENDS_INSTALL is set"),
        ("STALWART_STORE", "rocksdb", "BACKENDS_INSTALL names it"),
        ("REDIS_URL", "redis://stores.tail1234.ts.net:6379/3", "a password"),
        ("REDIS_URL", "redis://:Battery-Staple-7@other.tail1234.ts.net:6379/3", "one host has one name"),
        ("S3_ENDPOINT", "http://stores.example.net:3900", "name on the tailnet"),
        ("S3_ENDPOINT", "https://stores.tail1234.ts.net:3900", "speaks no TLS"),
        ("S3_ACCESS_KEY", "AKIA", "openssl rand -hex 12"),
        ("S3_SECRET_KEY", "Any-Form-9", "openssl rand -hex 32"),
        # A bare name fails silently in the store (lesson 6).
        ("STALWART_DB_HOST", "stores", "full host name"),
        ("REDIS_URL", "redis://:Battery-Staple-7@stores:6379/3", "full host name"),
        ("S3_ENDPOINT", "http://stores:3900", "full host name"),
        ("POSTGRES_ADMIN_URL", "mysql://root:Harbour-7@db.example.net:3306/x", "postgresql://"),
    ],
)
def test_what_contradicts_it_is_named_with_its_remedy(tmp_path: Path, key: str, value: str, expected: str) -> None:
    with pytest.raises(EnvironmentProblems) as caught:
        read(tmp_path, **{key: value})
    assert key in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("GARAGE_ADMIN_TOKEN", "a-token"), ("POSTGRES_ADMIN_URL", "postgresql://root:Harbour-7@db.example.net:5432/x")],
)
def test_what_is_used_from_the_stores_host_demands_one(tmp_path: Path, key: str, value: str) -> None:
    read(tmp_path, BACKENDS_INSTALL="", **{key: value})
    with pytest.raises(EnvironmentProblems, match=f"(?s)BACKENDS_SSH.*{key} is used from that host"):
        read(tmp_path, BACKENDS_INSTALL="", BACKENDS_SSH="", **{key: value})
