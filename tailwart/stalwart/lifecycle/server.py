"""One mailbox server: read, plan, write, restart or reload, verify. The next run repairs whatever a crash left behind.

The order is what makes every crash point harmless:

1. the post-apply action (restart, reload) is noted on the host before the write;
2. the administrator's login is proven and stored before the login of the first start is removed;
3. `initialised` is written before the recovery variable is removed, and the note of the restart stays until the new
   process is verified to listen.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.releases import SUPPORTED
from tailwart.runner import Runner
from tailwart.stalwart.lifecycle import deploy_login, notes, probing, server_schema, version
from tailwart.stalwart.lifecycle.activation import Activation
from tailwart.stalwart.lifecycle.certificate_orders import CERTIFICATE_READ, Certificate, certificates, obtain, to_order
from tailwart.stalwart.lifecycle.declared_objects import DeclaredObjects
from tailwart.stalwart.lifecycle.notes import HostNotes
from tailwart.stalwart.lifecycle.password_notes import checked_hashes, note
from tailwart.stalwart.lifecycle.queue import Queue
from tailwart.stalwart.objects.exporting import Export
from tailwart.stalwart.objects.resolving import Resolved
from tailwart.stalwart.protocol import orders
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, Login, login, parse, stored_login
from tailwart.stalwart.protocol.failures import LoginRefused, SettingsError
from tailwart.stalwart.protocol.kinds import KINDS, PostApply
from tailwart.stalwart.protocol.live import Live
from tailwart.stalwart.protocol.selection import SELECTIVE, narrowed
from tailwart.stalwart.schema.model import Schema
from tailwart.stalwart.settings import compat, guards
from tailwart.stalwart.settings.applying import Outcome, apply
from tailwart.stalwart.settings.compat import Mismatch
from tailwart.stalwart.settings.desired import desired, reading
from tailwart.stalwart.settings.desired_object import DesiredObject
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange, SettingsPlan, plan
from tailwart.stalwart.settings.restoring import with_replaced

Log = Callable[[str], None]
_NOTES_FAILED = "a note cannot be written on the mailbox host"


@dataclass(frozen=True, slots=True)
class Observed:
    """The host's notes, the server's objects (`live` None: no server runs yet), and the login that was accepted."""

    host: HostNotes
    live: Live | None
    login: Login
    planned: SettingsPlan
    certificates: tuple[Certificate, ...] = ()
    resolved: Resolved = field(default_factory=lambda: Resolved(()))

    @property
    def orders(self) -> list[str]:
        """The ids of the domains whose renewal will never run by itself."""
        return to_order(self.certificates, self.planned.changes)

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to do: no change, no order, no post-apply action of an earlier run."""
        host = self.host
        return not (
            self.live is None
            or self.planned
            or self.orders
            or self.resolved.unfinished
            or host.restart_since
            or host.reload_due
            or host.queue_paused
            or host.bootstrap_pending
            or not host.initialised
            or not host.has_key
            or not self.planned.passwords.settled
        )


