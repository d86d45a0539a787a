"""The mailbox: engine, files, the sidecar and Stalwart in its network, then Stalwart's settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr
from pyinfra import host

from tailwart.backup import operations as backups
from tailwart.backup.files import backup as declared_backup
from tailwart.backup.files import off as backup_off
from tailwart.checks import operations as pages
from tailwart.connectors.shell import prove_login
from tailwart.environment import Environment
from tailwart.facts.host import expect
from tailwart.hosts.hardening.plan import HostRole
from tailwart.mailbox import datastore, follower
from tailwart.mailbox.login import SIDECAR_KEY
from tailwart.mailbox.project import compose_project
from tailwart.operations import compose, engine, hardening, hostfiles, nodekey, systemd, telling
from tailwart.stalwart import operations as stalwart
from tailwart.stalwart.lifecycle import bootstrap
from tailwart.upgrade import operations as upgrade

if TYPE_CHECKING:
    from tailwart.checks.published import Published


def deploy() -> None:
    """Nothing here is reachable from outside: no port is published, the edges come in over the tailnet."""
    environment: Environment = host.data.environment
    project = compose_project(environment)
    assert environment.mailbox_ssh is not None, "the role has a host"
    role = HostRole(project.name, reboot=environment.reboot_time or "")
    backup = declared_backup(environment)
    watch = project.watch | datastore.WATCH | bootstrap.WATCH | follower.WATCH | upgrade.WATCH | role.watch
    watch |= backup.watch if backup else backup_off()
    page = _status_page(environment)
    watch |= page.watch if page else pages.off()
    expect(host, watch)
    stalwart.expect(host, environment)

    # Another store would be set up as if nobody had ever had mail here.
    stalwart.keep_data_store(name="Mailbox: the data store is the same", environment=environment, watch=watch)
    stalwart.keep_bodies(name="Mailbox: message bodies are where they are looked for", environment=environment)

    # Stalwart prefers IPv6 where a recipient has it: without egress for the ULA prefix such mail waits for ever.
    engine.ensure(name="Mailbox: container engine with IPv6 egress for containers", watch=watch, ipv6_nat=True)

    # Before the files say so: what an upgrade needs is fetched and kept while the present version serves.
    mailbox = upgrade.mailbox(environment, project)
    upgrade.prepare(name="Mailbox: another image is fetched, and the data copied", mailbox=mailbox, watch=watch)

    hostfiles.put(
        name="Mailbox: files of the mailbox", files=project.files, directories=project.directories, watch=watch
    )

    # An uninitialised store needs a bootstrap credential for its first start.
    stalwart.prepare_bootstrap(name="Mailbox: credential for the first start", watch=watch)

    def key() -> SecretStr:
        # Loaded where a node has to join: a run that changes nothing asks no API.
        from tailwart.tailnet.minting import sidecar_key  # noqa: PLC0415 - only a node that joins needs it

        return sidecar_key(environment)

    nodekey.provide_key(
        name="Mailbox: key for a sidecar that is not on the tailnet", project=project, node=SIDECAR_KEY, key=key
    )
    # A store that is full already is taken over; one at which somebody else works is not even opened.
    stalwart.take_over(
        name="Mailbox: nobody else works on the store", environment=environment, project=project, watch=watch
    )
    compose.up(name="Mailbox: sidecar and Stalwart up and healthy", project=project, around=upgrade.around(mailbox))
    nodekey.forget_key(name="Mailbox: no key of the tailnet is left", project=project, node=SIDECAR_KEY)

    # A message has to arrive, or the images and files from before are back.
    upgrade.conclude(name="Mailbox: another image is proven", mailbox=mailbox, watch=watch)

    # After the first start, or it would start a Stalwart whose files are still being written.
    systemd.activate(name="Mailbox: Stalwart follows its sidecar", unit=follower.UNIT, watch=watch)

    telling.tell(name="Mailbox: what the host restarted by itself", watch=watch, lines=follower.restarts)

    stalwart.apply_settings(name="Mailbox: settings of Stalwart", environment=environment)

    if backup is None:
        backups.remove_timers(name="Mailbox: no backup by timer", watch=watch)
    else:
        backups.install(name="Mailbox: programs of the backup", backup=backup, watch=watch)
        hostfiles.put(
            name="Mailbox: files of the backup", files=backup.files, directories=backup.directories, watch=watch
        )
        for unit in host.loop(backup.units):
            systemd.activate(name=f"Mailbox: {unit.name}", unit=unit, watch=watch)

    if page is None:
        pages.remove(name="Mailbox: no status page", watch=watch)
    else:
        pages.install(name="Mailbox: program of the status page", watch=watch)
        hostfiles.put(
            name="Mailbox: files of the status page", files=page.files, directories=page.directories, watch=watch
        )
        for unit in host.loop(page.units):
            systemd.activate(name=f"Mailbox: {unit.name}", unit=unit, watch=watch)

    # Last: a host that does not let the operator in under the new rules has a mailbox all the same.
    hardening.harden(
        name="Mailbox: packet filter, SSH and security updates",
        role=role,
        watch=watch,
        prove=partial(prove_login, environment, environment.mailbox_ssh),
        wanted=environment.hardens("mailbox"),
    )


def _status_page(environment: Environment) -> Published | None:
    if not environment.status_page:
        return None
    # Only where it is wanted: the checks know the whole installation, and a run loads what its roles need.
    from tailwart.checks.published import published  # noqa: PLC0415 - see above

    return published(environment)
