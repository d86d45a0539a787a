"""What follows a write on one mailbox host: the restart, its proof, or the reload. All of them may be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.network import Service
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import notes, probing
from tailwart.stalwart.lifecycle.queue import Queue, held
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.failures import SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import Call
from tailwart.stalwart.protocol.live import Live


class Activation:
    """Activates what was written. Its notes are removed last, so the next run finishes what this one does not.

    Activation(run, queue, directory, base, log).restart()
    """

    def __init__(self, run: Runner, queue: Queue, directory: str, base: str, log: Callable[[str], None]) -> None:
        self._run = run
        self._queue = queue
        self._directory = directory
        self._base = base
        self._log = log

    def restart(self) -> None:
        """Replace the process; mail that is being delivered ends first, and nothing rests afterwards."""
        with held(self._queue):
            self.do(f"docker restart {names.CONTAINER}", "Stalwart cannot be restarted")
            probing.wait_until_live(self._run, self._base)

    def recreate(self, recreate: Callable[[], None]) -> None:
        """The same with a new container, whose environment files have changed."""
        with held(self._queue):
            recreate()
            probing.wait_until_live(self._run, self._base)

    def prove(self, ports: Collection[int], public: Collection[Service]) -> None:
        """Verify that a new process runs, listens on these ports and trusts the edges; then forget the notes."""
        probing.wait_until_live(self._run, self._base)
        if not self._run(notes.replaced(self._directory), timeout=60).ok:
            # The process that was noted still runs: the restart before did not replace it.
            self.restart()
        probing.prove_sockets(self._run, set(ports))
        if unproven := probing.prove_trust(self._run, public):
            self._log(unproven)
        self.forget()

    def reload(self, client: Client, live: Live, reloads: Sequence[str], after: Sequence[Call]) -> None:
        """Make the server read its objects again, by these orders, then give the orders of `after`.

        Raises SettingsError that names the invalid object when the server refuses: the reload stays due.
        """
        answers = client.call([*(orders.action(name) for name in reloads), *after])
        for answer in answers:
            for error in (answer.arguments.get("notCreated") or {}).values():
                raise SettingsError(
                    "everything is written, but Stalwart does not reload its settings while one object is invalid",
                    seen=refused("run", answer.call.kind, orders.name_of(answer.call), error, live.names),
                    remedy=f"{remedy(error)}; then run the deploy again: the reload is still due",
                )
        self.forget()

    def forget(self) -> None:
        """Remove the notes of a post-apply action that is done."""
        self.do(notes.forget(self._directory), "a note cannot be written on the mailbox host")

    def do(self, script: str, failure: str) -> None:
        """Run a script on the host; raises TailwartError beginning with `failure`."""
        done = self._run(script, timeout=180)
        if not done.ok:
            raise TailwartError(
                failure,
                seen=done.stderr.strip()[-300:] or "no output",
                remedy="check the disk and the Docker engine of the mailbox host, then run this again",
            )
