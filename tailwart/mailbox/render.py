"""The mailbox's files from the installation's settings. Pure: settings in, text out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts import templates
from tailwart.mailbox import names

ROCKSDB_PATH = "/var/lib/stalwart/data"
HEALTH_ADDRESS = "127.0.0.1:9002"
# What the sidecar's healthcheck prints. Codes, because a healthcheck that changes recreates the sidecar. Their only
# reader is `tailwart.mailbox.failures`, which has the messages.
NO_TAILNET = "no-tailnet"
NO_STORE = "no-store"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ComposeValues:
    """Everything the Compose template takes. Memory is in bytes; a process or thread counts one of the ``pids``.

    tailscaled takes some 50 MB, Stalwart up to 512 threads for work that blocks beside those of its stores.
    """

    project: str
    tailscale_image: str
    stalwart_image: str
    sidecar_environment: tuple[tuple[str, str], ...]
    sidecar_health: str
    stalwart_secrets: tuple[str, ...]
    stalwart_inputs: str
    ula_subnet: str
    ula_gateway: str
    stalwart_memory: int
    stalwart_pids: int = 1024
    sidecar_memory: int = 256 * MEBIBYTE
    sidecar_pids: int = 256


def compose_file(values: ComposeValues) -> str:
    """compose.yaml."""
    return templates.render("mailbox/compose.yaml.j2", v=values)


def bootstrap_overlay() -> str:
    """The Compose file that gives bootstrap.env to Stalwart while that file has content."""
    return templates.text("mailbox/bootstrap.yaml")


def compose_values(environment: Environment, *, stalwart_inputs: str) -> ComposeValues:
    """The Compose template's values; the digest is that of the files that Stalwart reads."""
    prefix = environment.mailbox_ula
    return ComposeValues(
        project=names.PROJECT,
        tailscale_image=str(environment.tailscale_image),
        stalwart_image=str(environment.stalwart_image),
        # Compose expands dollar signs in the file, and no value here is meant to be expanded.
        sidecar_environment=tuple(
            (name, value.replace("$", "$$")) for name, value in sidecar_environment(environment).items()
        ),
        sidecar_health=sidecar_health(environment),
        stalwart_secrets=tuple(secret_values(environment)),
        stalwart_inputs=stalwart_inputs,
        ula_subnet=str(prefix),
        ula_gateway=str(prefix[1]),
        stalwart_memory=environment.stalwart_memory,
    )


def sidecar_health(environment: Environment) -> str:
    """The sidecar's healthcheck: on the tailnet, and the store's port answers where the store is Postgres (lesson 1).

    The last line of its output is a code for `tailwart.mailbox.failures`; before it stands nc's own message.
    """
    on_tailnet = f"wget -q -T 4 -O /dev/null http://{HEALTH_ADDRESS}/healthz || {{ echo {NO_TAILNET}; exit 1; }}"
    if environment.stalwart_store != "postgres":
        return on_tailnet
    host, port = _database_host(environment), environment.stalwart_db_port
    return f"{on_tailnet}; nc -z -w 4 {host} {port} || {{ echo {NO_STORE}; exit 1; }}"


def store_config(environment: Environment) -> dict[str, Any]:
    """Stalwart's config.json: where the data store is, and nothing else; the password stays in the environment."""
    if environment.stalwart_store == "rocksdb":
        return {"@type": "RocksDb", "path": ROCKSDB_PATH}
    return {
        "@type": "PostgreSql",
        "host": _database_host(environment),
        "port": environment.stalwart_db_port,
        "database": environment.stalwart_db_name,
        "authUsername": environment.stalwart_db_user,
        "authSecret": {"@type": "EnvironmentVariable", "variableName": names.ENV_DB},
    }


def store_config_text(environment: Environment) -> str:
    """`store_config` as the file's text."""
    return json.dumps(store_config(environment), indent=2) + "\n"


def sidecar_environment(environment: Environment) -> dict[str, str]:
    """The sidecar's environment, none of it secret.

    The key is read from a file, which is there only while the sidecar joins. As a value, containerboot would pass it
    on as an argument of `tailscale up`, where every process list shows it.
    """
    arguments = []
    # headscale's keys carry their tags, and it refuses a registration that asks for some as well.
    if not environment.ts_login_server:
        arguments.append(f"--advertise-tags={environment.tag_stalwart}")
    if environment.ts_login_server:
        arguments.append(f"--login-server={environment.ts_login_server}")
    values = {
        "TS_AUTHKEY": f"file:{names.KEY_MOUNT}",
        # A node that is logged in needs no key.
        "TS_AUTH_ONCE": "true",
        "TS_STATE_DIR": "/var/lib/tailscale",
        "TS_HOSTNAME": environment.stalwart_magic_name,
        "TS_USERSPACE": "false",
        "TS_ACCEPT_DNS": "true",
        "TS_EXTRA_ARGS": " ".join(arguments),
        "TS_ENABLE_HEALTH_CHECK": "true",
        "TS_LOCAL_ADDR_PORT": HEALTH_ADDRESS,
    }
    if environment.offline:
        values["TS_NO_LOGS_NO_SUPPORT"] = "true"
    return values


def secret_values(environment: Environment) -> dict[str, str]:
    """Stalwart's environment: the secrets that its settings refer to by name, of those that are set."""
    secrets: dict[str, SecretStr | None] = {
        names.ENV_DB: environment.stalwart_db_password if environment.stalwart_store == "postgres" else None,
        names.ENV_SMARTHOST: environment.smarthost_password,
        names.ENV_S3: environment.s3_secret_key,
        names.ENV_LDAP: environment.ldap_bind_password,
        names.ENV_WEBHOOK_KEY: environment.webhook_key,
        names.ENV_WEBHOOK_TOKEN: environment.webhook_token,
        names.ENV_METRICS: environment.metrics_password,
        **{variable.name: variable.value for variable in environment.dns_variables},
        **environment.secrets,
    }
    return {name: value.get_secret_value() for name, value in secrets.items() if value is not None}


def env_file(values: dict[str, str]) -> str:
    """A ``.env`` as Compose reads it, each value arriving exactly as it is.

    Compose gives `$`, `#` and blanks a meaning in plain values, but not in single quotes; a value with a
    single quote or a backslash needs double quotes with escapes. Raises `ValueError` for control characters.
    """
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in values.items())


def _quoted(name: str, value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"{name} holds a control character")
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    for special in ("\\", '"', "$"):
        value = value.replace(special, f"\\{special}")
    return f'"{value}"'


def _database_host(environment: Environment) -> str:
    if environment.stalwart_db_host is None:
        raise TailwartError(
            "STALWART_STORE is postgres and STALWART_DB_HOST is not set",
            expected="the full MagicDNS name of the Postgres host",
            remedy="set STALWART_DB_HOST in .env, like postgres.tail1234.ts.net",
            lesson=6,
        )
    return environment.stalwart_db_host
