"""The mailbox as a Compose project: its files, what each service reads, what the host needs before it. Pure."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv6Network

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.project import Check, ComposeProject, Overlay, Preparation, Service, inputs_digest
from tailwart.mailbox import follower, names, render
from tailwart.mailbox.addresses import tailnet_addresses
from tailwart.mailbox.failures import explain
from tailwart.mailbox.login import SIDECAR_KEY

MODULES = "/etc/modules-load.d/tailwart.conf"

_NETWORK = f"{names.PROJECT}_default"
_TUN = "/dev/net/tun"
_NO_TUN = f"the mailbox host has no {_TUN}, which the sidecar needs for kernel networking"
_TUN_REMEDY = "load the module tun on the host; a container-based VPS needs its provider's switch for TUN/TAP"


def compose_project(environment: Environment) -> ComposeProject:
    """The project; raises `TailwartError` for missing settings, and for a tailnet address in a file (lesson 6)."""
    directory = names.DIRECTORY
    config = HostFile(names.CONFIG, render.store_config_text(environment))
    secrets = HostFile(f"{directory}/.env", render.env_file(render.secret_values(environment)), "0600", secret=True)
    stalwart_inputs = inputs_digest([config])
    values = render.compose_values(environment, stalwart_inputs=stalwart_inputs)
    compose = HostFile(f"{directory}/compose.yaml", render.compose_file(values))
    files = (
        config,
        *_kept_key(environment),
        secrets,
        compose,
        HostFile(f"{directory}/bootstrap.yaml", render.bootstrap_overlay()),
        HostFile(MODULES, "tun\n"),
    )
    _refuse_addresses((*files, *follower.UNIT.files))
    return ComposeProject(
        name=names.PROJECT,
        directory=directory,
        directories=(
            HostDirectory("/opt/tailwart"),
            HostDirectory(directory, "0700"),
            HostDirectory(f"{directory}/config"),
            HostDirectory(names.JOIN, "0700"),
        ),
        files=files,
        services=(
            Service("ts-stalwart"),
            Service("stalwart", inputs=stalwart_inputs, forbidden=(names.ENV_RECOVERY_ADMIN, names.ENV_RECOVERY_MODE)),
        ),
        overlays=(Overlay(names.BOOTSTRAP_ENV, "bootstrap.yaml"),),
        checks=(_STILL_HERE, _TUN_CHECK),
        preparations=(_TUN_MODULE, _network(environment.mailbox_ula)),
        explain=partial(explain, environment),
        secrets=_secrets(environment),
        beside=follower.UNIT.watch | SIDECAR_KEY.watch,
    )


_STILL_HERE = Check(
    what="the mailbox has moved away from this host",
    script=f"! cat {names.DIRECTORY}/{names.MOVED} 2>/dev/null",
    expected="a host that the mailbox is on: a second server of its name, or on its store, destroys both (lesson 16)",
    remedy="set MAILBOX_SSH to the new host; a move that was interrupted is finished by the same `tailwart "
    "migrate-host`, or given up by `tailwart migrate-host --give-up`",
)
_TUN_CHECK = Check(
    what=_NO_TUN,
    script=f"[ -c {_TUN} ] || modprobe --dry-run tun",
    expected="the device, or a kernel module that makes it",
    remedy=_TUN_REMEDY,
)
_TUN_MODULE = Preparation(
    reason="the kernel module tun is loaded",
    needed=f"[ ! -c {_TUN} ]",
    script="modprobe tun",
    what=_NO_TUN,
    remedy=_TUN_REMEDY,
)


def _network(prefix: IPv6Network) -> Preparation:
    # Compose does not change a network that is there. Both containers are removed with it; the volumes stay.
    subnets = f"docker network inspect {_NETWORK} --format '{{{{range .IPAM.Config}}}}{{{{.Subnet}}}} {{{{end}}}}'"
    return Preparation(
        reason=f"the containers' network is replaced by one with the prefix {prefix}",
        needed=f"subnets=$({subnets} 2>/dev/null) && case \" $subnets\" in *' {prefix} '*) false ;; esac",
        script=f"docker compose --project-name {names.PROJECT} --file {names.DIRECTORY}/compose.yaml down",
        what="the mailbox's container network could not be replaced by one with the prefix of MAILBOX_ULA",
        remedy=f"look at `docker network inspect {_NETWORK}` on the host, then run again",
    )


def _kept_key(environment: Environment) -> tuple[HostFile, ...]:
    """The key of an ephemeral sidecar, which needs it whenever it was away for too long. Any other's is not kept."""
    if not environment.ts_ephemeral or environment.ts_authkey is None:
        return ()
    return (HostFile(names.KEY, f"{environment.ts_authkey.get_secret_value()}\n", "0600", secret=True),)


def _secrets(environment: Environment) -> tuple[str, ...]:
    values = (
        environment.ts_authkey,
        environment.stalwart_db_password,
        environment.smarthost_password,
        environment.s3_secret_key,
        environment.ldap_bind_password,
        environment.webhook_key,
        environment.webhook_token,
        environment.metrics_password,
        *environment.provider_secrets,
        *environment.secrets.values(),
    )
    return tuple(value.get_secret_value() for value in values if value is not None)


def _refuse_addresses(files: tuple[HostFile, ...]) -> None:
    for file in files:
        if found := [] if file.secret else tailnet_addresses(file.data.decode()):
            raise TailwartError(
                f"{file.path} would hold a tailnet address",
                seen=found[0],
                expected="the full MagicDNS name: a node that registers again has another address",
                remedy="use names for STALWART_DB_HOST and TS_LOGIN_SERVER in .env",
                lesson=6,
            )
