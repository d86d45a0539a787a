"""What the plane keeps of passwords on the host, and the check that a new one is strong enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.accounts.passwords import NewPassword, all_hashed, refuse_weak
from tailwart.stalwart.lifecycle import notes
from tailwart.stalwart.settings.applying import Outcome
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.fingerprints import Fingerprints
from tailwart.stalwart.settings.planning import ObjectChange, declared_passwords


def checked_hashes(changes: Sequence[ObjectChange], admins: Collection[str]) -> dict[str, str]:
    """The argon2id hash of each password that these changes write, by `secret_name`; `admins` are whole addresses.

    Raises TailwartError that names every address whose new password is too weak: nothing is hashed then.
    """
    changed = {item.secret_name: item for item in changes if item.password is not None}
    refuse_weak({item.ref.key: NewPassword(item.password or "", item.ref.key in admins) for item in changed.values()})
    return all_hashed({name: item.password or "" for name, item in changed.items()})


def note(
    run: Runner,
    before: Fingerprints,
    *,
    desired: Sequence[DesiredObject],
    unchanged: frozenset[str],
    hashes: Mapping[str, str],
    outcome: Outcome,
    directory: str,
) -> None:
    """Write the fingerprints of what `outcome` says was written, beside those of the `unchanged` passwords."""
    written = {item.secret_name: hashes[item.secret_name] for item in outcome.passwords}
    written |= all_hashed(outcome.secrets)
    marks = before.having(written, declared_passwords(desired), unchanged)
    notes.write(run, names.FINGERPRINTS, marks.dump(), directory)
