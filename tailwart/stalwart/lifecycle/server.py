"""One mailbox server and its life: read, plan, write, restart or reload, prove; the next run heals any crash.

The order is what makes every crash point harmless:

1. what has to follow a write (restart, reload) is noted on the host before the write;
2. the administrator's login is proven and stored before the login of the first start is given up;
3. `initialised` is written before the recovery variable is removed, and the note of the restart stays until the new
   process has been seen to listen.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.accounts.passwords import hashed
from tailwart.stalwart.lifecycle import hoststate, probing, version
from tailwart.stalwart.lifecycle.certificates import CERTIFICATE_READ, Certificate, certificates, to_order
from tailwart.stalwart.lifecycle.hoststate import HostState
from tailwart.stalwart.lifecycle.ordering import obtain
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, Login, login, parse, quoted, stored_login
from tailwart.stalwart.protocol.failures import LoginRefused, SettingsError, refused, remedy
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.live import READ, Live
from tailwart.stalwart.protocol.transport import Response
from tailwart.stalwart.settings import guards
from tailwart.stalwart.settings.applying import Outcome, apply
from tailwart.stalwart.settings.desired import desired
from tailwart.stalwart.settings.inputs import MailboxSettings
from tailwart.stalwart.settings.planning import ObjectChange, SettingsPlan, plan
from tailwart.stalwart.settings.post_apply import PostApply

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Observed:
    """The host's notes, the server's objects (None: no server answers yet), and the login that was accepted."""

    state: HostState
    live: Live | None
    login: Login
    planned: SettingsPlan
    certificates: tuple[Certificate, ...] = ()

    @property
    def orders(self) -> list[str]:
        """Domains whose renewal will never run by itself."""
        return to_order(self.certificates, self.planned.operations)

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to do at all."""
        state = self.state
        return not (
            self.live is None
            or self.planned
            or self.orders
            or state.restart_since
            or state.reload_due
            or state.bootstrap_pending
            or not state.initialised
        )


