#!/bin/sh
# Keeps Stalwart with its sidecar. The engine's own restart policies know nothing of depends_on: after a reboot they
# would start Stalwart before there is a route to its store, and after a restart of the sidecar they leave it in the
# network namespace of a process that is gone. Run by tailwart-mailbox.service; waits for events, does not poll.
set -u
directory=$(dirname "$0")

status() { docker inspect --format '{{.State.Status}}' "$1" 2>/dev/null; }
health() { docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1" 2>/dev/null; }
since() { date +%s%N -d "$(docker inspect --format '{{.State.StartedAt}}' "$1")"; }

once() {
  [ "$(health ts-stalwart)" = healthy ] || return 0
  case $(status stalwart) in
    running)
      [ "$(since stalwart)" -lt "$(since ts-stalwart)" ] || return 0
      echo "the sidecar was restarted: restarting stalwart"
      docker restart stalwart >/dev/null ;;
    created | exited)
      echo "the sidecar is healthy: starting stalwart"
      docker start stalwart >/dev/null ;;
  esac
}

if [ "${1:-}" = once ]; then
  once
  exit
fi

# Only the sidecar's events: a Stalwart that was stopped by hand, for a backup say, stays stopped. The deploy holds the
# same lock while it changes the project. The events begin before the first check, so that none is missed.
docker events --since "$(date +%s)" --filter container=ts-stalwart --filter event=health_status --format '{{.Action}}' |
  {
    flock "$directory/.lock" sh "$0" once
    while read -r _; do flock "$directory/.lock" sh "$0" once; done
  }
echo "the engine closed its event stream" >&2
exit 1
