"""The auth key with which a container joins the tailnet, as a declaration. Pure: no pyinfra, no host."""

from __future__ import annotations

from dataclasses import dataclass

from tailwart.hosts.watch import Watch


@dataclass(frozen=True, slots=True)
class NodeKey:
    """Where a service of a Compose project finds its key while it joins, and how to tell whether it has to.

    ``login`` is a shell command that changes nothing and ends by printing ``joined`` or ``logged-out``. ``former`` are
    paths where earlier versions kept a key.
    """

    service: str
    path: str
    login: str
    former: tuple[str, ...] = ()

    @property
    def watch(self) -> Watch:
        """What of it is on the host; part of the `Watch` of the project."""
        return Watch(paths=(self.path, *self.former))
