"""Closes and opens the mail ports of one mailbox from inside its network, while its server runs.

The rules are in the sidecar's own network namespace, and gone with its container. Whoever connects is reset at once, so
that an edge dials again a moment later; what is connected stays so. On a server that is not proven yet, deliveries wait
too: their first packet is dropped, and TCP sends it again once the gate opens. On one that serves, the host opens the
gate again by itself, should the run die that has closed it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tailwart.errors import TailwartError
from tailwart.mailbox import names
from tailwart.network import HTTPS, SMTP, SUBMISSION, SUBMISSIONS, Service, ports
from tailwart.runner import Runner

_MARK = "tailwart-migration"
_DRAIN_SECONDS = 30
_REOPEN_AFTER = 300
_UNIT = "tailwart-migration-open"
_SCRIPT = f"/run/{_UNIT}.sh"
# Where mail goes out, whatever the smarthost's port: 2525 is what providers offer beside the others.
_OUTGOING = (25, 465, 587, 2525)
_INSIDE = f"""
pid=$(docker inspect --format '{{{{.State.Pid}}}}' {names.SIDECAR}) && [ "$pid" -gt 0 ] || exit 1
inside() {{ nsenter --target "$pid" --net "$@"; }}
rules() {{ inside $1 -w 10 -S | sed -n 's/^-A \\(.*{_MARK}.*\\)/-D \\1/p'; }}
open() {{
  for table in iptables ip6tables; do
    rules $table | while read -r rule; do eval "inside $table -w 10 $rule"; done
  done
}}
"""
_FORGET = f"systemctl stop {_UNIT}.timer 2>/dev/null; systemctl reset-failed {_UNIT}.service 2>/dev/null"


def close(run: Runner, services: Iterable[Service], *, outgoing: bool, smarthost: int | None = None) -> None:
    """Nobody comes in to these services any more, and with ``outgoing`` nothing goes out to a mail server.

    Raises `TailwartError` where the kernel does not take the rules.
    """
    listening = ",".join(map(str, ports((*services, HTTPS))))
    mark = f"-m comment --comment {_MARK}"
    first = "-p tcp --syn -m multiport --dports"
    rules = [f"INPUT ! -i lo {first} {listening} {mark} -j REJECT --reject-with tcp-reset"]
    if outgoing:
        away = ",".join(map(str, sorted({*_OUTGOING, *([smarthost] if smarthost else [])})))
        rules.append(f"OUTPUT ! -o lo {first} {away} {mark} -j DROP")
    steps = "".join(f"inside $table -w 10 -I {rule} || exit 1\n" for rule in rules)
    if not outgoing:
        # From a file: systemd would expand the script's own variables in an argument.
        begin = f"systemd-run --quiet --collect --unit={_UNIT} --on-active={_REOPEN_AFTER} sh {_SCRIPT}"
        run(f"{_FORGET}; cat >{_SCRIPT} && {begin}", stdin=f"{_INSIDE}open\n", timeout=60)
    done = run(f"{_INSIDE}open\nfor table in iptables ip6tables; do\n{steps}done", timeout=60)
    if not done.ok:
        raise TailwartError(
            "the mail ports cannot be closed in the sidecar's network",
            seen=done.stderr.strip()[-300:] or f"no running {names.SIDECAR}",
            expected="iptables and nsenter on the host, and a running sidecar",
            remedy="apt-get install iptables util-linux on the host, then run this again",
        )


def closed(run: Runner) -> bool:
    """Whether the gate is closed: a sidecar that was recreated has none."""
    return run(f'{_INSIDE}[ -n "$(rules iptables)" ]', timeout=60).ok


def open_(run: Runner) -> None:
    """Everybody comes in and goes out again; nothing happens where no rule is left."""
    run(f"{_FORGET}\n{_INSIDE}open", timeout=60)


def drain(run: Runner) -> bool:
    """Wait until no message is on its way in; whether all have ended within the bound.

    A longer one is cut off, and its sender tries again.
    """
    listening = " or ".join(f"sport = :{port}" for port in ports((SMTP, SUBMISSIONS, SUBMISSION)))
    busy = f"inside ss -Htn state established '( {listening} )' | grep -q ."
    script = f"i=0; while {busy}; do sleep 1; i=$((i+1)); [ $i -lt {_DRAIN_SECONDS} ] || exit 2; done"
    return run(f"{_INSIDE}{script}", timeout=_DRAIN_SECONDS + 60).ok
