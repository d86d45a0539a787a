"""`@host/NAME`: an inventory host reached over SSH, on which every command has an end and every failure a cause.

The host's name in the inventory is NAME alone. pyinfra's own connector waits for ever, takes a lost connection for a
command that failed without a word, and asks a terminal that may not be there for sudo's password.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from paramiko import Channel, SSHException
from pyinfra import logger
from pyinfra.api.arguments import ConnectorArguments
from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.output import echo
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import (
    CommandOutput,
    OutputLine,
    execute_command_with_sudo_retry,
    make_unix_command_for_host,
    write_stdin,
)

from tailwart.connectors.opening import HostClient, connect
from tailwart.connectors.ssh import CONNECTION_ERRORS, PromptTransport
from tailwart.connectors.sudo import refusal
from tailwart.errors import TailwartError

COMMAND_SECONDS = 300
"""The bound of a command for which its caller names none."""
_CHUNK = 65536


class ConnectionLost(ConnectionError):
    """The connection ended while a command ran, or before it."""


def collect(channel: Channel, patience: float) -> tuple[int, list[OutputLine]]:
    """Exit code and output of the command of ``channel``; raises `TimeoutError` after ``patience`` seconds.

    The exit code is -1 when the channel was closed without one. Not pyinfra's way, whose time limit holds only where
    gevent has replaced the threads: under `pyinfra`, not under `tailwart`.
    """
    end = time.monotonic() + patience
    chunks: dict[str, list[bytes]] = {"stdout": [], "stderr": []}

    def left() -> float:
        return max(0.01, end - time.monotonic())

    def errors() -> None:
        # Without an end of its own: it ends with the channel.
        with suppress(OSError):
            while chunk := channel.recv_stderr(_CHUNK):
                chunks["stderr"].append(chunk)

    channel.settimeout(patience)
    reader = threading.Thread(target=errors, daemon=True)
    reader.start()
    while chunk := channel.recv(_CHUNK):
        chunks["stdout"].append(chunk)
        channel.settimeout(left())
    reader.join(left())
    if not channel.status_event.wait(left()) or time.monotonic() > end:
        raise TimeoutError
    texts = {name: b"".join(parts).decode(errors="replace") for name, parts in chunks.items()}
    return channel.recv_exit_status(), [OutputLine(name, line) for name, text in texts.items() for line in _lines(text)]


def _lines(text: str) -> list[str]:
    # Not splitlines, which also splits at form feeds and the like.
    return text.removesuffix("\n").split("\n") if text else []


class HostConnector(SSHConnector):
    """SSH with an end. ``problem`` says why the host could not be connected to."""

    problem: TailwartError | None = None

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        yield name, {}, []

    def connect(self) -> None:
        """Connect; raises `ConnectError`, which pyinfra takes for this host's failure alone."""
        data = cast("dict[str, Any]", {**self.data})
        try:
            arguments = self.make_paramiko_kwargs()
            del arguments["hostname"]
            self.client = HostClient()
            try:
                connect(self.client, self.host.name, data, **arguments)
            except TailwartError as problem:
                cause = problem.__cause__
                if type(cause) is not SSHException:
                    raise
                # An agent with several keys: paramiko ends the connection after the first one.
                if not self._retry_paramiko_agent_keys(str(data["ssh_hostname"]), arguments, cause):
                    raise
        except TailwartError as problem:
            self.problem = problem
        # A private key that is missing or not readable, say.
        except (*CONNECTION_ERRORS, PyinfraError, ValueError) as error:
            self.problem = TailwartError(
                f"{self.host.name} cannot be connected to",
                seen=str(error) or type(error).__name__,
                remedy="check SSH_KEY and the host's …_SSH in .env",
            )
        if self.problem is not None:
            self.close()
            raise ConnectError(f"{self.problem.what}: {self.problem.seen}")

    def close(self) -> None:
        """End the connection, if there is one."""
        if self.client is not None:
            self.client.close()

    def open_channel(self, command: StringCommand, **arguments: Any) -> Channel:
        """Start a command with the given privileges and leave its channel open; the caller closes it."""
        for name in ("_timeout", "_get_pty", "_stdin", "_success_exit_codes"):
            arguments.pop(name, None)
        unix_command = make_unix_command_for_host(self.state, self.host, command, **arguments)
        channel = self._transport().open_session()
        channel.exec_command(unix_command.get_raw_value())
        return channel

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Run ``command``; raises `ConnectionLost`, and `TimeoutError` after ``_timeout`` seconds."""
        if arguments.get("_doas"):
            raise TailwartError(
                "doas is not supported",
                seen=f"_doas for {self.host.name}",
                expected="root over SSH, or a user with sudo",
                remedy="install sudo on the host and let the user run it without a password",
            )
        patience = arguments.pop("_timeout", None) or COMMAND_SECONDS
        get_pty = arguments.pop("_get_pty", False)
        stdin = arguments.pop("_stdin", None)
        codes = arguments.pop("_success_exit_codes", None) or (0,)

        def execute() -> tuple[int, CommandOutput]:
            unix_command = make_unix_command_for_host(self.state, self.host, command, **arguments)
            logger.debug("Running command on %s: %s", self.host.name, unix_command)
            if print_input:
                echo(f"{self.host.print_prefix}>>> {unix_command}", err=True)
            self._transport()
            assert self.client is not None, "a transport belongs to a client"
            to_host, out, _ = self.client.exec_command(unix_command.get_raw_value(), get_pty=get_pty, timeout=patience)
            try:
                if stdin:
                    write_stdin(stdin, to_host)
                to_host.close()
                code, lines = collect(out.channel, patience)
            finally:
                out.channel.close()
            if print_output:
                for line in lines:
                    echo(f"{self.host.print_prefix}{line.line}", err=True)
            return code, CommandOutput(lines)

        try:
            if arguments.get("_sudo") and not sys.stdin.isatty():
                code, output = execute()
            else:
                given = cast("ConnectorArguments", arguments)
                code, output = execute_command_with_sudo_retry(self.host, given, execute)
        except TimeoutError:
            raise TimeoutError(f"no end after {patience} s") from None
        except CONNECTION_ERRORS as error:
            raise ConnectionLost(self._loss() or str(error) or type(error).__name__) from error
        # Nothing else has no exit code: the channel was closed without one.
        if code < 0 and (loss := self._loss()):
            raise ConnectionLost(loss)
        if arguments.get("_sudo") and (refused := self._refusal(code, output)):
            raise refused
        return code in codes, output

    def _refusal(self, code: int, output: CommandOutput) -> TailwartError | None:
        return refusal(str(self.data["ssh_user"]), self.host.name, code, output.stderr)

    def _transport(self) -> PromptTransport:
        transport = self.client.get_transport() if self.client is not None else None
        if transport is None or not transport.is_active():
            raise ConnectionLost(self._loss() or "there is no connection")
        return cast("PromptTransport", transport)

    def _loss(self) -> str:
        """Why there is no connection any more; empty as long as there is one."""
        transport = self.client.get_transport() if self.client is not None else None
        if transport is None or transport.is_active():
            return ""
        return transport.loss() if isinstance(transport, PromptTransport) else "the connection ended"
