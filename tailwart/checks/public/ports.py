"""What answers at a public address, what must not, and whether port 25 takes mail for others."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tailwart.checks import relaying
from tailwart.checks.model import CannotLook
from tailwart.checks.public.door import SECONDS, Door, connect
from tailwart.dns.check.findings import Finding, ok, unknown, wrong
from tailwart.environment import Environment
from tailwart.network import HTTP, MAIL_SERVICES, SMTP

_STORES = (5432, 6379, 3900)


def answering(door: Door) -> Iterator[Finding]:
    """Every service that must answer."""
    with ThreadPoolExecutor(max_workers=max(1, len(door.services))) as pool:
        for service, (answers, reason) in zip(
            door.services, pool.map(lambda one: connect(door.address, one.port), door.services), strict=True
        ):
            subject = f"{door} {service}"
            if answers:
                yield ok("ports", subject, "answers")
            elif answers is None:
                yield unknown("ports", subject, reason, required=False)
            else:
                yield wrong("ports", subject, reason, remedy="run the edge role; look at the host's packet filter")


def closed(environment: Environment, door: Door) -> Iterator[Finding]:
    """Ports that nobody outside needs, those of stores and administration among them."""
    public = {service.port for service in environment.mail_services.public}
    ports = sorted({HTTP.port, *_STORES, *(service.port for service in MAIL_SERVICES if service.port not in public)})
    with ThreadPoolExecutor(max_workers=len(ports)) as pool:
        answers = dict(zip(ports, pool.map(lambda port: connect(door.address, port), ports), strict=True))
    subject = str(door)
    open_ports = [str(port) for port, (answered, _) in answers.items() if answered]
    if open_ports:
        yield wrong("closed", subject, f"{', '.join(open_ports)} answer", remedy="see what listens there: ss -ltnp")
    elif any(answered is None for answered, _ in answers.values()):
        yield unknown("closed", subject, next(reason for answered, reason in answers.values() if answered is None))
    else:
        yield ok("closed", subject, f"{', '.join(map(str, ports))} do not answer")


def relay(environment: Environment, door: Door) -> Iterator[Finding]:
    """The same conversation as an edge has with itself, from here."""
    try:
        said = "\n".join(_conversation(environment, door))
        lines = list(relaying.found(environment, said))
    except (OSError, smtplib.SMTPException) as error:
        yield unknown("relay", str(door), f"port 25 does not answer from here ({type(error).__name__})")
        return
    except CannotLook as reason:
        yield unknown("relay", str(door), str(reason))
        return
    if lines:
        yield wrong("relay", str(door), "; ".join(lines), remedy="tailwart settings plan, then apply")
    else:
        yield ok("relay", str(door), "takes no mail for others")


def _conversation(environment: Environment, door: Door) -> Iterator[str]:
    with smtplib.SMTP(str(door.address), SMTP.port, local_hostname="doctor.invalid", timeout=SECONDS * 3) as client:
        client.ehlo()
        for sender in relaying.senders(environment):
            yield _reply(f"from:{sender}", client.mail(sender))
            yield _reply(f"to:{sender}", client.rcpt(relaying.STRANGER))
            client.rset()


def _reply(key: str, reply: tuple[int, bytes]) -> str:
    return f"{key} {reply[0]} {reply[1].decode(errors='replace').splitlines()[0] if reply[1] else ''}"
