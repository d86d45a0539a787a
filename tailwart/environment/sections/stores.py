"""Where the mail server keeps what it stores."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key

INSTALLABLE = ("postgres", "redis", "valkey", "garage")
"""What BACKENDS_INSTALL may name."""


class StoresSettings(BaseModel):
    """Where the mail server keeps what it stores."""

    stalwart_store: Literal["postgres", "rocksdb"] = _key(
        "Stores", "Data store: postgres, or rocksdb embedded in the mailbox.", "postgres", "rocksdb"
    )
    backends_install: v.Texts = _key(
        "Stores",
        f"What the deploy installs on a bare backends host and keeps as it should be: {', '.join(INSTALLABLE)} "
        "(redis or valkey). Their settings below then name that host, by one name. Empty: stores that others run are "
        "used, and nothing of them is changed but what is this installation's own.",
        "postgres,redis,garage",
        (),
    )
    stalwart_db_host: v.HostName | None = _key(
        "Stores", "Full MagicDNS name of the Postgres host (lesson 6).", "stores.tail1234.ts.net", None
    )
    stalwart_db_port: v.Port = _key("Stores", "Its port.", "5432", 5432)
    stalwart_db_name: v.Identifier = _key("Stores", "Database.", "stalwart", "stalwart")
    stalwart_db_user: v.Identifier = _key("Stores", "Role.", "stalwart", "stalwart")
    stalwart_db_password: SecretStr | None = _key(
        "Stores", "Password of the role.", "change-me-database", None, secret=True
    )
    postgres_admin_url: v.PostgresUrl | None = _key(
        "Stores",
        "How role and database are made where the backends host does not let its user postgres in by itself: the URL "
        "of a superuser, as that host reaches it.",
        "postgresql://postgres:change-me-superuser@db.example.net:5432/postgres",
        None,
        secret=True,
    )
    redis_url: v.RedisUrl | None = _key(
        "Stores",
        "Redis as in-memory store, with full name, port and database index, and its password if it has one; empty: the "
        "data store.",
        "redis://:change-me-redis@stores.tail1234.ts.net:6379/3",
        None,
        secret=True,
    )
    s3_endpoint: v.Endpoint | None = _key(
        "Stores",
        "S3 for message bodies, with full name and port; empty: the data store.",
        "http://stores.tail1234.ts.net:3900",
        None,
    )
    s3_region: str = _key("Stores", "Its region.", "garage", "garage")
    s3_bucket: v.Bucket = _key("Stores", "Bucket.", "stalwart-mail", "stalwart-mail")
    s3_access_key: SecretStr | None = _key("Stores", "Access key.", "change-me-s3-access", None, secret=True)
    s3_secret_key: SecretStr | None = _key("Stores", "Secret key.", "change-me-s3", None, secret=True)
    garage_admin_url: v.SecureUrl = _key(
        "Stores",
        "Admin API (v2) of a Garage that others run, as the backends host reaches it.",
        "http://127.0.0.1:3903",
        "http://127.0.0.1:3903",
    )
    garage_admin_token: SecretStr | None = _key(
        "Stores",
        "Token of that admin API, with which the deploy makes bucket, key and grant; empty: they are there already.",
        "change-me-garage-admin",
        None,
        secret=True,
    )
