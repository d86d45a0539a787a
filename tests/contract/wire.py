"""Raw connections to the mail ports, with and without a PROXY header."""

from __future__ import annotations

import ipaddress
import ssl
import struct
from types import TracebackType

from tests.contract.namespace import Namespace

# Peers on the loopback: the listeners under test trust the first and not the second.
TRUSTED = "127.0.0.2"
STRANGER = "127.0.0.3"
CLIENT = ("198.51.100.23", 40000)


def proxy_v2(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """A version 2 header for TCP over IPv4, written from the specification rather than with the server's library."""
    addresses = b"".join(ipaddress.IPv4Address(host).packed for host, _ in (source, destination))
    ports = struct.pack("!HH", source[1], destination[1])
    return b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, 12) + addresses + ports


class Wire:
    """One connection, read line by line."""

    def __init__(
        self, space: Namespace, port: int, source: str = "", header: bool = False, timeout: float = 20
    ) -> None:
        self._socket = space.connect(port, source=source, timeout=timeout)
        self._buffer = b""
        if header:
            self._socket.sendall(proxy_v2(CLIENT, ("127.0.0.1", port)))

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def start_tls(self) -> str:
        """Handshake as a client that does not check certificates; the version agreed on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        secure = context.wrap_socket(self._socket, server_hostname="mail.example.org")
        self._socket = secure
        self.certificate = secure.getpeercert(binary_form=True) or b""
        return secure.version() or ""

    def write(self, octets: bytes) -> None:
        """Octets as they are, which need not end a line."""
        self._socket.sendall(octets)

    def send(self, line: str) -> None:
        self.write(line.encode() + b"\r\n")

    def line(self) -> str:
        """The next line; empty when the connection was closed."""
        while b"\n" not in self._buffer:
            more = self._socket.recv(65536)
            if not more:
                return ""
            self._buffer += more
        found, _, self._buffer = self._buffer.partition(b"\n")
        return found.rstrip(b"\r").decode()

    def reply(self) -> str:
        """A whole SMTP reply."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, line: str) -> str:
        self.send(line)
        return self.reply()

    def silent(self, seconds: float) -> bool:
        """True when nothing at all arrives for a while (and the connection stays open or is dropped)."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1) == b""
        except TimeoutError:
            return True
        except ConnectionError:
            return True
