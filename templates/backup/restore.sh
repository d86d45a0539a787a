#!/bin/sh
# Lists the complete sets (`list`), applies the retention (`prune`), gets a set back (`fetch`), proves one (`verify`), or
# loads what was fetched into the stores of this mailbox (`load`). Run by `tailwart restore` and `tailwart backup`; what
# they ask for (SET, TO, OVERWRITE) is in the request.
. "$(dirname "$0")/common.sh"
verb=$1
begin "$verb"
[ -z "${TO:-}" ] || REPOSITORY=$TO
fetched=$here/fetched
case $verb in
  list)
    open_repository use
    said repository --no-lock snapshots --json --tag complete >$here/snapshots || fail "the sets cannot be listed" "$why"
    mkdir -p $here/sets
    for pair in $(jq -r '.[] | .id + "=" + (.tags | map(select(startswith("set="))) | first)' $here/snapshots); do
      set=${pair##*=}
      [ -s "$here/sets/$set.json" ] || { repository --no-lock dump "${pair%%=*}" $here/set/manifest.json >$here/sets/$set.new 2>/dev/null &&
        mv -f $here/sets/$set.new "$here/sets/$set.json"; }
      [ -s "$here/sets/$set.json" ] && jq -c '{set, started, ended, store, stalwart, pause_seconds, bytes, counts,
        parts: (.parts | length)}' "$here/sets/$set.json"
    done | jq -s 'unique_by(.set)' >$here/listed
    jq -n --slurpfile sets $here/listed --arg target "$REPOSITORY" '{ok: true, target: $target, sets: $sets[0]}' | result passing
    rm -f $here/listed $here/snapshots
    exit ;;
  prune)
    open_repository use
    stage "applying the retention"
    said repository forget --tag complete --group-by '' $KEEP --prune --max-unused 10% >/dev/null ||
      fail "the retention cannot be applied" "$why" "a target that is writable" "check the target, then run it again"
    jq -n '{ok: true}' | result passing
    exit ;;
  fetch | verify)
    if [ "$verb" = verify ]; then fetched=$here/verified; clean_up() { rm -rf $fetched $fetched.new; }; fi
    open_repository use
    fetch "$SET" $fetched
    if [ "$verb" = verify ]; then
      stage "checking the repository"
      said repository check >/dev/null || fail "the repository is damaged" "$why" "a repository without faults" \
        "take an earlier set; \`restic repair\` on the mailbox host, with $here/settings"
    fi
    jq '{ok: true, set: .set, started: .started, ended: .ended, store: .store, stalwart: .stalwart, bytes: .bytes,
      counts: .counts, parts: (.parts | length)}' $fetched/manifest.json | result passing
    [ "$verb" = fetch ] || clean_up
    exit ;;
esac

# load. What the stores hold now is kept aside first; a half-done load is begun again by the next one.
# Until its end, every failure leaves the stores as they were, so the server goes on with them.
clean_up() { docker start stalwart >/dev/null 2>&1; }
manifest=$fetched/manifest.json
set=$(jq -r .set $manifest)
[ "$(jq -r .store $manifest)" = "$STORE" ] || fail "the set is of another store" "$(jq -r .store $manifest)" \
  "STALWART_STORE=$STORE" "set STALWART_STORE to that of the set"
prove $fetched
make_programs
aside=$here/before-restore-$(date -u +%Y%m%dT%H%M%SZ)
holds_data() {
  case $STORE in
    postgres) [ "$(database psql -XAtqc "select count(*) from pg_tables where schemaname = 'public'")" != 0 ] ;;
    rocksdb) [ -n "$(ls -A "$(volume stalwart-data)/data" 2>/dev/null)" ] ;;
  esac
}
if [ "$STORE" = postgres ]; then
  said database psql -XAtqc 'select 1' >/dev/null || fail "the database does not answer" "$why" \
    "the database $DATABASE_NAME at $DATABASE_HOST, from the sidecar" "pyinfra inventory.py deploy.py --limit tailnet --limit backends"
