#!/bin/sh
# Fetches a Caddy with caddy-l4 from a download service, and lets nothing pass that could not serve as the edge.
# Runs inside `docker build`, and outside of it in the tests. Everything comes in through the environment:
#   CADDY_URL       base URL of the download service
#   CADDY_MODULES   modules to build in, caddy-l4 among them, separated by blanks, each path[@version]
#   CADDY_SHA256    digest to insist on, or empty
#   CADDY_TARGET    where the binary goes; its digest is written next to it, to CADDY_TARGET.sha256
#   CADDY_MACHINE   machine name instead of that of `uname -m`
#   CADDY_ATTEMPTS, CADDY_MAX_TIME, CADDY_PAUSE   bounds of the download: tries, seconds each, seconds between
set -eu

target=${CADDY_TARGET:-/usr/bin/caddy}
attempts=${CADDY_ATTEMPTS:-3}
max_time=${CADDY_MAX_TIME:-300}
pause=${CADDY_PAUSE:-10}
part=$target.part
errors=$target.errors

fail() {
    echo "fetch-caddy: $1" >&2
    shift
    for line in "$@"; do echo "  $line" >&2; done
    rm -f "$part" "$errors"
    exit 1
}

machine=${CADDY_MACHINE:-$(uname -m)}
case $machine in
    x86_64 | amd64) arch=amd64 arm= ;;
    aarch64 | arm64) arch=arm64 arm= ;;
    armv7* | armhf) arch=arm arm=7 ;;
    armv6* | armel) arch=arm arm=6 ;;
    *) fail "no Caddy download is known for the machine type '$machine'" \
        "expected: x86_64, aarch64, armv7l or armv6l" ;;
esac

if ! command -v curl >/dev/null 2>&1 || [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then
    echo "fetch-caddy: installing curl and ca-certificates" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends curl ca-certificates >/dev/null; } ||
        fail "curl and ca-certificates cannot be installed" \
            "remedy: give this host access to its Debian mirror, or set EDGE_BASE_IMAGE to an image that has both"
    rm -rf /var/lib/apt/lists/*
fi

set -- --get "${CADDY_URL:?}" --data-urlencode os=linux --data-urlencode "arch=$arch"
[ -z "$arm" ] || set -- "$@" --data-urlencode "arm=$arm"
for module in ${CADDY_MODULES:?}; do
    set -- "$@" --data-urlencode "p=$module"
done

# The service builds on demand: minutes are normal, 502 means maintenance, and some builds never end. curl compares what
# came with Content-Length itself (error 18), so a cut-off transfer is tried again like any other transport fault.
attempt=1
while :; do
    echo "fetch-caddy: download $attempt of $attempts from $CADDY_URL for linux/$arch$arm (at most ${max_time}s)" >&2
    rc=0
    # A program travels here: a redirect may lead to another host, but not out of TLS.
    status=$(curl --silent --show-error --location --proto-redir =https --fail-with-body \
        --connect-timeout 20 --max-time "$max_time" --speed-limit 1 --speed-time "$max_time" --output "$part" --write-out '%{http_code}' "$@" 2>"$errors") || rc=$?
    [ "$rc" -ne 0 ] || break
    seen="HTTP $status, curl error $rc: $(tail -n 1 "$errors")"
    [ "$rc" -ne 22 ] || seen="HTTP $status: $(head -c 600 "$part" 2>/dev/null | tr -d '\000' | tr '\n\t' '  ')"
    [ "$rc" -ne 1 ] || fail "the download service redirects to something that is not https" "seen: $seen" \
        "remedy: set CADDY_DOWNLOAD_URL to the https address that really serves the download"
    case $status in
        408 | 429 | 500 | 502 | 503 | 504) ;;
        4*) # The service's own word on a module it cannot build; asking again gives the same answer.
            message=$(sed -n 's/.*"message"[[:space:]]*:[[:space:]]*"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$part" | head -n 1)
            fail "the download service refused the build: ${message:-no message}" \
                "seen: HTTP $status from $CADDY_URL" "modules: $CADDY_MODULES" \
                "remedy: check CADDY_PLUGINS (module[@version]) and CADDY_DOWNLOAD_URL" ;;
    esac
    echo "fetch-caddy: $seen" >&2
    [ "$attempt" -lt "$attempts" ] || fail "the download failed $attempts times" "seen: $seen" \
        "remedy: run the deploy again later, or set CADDY_DOWNLOAD_URL to a mirror; the running edge is untouched"
    attempt=$((attempt + 1))
    sleep "$pause"
done

# Anything else the shell below would try to read as a script of its own.
case $(head -c 4 "$part" | tr -d '\000\177') in
    ELF | '#!'*) ;;
    *) fail "the download is not a Linux program" "seen: $(head -c 200 "$part" | tr -cd '[:print:]')" \
        "remedy: check CADDY_DOWNLOAD_URL: an error page answers with HTTP 200 there" ;;
esac

digest=$(sha256sum "$part")
digest=${digest%% *}
if [ -n "${CADDY_SHA256:-}" ] && [ "$digest" != "$CADDY_SHA256" ]; then
    fail "the download is not the pinned binary" "seen: SHA-256 $digest" "expected: $CADDY_SHA256 (CADDY_SHA256)" \
        "remedy: set CADDY_SHA256 to the new digest if you trust it; the service rebuilds when Caddy has a release"
fi

# A binary cut short behind its headers, or for another machine, is found out by running it.
chmod 755 "$part"
modules=$("$part" list-modules 2>"$errors") ||
    fail "the downloaded Caddy does not run" "seen: $(tail -n 1 "$errors")" \
        "size: $(wc -c <"$part") bytes, SHA-256 $digest" "remedy: the download was cut short or is for another machine; run again"
for module in layer4 layer4.handlers.proxy layer4.handlers.proxy_protocol layer4.matchers.tls; do
    printf '%s\n' "$modules" | grep -Fqx "$module" ||
        fail "the downloaded Caddy lacks the module $module" "SHA-256 $digest" \
            "remedy: the service ignored p=github.com/mholt/caddy-l4; check CADDY_DOWNLOAD_URL"
done

echo "$digest" >"$target.sha256"
mv -f "$part" "$target"
rm -f "$errors"
echo "fetch-caddy: $("$target" version), SHA-256 $digest" >&2
