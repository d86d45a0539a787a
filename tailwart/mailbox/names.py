"""Names on the mailbox host: directory, containers, environment variables, the files of the settings plane."""

from __future__ import annotations

DIRECTORY = "/opt/tailwart/mailbox"
# Where the data store is: the one thing that Stalwart reads from a file.
CONFIG = f"{DIRECTORY}/config/config.json"
CONTAINER = "stalwart"
SIDECAR = "ts-stalwart"
# Where the server answers inside its own namespace.
BASE = "http://127.0.0.1:8080"
PROJECT = "tailwart-mailbox"
# Where `tailwart store move` works, and what it has noted there.
MOVE = f"{DIRECTORY}/store-move"
MOVE_STATE = f"{MOVE}/state.json"
# Its key in that note while the settings name a place to which not all bodies have come yet.
MOVE_SWITCHED = "switched"
# Where the sidecar finds its auth key while it joins: a directory, so that the file may come and go. The older file was
# mounted by itself and stayed.
JOIN = f"{DIRECTORY}/join"
KEY = f"{JOIN}/authkey"
KEY_MOUNT = "/run/tailwart/authkey"
OLD_KEY = f"{DIRECTORY}/authkey"

# Environment variables of the container. Stalwart reads its secrets from these, because such references read back
# exactly, where a value in the store comes back masked and cannot be compared. A DNS provider names its own.
ENV_DB = "STALWART_DB_PASSWORD"
ENV_SMARTHOST = "STALWART_SMARTHOST_PASSWORD"
ENV_S3 = "STALWART_S3_SECRET_KEY"
ENV_LDAP = "STALWART_LDAP_BIND_PASSWORD"
ENV_WEBHOOK_KEY = "STALWART_WEBHOOK_KEY"
ENV_WEBHOOK_TOKEN = "STALWART_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
ENV_METRICS = "STALWART_METRICS_PASSWORD"
ENV_RECOVERY_ADMIN = "STALWART_RECOVERY_ADMIN"
ENV_RECOVERY_MODE = "STALWART_RECOVERY_MODE"

# Files of the settings plane in DIRECTORY, all 0600.
BOOTSTRAP_ENV = "bootstrap.env"
CREDENTIALS = "credentials"
FINGERPRINTS = "fingerprints.json"
INITIALISED = "initialised"
RESTART_REQUIRED = "restart-required"
RELOAD_REQUIRED = "reload-required"
QUEUE_PAUSED = "queue-paused"
OBJECTS = "objects.json"
OF_THE_SERVER = (INITIALISED, CREDENTIALS, FINGERPRINTS, RESTART_REQUIRED, RELOAD_REQUIRED, QUEUE_PAUSED, OBJECTS)
"""What is true of one server's store, and of no other's."""
MOVED = "moved.json"
"""On a host that the mailbox has left: nothing may start there any more."""

PROBE_APPLICATION = "tailwart-probe"
"""What logins call themselves that only prove a password: none of them is a second server on the store (lesson 16)."""
