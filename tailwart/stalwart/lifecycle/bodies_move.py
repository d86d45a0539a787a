"""Message bodies move: data store to bucket, back, or from bucket to bucket; the data store stays where it is.

The server is stopped, so that senders are refused a connection and try again later. Its release exports the bodies from
where they are; x:BlobStore is written in recovery mode, in which nothing touches mail; the release that imports puts
them where that object says now (its import asks the store's own settings, and takes a store that is in use). Then they
are exported again, read from their new place, and both exports must be equal byte for byte: an export leaves out a body
that is missing, so one that has not arrived makes them differ. What is in the old place is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwart.errors import TailwartError
from tailwart.hosts.files import HostFile
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import probing
from tailwart.stalwart.lifecycle.one_off import NEW, OLD, OneOff
from tailwart.stalwart.lifecycle.store_move import STOPPING, check_releases
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.values import TYPE
from tailwart.stalwart.settings.guards import blob_place

_TYPES = ("blob",)
_BODIES = "subspace_t"
"""The file of an export that holds the bodies; beside it are the links to them, which stay in the data store."""
_EMPTY = 64
"""Bytes; an export without a single body has a header of its format and nothing more."""


@dataclass(frozen=True, slots=True)
class BodiesPlan:
    """``before`` and ``after`` are x:BlobStore objects in the form of the release that runs, ``used`` bytes of mail."""

    before: Mapping[str, Any] = field(repr=False)
    after: Mapping[str, Any] = field(repr=False)
    version: str
    used: int

    @property
    def source(self) -> str:
        """Where the bodies are, as people call it."""
        return blob_place(self.before)

    @property
    def target(self) -> str:
        """Where they are to be."""
        return blob_place(self.after)

    def message(self) -> str:
        """For the terminal, before anything happens."""
        return (
            f"message bodies: {self.source} → {self.target}; {self.used} bytes of mail; "
            "the mailbox is stopped meanwhile, senders try again"
        )


def check(plan: BodiesPlan, importer: str, free: int) -> None:
    """Raises `TailwartError` where no way is known that keeps everything; ``free`` are bytes on the mailbox host."""
    check_releases(plan.version, importer)
    for known in (plan.before, plan.after):
        if known.get(TYPE) not in ("Default", "S3"):
            raise TailwartError(
                "no move of message bodies from or to this kind of store",
                seen=f"x:BlobStore is {known.get(TYPE)}",
                expected="the data store, or a bucket",
            )
    secret = plan.before.get("secretKey")
    if plan.before.get(TYPE) == "S3" and (not isinstance(secret, Mapping) or secret.get(TYPE) != "EnvironmentVariable"):
        raise TailwartError(
            "the secret key of the bucket is in the server's settings alone",
            seen="x:BlobStore has a value that is shown to nobody: there would be no way back",
            expected="a reference to S3_SECRET_KEY of .env, as the deploy writes it",
            remedy="set S3_… in .env to the present bucket and deploy; then set the new place, and run this again",
        )
    # Both exports are there at once. They are compressed; mail that is hardly is the worst case.
    if free < 2 * plan.used:
        raise TailwartError(
            "the mailbox host has too little room for the move",
            seen=f"{free} bytes free below {names.DIRECTORY}",
            expected=f"{2 * plan.used} bytes: the bodies twice",
            remedy="make room there, then run this again",
        )


@dataclass(slots=True)
class BodiesMove:
    """One move on one mailbox host.

    ``files`` are those of the mailbox with the new settings. ``probe`` raises `TailwartError` unless the new place
    takes an object; it gets a shell that has these settings. ``switch`` brings the mailbox up with them.
    """

    run: Runner
    plan: BodiesPlan
    importer: str
    files: tuple[HostFile, ...] = field(repr=False)
    probe: Callable[[str], None]
    switch: Callable[[], None]
    log: Callable[[str], None]

    def execute(self) -> None:
        """Move, compare, change over; raises `TailwartError`, with the mailbox running as before."""
        one_off = OneOff(self.run, self.importer)
        state = one_off.state()
        begun = state.get("target") == self.plan.target
        switched = begun and names.MOVE_SWITCHED in state
        stopped = one_off.stopped_since()
        exported = begun and bool(stopped) and state.get("exported") == stopped
        one_off.prepare(self.files)
        self.probe(one_off.shell(NEW))
        if switched and not exported:
            self._gather(one_off)
            switched = False
        try:
            if not exported:
                self._export(one_off)
            switched = True
            self._point(one_off, NEW, self.plan.after, switched=True)
            self.log(f"importing into {self.plan.target} with {self.importer}")
            one_off.import_into(NEW, "bodies", _BODIES)
            self._prove(one_off)
        except BaseException:
            # Interrupted or refused: mail must not wait for somebody to look.
            if switched:
                self._point(one_off, OLD, self.plan.before, switched=False)
            one_off.start()
            raise
        self.switch()
        probing.wait_until_live(self.run, names.BASE)
        one_off.remove()

    def _note(self, one_off: OneOff, **more: str) -> None:
        one_off.note({"target": self.plan.target, "before": json.dumps(dict(self.plan.before)), **more})

    def _export(self, one_off: OneOff) -> None:
        self._note(one_off)
        self.log(STOPPING)
        one_off.stop()
        self.log(f"exporting message bodies from {self.plan.source}")
        one_off.export(OLD, "bodies", _TYPES)
        if self.plan.used and one_off.size("bodies") <= _EMPTY:
            raise TailwartError(
                "the export holds no message body; the mailbox stays as it was",
                seen=f"accounts hold {self.plan.used} bytes of mail",
                expected=f"their bodies, out of {self.plan.source}",
                remedy="see whether messages can be read at all (`tailwart doctor`), then run this again",
            )
        self._note(one_off, exported=one_off.stopped_since())

    def _point(self, one_off: OneOff, directory: str, place: Mapping[str, Any], *, switched: bool) -> None:
        """The settings name this place. Noted before they do, and taken back after they no longer do."""
        exported = one_off.stopped_since()
        if switched:
            self._note(one_off, exported=exported, **{names.MOVE_SWITCHED: "yes"})
        with one_off.recovery(directory) as client:
            _write(client, place)
        if not switched:
            self._note(one_off, exported=exported)

    def _prove(self, one_off: OneOff) -> None:
        self.log("exporting them from their new place, and comparing")
        one_off.export(NEW, "proof", _TYPES)
        before, after = one_off.digests("bodies"), one_off.digests("proof")
        if before != after or _BODIES not in before:
            raise TailwartError(
                "the new place does not hold what the old one holds; the mailbox stays on the old one",
                seen=f"differing: {', '.join(sorted(n for n in {*before, *after} if before.get(n) != after.get(n)))}",
                expected="every body, byte for byte",
                remedy=f"read the log of {self.plan.target}, then run `tailwart store move` again",
            )
        self.log(f"equal by SHA-256: {one_off.size('proof')} bytes, read back from {self.plan.target}")

    def _gather(self, one_off: OneOff) -> None:
        """Somebody has started the server in the middle: what has come in since is in the new place alone."""
        self.log(
            f"Stalwart was started in the middle of the move: bodies since then go back to {self.plan.source} first"
        )
        if not one_off.stopped_since():
            one_off.stop()
        one_off.export(NEW, "meanwhile", _TYPES)
        self._point(one_off, OLD, self.plan.before, switched=False)
        one_off.import_into(OLD, "meanwhile", _BODIES)
        one_off.start()
        probing.wait_until_live(self.run, names.BASE)


def _write(client: Client, place: Mapping[str, Any]) -> None:
    update = {"update": {SINGLETON: {key: value for key, value in place.items() if key != "id"}}}
    (answer,) = client.call([Call("BlobStore", "set", update)])
    if SINGLETON not in (answer.arguments.get("updated") or {}):
        refused = (answer.arguments.get("notUpdated") or {}).get(SINGLETON) or {}
        raise TailwartError(
            "Stalwart refuses the new blob store",
            seen=f"{refused.get('type', 'no answer')} {refused.get('description') or ''}".strip(),
            expected=f"x:BlobStore to become {blob_place(place)}",
            remedy="check the S3_… settings in .env, then run this again",
        )
