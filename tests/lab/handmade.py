"""An installation made by hand, out of one that the deploy has made: another folder, other names, no marks of ours.

The mailbox is a Compose project in /srv/mail with volumes of its own, its embedded store at another path; the edge a
Caddy in /srv/edge. The policy's entries and the zone's records are as a hand would have written them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tailwart.dns import archive, marks
from tailwart.dns.plane import open_provider
from tailwart.environment import Environment
from tailwart.mailbox.render import sidecar_environment
from tailwart.providers.record import Record, record
from tailwart.removal import hosts as removal
from tests.lab.deploying import ROOT
from tests.lab.mailbox import shell
from tests.lab.policy import policy_text, write_policy

FOREIGN_GRANT = '{"src": ["tag:reverse-proxy"], "dst": ["tag:mail"], "ip": ["tcp:2525"]}'
FOREIGN_TEXT = "somebody-else=1"
CONTAINERS = ("stalwart", "vpn")
_CHECK = "wget -q -T 4 -O /dev/null http://127.0.0.1:9002/healthz"

_MAILBOX = """
services:
  vpn:
    image: @tailscale@
    container_name: vpn
    restart: unless-stopped
    environment:
@environment@
    devices: ["/dev/net/tun:/dev/net/tun"]
    cap_add: [NET_ADMIN, NET_RAW]
    sysctls: {net.ipv4.ip_unprivileged_port_start: 0}
    volumes: ["node:/var/lib/tailscale"]
    healthcheck: {test: ["CMD-SHELL", "@check@"], interval: 2s, timeout: 5s, retries: 30}
  mailserver:
    image: @stalwart@
    container_name: stalwart
    restart: always
    network_mode: service:vpn
    depends_on: {vpn: {condition: service_healthy}}
    env_file: [secrets.env]
    volumes: ["mail:/var/lib/stalwart", "settings:/etc/stalwart", "./config.json:/etc/stalwart/config.json:ro"]
networks:
  default:
    enable_ipv6: true
    ipam: {config: [{subnet: "fd00:7a17:600d::/64", gateway: "fd00:7a17:600d::1"}]}
volumes: {node: {}, mail: {}, settings: {}}
"""

_MOVE = """
set -eu
mkdir -p -m 0700 /srv/mail; cd /srv/mail
cp -p /opt/tailwart/mailbox/.env secrets.env
systemctl disable --quiet --now tailwart-mailbox.service
docker compose --project-name tailwart-mailbox --file /opt/tailwart/mailbox/compose.yaml down --timeout 30 2>/dev/null
for pair in ts-state:node stalwart-data:mail stalwart-etc:settings; do
  label="--label com.docker.compose.project=mail --label com.docker.compose.volume=${pair#*:}"
  docker volume create $label "mail_${pair#*:}" >/dev/null
  volumes=/var/lib/docker/volumes
  cp -a "$volumes/tailwart-mailbox_${pair%:*}/_data/." "$volumes/mail_${pair#*:}/_data/"
  docker volume rm "tailwart-mailbox_${pair%:*}" >/dev/null
done
mv /var/lib/docker/volumes/mail_mail/_data/data /var/lib/docker/volumes/mail_mail/_data/store
echo '{"@type":"RocksDb","path":"/var/lib/stalwart/store"}' >config.json
rm -rf /opt/tailwart @units@; systemctl daemon-reload
docker compose --project-name mail up -d --wait --wait-timeout 120 2>&1
"""

_EDGE = """
set -eu
mkdir -p /srv/edge; cd /srv/edge
docker tag "$(docker inspect --format '{{.Image}}' @container@)" my/caddy:1
cp -p @directory@/caddy.json .
sed -e 's|@directory@|/srv/edge|' -e 's|container_name: .*|container_name: caddy-l4|' \\
  -e 's|image: .*|image: my/caddy:1|' @directory@/compose.yaml >compose.yaml
for unit in @names@; do systemctl disable --quiet --now "$unit" 2>/dev/null || :; done
docker rm -f @container@ >/dev/null
rm -rf /opt/tailwart @units@; systemctl daemon-reload
docker image ls --format '{{.Repository}}:{{.Tag}}' @images@ | xargs -r docker image rm >/dev/null
docker compose --project-name edge up -d --wait --wait-timeout 60 2>&1
"""


def make_mailbox(environment: Environment) -> None:
    """The mailbox of a deploy becomes one that a hand has made."""
    values = {**sidecar_environment(environment)}
    del values["TS_AUTHKEY"]
    compose = (
        _MAILBOX.replace("@tailscale@", str(environment.tailscale_image))
        .replace("@stalwart@", str(environment.stalwart_image))
        .replace("@check@", _CHECK)
        .replace("@environment@", "\n".join(f'      {name}: "{value}"' for name, value in values.items()))
    )
    shell("mailbox", f"mkdir -p /srv/mail; cat >/srv/mail/compose.yaml <<'END'\n{compose}END")
    shell("mailbox", _MOVE.replace("@units@", " ".join(removal.MAILBOX.unit_files)), timeout=300)


def make_edge() -> None:
    """The same for the edge."""
    role = removal.EDGE
    script = _EDGE
    for name, value in {
        "container": role.project, "directory": role.directory, "names": " ".join(role.units),
        "units": " ".join(role.unit_files), "images": role.images,
    }.items():  # fmt: skip
        script = script.replace(f"@{name}@", value)
    shell("edge-1", script, timeout=300)


def make_policy() -> None:
    """Entries without marks, and one that is somebody else's."""
    text = re.sub(r"/\* tailwart:[^*]*\*/[ \t]*\n?", "", policy_text())
    assert '"grants": [' in text
    write_policy(text.replace('"grants": [', f'"grants": [\n    {FOREIGN_GRANT}, // theirs\n', 1))


def make_zone(environment: Environment, kept: Path) -> tuple[Record, ...]:
    """Records without a mark, and one that is somebody else's; the ledger goes to ``kept``. What is there now."""
    ledger = ROOT / archive.DIRECTORY / environment.domain
    if ledger.exists():
        shutil.move(ledger, kept)
    provider = open_provider(environment, lambda _: None)
    marked = [entry for entry in provider.read(environment.domain) if entry.name == marks.NAME]
    foreign = record(environment.domain, "other", "TXT", FOREIGN_TEXT, 3600)
    provider.change(environment.domain, [foreign], marked)
    return provider.read(environment.domain)
