"""Certificates seen through: orders started where nothing else would start them, waited for a little, and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailwart.stalwart.lifecycle.certificates import Certificate, order, replaces_provider, to_order
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError
from tailwart.stalwart.settings.planning import ObjectChange

# An order by DNS-01 takes some seconds where everything is well; a slow provider's propagation is not waited for.
_LOOKS = 8


def obtain(
    look: Callable[[], Sequence[Certificate]],
    client: Client,
    changed: Sequence[ObjectChange],
    pause: Callable[[], None],
    log: Callable[[str], None],
) -> None:
    """Until every certificate is there or its order fails; raises SettingsError for the first that fails.

    `changed` are the writes of this run. What still waits after some looks is only told: the server goes on by itself.
    """
    found = look()
    # A domain that has just been put under management gets its first order from the server itself.
    enabled = {operation.ref.key for operation in changed if not replaces_provider(operation)}
    if domains := to_order([item for item in found if item.domain not in enabled], changed):
        client.call([order(domains)])
    for _ in range(_LOOKS):
        if all(item.present or item.failure for item in found):
            break
        pause()
        found = look()
    else:
        if domains := to_order(found, ()):
            client.call([order(domains)])
    for item in found:
        if item.failure:
            raise _failed(item)
        if text := item.message():
            log(text)


def _failed(item: Certificate) -> SettingsError:
    dead = item.key_is_dead
    return SettingsError(
        "everything else is applied, but a certificate cannot be obtained",
        seen=item.message(),
        remedy="check the DNS provider's key (`tailwart dns check`), correct it in .env and deploy again"
        if dead
        else "`docker logs stalwart | grep -i acme` on the mailbox host tells more",
        lesson=2 if dead else None,
    )
