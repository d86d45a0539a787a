"""The command `tailwart init`."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from tailwart.environment import Edge, Environment, selected_path
from tailwart.environment.editing import edited, values, write
from tailwart.environment.load import edge_key, problem_of, unfinished
from tailwart.errors import TailwartError
from tailwart.initial import probes
from tailwart.initial.questions import Question, pending
from tailwart.printing import say

_HEAD = "# Settings of one installation, begun by `tailwart init`. Every key: tailwart env example\n"
_AGAIN = "Next: tailwart init goes on where this ended"


class Interview:
    """One run through the questions; every accepted answer is in the file at once."""

    def __init__(self, path: Path, *, offline: bool) -> None:
        self._path = path
        self._offline = offline

    @property
    def values(self) -> dict[str, str]:
        """The file as it is now."""
        return values(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}

    def run(self) -> None:
        """Ask until nothing is left; raises `click.Abort` when the operator stops."""
        while (question := next(pending(self.values), None)) is not None:
            say("")
            say(f"{question.key}: {question.text}")
            if question.where:
                say(f"  {question.where}")
            self._ask(question)

    def _ask(self, question: Question) -> None:
        offered = self._offered(question)
        while True:
            answer = self._prompt(question, offered)
            if question.made and not answer:
                # 24 characters of 64: nobody has to remember it, a program does.
                answer = secrets.token_urlsafe(18)
                say(f"  made: it stands in {self._path}, and nowhere else")
            problem = problem_of({**self.values, question.key: answer}, question.key) if answer else None
            if problem is not None:
                say(f"  ! expected {problem.expected}")
                continue
            if self._checked(question, answer):
                self.keep({question.key: answer})
                return

    def _prompt(self, question: Question, offered: str) -> str:
        empty = question.made or question.optional
        example = "" if question.secret or not question.example else f" (like {question.example})"
        default = offered or ("" if empty else None)
        answer = click.prompt(
            f"  {question.key}{example}",
            default=default,
            hide_input=question.secret,
            show_default=bool(offered),
            err=True,
        )
        return str(answer).strip()

    def _checked(self, question: Question, answer: str) -> bool:
        """Ask the real thing; whether the answer is kept. What is only unusual (`!`) is for the operator to decide."""
        if self._offline or not answer:
            return True
        try:
            lines = self._probe(question.key, answer)
        except TailwartError as error:
            for line in str(error).splitlines():
                say(f"  ! {line}")
            return click.confirm("  Keep this answer all the same?", default=False, err=True)
        for line in lines:
            say(f"  {line}")
        return not any(line.startswith("! ") for line in lines) or click.confirm("  Keep it?", default=True, err=True)

    def _probe(self, key: str, answer: str) -> list[str]:
        given = {**self.values, key: answer}
        environment = unfinished(given)
        asked: dict[str, Callable[[], list[str]]] = {
            "DOMAIN": lambda: probes.domain(answer)[1],
            "MAILBOX_SSH": lambda: self._mailbox(environment),
            "TS_OAUTH_CLIENT_SECRET": lambda: probes.tailnet(environment),
            "SMARTHOST_ADDRESS": lambda: probes.smarthost(environment),
        }
        asked |= {edge_key(edge.name, "ssh"): partial(self._edge, environment, edge) for edge in environment.edges}
        provider = f"{environment.dns_provider.upper()}_"
        # With the last of its keys: before, nothing can be asked there.
        if key.startswith(provider) and not any(one.key.startswith(provider) for one in pending(given)):
            return probes.zone(environment)
        return asked[key]() if key in asked else []

    def _mailbox(self, environment: Environment) -> list[str]:
        assert environment.mailbox_ssh is not None, "it is what was answered"
        probes.key_of(environment, environment.mailbox_ssh, self._trusts)
        found = probes.host(environment, environment.mailbox_ssh, outwards=not environment.offline)
        lines = [f"{found.get('system', ['?'])[0]}, root; engine {found.get('engine', ['will be installed'])[0]}"]
        if "tun" not in found:
            lines.append("! there is no /dev/net/tun: a container-based VPS needs its provider's switch for TUN/TAP")
        if found.get("out") == ["no"]:
            lines.append(
                f"! port 25 outwards is closed ({probes.OUTSIDE}): you need a smarthost, which is asked for below"
            )
        return lines

    def _edge(self, environment: Environment, edge: Edge) -> list[str]:
        name = edge.name
        probes.key_of(environment, edge.ssh, self._trusts)
        found = probes.host(environment, edge.ssh, outwards=False)
        lines = [f"{found.get('system', ['?'])[0]}, root; engine {found.get('engine', ['will be installed'])[0]}"]
        ipv4, ipv6 = probes.public(found.get("address", []))
        looked_up = {edge_key(name, "ipv4"): ipv4, edge_key(name, "ipv6"): ipv6}
        if "web" in found:
            looked_up[edge_key(name, "web")] = found["web"][0]
        if "tailnet" in found and "TS_TAILNET" not in self.values:
            looked_up["TS_TAILNET"] = found["tailnet"][0].rstrip(".")
        self.keep({key: value for key, value in looked_up.items() if value and key not in self.values})
        lines += [f"found: {key}={value}" for key, value in looked_up.items() if value]
        if ipv4:
            lines += [probes.inwards(ipv4), probes.reverse(ipv4, environment.mail_host)]
        else:
            lines.append("! no public IPv4 address on its interfaces: set it by hand where the host is behind NAT")
        return lines

    def _offered(self, question: Question) -> str:
        if question.key == "DNS_PROVIDER" and not self._offline:
            return probes.domain(self.values["DOMAIN"])[0] or "none"
        offers = {
            "EDGES": "edge-1",
            "DNS_PROVIDER": "none",
            "ACME_CONTACT": f"postmaster@{self.values.get('DOMAIN', '')}",
        }
        return offers.get(question.key, "")

    def keep(self, answers: dict[str, str]) -> None:
        """Write answers into the file, and with the contact the authority that it is for."""
        more = {"ACME_DIRECTORY": "https://acme-v02.api.letsencrypt.org/directory"} if "ACME_CONTACT" in answers else {}
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else _HEAD
        write(self._path, edited(text, {**answers, **more}))

    def _trusts(self, shown: str) -> bool:
        say(f"  {shown}")
        say("  Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host's console.")
        return click.confirm("  Trust this key?", err=True)


def init(*, offline: bool) -> None:
    """Ask what is missing, or name it where there is no terminal."""
    path = selected_path()
    interview = Interview(path, offline=offline)
    left = list(pending(interview.values))
    if left and not sys.stdin.isatty():
        raise TailwartError(
            f"{path} is not complete, and there is no terminal to ask at",
            seen="\n".join(f"{question.key}: {question.text}" for question in left),
            remedy=f"set these keys in {path}, or run `tailwart init` in a terminal; further keys may follow from them",
        )
    _guarded(interview.run)
    problems = [text for text in (_left(interview.values),) if text]
    for text in problems:
        say(text)
    say(f"{path} is complete. Next: tailwart env check; pyinfra inventory.py deploy.py --dry --diff")


def _guarded(run: Callable[[], None]) -> None:
    try:
        run()
    except (click.Abort, EOFError):
        say("")
        say(f"Stopped; every answer so far is kept. {_AGAIN}", err=True)
        raise


def _left(given: dict[str, str]) -> str:
    return "" if given.get("ACME_DIRECTORY") else "! without a DNS provider there is no certificate: docs/dns.md"
