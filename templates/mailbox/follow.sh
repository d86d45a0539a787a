#!/bin/sh
# Keeps Stalwart with its sidecar, and restarts either when it hangs. The engine's own restart policies know nothing of
# depends_on and of health: after a reboot they would start Stalwart before there is a route to its store, after a restart
# of the sidecar they leave it in the network namespace of a process that is gone, and what hangs they leave alone.
# Run by tailwart-mailbox.service; waits for events, and asks again only while something is unhealthy.
set -u
directory=$(dirname "$0")
restarts=$directory/restarts.log
patience=${FOLLOW_PATIENCE:-10} # failed checks in a row: half a minute, or two where each check runs into its time limit
pause=${FOLLOW_PAUSE:-900}      # seconds between two restarts of a container that hangs

status() { docker inspect --format '{{.State.Status}}' "$1" 2>/dev/null; }
health() { docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1" 2>/dev/null; }
since() { date +%s%N -d "$(docker inspect --format '{{.State.StartedAt}}' "$1")"; }

# One that was paused by hand, for a snapshot say, does not hang: the next deploy resumes it.
hangs() {
  [ "$(health "$1")" = unhealthy ] && [ "$(status "$1")" = running ] || return 1
  [ "$(docker inspect --format '{{.State.Health.FailingStreak}}' "$1" 2>/dev/null)" -ge "$patience" ]
}

# A store that is away is no fault of the sidecar's.
store_is_away() {
  docker inspect --format '{{range .State.Health.Log}}{{json .Output}}{{println}}{{end}}' ts-stalwart 2>/dev/null |
    grep . | tail -n 1 | grep -q no-store
}

restart_hung() {
  last=$(sed -n "s/^\([0-9]*\) $1 .*/\1/p" "$restarts" 2>/dev/null | tail -n 1)
  now=$(date +%s)
  [ $((now - ${last:-0})) -ge "$pause" ] || return 0
  echo "$1 hangs: $patience healthchecks in a row failed; restarting it"
  { tail -n 49 "$restarts" 2>/dev/null; echo "$now $1 hung and was restarted"; } >"$restarts.$$" &&
    mv -f "$restarts.$$" "$restarts"
  # It had its time already: a process that does not answer does not use the grace period either.
  timeout 120 docker restart -t 10 "$1" >/dev/null
}

once() {
  if hangs ts-stalwart && ! store_is_away; then
    # Stalwart follows as soon as the sidecar is healthy again.
    restart_hung ts-stalwart
    return
  fi
  [ "$(health ts-stalwart)" = healthy ] || return 0
  case $(status stalwart) in
    running)
      if [ "$(since stalwart)" -lt "$(since ts-stalwart)" ]; then
        echo "the sidecar was restarted: restarting stalwart"
        docker restart stalwart >/dev/null
      elif hangs stalwart; then
        restart_hung stalwart
      fi ;;
    created | exited)
      # A Stalwart that was stopped by hand, for a backup say, stays stopped: only the sidecar's events come here.
      [ "${1:-}" = stalwart ] || { echo "the sidecar is healthy: starting stalwart"; docker start stalwart >/dev/null; } ;;
  esac
}

# Once a ban has ended, the server bans that address only in its list, not at its listeners, until it reads the list again:
# whoever waited out a first ban could guess for ever. It gets the deploy's own login on standard input.
read_bans_again() {
  [ "$(health stalwart)" = healthy ] && grep -q '^Bearer ' "$directory/credentials" 2>/dev/null || return 0
  sed -n 1p "$directory/credentials" | timeout 60 docker exec -i stalwart sh -c '
    IFS= read -r login
    curl --silent --show-error --fail --max-time 30 --output /dev/null --config /dev/fd/3 \
      --header "Content-Type: application/json" --data-binary "$1" http://127.0.0.1:8080/jmap/ 3<<END
header = "Authorization: $login"
END' sh '{"using":["urn:ietf:params:jmap:core","urn:stalwart:jmap"],"methodCalls":[["x:Action/set",{"create":{"now":{"@type":"ReloadBlockedIps"}}},"0"]]}'
}

unhealthy() { [ "$(health ts-stalwart)" = unhealthy ] || [ "$(health stalwart)" = unhealthy ]; }

case ${1:-} in
  once)
    once "${2:-}"
    exit ;;
  bans)
    read_bans_again
    exit ;;
  watch)
    # While something is unhealthy there may be no event, so its state is asked for, a few times a minute.
    while unhealthy; do
      sleep "${FOLLOW_STEP:-15}"
      flock "$directory/.lock" sh "$0" once stalwart
    done
    exit ;;
esac

(while sleep "${FOLLOW_BANS:-300}"; do sh "$0" bans; done) &
trap "kill $!" EXIT

# The deploy holds the same lock while it changes the project. The events begin before the first check, so that none is
# missed. One watch at a time: a second one ends at once.
docker events --since "$(date +%s)" --filter container=ts-stalwart --filter container=stalwart \
  --filter event=health_status --format '{{index .Actor.Attributes "name"}}' |
  {
    flock "$directory/.lock" sh "$0" once
    flock -n "$directory/.watch" sh "$0" watch &
    while read -r name; do
      flock "$directory/.lock" sh "$0" once "$name"
      flock -n "$directory/.watch" sh "$0" watch &
    done
    wait
  }
echo "the engine closed its event stream" >&2
exit 1
