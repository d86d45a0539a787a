#!/bin/sh
# Takes one backup of the mailbox: a set in the restic repository of BACKUP_TARGET. Run by tailwart-backup.timer, and by
# `tailwart backup` through the same unit. The argument of the unit is a digest of this file; `resume` ends the pause of a
# run that was killed.
. "$(dirname "$0")/common.sh"

# A server that this script has stopped or whose queue it has paused goes on, whatever became of the run.
resume() {
  [ -f $here/paused ] || return 0
  [ "$(docker inspect --format '{{.State.Status}}' stalwart)" = running ] || docker start stalwart >/dev/null
  ask stalwart $mailbox/credentials '[["x:Action/set",{"create":{"now":{"@type":"ResumeMtaQueue"}}},"0"]]' >/dev/null 2>&1
  rm -f $here/paused
}
[ "${1:-}" = resume ] && { resume; exit; }

# The server's own export, in the set's folder export: by the image that runs, on the store that config.json names.
# Bodies in a bucket are in the set as they are. The embedded store is opened by one process alone, so its server stops.
export_store() {
  stage "exporting by the server's own --export"
  types=data,registry,changelog,queue,report,telemetry,tasks
  [ -n "$BUCKET" ] || types=$types,blob
  install -d -o 2000 -g 2000 -m 0700 $here/set/export
  (cd $mailbox && timeout 7200 docker compose --project-name tailwart-mailbox --file compose.yaml run --rm --no-deps -T \
    --volume $here/set/export:/export --entrypoint env stalwart -u CONFIG_PATH EXPORT_TYPES=$types stalwart \
    --config /etc/stalwart/config.json --export /export) </dev/null >$here/stderr 2>&1 &&
    [ -n "$(ls -A $here/set/export)" ]
}

begin backup
resume
[ -z "${TO:-}" ] || REPOSITORY=$TO
[ "$(docker inspect --format '{{.State.Health.Status}}' stalwart 2>/dev/null)" = healthy ] ||
  fail "the mailbox does not run, so there is nothing to back up" "the container stalwart is not healthy" "a healthy mailbox" \
    "pyinfra inventory.py deploy.py --limit mailbox"
image=$(docker inspect --format '{{.Config.Image}}' stalwart)
clean_up() { rm -rf $here/set "${rocksdb:-$here/set}"; }
rocksdb=
clean_up

stage "opening the target"
open_repository make
# What a run that was killed has uploaded stays for the next one; its snapshot is no set.
left=$(repository snapshots --json --tag incoming 2>/dev/null | jq -r '.[]?.id' 2>/dev/null)
[ -z "$left" ] || repository forget $left >/dev/null 2>&1

make_programs || fail "the backup's own container image cannot be made" "docker import" "" "look at the engine's log"

# Bodies are written before what refers to them, and removed after it. So what the bucket no longer has is dropped before
# the database is dumped, and what is new is fetched once more afterwards.
if [ -n "$BUCKET" ]; then
  mkdir -p $here/blobs
  transfer "fetching message bodies" sync --size-only "mail:$BUCKET" /blobs || fail "the message bodies cannot be read" "$why" \
    "the bucket $BUCKET, readable from the mailbox's namespace" "check S3_ENDPOINT and its keys: tailwart settings plan"
fi

mkdir -p $here/set $here/sets
set=$(date -u +%Y%m%dT%H%M%SZ)
started=$(date -u +%FT%TZ)
stage "copying settings and notes"
mkdir $here/set/mailbox $here/set/sidecar $here/set/etc
said cp -a $mailbox/. $here/set/mailbox/ || fail "the mailbox's files cannot be copied" "$why" "" "free space on the host"
rm -rf $here/set/mailbox/.lock $here/set/mailbox/.watch $here/set/mailbox/join
cp -a "$(volume ts-state)/." $here/set/sidecar/ 2>/dev/null
cp -a "$(volume stalwart-etc)/." $here/set/etc/ 2>/dev/null
[ ! -d $here/planes ] || cp -a $here/planes $here/set/planes
pause=0 tables='{}' server=
case $STORE in
  postgres)
    [ -z "${EXPORT:-}" ] || export_store || fail "the server's own export failed" "$(tail -n 3 $here/stderr)" \
      "\`stalwart --export\` to end well" "take the backup without --export: a restore does not need it"
    # About as much as its tables take: indexes are not dumped, and what they hold compressed is.
    about=$(database psql -XAtqc "select sum(pg_table_size(oid)) from pg_class where relkind = 'r'" 2>/dev/null)
    growing "dumping the database" $here/set/database.dump "${about:-0}"
    # One snapshot for the dump and the counts of its rows: the session that holds it stays open meanwhile.
    dump=$(postgres_program pg_dump)
    psql=$(postgres_program psql)
    # Not compressed: restic compresses, and finds what is unchanged only in plain text.
    cat >$here/dump.sh <<END