class Server:
    """The server of one mailbox host. `recreate` makes the container anew with its present environment files."""

    def __init__(
        self,
        run: Runner,
        settings: MailboxSettings,
        recreate: Callable[[], None],
        *,
        directory: str = names.DIRECTORY,
        container: str = names.CONTAINER,
        base: str = names.BASE,
        log: Log = lambda _: None,
        check: Callable[[HostState], None] = lambda _: None,
    ) -> None:
        """`check` raises when writing would be unsafe for reasons outside this plane (a second server)."""
        self._run = run
        self._settings = settings
        self._recreate = recreate
        self._directory = directory
        self._container = container
        self._base = base
        self._log = log
        self._check = check
        self._desired = desired(settings)
        self._reading = READ + (CERTIFICATE_READ if settings.acme else ())

    def observe(self) -> Observed:
        """Everything, in one command on the host; a host without a running server yields `live` None."""
        mark = secrets.token_hex(12)
        accepted = stored_login(self._directory)
        transport = self._transport(accepted)
        inside, stdin, answer_mark = transport.command(Client.bodies(self._reading))
        script = (
            hoststate.read_script(mark, self._directory, self._container)
            + f"docker inspect --format '{{{{.State.Running}}}}' {self._container} 2>/dev/null | grep -q true"
            " || exit 0\n" + inside
        )
        done = self._run(script, stdin=stdin, timeout=180)
        head, _, tail = done.stdout.partition(f"{mark} end")
        state = hoststate.parse_state(head + f"{mark} end\n", mark)
        if not state.running:
            return Observed(state, None, accepted, self._plan(None, state))
        replies = _Given(parse(tail.lstrip("\n"), done.stderr, answer_mark, len(Client.bodies(self._reading))))
        try:
            live = Client(replies, then=transport).read(self._reading)
        except LoginRefused:
            accepted = self._second_login(state)
            live = Client(self._transport(accepted)).read(self._reading)
        found = tuple(certificates(self._settings, live))
        return Observed(state, live, accepted, self._plan(live, state), found)

    def _plan(self, live: Live | None, state: HostState) -> SettingsPlan:
        planned = plan(self._desired, live or Live({}), state.fingerprints)
        return replace(planned, warnings=guards.warnings(self._settings, planned.operations, live or Live({})))

    def _second_login(self, state: HostState) -> Login:
        """The password in `.env`, when the stored one is refused: someone changed it on the server and in the file."""
        admin = self._administrator()
        if not state.initialised or admin is None:
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
        return ContainerTransport(self._run, accepted, container=self._container, base=self._base, before=before)

    def apply(self, observed: Observed | None = None) -> None:
        """Make the server as desired. Raises TailwartError; what could be done until then is done."""
        if observed is None or observed.live is None:
            probing.wait_until_live(self._run, self._container, self._base)
            observed = self.observe()
        if observed.live is None:
            raise SettingsError(
                "Stalwart does not run",
                seen="the container `stalwart` is not running",
                remedy="on the mailbox host: `docker logs --tail 50 stalwart`; then run the deploy again",
            )
        outcome = Outcome()
        state, planned = observed.state, observed.planned
        restart = self._write(observed, observed.live, outcome)
        if not state.initialised or state.bootstrap_pending:
            self._leave_bootstrap(state)
        elif restart or state.restart_due:
            self._log("restarting Stalwart: its sockets and routes are made at the start of the process")
            self._do(f"docker restart {self._container}", "Stalwart cannot be restarted")
        if not state.initialised or state.bootstrap_pending or restart or state.restart_since:
            self._prove_restart()
        self._renew_credentials(observed, outcome)
        late = [operation for operation in planned.operations if operation.late]
        accepted = stored_login(self._directory)
        if late:
            apply(Client(self._transport(accepted)), late, observed.live, {}, outcome)
        if planned.consequence is PostApply.RELOAD or state.reload_due:
            self._reload(Client(self._transport(accepted)), observed.live)
        outcome.raise_failures()
        if self._settings.acme:
            client = Client(self._transport(accepted))
            obtain(
                lambda: certificates(self._settings, client.read(self._reading)), client, late, self._pause, self._log
            )
        self._read_back()

    def _pause(self) -> None:
        self._run("sleep 3", timeout=30)

    def _write(self, observed: Observed, live: Live, outcome: Outcome) -> bool:
        """The changes that need not wait; whether a restart has to follow."""
        planned = observed.planned
        early = [operation for operation in planned.operations if not operation.late]
        restart = planned.consequence is PostApply.RESTART
        if not early:
            return restart
        version.check(version.running(self._run, observed.state.image, self._container))
        guards.data_store(Client(self._transport(observed.login)), self._settings)
        guards.before_writing(self._run, self._settings, early, live)
        self._check(observed.state)
        before = ""
        if planned.consequence is not PostApply.NOTHING:
            before = hoststate.remember(restart, self._directory, self._container)
        transport = self._transport(observed.login, before)
        try:
            apply(Client(transport), early, live, self._hashes(early), outcome)
        finally:
            self._note_passwords(observed.state, outcome)
        return restart

    @staticmethod
    def _hashes(operations: Sequence[ObjectChange]) -> dict[str, str]:
        return hashed({item.secret_name: item.password for item in operations if item.password is not None})

    def _note_passwords(self, state: HostState, outcome: Outcome) -> None:
        written = {item.secret_name: item.password for item in outcome.passwords if item.password is not None}
        if written:
            marks = state.fingerprints.having(written)
            hoststate.write(self._run, names.FINGERPRINTS, marks.dump(), self._directory)

    def _leave_bootstrap(self, state: HostState) -> None:
        if not state.initialised:
            self._prove_administrator()
            self._do(
                f"{hoststate.remember(True, self._directory, self._container)} "
                f"&& echo yes | {hoststate.place(names.INITIALISED, self._directory)}",
                "the mailbox host does not keep our notes",
            )
        self._log("restarting Stalwart without its recovery variables: left in place they are a back door")
        self._do(
            f": | {hoststate.place(names.BOOTSTRAP_ENV, self._directory)}", "the mailbox host does not keep our notes"
        )
        self._recreate()

    def _prove_administrator(self) -> None:
        """The administrator's own login must work before the one of the first start is given up."""
        admin = self._administrator()
        if admin is None:
            raise TailwartError(
                "the administrator has no password",
                seen="STALWART_ADMIN_PASSWORD is empty",
                remedy="set STALWART_ADMIN_PASSWORD in .env",
            )
        Client(self._transport(login(*admin))).call([Call("SystemSettings", "get", {"ids": [SINGLETON]})])
        hoststate.write(self._run, names.CREDENTIALS, quoted(*admin), self._directory)

    def _renew_credentials(self, observed: Observed, outcome: Outcome) -> None:
        admin = next(item for item in self._settings.accounts if item.admin)
        changed = any(operation.ref.key == admin.address for operation in outcome.passwords)
        if observed.state.initialised and admin.password and (changed or observed.login.text):
            self._prove_administrator()

    def _prove_restart(self) -> None:
        probing.wait_until_live(self._run, self._container, self._base)
        if not self._run(hoststate.replaced(self._directory, self._container), timeout=60).ok:
            # The process that was noted still runs: nothing has replaced it, whatever was asked for.
            self._do(f"docker restart {self._container}", "Stalwart cannot be restarted")
            probing.wait_until_live(self._run, self._container, self._base)
        desired = {int(item.key) for item in self._desired if item.kind == "NetworkListener"}
        probing.prove_sockets(self._run, self._container, desired)
        if unproven := probing.prove_trust(self._run, self._settings.services.public):
            self._log(unproven)
        self._do(hoststate.forget(self._directory), "the mailbox host does not keep our notes")

    def _reload(self, client: Client, live: Live) -> None:
        (answer,) = client.call([Call("Action", "set", {"create": {"reload": {"@type": "ReloadSettings"}}})])
        for error in (answer.arguments.get("notCreated") or {}).values():
            raise SettingsError(
                "everything is written, but Stalwart refuses to reload its settings as long as one object is invalid",
                seen=refused("reload", "because of", "it", error, live.names),
                remedy=f"{remedy(error)}; then run the deploy again, it still knows that a reload is due",
            )
        self._do(hoststate.forget(self._directory), "the mailbox host does not keep our notes")

    def _read_back(self) -> None:
        seen = self.observe()
        if seen.planned:
            for change in seen.planned.document(seen.live or Live({})).changes:
                self._log(f"the server reads back differently: {change.kind} {change.name}")

    def _do(self, script: str, failure: str) -> None:
        done = self._run(script, timeout=180)
        if not done.ok:
            raise TailwartError(
                failure, seen=done.stderr.strip()[-300:] or "no output", remedy="look at the mailbox host, run again"
            )


@dataclass
class _Given:
    """Answers that came with the host's state, in the shape of a transport."""

    responses: list[Response]

    def exchange(self, bodies: Sequence[str]) -> list[Response]:
        if len(bodies) != len(self.responses):
            raise ValueError("not the requests that were sent")
        return self.responses