class Server:
    """The server of one mailbox host. `recreate` recreates the container with its current environment files.

    server = Server(run, settings, recreate)
    observed = server.observe()
    if not observed.up_to_date:
        server.apply(observed)
    """

    def __init__(
        self,
        run: Runner,
        settings: MailboxSettings,
        recreate: Callable[[], None],
        *,
        directory: str = names.DIRECTORY,
        base: str = names.BASE,
        log: Log = lambda _: None,
        check: Callable[[HostNotes], None] = lambda _: None,
        replaced: Sequence[DesiredObject] = (),
    ) -> None:
        """`replaced` are values from before a later deploy: fields that `settings` manage keep the declared ones.

        `check` raises TailwartError when writing is unsafe for a reason outside this plane (a second server).

        `directory` holds the notes on the host, `base` is the server's URL inside its own namespace.
        """
        self._run = run
        self._settings = settings
        self._recreate = recreate
        self._directory = directory
        self._base = base
        self._log = log
        self._check = check
        self._queue = Queue(run, directory=directory, base=base, log=log)
        self._activation = Activation(run, self._queue, directory, base, log)
        self._desired = with_replaced(desired(settings), replaced)
        self._reading = reading(settings) + (CERTIFICATE_READ if settings.acme else ())
        keys = {kind: [item.key for item in self._desired if item.kind == kind] for kind in SELECTIVE}
        self._narrow = narrowed(self._reading, keys)
        self._objects = DeclaredObjects(run, settings, self._desired, base, directory)

    def observe(self, *, everything: bool = False) -> Observed:
        """Read what is declared and plan, in one command on the host. Nothing is changed.

        Accounts and domains that are not declared are counted; with `everything` they are read as well.
        A host without a running server yields `live` None, and a plan that creates everything. Raises LoginRefused
        when the server accepts neither the stored login nor the one of `.env`, NotReachable when it does not answer.
        """
        mark = secrets.token_hex(12)
        accepted = stored_login(self._directory)
        transport = self._transport(accepted)
        calls = (*(self._reading if everything else self._narrow), *self._objects.reading())
        inside, stdin, answer_mark = transport.command(Client.bodies(calls))
        script = notes.read_script(mark, self._directory) + notes.EXIT_UNLESS_RUNNING + inside
        done = self._run(script, stdin=stdin, timeout=180)
        head, _, tail = done.stdout.partition(f"{mark} end")
        host = notes.parse_notes(head + f"{mark} end\n", mark)
        if not host.running:
            return Observed(host, None, accepted, self._plan(Resolved(self._desired), Live({}), host))
        responses = parse(tail.lstrip("\n"), done.stderr, answer_mark, len(Client.bodies(calls)))
        client = Client(transport)
        try:
            live = client.read(calls, responses)
        except LoginRefused:
            accepted = self._second_login(host)
            client = Client(self._transport(accepted))
            live = client.read(calls)
        resolved, live = self._objects.resolved(live, host.objects, host.fingerprints, accepted, client)
        planned = self._plan(resolved, live, host, everything)
        if "Account" in live.totals and guards.moves_blobs(planned.changes):
            # Whose mail would become unreadable: that of everybody, declared or not.
            live = live.completed(client.read([KINDS["Account"].read()]))
            planned = self._plan(resolved, live, host, everything)
        return Observed(host, live, accepted, planned, tuple(certificates(self._settings, live)), resolved)

    def _plan(self, resolved: Resolved, live: Live, host: HostNotes, all_names: bool = False) -> SettingsPlan:
        planned = plan(resolved.desired, live, host.fingerprints, all_names=all_names)
        changes = (*planned.changes, *resolved.deletions)
        warnings = guards.warnings(self._settings, changes, live)
        return replace(planned, changes=changes, unmanaged=(*planned.unmanaged, *resolved.released), warnings=warnings)

    def _second_login(self, host: HostNotes) -> Login:
        """The login of `.env`, when the stored one is refused: someone changed it on the server and in the file."""
        admin = self._administrator()
        if not host.initialised or admin is None:
            raise LoginRefused(
                "Stalwart refuses the login of its first start",
                seen="HTTP 401",
                expected=f"the administrator named in {self._directory}/{names.BOOTSTRAP_ENV}",
                remedy="run the deploy again: it recreates the container with that variable",
            )
        return login(*admin)

    def _administrator(self) -> tuple[str, str] | None:
        account = next(item for item in self._settings.accounts if item.admin)
        return (account.address, account.password.get_secret_value()) if account.password else None

    def _transport(self, accepted: Login, before: str = "") -> ContainerTransport:
        return ContainerTransport(self._run, accepted, base=self._base, before=before)

    def apply(self, observed: Observed | None = None) -> None:
        """Make the server as desired; `observed` is read first where it is None or no server ran then.

        Raises TailwartError; what could be done until then is done, and the next run continues.
        """
        if observed is None or observed.live is None:
            probing.wait_until_live(self._run, self._base)
            observed = self.observe()
        if observed.live is None:
            raise SettingsError(
                "Stalwart does not run",
                seen="the container `stalwart` is not running",
                remedy="read the reason on the mailbox host: `docker logs --tail 50 stalwart`; then deploy again",
            )
        outcome = Outcome()
        host, planned = observed.host, observed.planned
        if host.queue_paused:
            self._log("resuming the queue: an earlier run paused it for a restart that did not happen")
            self._queue.resume()
        self._objects.finish(observed.resolved)
        changes = self._checked(observed) if planned else []
        restart = self._write(observed, observed.live, changes, outcome)
        if not planned.passwords.settled and not outcome.passwords:
            self._note_passwords(observed, {}, outcome)
        if not host.initialised or host.bootstrap_pending:
            self._leave_bootstrap(host)
        elif restart or host.restart_due:
            self._log("restarting Stalwart: part of what was written counts only from the start of its process")
            self._activation.restart()
        if not host.initialised or host.bootstrap_pending or restart or host.restart_since:
            ports = {int(item.key) for item in self._desired if item.kind == "NetworkListener"}
            self._activation.prove(ports, self._settings.env.mail_services.public)
        self._renew_credentials(observed, outcome)
        late = [change for change in changes if change.late]
        accepted = stored_login(self._directory)
        if late:
            apply(Client(self._transport(accepted)), late, observed.live, {}, outcome)
        if planned.post_apply is PostApply.RELOAD or host.reload_due:
            reloads = orders.RELOADS if host.reload_due else planned.reloads
            self._activation.reload(
                Client(self._transport(accepted)), observed.live, reloads, planned.orders_afterwards
            )
        elif planned.orders_afterwards:
            Client(self._transport(accepted)).call(planned.orders_afterwards)
        outcome.raise_failures()
        if self._settings.acme:
            client = Client(self._transport(accepted))
            obtain(
                lambda: certificates(self._settings, client.read(self._narrow)), client, late, self._pause, self._log
            )
        self._read_back()

    def _pause(self) -> None:
        self._run("sleep 3", timeout=30)

    def restart(self) -> None:
        """Restart the server with its queue held; what a crash left locked is released."""
        self._activation.restart()

    def exported(self, observed: Observed, live: Live, only: Sequence[str] = ()) -> Export:
        """Everything that the server holds beside the settings of this project, as `stalwart_objects`."""
        client = Client(self._transport(observed.login))
        return self._objects.exported(live, observed.host.objects, observed.login, client, only)

    def schema(self, observed: Observed) -> Schema | None:
        """The running server's schema, None when it publishes none; see `server_schema.read`."""
        return server_schema.read(self._run, observed.login, self._base)

    def check(self, observed: Observed) -> tuple[str, Schema, list[Mismatch]]:
        """Version and schema of the running server, and what it would refuse of everything that is declared.

        Raises TailwartError when the server publishes no schema.
        """
        running = version.running(self._run, observed.host.image)
        schema = self.schema(observed)
        if schema is None:
            raise SettingsError(
                "this server publishes no schema of its objects",
                seen="HTTP 404 for /api/schema",
                expected=f"a Stalwart {SUPPORTED.name}",
                remedy="set STALWART_IMAGE to a release that is tested (docs/upgrade.md)",
            )
        return running, schema, compat.everything(observed.resolved.desired, schema, running)

    def _checked(self, observed: Observed) -> list[ObjectChange]:
        """The planned changes in the form of the running server; nothing is written when it would refuse one."""
        running = version.running(self._run, observed.host.image)
        version.check(running)
        schema = self.schema(observed)
        changes = compat.adapted(observed.planned.changes, schema, running)
        if schema is None:
            self._log("this server publishes no schema: what is written is not checked before")
        else:
            compat.require(compat.mismatches(changes, schema), running)
        return changes

    def _write(self, observed: Observed, live: Live, changes: Sequence[ObjectChange], outcome: Outcome) -> bool:
        """Write the changes that need not wait for the restart; returns whether a restart follows."""
        planned = observed.planned
        early = [change for change in changes if not change.late]
        restart = planned.post_apply is PostApply.RESTART
        if not early:
            return restart
        guards.data_store(Client(self._transport(observed.login)), self._settings)
        guards.before_writing(self._run, self._settings, early, live)
        self._check(observed.host)
        self._objects.before_writing(observed.resolved, observed.host.objects, early)
        hashes = checked_hashes(early, {item.address for item in self._settings.accounts if item.admin})
        before = ""
        if planned.post_apply is not PostApply.NOTHING:
            before = notes.remember(restart, self._directory)
        transport = self._transport(observed.login, before)
        try:
            apply(Client(transport), early, live, hashes, outcome)
        finally:
            if outcome.passwords or outcome.secrets:
                self._note_passwords(observed, hashes, outcome)
            self._objects.after_writing(observed.resolved, outcome.created)
        return restart

    def _note_passwords(self, observed: Observed, hashes: Mapping[str, str], outcome: Outcome) -> None:
        note(
            self._run,
            observed.host.fingerprints,
            desired=observed.resolved.desired,
            unchanged=observed.planned.passwords.unchanged,
            hashes=hashes,
            outcome=outcome,
            directory=self._directory,
        )

    def _leave_bootstrap(self, host: HostNotes) -> None:
        if not host.initialised:
            self._prove_administrator()
            self._activation.do(
                f"{notes.remember(True, self._directory)} "
                f"&& echo yes | {notes.place(names.INITIALISED, self._directory)}",
                _NOTES_FAILED,
            )
        self._log("restarting Stalwart without its recovery variables: left in place, they are a back door")
        notes.write(self._run, names.BOOTSTRAP_ENV, "", self._directory)
        if host.initialised:
            self._activation.recreate(self._recreate)
        else:
            self._recreate()

    def _prove_administrator(self) -> None:
        """The administrator's own login must work before the one of the first start is removed."""
        admin = self._administrator()
        if admin is None:
            raise TailwartError(
                "the administrator has no password",
                seen="STALWART_ADMIN_PASSWORD is empty",
                remedy="set STALWART_ADMIN_PASSWORD in .env",
            )
        deploy_login.store(self._run, Client(self._transport(login(*admin))), self._directory)

    def _renew_credentials(self, observed: Observed, outcome: Outcome) -> None:
        admin = next(item for item in self._settings.accounts if item.admin)
        changed = any(change.ref.key == admin.address for change in outcome.passwords)
        if (
            observed.host.initialised
            and admin.password
            and (changed or observed.login.text or not observed.host.has_key)
        ):
            self._prove_administrator()

    def _read_back(self) -> None:
        observed = self.observe()
        for change in observed.planned.document(observed.live or Live({})).changes:
            self._log(f"the server returns another value than was written: {change.kind} {change.name}")
