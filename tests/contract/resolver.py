"""A resolver inside a test's namespace that answers at once: nothing about the root, failure about every name.

Real servers ask for the root's keys before they open a port: a resolver that is silent costs each start 15 seconds.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from tests.contract.namespace import RESOLVER, Namespace


@contextmanager
def resolver(space: Namespace) -> Iterator[None]:
    """The resolver on RESOLVER for the time of the block."""
    with space.entered():
        answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        answering.bind((RESOLVER, 53))
    thread = threading.Thread(target=_answer, args=(answering,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        # Not connected, says the kernel, and ends the waiting all the same.
        with suppress(OSError):
            answering.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        answering.close()


def _answer(answering: socket.socket) -> None:
    while True:
        try:
            octets, asker = answering.recvfrom(4096)
        except OSError:
            return
        if not octets:
            return
        try:
            query = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            continue
        answer = dns.message.make_response(query, recursion_available=True)
        if query.question and query.question[0].name != dns.name.root:
            answer.set_rcode(dns.rcode.SERVFAIL)
        answering.sendto(answer.to_wire(), asker)
