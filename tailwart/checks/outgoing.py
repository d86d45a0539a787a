"""The way of the mail out of the mailbox, tried as the server goes it: the login at the smarthost, the ports of others.

Slow or seen by others, so `--deep` alone asks. The password does not leave the container: it is the server's own
variable there, and reaches curl by standard input.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from tailwart.checks.hosts import HostFacts
from tailwart.checks.model import Book, CannotLook, Facts, Found, NotApplicable
from tailwart.checks.namespace import dial, dialled
from tailwart.environment import Environment
from tailwart.mailbox import names
from tailwart.network import HTTPS, SMTP

LOGIN, OUTBOUND = "smarthost-login", "outbound"
_DEPLOY = "pyinfra inventory.py deploy.py --limit mailbox"
# curl's exit codes (its manual page, EXIT CODES).
_DENIED, _TLS, _SILENT = 67, {35, 51, 58, 60, 64, 77, 83, 90, 91}, {5, 6, 7, 28, 52, 56}


def probes(environment: Environment) -> Iterator[tuple[str, str]]:
    """What is asked of the mailbox host beside the ordinary facts."""
    yield OUTBOUND, dial((each, *_parts(each)) for each in environment.probe_outbound)
    if _has_login(environment):
        yield LOGIN, _login(environment)


def enter(book: Book[Facts]) -> None:
    """Enter the checks into the mailbox's book."""
    for add in (_smarthost, _smtp, _https):
        add(book)


def _smarthost(book: Book[Facts]) -> None:
    @book.check(
        "smarthost-login",
        "The smarthost lets the server in with its own login",
        cause="The smarthost has another user or password than .env, or its TLS is not what the settings say.",
        remedy="correct SMARTHOST_USERNAME, SMARTHOST_PASSWORD and SMARTHOST_IMPLICIT_TLS in .env, then " + _DEPLOY,
        deep=True,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        environment = facts.environment
        if environment.smarthost_address is None:
            raise NotApplicable("SMARTHOST_ADDRESS is not set")
        if not _has_login(environment):
            raise NotApplicable("SMARTHOST_USERNAME and SMARTHOST_PASSWORD are not set")
        result = facts.report.probes.get(LOGIN)
        if result is None:
            raise CannotLook("the login was not tried")
        if not result.exit_code:
            return
        said = result.output.decode(errors="replace").strip()[-200:]
        where = f"{environment.smarthost_address}:{environment.smarthost_port}"
        if result.exit_code == _DENIED:
            yield f"{where} refuses {environment.smarthost_username}: {said}"
        elif result.exit_code in _TLS:
            yield f"{where}: no TLS that the server would take: {said}"
        elif result.exit_code in _SILENT:
            raise CannotLook(f"{where} does not answer: {said}")
        else:
            raise CannotLook(said or f"curl ends with {result.exit_code}")


def _smtp(book: Book[Facts]) -> None:
    @book.check(
        "outbound-smtp",
        "Mail leaves: port 25 of other servers answers in the namespace, or there is a smarthost",
        remedy="set SMARTHOST_ADDRESS to a smarthost on the tailnet, or ask the provider to open port 25",
        lesson=10,
        deep=True,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        found = _ports(facts)
        if facts.environment.smarthost_address is not None:
            raise NotApplicable(f"mail leaves through SMARTHOST_ADDRESS ({_said(found)})")
        if SMTP.port not in found:
            raise CannotLook("PROBE_OUTBOUND names no server on port 25")
        if not found[SMTP.port]:
            yield _said(found)


def _https(book: Book[Facts]) -> None:
    @book.check(
        "outbound-https",
        "Port 443 of other servers answers in the namespace",
        cause="Without it there are no certificates, no MTA-STS policies of others and no spam lists.",
        remedy="look at the host's packet filter and routes, and at the provider's",
        deep=True,
    )
    def _(facts: Facts) -> Found:
        assert isinstance(facts, HostFacts)
        found = _ports(facts)
        if HTTPS.port not in found:
            raise NotApplicable("PROBE_OUTBOUND names no server on port 443")
        if not found[HTTPS.port]:
            yield _said(found)


def _ports(facts: HostFacts) -> Mapping[int, bool]:
    """By port, whether one of its servers answered."""
    answers = dialled(facts.probe(OUTBOUND))
    found: dict[int, bool] = {}
    for each in facts.environment.probe_outbound:
        if each not in answers:
            raise CannotLook(f"{each} was not dialled")
        port = _parts(each)[1]
        found[port] = found.get(port, False) or answers[each]
    return found


def _said(found: Mapping[int, bool]) -> str:
    by = {word: [str(port) for port, ok in found.items() if ok is state] for word, state in _WORDS.items()}
    return "; ".join(f"{', '.join(ports)} {word}" for word, ports in by.items() if ports)


_WORDS = {"blocked": False, "open": True}


def _parts(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _has_login(environment: Environment) -> bool:
    return bool(environment.smarthost_address and environment.smarthost_username and environment.smarthost_password)


def _login(environment: Environment) -> str:
    """One session of curl in the server's container: TLS as the route has it, AUTH, NOOP; nothing is sent."""
    address = str(environment.smarthost_address)
    scheme = "smtps" if environment.smarthost_implicit_tls else "smtp"
    host = f"[{address}]" if ":" in address else address
    lines = [f'url = "{scheme}://{host}:{environment.smarthost_port}"', 'request = "NOOP"', "silent", "show-error"]
    lines += ["ssl-reqd", "max-time = 20"] + (["insecure"] if environment.smarthost_allow_invalid_certs else [])
    user = re.sub(r'(["\\])', r"\\\1", str(environment.smarthost_username))
    # printf is built into the shell: the password is in no process's arguments.
    script = (
        f'word=$(printf %s "${names.ENV_SMARTHOST}" | sed \'s/[\\\\"]/\\\\&/g\'); '
        f'printf \'%s\\n\' {" ".join(map(shlex.quote, lines))} "user = \\""{shlex.quote(user)}":$word\\"" '
        "| curl --config - >/dev/null"
    )
    return f"docker exec {names.CONTAINER} sh -c {shlex.quote(script)} 2>&1"
