"""What the real thing says to an answer. Each probe returns lines for the operator, and raises `TailwartError`."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from tailwart import providers
from tailwart.connectors.shell import SshRunner
from tailwart.connectors.ssh import ssh_data
from tailwart.connectors.trust import shown_key
from tailwart.environment import Environment, SshTarget
from tailwart.errors import TailwartError
from tailwart.initial.questions import NAME_SERVERS
from tailwart.tailnet import credentials
from tailwart.tailnet.policy import Policy
from tailwart.tailnet.session import client

_SECONDS = 6
_HOST = r"""
. /etc/os-release 2>/dev/null; echo "system $PRETTY_NAME"
echo "root $(id -u)"
echo "engine $(docker version --format '{{.Server.Version}}' 2>/dev/null)"
if [ -c /dev/net/tun ] || modprobe -n tun 2>/dev/null; then echo "tun yes"; fi
for f in 4 6; do ip -$f -o addr show scope global 2>/dev/null; done |
  sed -n 's|.*inet6* \([0-9a-f.:]*\)/.*|address \1|p'
tailscale status --json --peers=false 2>/dev/null | sed -n 's/.*"MagicDNSSuffix": *"\([^"]*\)".*/tailnet \1/p'
[ ! -f /etc/caddy/Caddyfile ] || echo "web /etc/caddy/Caddyfile"
@out@
"""
_OUT = "timeout 8 bash -c 'exec 3<>/dev/tcp/@host@/25' 2>/dev/null && echo 'out yes' || echo 'out no'"
OUTSIDE = "gmail-smtp-in.l.google.com"
"""A mail server that listens for everybody: whether port 25 is open outwards."""


def domain(name: str) -> tuple[str, list[str]]:
    """The provider that holds the zone, by its name servers (empty: unknown), and what was seen."""
    import dns.exception  # noqa: PLC0415 - loads much of the library
    import dns.resolver  # noqa: PLC0415 - as above

    try:
        answer = dns.resolver.resolve(f"{name}.", "NS", lifetime=_SECONDS)
    except (dns.exception.DNSException, OSError):
        return "", [f"! {name} has no name servers that answer here: is it bought and delegated?"]
    servers = sorted(str(entry.target).rstrip(".").lower() for entry in answer)
    found = next((provider for provider, part in NAME_SERVERS.items() if any(part in one for one in servers)), "")
    return found, [f"name servers: {', '.join(servers)}"]


def key_of(environment: Environment, target: SshTarget, confirm: Callable[[str], bool]) -> None:
    """The host's key is known, or is shown, confirmed and written; raises `TailwartError` otherwise."""
    shown = shown_key(str(target), ssh_data(environment, target))
    if shown.problem is not None:
        raise shown.problem
    if shown.new:
        if not confirm(shown.describe()):
            raise TailwartError(f"the key of {target} is not trusted, so nothing was asked there")
        shown.remember()


def host(environment: Environment, target: SshTarget, *, outwards: bool) -> dict[str, list[str]]:
    """What a host says of itself: system, root, engine, tun, address, tailnet, web, out (port 25 outwards)."""
    script = _HOST.replace("@out@", _OUT.replace("@host@", OUTSIDE) if outwards else ":")
    with SshRunner(environment, target) as run:
        said = run(script, timeout=60).stdout
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        if rest.strip():
            found.setdefault(word, []).append(rest.strip())
    if found.get("root") != ["0"]:
        raise TailwartError(
            f"{target.user} is not root on {target.host}, and sudo does not make it root",
            expected="root, or a user with sudo without a password",
            remedy="docs/runs.md has the line for sudoers",
        )
    return found


def public(addresses: list[str]) -> tuple[str, str]:
    """The public IPv4 and IPv6 address among those of a host; empty where there is none.

    >>> public(["10.0.0.2", "203.0.114.7", "fd00::1", "2a01:4f8::7"])
    ('203.0.114.7', '2a01:4f8::7')
    """
    found = {4: "", 6: ""}
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address.is_global and not found[address.version]:
            found[address.version] = text
    return found[4], found[6]


def inwards(address: str) -> str:
    """Whether port 25 of an edge is reached from here: a refusal is a way in, silence is a filter on it."""
    try:
        with socket.create_connection((address, 25), _SECONDS):
            return f"port 25 of {address} is open already: the deploy refuses to share it"
    except ConnectionRefusedError:
        return f"port 25 of {address} can be reached"
    except OSError as error:
        return f"! port 25 of {address} is not reached from here ({error}): its provider or this network filters it"


def reverse(address: str, mail_host: str) -> str:
    """What the address's reverse name says; receivers want it to be the mail server's."""
    try:
        name = socket.gethostbyaddr(address)[0]
    except OSError:
        name = ""
    if name.rstrip(".") == mail_host:
        return f"the reverse name of {address} is {mail_host}"
    return f"! the reverse name of {address} is {name or 'not set'}: set it to {mail_host} at the host's provider"


def tailnet(environment: Environment) -> list[str]:
    """The OAuth client reads the policy, and its key is good for both tags; problems of the key are lines with `!`."""
    policy_client = client(environment)
    policy = Policy(policy_client.read().text)
    owners = {entry.key: entry.value for entry in policy.tag_owners.entries}
    problems = credentials.check(policy_client, environment, owners)
    return [f"the policy is read: {len(policy.grants.entries)} grants", *(f"! {problem}" for problem in problems)]


def zone(environment: Environment) -> list[str]:
    """The provider's key reads the zone."""
    provider = providers.definition(environment.dns_provider).open(environment.provider_keys, lambda _: None)
    return [f"the zone is read: {len(provider.read(environment.domain))} records at {provider.label}"]


def smarthost(environment: Environment) -> list[str]:
    """The mailbox host reaches the smarthost's port."""
    if environment.mailbox_ssh is None:
        return []
    where = f"{environment.smarthost_address}/{environment.smarthost_port}"
    with SshRunner(environment, environment.mailbox_ssh) as run:
        reached = run(f"timeout 8 bash -c 'exec 3<>/dev/tcp/{where}'", timeout=30).ok
    shown = where.replace("/", ":")
    if reached:
        return [f"{shown} is reached from the mailbox host"]
    return [
        f"! {shown} is not reached from the mailbox host itself; over the tailnet it may be, once the grants are there"
    ]
