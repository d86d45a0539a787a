"""The scripts around an unproven change: brought into force, committed, taken back. POSIX shell, run as root.

The order makes every moment safe to die in. Before anything changes, the timer of the dead man's switch is enabled, and
``pending`` holds what was before. `COMMIT` makes the new files those of the boot and writes the record, and only then
removes ``pending``; without that directory the switch does nothing. Rules are loaded, not installed, until they are
proven: a reboot alone brings back those from before.
"""

from __future__ import annotations

from tailwart.hosts.hardening import texts

_PENDING = f"{texts.DIRECTORY}/pending"
_NEXT = f"{texts.DIRECTORY}/next"
_RELOAD = (
    "reload_sshd() { systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service 2>/dev/null || :; }"
)
_OFF = f"systemctl --quiet disable --now {texts.SWITCH}.timer 2>/dev/null || :"
_LISTING = f"nft -s list table inet {texts.TABLE} 2>/dev/null | sha256sum | cut -d ' ' -f 1"

RESTORE = f"""\
#!/bin/sh
# Takes back a change that was not proven to leave the operator in. Run by {texts.SWITCH}.timer, and by the deploy.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
{_RELOAD}
if [ -d {_PENDING} ]; then
    nft delete table inet {texts.TABLE} 2>/dev/null
    [ ! -f {texts.RULES} ] || nft -f {texts.RULES}
    if [ -f {_PENDING}/sshd ]; then
        cp -p {_PENDING}/sshd {texts.DROP_IN}
    else
        rm -f {texts.DROP_IN}
    fi
    reload_sshd
    date -u +%Y-%m-%dT%H:%M:%SZ >{texts.TAKEN_BACK}
    rm -rf {_PENDING}
fi
{_OFF}
"""

ENFORCE = f"""
set -eu
{_RELOAD}
{{ [ ! -d {_PENDING} ] || sh {texts.DIRECTORY}/restore.sh; rm -f {texts.TAKEN_BACK}; }} >&2
nft -c -f {_NEXT}/firewall.nft
printf 'Include %s\\n' {_NEXT}/sshd.conf /etc/ssh/sshd_config >{_NEXT}/sshd_check
sshd -t -f {_NEXT}/sshd_check
systemctl daemon-reload
rm -rf {_PENDING}.part; mkdir -m 0700 {_PENDING}.part
[ ! -f {texts.DROP_IN} ] || cp -p {texts.DROP_IN} {_PENDING}.part/sshd
systemctl --quiet enable {texts.SWITCH}.timer
systemctl restart {texts.SWITCH}.timer
systemctl --quiet is-active {texts.SWITCH}.timer
mv -T {_PENDING}.part {_PENDING}
nft -f {_NEXT}/firewall.nft
cp {_NEXT}/sshd.conf {texts.DROP_IN}.new; chmod 0644 {texts.DROP_IN}.new; mv -f {texts.DROP_IN}.new {texts.DROP_IN}
sshd -t
reload_sshd
"""
"""Arms the switch, then changes what is in force. Each failure before the change leaves everything as it was."""

COMMIT = f"""
set -eu
[ -d {_PENDING} ] || {{ echo "the host has taken the change back meanwhile" >&2; exit 1; }}
mv -f {_NEXT}/firewall.nft {texts.RULES}
systemctl --quiet enable {texts.FIREWALL_UNIT}
systemctl restart {texts.FIREWALL_UNIT}
rules=$(sha256sum <{texts.RULES}); sshd=$(sha256sum <{texts.DROP_IN})
printf '%s %s %s\\n' "${{rules%% *}}" "${{sshd%% *}}" "$({_LISTING})" >{texts.RECORD}.new
mv -f {texts.RECORD}.new {texts.RECORD}
rm -rf {_PENDING}
{_OFF}
rm -rf {_NEXT}
"""

REMOVE = f"""
set -eu
{_RELOAD}
{_OFF}
systemctl --quiet disable --now {texts.FIREWALL_UNIT} 2>/dev/null || :
nft delete table inet {texts.TABLE} 2>/dev/null || :
rm -f {texts.DROP_IN} {texts.UPDATES} /etc/systemd/system/{texts.FIREWALL_UNIT}
rm -f /etc/systemd/system/{texts.SWITCH}.service /etc/systemd/system/{texts.SWITCH}.timer
reload_sshd
systemctl daemon-reload
rm -rf {texts.DIRECTORY}
"""
"""The record goes last: as long as it is there, the next run takes up a removal that was interrupted."""

FACTS = f"""
for tool in nft sshd unattended-upgrade apt-get; do
  [ -z "$(command -v $tool)" ] || echo "tool $tool"
done
sshd -T 2>/dev/null | grep -E '^(port|passwordauthentication|kbdinteractiveauthentication) ' | sed 's/^/sshd /'
echo "listing $({_LISTING})"
echo "boot $(systemctl is-enabled {texts.FIREWALL_UNIT} 2>/dev/null)"
[ ! -d {_PENDING} ] || echo pending
ss -Hlntup | sed 's/^/socket /'
format='container {{{{.Names}}}} {{{{.Label "com.docker.compose.project"}}}}'
[ -f {texts.RECORD} ] || docker ps --format "$format" 2>/dev/null
:
"""
"""Prints what `tailwart.hosts.hardening.plan` reads; changes nothing."""
