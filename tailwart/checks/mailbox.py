"""The mailbox host: files, containers, network, sockets, stores, and the traps that lie there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tailwart.backup.names import LAST_BACKUP, LAST_DRILL
from tailwart.checks import hosts, outgoing
from tailwart.checks.mailbox_facts import MailboxFacts, endpoints, secret_files
from tailwart.checks.model import Book, CannotLook, Found, NotApplicable, Severity
from tailwart.hosts.files import pending
from tailwart.hosts.project import drift
from tailwart.mailbox import follower, names
from tailwart.network import HTTP, HTTPS, MAIL_SERVICES, ports

MAILBOX: Book[MailboxFacts] = Book("mailbox")

_DEPLOY = "pyinfra inventory.py deploy.py --limit mailbox"
_WEB = {HTTPS.port, HTTP.port}
BACKUP_AGE = timedelta(days=2)
DRILL_AGE = timedelta(days=10)


@MAILBOX.check(
    "secrets-private",
    "Files with secrets are readable by root alone",
    cause="A file was made or copied by hand.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    for name in secret_files():
        path = f"{names.DIRECTORY}/{name}"
        state = facts.report.paths.get(path)
        if state is None:
            yield f"{path} is missing"
        elif (state.mode, state.owner) != ("0600", "root:root"):
            yield f"{path} has mode {state.mode}, owner {state.owner}; expected 0600, root:root"


@MAILBOX.check(
    "compose-valid",
    "Compose accepts its file",
    cause="The file was edited on the host.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    result = facts.report.probes.get("compose")
    if result is None:
        raise CannotLook("Compose was not asked")
    if result.exit_code:
        yield result.output.decode(errors="replace").strip()[-300:] or f"exit code {result.exit_code}"


@MAILBOX.check(
    "deployed",
    "What runs was made from the files that the settings ask for",
    cause="Something was changed in .env or group data and not deployed, or by hand on the host.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    files, directories = pending(facts.report, facts.project.files, facts.project.directories)
    yield from (f"{file.path} differs" for file in files)
    yield from (f"{directory.path} differs" for directory in directories)
    yield from drift(facts.project, facts.report)


@MAILBOX.check(
    "containers-healthy",
    "Both containers run and are healthy",
    cause="A store or the tailnet is not reachable, or a program ended.",
    remedy=_DEPLOY + ", which says what keeps them from it",
)
def _(facts: MailboxFacts) -> Found:
    for name in (names.SIDECAR, names.CONTAINER):
        if name not in facts.containers:
            yield f"{name} does not exist"
            continue
        state = facts.container(name)["state"]
        health = (state.get("Health") or {}).get("Status", "healthy")
        if state["Status"] != "running" or health != "healthy":
            log = ((state.get("Health") or {}).get("Log") or [{}])[-1]
            yield f"{name} is {state['Status']}, {health} {str(log.get('Output', '')).strip()[-200:]}".rstrip()


@MAILBOX.check(
    "images-pinned",
    "The containers run the images of the settings",
    cause="STALWART_IMAGE or TAILSCALE_IMAGE was changed and not deployed.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    wanted = {names.SIDECAR: facts.environment.tailscale_image, names.CONTAINER: facts.environment.stalwart_image}
    for name, image in wanted.items():
        if (running := facts.container(name)["image"]) != image:
            yield f"{name} runs {running}, expected {image}"


@MAILBOX.check(
    "namespace",
    "Stalwart lives in the sidecar's network namespace",
    cause="The sidecar was replaced or restarted and Stalwart was not: it reaches nobody.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    mode = facts.container(names.CONTAINER)["network_mode"]
    if mode != f"container:{facts.container(names.SIDECAR)['id']}":
        yield f"its network is {mode}"


@MAILBOX.check(
    "nothing-published",
    "No mail or web port of the mailbox is open on its host",
    cause="A published port, or another mail server on the host.",
    remedy="remove what listens there (ss -ltnp on the host); the mailbox publishes nothing",
)
def _(facts: MailboxFacts) -> Found:
    for name in (names.SIDECAR, names.CONTAINER):
        if bindings := facts.container(name)["ports"]:
            yield f"{name} publishes {', '.join(sorted(bindings))}"
    yield from (f"{port} listens" for port in sorted(facts.published & {*ports(MAIL_SERVICES), *_WEB}))


@MAILBOX.check(
    "named-mounts",
    "Settings and mail live on named mounts",
    cause="Anonymous volumes are orphaned at every recreate, and what is in them is lost.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    mounts = {mount["Destination"]: mount for mount in facts.container(names.CONTAINER)["mounts"]}
    config = mounts.get("/etc/stalwart/config.json", {}).get("Source")
    if config != names.CONFIG:
        yield f"/etc/stalwart/config.json is {config or 'not mounted'}"
    if mounts.get("/var/lib/stalwart", {}).get("Type") != "volume":
        yield "/var/lib/stalwart is no volume"
    for name in (names.SIDECAR, names.CONTAINER):
        for mount in facts.container(name)["mounts"]:
            if re.fullmatch(r"[0-9a-f]{64}", mount.get("Name", "")):
                yield f"{name}: {mount['Destination']} is an anonymous volume"


@MAILBOX.check(
    "ipv6-prefix",
    "The containers' network has the IPv6 prefix of MAILBOX_ULA",
    cause="The network was made by hand or before the setting changed; the engine does not change one that is there.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    (network,) = facts.document("network")
    subnets = [config["Subnet"] for config in network["IPAM"]["Config"]]
    if not network["EnableIPv6"] or str(facts.environment.mailbox_ula) not in subnets:
        yield f"subnets {', '.join(subnets)}, IPv6 {'on' if network['EnableIPv6'] else 'off'}"


@MAILBOX.check(
    "listeners",
    "Exactly the services of MAIL_SERVICES listen in the namespace",
    cause="A listener could not bind, or the server was not restarted since the setting changed.",
    remedy=_DEPLOY,
)
def _(facts: MailboxFacts) -> Found:
    declared = set(ports(facts.environment.mail_services.listeners))
    known = {*ports(MAIL_SERVICES), *_WEB}
    yield from (f"{port} does not listen" for port in sorted(declared - facts.inside))
    yield from (f"{port} listens, and is not declared" for port in sorted((facts.inside & known) - declared))


@MAILBOX.check("http-answers", "Stalwart's own HTTP port answers without a PROXY header", remedy=_DEPLOY, lesson=3)
def _(facts: MailboxFacts) -> Found:
    result = facts.report.probes.get("http")
    if result is None or names.CONTAINER not in facts.containers:
        raise CannotLook("there is no container to ask in")
    if result.exit_code:
        yield result.output.decode(errors="replace").strip()[-200:] or f"curl ends with {result.exit_code}"


@MAILBOX.check("recovery-closed", "The recovery login is rejected", remedy=_DEPLOY, lesson=17)
def _(facts: MailboxFacts) -> Found:
    for name in facts.container(names.CONTAINER)["variables"].split():
        if name.startswith("STALWART_RECOVERY_"):
            yield f"{name} is set: a back door"


@MAILBOX.check(
    "stores-reached",
    "Every store answers from inside the namespace",
    remedy="check the store and the grant: tailwart tailnet matrix",
    lesson=1,
)
def _(facts: MailboxFacts) -> Found:
    stores = [each for each in endpoints(facts.environment) if each.what in _STORES]
    if not stores:
        raise NotApplicable("STALWART_STORE=rocksdb, and neither REDIS_URL nor S3_ENDPOINT is set")
    yield from (f"{store} does not answer" for store in stores if not facts.reached(store))


_STORES = ("STALWART_DB_HOST", "REDIS_URL", "S3_ENDPOINT")


@MAILBOX.check(
    "smarthost-reached",
    "The smarthost answers from inside the namespace",
    remedy="pyinfra inventory.py deploy.py --limit tailnet; then tailwart tailnet matrix",
    lesson=11,
)
def _(facts: MailboxFacts) -> Found:
    found = [each for each in endpoints(facts.environment) if each.what == "SMARTHOST_ADDRESS"]
    if not found:
        raise NotApplicable("SMARTHOST_ADDRESS is not set")
    yield from (f"{each} does not answer" for each in found if not facts.reached(each))


@MAILBOX.check("ipv6-egress", "The namespace reaches the IPv6 internet", remedy=_DEPLOY, lesson=9)
def _(facts: MailboxFacts) -> Found:
    for each in endpoints(facts.environment):
        if each.what == "PROBE_IPV6" and not facts.reached(each):
            yield f"PROBE_IPV6={facts.environment.probe_ipv6} is not reached"


@MAILBOX.check(
    "store-errors",
    "The server's log has no store errors since its start",
    remedy=_DEPLOY + "; after an outage that is over: docker restart stalwart (on the host)",
    lesson=1,
)
def _(facts: MailboxFacts) -> Found:
    facts.container(names.CONTAINER)
    yield from facts.probe("store-errors").splitlines()


@MAILBOX.check(
    "node-name",
    "The sidecar has its name on the tailnet",
    remedy="remove the other node of that name in the admin console, then restart ts-stalwart on the mailbox host",
    lesson=6,
)
def _(facts: MailboxFacts) -> Found:
    node = facts.document("node")
    name = str((node.get("Self") or {}).get("DNSName", "")).rstrip(".")
    if name != facts.environment.magic_host:
        yield f"it is called {name or 'nothing'}, expected {facts.environment.magic_host}"


@MAILBOX.check("names-not-addresses", "Rendered files hold names, not tailnet addresses", remedy=_DEPLOY, lesson=6)
def _(facts: MailboxFacts) -> Found:
    yield from facts.addresses_in_files()


@MAILBOX.check(
    "restart-done",
    "No restart and no reload of Stalwart is due",
    remedy="tailwart settings apply",
    lesson=12,
)
def _(facts: MailboxFacts) -> Found:
    for name, what in ((names.RESTART_REQUIRED, "a restart"), (names.RELOAD_REQUIRED, "a reload")):
        if f"{names.DIRECTORY}/{name}" in facts.report.contents:
            yield f"{what} was noted by a run that died, or by one that is at work now"


@MAILBOX.check(
    "nothing-hung",
    "Nothing hung in the last seven days",
    cause="Stalwart or its sidecar did not answer for minutes, and the host restarted it.",
    remedy="read `journalctl -u tailwart-mailbox` and `docker logs stalwart` on the mailbox host",
    severity=Severity.RECOMMENDED,
)
def _(facts: MailboxFacts) -> Found:
    yield from follower.restarts(facts.report, datetime.now(UTC))


@MAILBOX.check(
    "backup",
    "The last backup succeeded, within the last two days",
    cause="The target is not reachable, full, or refuses the key; or the timer does not run.",
    remedy="tailwart backup, which says what keeps it; docs/backup.md",
)
def _(facts: MailboxFacts) -> Found:
    yield from _ended(facts, LAST_BACKUP, BACKUP_AGE, "backup")


@MAILBOX.check(
    "drill",
    "The last restore drill passed, within the last ten days",
    cause="A backup that was never restored is a hope.",
    remedy="tailwart drill, which says what differs; docs/backup.md",
    severity=Severity.RECOMMENDED,
)
def _(facts: MailboxFacts) -> Found:
    yield from _ended(facts, LAST_DRILL, DRILL_AGE, "drill")


def _ended(facts: MailboxFacts, path: str, most: timedelta, what: str) -> Found:
    if facts.environment.backup_target is None:
        raise NotApplicable("BACKUP_TARGET is not set")
    document = facts.last(path)
    if document is None:
        yield f"there was no {what} yet"
        return
    if document.get("ok") is not True:
        yield f"the last one failed: {document.get('what', '?')} {document.get('seen', '')}".strip()
    elif facts.answered - document["ended"] > most:
        yield f"the last one ended on {document['ended']:%Y-%m-%d at %H:%M} UTC"


outgoing.enter(MAILBOX)
hosts.enter(MAILBOX)
