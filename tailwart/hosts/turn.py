"""Whose turn it is to change a host: the script that holds the turn while a run lasts. Pure: no pyinfra, no host.

The script takes a lock of the kernel's and prints one line: ``held FRESH``, or ``busy RUN WHO`` when another has it. It
keeps the lock for as long as it gets a word on standard input at least every `LEASE` seconds, so the end of the
connection, of the run, or of its machine ends the turn, and nothing has to be cleaned up. The file is as old as the
last change: FRESH is 0 when somebody has just changed the host, and what was read beside the taking of the turn may be
older.
"""

from __future__ import annotations

import shlex

LEASE = 60
"""Seconds without a word after which a turn is over. A run sends one four times as often."""
RECENT = 30
"""Seconds after a change in which facts must be read again: longer than any of them takes."""
BEAT, CHANGE = "beat", "change"

_LOCK = "/run/tailwart.lock"
_HOLDER = "/run/tailwart.holder"


def hold(run: str, who: str, lock: str = _LOCK, holder: str = _HOLDER, lease: float = LEASE) -> str:
    """The script for the run with the identifier ``run``, which ``who`` describes to others: one line each."""
    return f"""umask 077
lock={shlex.quote(lock)}; holder={shlex.quote(holder)}
[ -e "$lock" ] || touch -d @0 "$lock" || exit
exec 9<"$lock" || exit
flock -n 9 || {{ echo "busy $(cat "$holder" 2>/dev/null)"; exit 0; }}
printf '%s\\n' {shlex.quote(f"{run} {who}")} >"$holder"
[ $(($(date +%s) - $(stat -c %Y "$lock"))) -gt {RECENT} ] && fresh=1 || fresh=0
echo "held $fresh"
changed=
while word=$(timeout {lease} sh -c 'IFS= read -r word && printf %s "$word"' 9<&-); do
  [ "$word" != {CHANGE} ] || {{ changed=1; touch "$lock"; }}
done
[ -z "$changed" ] || touch "$lock"
"""