fi
if holds_data && [ ! -f $here/restoring ]; then
  [ "${OVERWRITE:-}" = yes ] || fail "the store holds data that is newer than set $set" \
    "a store that was set up, and a set of $(jq -r .started $manifest)" "an empty store" \
    "if what came since may go: tailwart restore $set --overwrite-newer (the store of now is kept on the host first)"
fi
stage "stopping the server"
# What keeps Stalwart with its sidecar starts nothing meanwhile, and no deploy does.
exec 8>$mailbox/.lock
flock -w 300 8 || fail "a deploy is at work" "$mailbox/.lock is held" "" "run it again later"
docker stop --time 30 stalwart >/dev/null 2>&1
if holds_data && [ ! -f $here/restoring ]; then
  stage "keeping the store of now"
  mkdir -p $aside
  case $STORE in
    postgres) said database pg_dump --format custom --compress 1 --no-owner >$aside/database.dump ;;
    rocksdb) said cp -a --reflink=auto "$(volume stalwart-data)/data" $aside/ ;;
  esac || fail "the store of now cannot be kept, so it was not touched" "$why" "free space below $here" "free space"
fi
echo "$set" >$here/restoring; sync $here/restoring

if [ -d $fetched/blobs ]; then
  stage "putting message bodies back"
  rm -rf $here/blobs && mv $fetched/blobs $here/blobs && cp $fetched/blobs.sha256 $here/blobs.sha256
fi
if [ -n "$BUCKET" ] && [ -d $here/blobs ]; then
  transfer "putting message bodies back" copy --checksum /blobs "mail:$BUCKET" ||
    fail "the message bodies cannot be put back" "$why" \
    "a writable bucket $BUCKET" "check S3_ENDPOINT and its keys, then run it again"
fi
case $STORE in
  postgres)
    restore=$(postgres_program pg_restore)
    # One transaction: the database is that of the set, or what it was.
    { echo 'begin;'
      echo "do \$\$ declare r record; begin for r in select schemaname, tablename from pg_tables where schemaname = 'public'
        and tableowner = current_user loop execute format('drop table %I.%I cascade', r.schemaname, r.tablename);
        end loop; end \$\$;"
      $restore --no-owner --no-privileges --file - $fetched/database.dump || echo 'select damaged_dump;'
      echo 'commit;'
    } >$fetched/restore.sql 2>$here/stderr || fail "the dump cannot be read" "$(tail -n 2 $here/stderr)"
    reading "restoring the database" $fetched/restore.sql database psql -Xq -v ON_ERROR_STOP=1 ||
      fail "the database cannot be restored" "$why" \
      "a database that $DATABASE_USER owns; it is as it was before" "look at the server's log, then run it again"
    rm -f $fetched/restore.sql
    tables=$(printf '%s \\gexec\n' "$COUNT" | database psql -XAtq | counts_json)
    wrong=$(jq -nr --argjson now "$tables" --slurpfile m $manifest \
      '$m[0].counts.tables | to_entries | map(select($now[.key] != .value)) | map("\(.key): \($now[.key]) of \(.value) rows") | join(", ")')
    [ -z "$wrong" ] || fail "the database does not hold what the set does" "$wrong" "the manifest's rows" "run it again" ;;
  rocksdb)
    stage "restoring the store"
    data=$(volume stalwart-data)
    rm -rf "$data/data.new"
    said cp -a $fetched/rocksdb/data "$data/data.new" || fail "the store cannot be restored" "$why" "free space" "free space"
    rm -rf "$data/data" && mv "$data/data.new" "$data/data" ;;
esac
# The notes belong to the store: the login of the deploy, what was last written as secrets.
for note in credentials initialised fingerprints.json objects.json; do
  rm -f $mailbox/$note
  [ ! -f $fetched/mailbox/$note ] || cp -a $fetched/mailbox/$note $mailbox/$note
done
: >$mailbox/bootstrap.env
# A restart or a pause that was noted for the process before counts no more.
rm -f $mailbox/restart-required $mailbox/queue-paused
jq --arg aside "$( [ ! -d $aside ] || echo $aside )" '{ok: true, set: .set, started: .started, ended: .ended, counts: .counts, aside: $aside}' \
  $manifest | result kept
rm -rf $here/restoring $fetched
