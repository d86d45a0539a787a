#!/bin/sh
# Restores the newest set (or SET) into a throw-away stack and compares it with its manifest and the live server. Run by
# tailwart-drill.timer, and by `tailwart drill` through the same unit. `down` removes the stack.
#
# The stack has no network but its own loopback: it can send no mail, reach no ACME directory and join no tailnet, whatever
# its settings say. Its secrets are made up, but for the login of the deploy, which is in the store itself.
. "$(dirname "$0")/common.sh"
drill=$here/drill
holder=tailwart-drill postgres=tailwart-drill-postgres blobs=tailwart-drill-blobs server=tailwart-drill-stalwart

down() {
  docker rm -f -v $server $blobs $postgres $holder >/dev/null 2>&1
  rm -rf $drill $drill.new $drill/set.new
}
[ "${1:-}" = down ] && { down; exit; }
clean_up() { down; }

begin drill
[ -z "${TO:-}" ] || REPOSITORY=$TO
stage "removing what an earlier drill left"
down
mkdir -p $drill
open_repository use
fetch "${SET:-latest}" $drill/set
manifest=$drill/set/manifest.json
store=$(jq -r .store $manifest)
image=${IMAGE:-$(jq -r .stalwart $manifest)}
docker image inspect "$image" >/dev/null 2>&1 || said docker pull --quiet "$image" >/dev/null ||
  fail "the image of the set cannot be had" "$why" "$image" "docker pull $image on the mailbox host"
make_programs

stage "building the isolated stack"
bucket_host=
case $ENDPOINT in http://*) bucket_host=${ENDPOINT#http://}; bucket_host=${bucket_host%%/*} ;; esac
program() { # NAME USER OPTION... -- PROGRAM...
  name=$1 user=$2; shift 2
  options=
  while [ "$1" != -- ]; do options="$options $1"; shift; done
  shift
  docker run -d --name $name --user "$user" --cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /tmp \
    -v /usr:/usr:ro $options $programs "$@" >/dev/null
}
# The name of the bucket's host means the loopback here.
said program $holder 65534:65534 --network none ${bucket_host:+--add-host ${bucket_host%:*}:127.0.0.1} -- sleep infinity ||
  fail "the isolated stack cannot be built" "$why"
joined="--network container:$holder"
if [ "$store" = postgres ]; then
  bin=$(dirname "$(postgres_program postgres)")
  [ -x "$bin/postgres" ] || fail "there is no PostgreSQL for the drill on this host" "no postgres below /usr/lib/postgresql" \
    "Debian's package postgresql" "pyinfra inventory.py deploy.py --limit mailbox"
  install -d -o 65534 -g 65534 -m 0700 $drill/pg
  said docker run --rm --name tailwart-drill-setup --network none --user 65534:65534 --tmpfs /tmp -v /usr:/usr:ro -v $drill/pg:/pg $programs \
    "$bin/initdb" -D /pg/data -U postgres --auth trust -E UTF8 --locale C.UTF-8 --no-sync >/dev/null ||
    fail "the drill's PostgreSQL cannot be set up" "$why"
  said program $postgres 65534:65534 $joined -v $drill/pg:/pg -- "$bin/postgres" -D /pg/data -p 5432 \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off -c full_page_writes=off ||
    fail "the drill's PostgreSQL does not start" "$why"
  sql() { docker run --rm -i --name tailwart-drill-sql-$(date +%s%N) $joined --user 65534:65534 --tmpfs /tmp -v /usr:/usr:ro -v $drill/set:/set:ro $programs "$@"; }
  i=0
  until sql "$bin/pg_isready" -q -h 127.0.0.1; do
    sleep 0.3; i=$((i+1)); [ $i -lt 100 ] || fail "the drill's PostgreSQL does not answer" "$(docker logs $postgres 2>&1 | tail -n 3)"
  done
  printf 'create role %s superuser login; create database %s owner %s template template0;\n' "$DATABASE_USER" "$DATABASE_NAME" \
    "$DATABASE_USER" | sql "$bin/psql" -Xq -h 127.0.0.1 -U postgres
  chmod 0755 $drill/set && chmod 0644 $drill/set/database.dump
  reading "restoring the database" $drill/set/database.dump sql "$bin/pg_restore" --exit-on-error --no-owner \
    --no-privileges -h 127.0.0.1 -U "$DATABASE_USER" -d "$DATABASE_NAME" ||
    fail "the drill failed: the dump of set $set does not restore" "$why" \
    "a dump that restores" "take a new backup now: tailwart backup; an earlier set may be whole: tailwart drill SET"
  tables=$(printf '%s \\gexec\n' "$COUNT" | sql "$bin/psql" -XAtq -h 127.0.0.1 -U "$DATABASE_USER" -d "$DATABASE_NAME" | counts_json)
  wrong=$(jq -nr --argjson now "$tables" --slurpfile m $manifest \
    '$m[0].counts.tables | to_entries | map(select($now[.key] != .value)) | map("\(.key): \($now[.key]) of \(.value) rows") | join(", ")')
  [ -z "$wrong" ] || fail "the drill failed: rows are missing from set $set" "$wrong" "the manifest's rows" "tailwart backup"
  jq '.host = "127.0.0.1" | .port = 5432' $drill/set/mailbox/config/config.json >$drill/config.json
