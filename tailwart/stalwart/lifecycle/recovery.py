"""Locked out (lesson 17): recovery mode as one step, which ends by verifying that the recovery login is rejected.

In recovery mode only 8080 listens, mail waits, data is untouched. Every step may be the last one before a crash: the
variables stand in one file that the next run, of this command or of the deploy, empties before anything else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.runner import Runner
from tailwart.stalwart.accounts.directory import Accounts
from tailwart.stalwart.accounts.passwords import hashed
from tailwart.stalwart.lifecycle import deploy_login, notes, probing
from tailwart.stalwart.protocol.client import Client
from tailwart.stalwart.protocol.container import ContainerTransport, login
from tailwart.stalwart.protocol.failures import LoginRefused, SettingsError
from tailwart.stalwart.protocol.jmap import SINGLETON, Call
from tailwart.stalwart.protocol.values import Ref

RECOVERY_USER = "admin"


class Recovery:
    """One recovery of one server. `recreate` recreates the container with its current environment files.

    Recovery(run, recreate).reset_password("admin@example.org", password)
    """

    def __init__(
        self,
        run: Runner,
        recreate: Callable[[], None],
        *,
        directory: str = names.DIRECTORY,
        base: str = names.BASE,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._recreate = recreate
        self._directory = directory
        self._base = base
        self._log = log

    def reset_password(self, address: str, password: str) -> None:
        """Give the administrator this password, also when the account was disabled or deleted.

        Raises TailwartError for a server that was never initialised, and when the recovery login works even at the end.
        """
        if not self._run(f"[ -f {self._directory}/{names.INITIALISED} ]", timeout=60).ok:
            raise TailwartError(
                "this server has not been set up by the deploy",
                seen=f"no {self._directory}/{names.INITIALISED} on the mailbox host",
                expected="an initialised server: a store first opened in recovery mode never gets its defaults",
                remedy="pyinfra inventory.py deploy.py --limit mailbox",
            )
        recovery = secrets.token_hex(24)
        self._log("starting recovery mode: only 8080 listens, mail waits")
        self._environment(
            f"{names.ENV_RECOVERY_MODE}=1\n{names.ENV_RECOVERY_ADMIN}={RECOVERY_USER}:{recovery}\n",
        )
        try:
            self._reset(address, password, recovery)
        finally:
            self._log("leaving recovery mode: removing its variables, restarting the server")
            self._environment("")
        self._verify_rejected(recovery)
        deploy_login.store(self._run, self._client(address, password), self._directory)
        self._note_password(address, password)

    def _environment(self, content: str) -> None:
        notes.write(self._run, names.BOOTSTRAP_ENV, content, self._directory)
        self._recreate()
        probing.wait_until_live(self._run, self._base)

    def _client(self, user: str, password: str) -> Client:
        return Client(ContainerTransport(self._run, login(user, password), base=self._base))

    def _reset(self, address: str, password: str, recovery: str) -> None:
        client = self._client(RECOVERY_USER, recovery)
        accounts = Accounts(client, client.read())
        if accounts.live.get(Ref("Account", address)) is None:
            self._log(f"{address} does not exist: creating it")
            accounts.add_administrator(address, password)
        else:
            accounts.set_password(address, password)
            accounts.make_administrator(address)

    def _verify_rejected(self, recovery: str) -> None:
        try:
            self._client(RECOVERY_USER, recovery).call([Call("SystemSettings", "get", {"ids": [SINGLETON]})])
        except LoginRefused:
            self._log("verified: the recovery login is rejected")
            return
        raise SettingsError(
            "the recovery login still works: whoever knows it is the administrator",
            seen=f"HTTP 200 for {RECOVERY_USER}",
            expected="HTTP 401",
            remedy="run `tailwart recover` again; if it persists, recreate the container `stalwart` by hand",
        )

    def _note_password(self, address: str, password: str) -> None:
        mark = secrets.token_hex(12)
        done = self._run(notes.read_script(mark, self._directory), timeout=60)
        name = f"Account/{address}"
        before = notes.parse_notes(done.stdout, mark).fingerprints
        if before.matches(name, password):
            return
        marks = replace(before, written={**before.written, name: hashed(password)}, whole="")
        notes.write(self._run, names.FINGERPRINTS, marks.dump(), self._directory)
