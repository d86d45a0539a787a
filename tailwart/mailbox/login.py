"""How the mailbox's sidecar joins the tailnet, and how it stays there."""

from __future__ import annotations

from tailwart.hosts.nodekey import NodeKey
from tailwart.mailbox import names

# Asks tailscaled where one runs: it may have state that the tailnet knows no more. A sidecar that ends again and again
# has said in its log why. One that does not run is judged by the state in its volume.
_LOGIN = rf"""
sidecar={names.SIDECAR}
runs() {{ [ "$(docker inspect --format '{{{{.State.Status}}}}' $sidecar 2>/dev/null)" = running ]; }}
state() {{ docker exec $sidecar tailscale --socket=/tmp/tailscaled.sock status --json --peers=false 2>/dev/null; }}
i=0
while [ $i -lt 40 ] && runs; do
  case $(state | sed -n 's/.*"BackendState": *"\([A-Za-z]*\)".*/\1/p') in
    Running) echo joined; exit ;;
    NeedsLogin) echo logged-out; exit ;;
  esac
  sleep 0.5; i=$((i+1))
done
since=$(docker inspect --format '{{{{.State.StartedAt}}}}' $sidecar 2>/dev/null) &&
  docker logs --since "$since" $sidecar 2>&1 | grep -q {names.KEY_MOUNT} && {{ echo logged-out; exit; }}
volume=$(docker volume inspect --format '{{{{.Mountpoint}}}}' {names.PROJECT}_ts-state 2>/dev/null) &&
  grep -q '"profile-' "$volume/tailscaled.state" 2>/dev/null && {{ echo joined; exit; }}
echo logged-out
"""

SIDECAR_KEY = NodeKey(names.SIDECAR, names.KEY, _LOGIN, former=(names.OLD_KEY,))