else
  tables='{}'
  cp $drill/set/mailbox/config/config.json $drill/config.json
fi
if [ -n "$bucket_host" ] && [ -d $drill/set/blobs ]; then
  # A bucket for reading is a file server: GET /BUCKET/KEY.
  mkdir -p $drill/www && mv $drill/set/blobs "$drill/www/$BUCKET" && chmod -R a+rX $drill/www
  said program $blobs 65534:65534 $joined -v $drill/www:/www:ro -- busybox httpd -f -p "127.0.0.1:${bucket_host##*:}" -h /www ||
    fail "the drill's message bodies cannot be served" "$why"
fi

stage "starting Stalwart on it"
install -d -o 2000 -g 2000 -m 0700 $drill/data $drill/etc
cp -a $drill/set/etc/. $drill/etc/ 2>/dev/null
[ ! -d $drill/set/rocksdb ] || mv $drill/set/rocksdb/* $drill/data/
chmod 0644 $drill/config.json
# A variable that is missing makes the server refuse to load its settings; what it would open is none of the drill's.
made_up=$(sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/-e \1=drill/p' $drill/set/mailbox/.env)
said docker run -d --name $server $joined --read-only --tmpfs /tmp:mode=1777 --cap-drop ALL --cap-add NET_BIND_SERVICE \
  --security-opt no-new-privileges --memory 1g --label tailwart.drill=$set $made_up \
  -v $drill/data:/var/lib/stalwart -v $drill/etc:/etc/stalwart -v $drill/config.json:/etc/stalwart/config.json:ro \
  "$image" >/dev/null || fail "the drill's Stalwart does not start" "$why"
i=0
until docker exec $server curl -fsS -o /dev/null http://127.0.0.1:8080/healthz/live 2>/dev/null; do
  sleep 0.5; i=$((i+1))
  [ $i -lt 240 ] && [ "$(docker inspect --format '{{.State.Status}}' $server)" = running ] ||
    fail "the drill failed: Stalwart does not start on set $set" "$(docker logs $server 2>&1 | tail -n 4)" "a healthy server" \
      "take a new backup now: tailwart backup; an earlier set may be whole: tailwart drill SET"
done

stage "comparing"
counted=
i=0
until [ -n "$counted" ] && [ "$counted" != '{}' ] || [ "$(jq '.counts.objects // {} | length' $manifest)" = 0 ]; do
  counted=$(objects_json $server $drill/set/mailbox/credentials 2>$here/stderr)
  i=$((i+1)); [ $i -lt 20 ] || break
  sleep 1
done
live=$(objects_json stalwart $mailbox/credentials 2>/dev/null)
wrong=$(jq -nr --argjson now "${counted:-null}" --slurpfile m $manifest \
  '$m[0].counts.objects // {} | to_entries | map(select(($now // {})[.key] != .value)) | map("\(.key): \(($now // {})[.key]) of \(.value)") | join(", ")')
[ -z "$wrong" ] || fail "the drill failed: set $set does not hold what the server had" "$wrong $(tail -n 1 $here/stderr)" \
  "the manifest's accounts, domains and keys" "take a new backup now: tailwart backup"
# Interfaces of the stack, and what they ever sent.
interfaces=$(docker exec $holder cat /proc/net/dev | awk -F '[: ]+' 'NR > 2 {print $2}' | paste -sd ' ')
[ "$interfaces" = lo ] || fail "the drill was not isolated" "interfaces: $interfaces" "lo alone" "report this; the stack was removed"
jq -n --arg set "$set" --slurpfile m $manifest --argjson tables "$tables" --argjson counted "${counted:-null}" \
  --argjson live "${live:-null}" --arg interfaces "$interfaces" --arg image "$image" '
  {ok: true, set: $set, started: $m[0].started, stalwart: $image, interfaces: $interfaces, parts: ($m[0].parts | length),
   counts: {tables: $tables, objects: $counted, "message bodies": $m[0].counts["message bodies"]}, live: $live}' >$here/drill.done
if [ "${STAY:-}" = yes ]; then
  result passing <$here/drill.done
  # Whoever asked compares messages now, and takes the stack down; should it forget, this does.
  systemd-run --quiet --collect --on-active=20m --unit "tailwart-drill-down-$(date +%s)" /bin/sh $here/drill.sh down
else
  result kept <$here/drill.done
  down
fi
rm -f $here/drill.done
stage "done"
