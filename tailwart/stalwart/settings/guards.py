"""Checks before a write: the data store is the declared one, the stores answer, no stored mail becomes unreadable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tailwart.errors import TailwartError
from tailwart.plan.model import Action
from tailwart.runner import Runner
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings import stores
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange

# Another key for the same bucket moves nothing.
_PLACE = frozenset({TYPE, "bucket", "region"})


def data_store(client: Client, settings: MailboxSettings) -> None:
    """Raises TailwartError when the server runs on another data store than `.env` declares.

    The data store comes from config.json; no write of the settings plane changes it.
    """
    (answer,) = client.call([Call("DataStore", "get", {"ids": [SINGLETON]})])
    for found in answer.objects:
        differing = [name for name, value in settings.data_store.items() if found.get(name) != value]
        if differing:
            raise TailwartError(
                "Stalwart runs on another data store than .env declares",
                seen=", ".join(f"{name} {found.get(name)}" for name in differing),
                expected=", ".join(f"{name} {settings.data_store[name]}" for name in differing),
                remedy="pyinfra inventory.py deploy.py --limit mailbox, which writes config.json and restarts; "
                "or correct STALWART_STORE and STALWART_DB_… in .env",
            )


def bodies(settings: MailboxSettings, changes: Sequence[ObjectChange], live: Live) -> None:
    """Raises TailwartError where the server would look for stored mail in a place that does not have it."""
    for text in warnings(settings, changes, live):
        raise TailwartError(
            "the blob store would change, and message bodies stay behind in the old one",
            seen=text,
            expected=f"{_desired(changes)}, by S3_ENDPOINT, S3_REGION and S3_BUCKET in .env",
            remedy="`tailwart store move` takes them along (docs/backends.md); or keep S3_ENDPOINT and S3_BUCKET; or "
            "allow the loss: set mailbox_blob_store_may_move = True in group_data/mailbox.py",
        )


def blob_place(store: Mapping[str, Any]) -> str:
    """What people call the place that an x:BlobStore object names."""
    if store.get(TYPE) != "S3":
        return "the data store"
    region = store.get("region") or {}
    return f"bucket {store.get('bucket')} at {region.get('customEndpoint') or region.get(TYPE)}"


def _desired(changes: Sequence[ObjectChange]) -> str:
    return ", ".join(blob_place({**item.live, **item.values}) for item in changes if item.ref.kind == "BlobStore")


def before_writing(run: Runner, settings: MailboxSettings, changes: Sequence[ObjectChange], live: Live) -> None:
    """Raises TailwartError where writing would be unsafe: the server accepts every endpoint without checking it."""
    bodies(settings, changes, live)
    kinds = {change.ref.kind for change in changes}
    if "BlobStore" in kinds and settings.s3:
        stores.probe_s3(run, settings.s3)
    if "InMemoryStore" in kinds and settings.env.redis_url:
        stores.probe_redis(run, settings.env.redis_url.get_secret_value(), settings.env.mail_host)


def moves_blobs(changes: Sequence[ObjectChange]) -> bool:
    """Whether message bodies would be looked for in another place."""
    return any(
        change.ref.kind == "BlobStore" and change.action is Action.UPDATE and _PLACE & change.values.keys()
        for change in changes
    )


def warnings(settings: MailboxSettings, changes: Sequence[ObjectChange], live: Live) -> tuple[str, ...]:
    """What `bodies` would refuse, for a plan that is only shown. Empty when the operator allows the move."""
    used = sum(int(item.get("usedDiskQuota") or 0) for item in live.of("Account"))
    if not moves_blobs(changes) or not used or settings.blob_store_may_move:
        return ()
    places = [blob_place(item) for item in live.of("BlobStore")]
    return (f"{used} bytes of mail have their bodies in {', '.join(places)} and would become unreadable",)
