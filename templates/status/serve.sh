#!/bin/sh
# Serves the status page in the sidecar's network, on its tailnet address alone. Run by tailwart-status-web.service, which
# starts it again whenever it ends: the sidecar was replaced, or has no address yet.
set -u
here=$(dirname "$0")
. "$here/settings"
name=tailwart-status
docker rm -f "$name" >/dev/null 2>&1

program=$(command -v busybox) || { echo "busybox is not installed" >&2; exit 1; }
# Nothing but the program and the libraries that it names.
if ! docker image inspect "$IMAGE" >/dev/null 2>&1; then
  tar -C / -chf - $(printf '%s\n' "$program" $(ldd "$program" | grep -o '/[^ ]*') | sed 's|^/||') | docker import - "$IMAGE" >/dev/null ||
    exit 1
fi
address=$(docker exec "$SIDECAR" tailscale ip -4 2>/dev/null | head -n 1)
[ -n "$address" ] || { echo "the sidecar has no address on the tailnet" >&2; exit 1; }
trap 'docker rm -f $name >/dev/null 2>&1; exit 0' TERM INT

# The events begin before the container, so that no end is missed. The first one ends this script, and systemd starts it again.
docker events --since "$(date +%s)" --filter "container=$SIDECAR" --filter "container=$name" --filter event=die --format '{{.Action}}' |
  { read -r gone && echo "the sidecar or the server of the page ended" >&2; kill $$; } &
docker run -d --rm --name "$name" --network "container:$SIDECAR" --read-only --user 65534:65534 --cap-drop ALL \
  --security-opt no-new-privileges --memory 32m --pids-limit 32 --log-driver none -v "$here/www:/www:ro" "$IMAGE" \
  "$program" httpd -f -p "$address:$PORT" -h /www >/dev/null || exit 1
wait