set -u
mkfifo /tmp/in
$psql -XAtq -v ON_ERROR_STOP=1 "\$@" </tmp/in >/tmp/out & session=\$!
exec 3>/tmp/in
echo 'begin isolation level repeatable read read only; select pg_export_snapshot(); show server_version;' >&3
i=0; while [ "\$(grep -c . /tmp/out)" -lt 2 ]; do sleep 0.1; i=\$((i+1)); [ \$i -lt 300 ] && kill -0 \$session || exit 1; done
$dump --format custom --compress 0 --no-owner --no-privileges --snapshot "\$(sed -n 1p /tmp/out)" --file /set/database.dump "\$@" || exit 1
printf '%s\n' "$COUNT \\\\gexec" >&3
echo commit\; >&3
exec 3>&-
wait \$session || exit 1
cat /tmp/out
END
    said inside container:ts-stalwart -v $here/set:/set -v $here/dump.sh:/dump.sh:ro -- sh /dump.sh --host "$DATABASE_HOST" \
      --port "$DATABASE_PORT" --username "$DATABASE_USER" --no-password --dbname "$DATABASE_NAME" >$here/dump.out ||
      fail "the database cannot be dumped" "$why" "PostgreSQL, no newer than $dump, and free space on the mailbox host" \
        "check \`df -h $here\`; a newer PostgreSQL needs its own postgresql-client on the mailbox host"
    grown
    server=$(sed -n 2p $here/dump.out)
    tables=$(sed 1,2d $here/dump.out | counts_json)
    rm -f $here/dump.out $here/dump.sh ;;
  rocksdb)
    data=$(volume stalwart-data)
    rocksdb=${data%/*}/tailwart-backup-rocksdb
    rm -rf "$rocksdb"
    stage "copying the store; the server stops for a moment"
    exec 8>$mailbox/.lock
    flock -w 300 8 || fail "a deploy is at work" "$mailbox/.lock is held" "" "run it again later"
    : >$here/paused; sync $here/paused
    ask stalwart $mailbox/credentials '[["x:Action/set",{"create":{"now":{"@type":"PauseMtaQueue"}}},"0"]]' >/dev/null 2>&1 &&
      sleep 2
    before=$(date +%s%N)
    docker stop --time 30 stalwart >/dev/null
    # Tables are never changed once they are written, so a link is a copy, as in RocksDB's own checkpoints; everything else
    # is small and copied.
    copied=yes
    (cd "$data" && find . -type d -exec sh -c 'for d; do mkdir -p "$0/$d" && chown --reference="$d" "$0/$d" &&
        chmod --reference="$d" "$0/$d" || exit 1; done' "$rocksdb" {} + &&
      find . -type f \( -name '*.sst' -o -name '*.blob' \) -exec cp --link --parents -t "$rocksdb" {} + 2>/dev/null ||
      { cd "$data" && cp -a . "$rocksdb/"; }) 2>$here/stderr || copied=
    (cd "$data" && find . -type f ! -name '*.sst' ! -name '*.blob' -exec cp -a --parents -t "$rocksdb" {} +) 2>>$here/stderr ||
      copied=
    exported=yes
    [ -z "${EXPORT:-}" ] || export_store || exported=
    docker start stalwart >/dev/null
    until docker exec stalwart curl -fsS -o /dev/null http://127.0.0.1:8080/healthz/live 2>/dev/null; do
      sleep 0.1
      [ $((($(date +%s%N) - before) / 1000000000)) -lt 120 ] || break
    done
    pause=$(awk -v a="$before" -v b="$(date +%s%N)" 'BEGIN {printf "%.1f", (b - a) / 1e9}')
    resume
    exec 8>&-
    [ -n "$exported" ] || fail "the server's own export failed" "$(tail -n 3 $here/stderr)" \
      "\`stalwart --export\` to end well" "take the backup without --export: a restore does not need it"
    [ -n "$copied" ] || fail "the store cannot be copied" "$(tail -n 2 $here/stderr)" "free space beside $data" \
      "free space on the mailbox host, then run it again" ;;
esac
counted=$(objects_json stalwart $mailbox/credentials 2>/dev/null) || counted='{}'
if [ -n "$BUCKET" ]; then
  transfer "fetching message bodies that came meanwhile" copy --size-only "mail:$BUCKET" /blobs || fail "the message bodies cannot be read" "$why" "" "run it again"
  list_blobs
  cp $here/blobs.sha256 $here/set/blobs.sha256
fi

stage "writing the manifest"
(cd $here/set && find . -type f -printf '%s\t%P\n') >$here/sizes
[ -z "$rocksdb" ] || (cd "$rocksdb" && find . -type f -printf '%s\trocksdb/%P\n') >>$here/sizes
{ (cd $here/set && find . -type f -printf '%P\0' | xargs -0r sha256sum)
  [ -z "$rocksdb" ] || (cd "$rocksdb" && find . -type f -printf '%P\0' | xargs -0r sha256sum | sed 's|  |  rocksdb/|')
} >$here/sums
jq -n --rawfile sizes $here/sizes --rawfile sums $here/sums --arg set "$set" --arg started "$started" --arg host "$(hostname)" \
  --arg ended "$(date -u +%FT%TZ)" --arg store "$STORE" --arg image "$image" --arg server "$server" --argjson pause "$pause" \
  --argjson tables "$tables" --argjson counted "${counted:-null}" --arg restic "$(restic version | cut -d ' ' -f 2)" \
  --argjson blobs "$( [ -z "$BUCKET" ] && echo 0 || grep -c . $here/set/blobs.sha256 || : )" '
  ($sizes | split("\n") | map(select(. != "") | split("\t") | {(.[1]): (.[0] | tonumber)}) | add) as $bytes |
  {format: 1, set: $set, host: $host, started: $started, ended: $ended, store: $store, stalwart: $image,
   pause_seconds: $pause, versions: {postgres: $server, restic: $restic},
   counts: {tables: $tables, objects: $counted, "message bodies": $blobs},
   bytes: ($bytes | add),
   parts: ($sums | split("\n") | map(select(. != "") | {path: .[66:], sha256: .[:64], bytes: $bytes[.[66:]]}))}' \
  >$here/set/manifest.json || fail "the manifest cannot be written" "$here/set/manifest.json" "" "free space on the host"
rm -f $here/sizes $here/sums

mkdir -p $here/blobs
percent "uploading" backup --tag incoming --tag "set=$set" --host tailwart $here/set \
  ${BUCKET:+$here/blobs} ${rocksdb:+"$rocksdb"} ||
  fail "the set cannot be written to the target" "$why" "a target that takes it whole" \
    "check the target's free space and the way to it, then run it again: what was uploaded is not sent twice"
snapshot=$(jq -r .snapshot_id $here/summary)
# Only now it is a set. A run that is killed before this line leaves nothing that anything lists.
said repository tag --set complete --set "set=$set" "$snapshot" >/dev/null ||
  fail "the set cannot be completed" "$why" "" "run it again"
cp $here/set/manifest.json "$here/sets/$set.json"
stage "applying the retention"
said repository forget --tag complete --group-by '' $KEEP --prune --max-unused 10% >/dev/null || forgotten=$why
jq -n --arg set "$set" --argjson summary "$(cat $here/summary)" --slurpfile manifest "$here/sets/$set.json" \
  --arg target "$REPOSITORY" --arg retention "${forgotten:-}" '
  {ok: true, set: $set, target: $target, bytes: $summary.total_bytes_processed, added: $summary.data_added,
   pause_seconds: $manifest[0].pause_seconds, counts: $manifest[0].counts, retention_problem: $retention}' | result kept
stage "done"
clean_up
