"""The mailbox as a Compose project: its files, what each service reads, what is watched beside it."""

from __future__ import annotations

import hashlib
from functools import partial

from tailwart.environment import Environment
from tailwart.errors import TailwartError
from tailwart.hosts.files import HostDirectory, HostFile
from tailwart.hosts.project import Check, ComposeProject, Overlay, Service, inputs_digest
from tailwart.hosts.units import Unit
from tailwart.mailbox import names, render
from tailwart.mailbox.addresses import tailnet_addresses
from tailwart.mailbox.failures import explain

MODULES = "/etc/modules-load.d/tailwart.conf"
UNIT_NAME = "tailwart-mailbox.service"

_NETWORK = f"{names.PROJECT}_default"


def compose_project(environment: Environment) -> ComposeProject:
    """The project; raises `TailwartError` for settings it cannot be made of, and for a tailnet address in a file."""
    directory = names.DIRECTORY
    config = HostFile(f"{directory}/config/config.json", render.store_config_text(environment))
    key = render.auth_key(environment)
    authkey = HostFile(f"{directory}/authkey", f"{key}\n", "0600", secret=True)
    secrets = HostFile(f"{directory}/.env", render.env_file(render.secret_values(environment)), "0600", secret=True)
    sidecar_inputs = inputs_digest([authkey])
    stalwart_inputs = inputs_digest([config])
    values = render.compose_values(environment, sidecar_inputs=sidecar_inputs, stalwart_inputs=stalwart_inputs)
    compose = HostFile(f"{directory}/compose.yaml", render.render("compose.yaml.j2", values))
    follow = HostFile(f"{directory}/follow.sh", render.follow_script(), "0755")
    files = (
        config,
        authkey,
        secrets,
        compose,
        HostFile(f"{directory}/bootstrap.yaml", render.bootstrap_overlay()),
        follow,
        HostFile(f"/etc/systemd/system/{UNIT_NAME}", _unit_text(follow)),
        HostFile(MODULES, "tun\n"),
    )
    _refuse_addresses(files)
    watched = unit(environment)
    return ComposeProject(
        name=names.PROJECT,
        directory=directory,
        directories=(
            HostDirectory("/opt/tailwart"),
            HostDirectory(directory, "0700"),
            HostDirectory(f"{directory}/config"),
        ),
        files=files,
        services=(
            Service("ts-stalwart", inputs=sidecar_inputs),
            Service("stalwart", inputs=stalwart_inputs, forbidden=(names.ENV_RECOVERY_ADMIN, names.ENV_RECOVERY_MODE)),
        ),
        overlays=(Overlay(names.BOOTSTRAP_ENV, "bootstrap.yaml"),),
        checks=(_TUN, _network(str(environment.mailbox_ula))),
        explain=partial(explain, environment),
        secrets=_secrets(environment, key),
        probes=(watched.probe,),
    )


def unit(environment: Environment) -> Unit:
    """The systemd unit that keeps Stalwart with its sidecar."""
    del environment  # the same for every installation
    script = render.follow_script().encode()
    return Unit(UNIT_NAME, ("/bin/sh", f"{names.DIRECTORY}/follow.sh", hashlib.sha256(script).hexdigest()))


_TUN = Check(
    what="the mailbox host has no /dev/net/tun, which the sidecar needs for kernel networking",
    script="[ -c /dev/net/tun ] || modprobe tun",
    remedy="load the module tun on the host; a container-based VPS needs its provider's switch for TUN/TAP",
)


def _network(prefix: str) -> Check:
    # Compose does not change a network that is there. Its volumes stay.
    look = f"docker network inspect {_NETWORK} --format '{{{{range .IPAM.Config}}}}{{{{.Subnet}}}} {{{{end}}}}'"
    return Check(
        what="the mailbox's container network could not be replaced by one with the prefix of MAILBOX_ULA",
        script=f"subnets=$({look} 2>/dev/null) || exit 0; case \" $subnets\" in *' {prefix} '*) ;; "
        f"*) docker compose --project-name {names.PROJECT} --file compose.yaml down ;; esac",
        remedy=f"look at `docker network inspect {_NETWORK}` on the host, then run again",
    )


def _unit_text(follow: HostFile) -> str:
    return render.render(
        "tailwart-mailbox.service.j2",
        render.UnitValues(script=follow.path, digest=hashlib.sha256(follow.data).hexdigest()),
    )


def _secrets(environment: Environment, key: str) -> tuple[str, ...]:
    values = (
        environment.stalwart_db_password,
        environment.smarthost_password,
        environment.s3_secret_key,
        *environment.provider_secrets,
    )
    return (key, key.partition("?")[0], *(value.get_secret_value() for value in values if value is not None))


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
