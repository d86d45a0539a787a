"""What is sent for one change: the document of a new object, the patch of one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailwart.stalwart.protocol.values import TYPE, Resolve, at, encode, merged, placed
from tailwart.stalwart.settings.planning import CREDENTIAL, ObjectChange


def creation(change: ObjectChange, resolve: Resolve, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The document of a new object; `hashes` holds password hashes by the change's `secret_name`.

    Raises KeyError with the `Ref` when an object that it refers to does not exist yet.
    """
    document: dict[str, Any] = {}
    for path, value in change.values.items():
        *parents, last = placed(path, {}).split("/")
        target = document
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = encode(value, resolve)
    if change.password is not None:
        document.setdefault("credentials", {}).setdefault("0", {}).update(_credential(change, hashes))
    return document


def update(change: ObjectChange, resolve: Resolve, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The patch of an existing object, by path; see `creation`."""
    patch = {
        placed(path, change.live): merged(value, encode(value, resolve), at(change.live, path))
        for path, value in change.values.items()
    }
    if change.password is not None:
        place = placed(CREDENTIAL, change.live)
        if at(change.live, CREDENTIAL):
            # The person's app passwords are in the same list, and beside the secret stand networks and a second factor.
            patch[f"{place}/secret"] = hashes[change.secret_name]
        else:
            own = {path: patch.pop(path) for path in list(patch) if path.startswith(f"{place}/")}
            credential = _credential(change, hashes)
            credential |= {path.removeprefix(f"{place}/"): value for path, value in own.items()}
            if change.live.get("credentials"):
                patch[place] = credential
            else:
                patch["credentials"] = {"0": credential}
    return patch


def _credential(change: ObjectChange, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {TYPE: "Password", "secret": hashes[change.secret_name]}
