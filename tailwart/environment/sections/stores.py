"""Where the mail server keeps what it stores."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, SecretStr

from tailwart import fields as v
from tailwart.fields import key as _key


class StoresSettings(BaseModel):
    """Where the mail server keeps what it stores."""

    stalwart_store: Literal["postgres", "rocksdb"] = _key(
        "Stores", "Data store: postgres, or rocksdb embedded in the mailbox.", "postgres", "rocksdb"
    )
    stalwart_db_host: v.HostName | None = _key(
        "Stores", "Full MagicDNS name of the Postgres host (lesson 6).", "postgres.tail1234.ts.net", None
    )
    stalwart_db_port: v.Port = _key("Stores", "Its port.", "5432", 5432)
    stalwart_db_name: v.Identifier = _key("Stores", "Database.", "stalwart", "stalwart")
    stalwart_db_user: v.Identifier = _key("Stores", "Role.", "stalwart", "stalwart")
    stalwart_db_password: SecretStr | None = _key(
        "Stores", "Password of the role.", "change-me-database", None, secret=True
    )
    redis_url: v.RedisUrl | None = _key(
        "Stores",
        "Redis as in-memory store, with full name, port and database index, and its password if it has one; empty: the "
        "data store.",
        "redis://redis.tail1234.ts.net:6379/3",
        None,
        secret=True,
    )
    s3_endpoint: v.Endpoint | None = _key(
        "Stores",
        "S3 for message bodies, with full name and port; empty: the data store.",
        "http://garage.tail1234.ts.net:3900",
        None,
    )
    s3_region: str = _key("Stores", "Its region.", "garage", "garage")
    s3_bucket: v.Bucket = _key("Stores", "Bucket.", "stalwart-mail", "stalwart-mail")
    s3_access_key: SecretStr | None = _key("Stores", "Access key.", "change-me-s3-access", None, secret=True)
    s3_secret_key: SecretStr | None = _key("Stores", "Secret key.", "change-me-s3", None, secret=True)
