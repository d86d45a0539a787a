# What backup.sh, restore.sh and drill.sh beside it share. Sourced; they run on the mailbox host, as root.
set -u
umask 077
export LC_ALL=C
here=/opt/tailwart/backup
mailbox=/opt/tailwart/mailbox
programs=tailwart/programs:local
export RESTIC_CACHE_DIR=$here/cache RESTIC_PASSWORD_FILE=$here/password RESTIC_PROGRESS_FPS=1
# REPOSITORY, KEEP, LIMIT, STORE, DATABASE_*, BUCKET, ENDPOINT and for an S3 target its keys.
. $here/settings

# A job: what asked for it (job.env, by the operator's command), how far it is, and how it ended.
begin() {
  kind=$1 job= begun=$(date +%s)
  if [ -f $here/$kind.request ]; then . $here/$kind.request; rm -f $here/$kind.request; fi
  rm -f $here/$kind.result
  # Listing changes nothing, so it waits for nobody.
  [ "$kind" != list ] || return 0
  exec 9>$here/.lock
  stage "waiting for another backup, restore or drill"
  flock -w 7200 9 || fail "another backup, restore or drill has been at work for two hours" "$here/.lock is held" \
    "one at a time" "look at \`systemctl list-units 'tailwart-*'\` on the mailbox host"
  # What a run that was killed had started in the engine has not ended with it.
  left=$(docker ps -aq --filter name=tailwart-backup- 2>/dev/null)
  [ -z "$left" ] || docker rm -f $left >/dev/null 2>&1
}

stage() {
  printf '%s\n' "$*" >$here/$kind.progress.new && mv -f $here/$kind.progress.new $here/$kind.progress
  echo "$*"
}

# result JSON: everything that the operator, doctor and the status page are told of the job.
result() {
  jq --arg job "$job" --arg kind $kind --argjson seconds $(($(date +%s) - begun)) --arg ended "$(date -u +%FT%TZ)" \
    '. + {job: $job, kind: $kind, seconds: $seconds, ended: $ended}' >$here/$kind.result.new &&
    sync $here/$kind.result.new && mv -f $here/$kind.result.new $here/$kind.result
  [ "$1" = kept ] && cp $here/$kind.result $here/$kind.last
}

fail() {
  echo "$1: $2" >&2
  jq -n --arg what "$1" --arg seen "$2" --arg expected "${3:-}" --arg remedy "${4:-}" \
    '{ok: false, what: $what, seen: $seen, expected: $expected, remedy: $remedy}' | result kept
  [ -z "${watcher:-}" ] || kill "$watcher" 2>/dev/null
  command -v clean_up >/dev/null && clean_up
  exit 1
}

# progress WHAT DONE TOTAL [bytes|UNIT]: how far it is, as the stage; without a total, WHAT alone stays.
progress() {
  [ "${3:-0}" -gt 0 ] 2>/dev/null || return 0
  stage "$1: $(awk -v d="$2" -v t="$3" -v unit="${4:-bytes}" '
    function size(n,  i) { for (i = 1; n >= 1000 && i < 5; i++) n /= 1000
      return i == 1 ? sprintf("%d B", n) : sprintf("%.1f %sB", n, substr("-KMGT", i, 1)) }
    BEGIN { if (d > t) d = t; printf "%d %% (", d * 100 / t
      if (unit == "bytes") printf "%s of %s)", size(d), size(t); else printf "%d of %d %s)", d, t, unit }')"
}

# growing WHAT FILE TOTAL: until `grown`, the size of a file that is being written becomes the stage.
growing() {
  stage "$1"
  (while sleep 1; do progress "$1" "$(stat -c %s "$2" 2>/dev/null || echo 0)" "$3"; done) 9>&- >/dev/null 2>&1 &
  watcher=$!
}
grown() { kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null; watcher=; }

# reading WHAT FILE COMMAND...: as `said`, with the file as its input; how far it has been read becomes the stage.
reading() {
  what=$1 file=$2; shift 2
  stage "$what"
  (said "$@"; echo $? >$here/code; printf '%s\n' "${why:-}" >$here/why) <"$file" >/dev/null &
  reader=$! watcher=$!
  while kill -0 $reader 2>/dev/null; do
    progress "$what" "$(sed -n 's/^pos:[^0-9]*//p' /proc/$reader/fdinfo/0 2>/dev/null)" "$(stat -c %s "$file")"
    sleep 0.5
  done
  wait $reader; watcher=
  why=$(cat $here/why); code=$(cat $here/code); rm -f $here/why $here/code
  return "$code"
}

# said COMMAND...: runs it; its standard error is in $why when it fails.
said() {
  if "$@" 2>$here/stderr; then return 0; else code=$?; fi
  why=$(grep . $here/stderr | tail -n 4)
  return $code
}

repository() {
  case $REPOSITORY in
    sftp:*) restic --repo "$REPOSITORY" -o "sftp.args=$SFTP_ARGUMENTS" --limit-upload "$LIMIT" "$@" ;;
    *) restic --repo "$REPOSITORY" --limit-upload "$LIMIT" "$@" ;;
  esac
}

# Whether the repository can be used. A target that has held one before and holds none now is not made anew: a disk that
# is not mounted looks like that.
open_repository() {
  # Without a lock of its own: that of a run that was killed must not be in the way. Only such locks are removed.
  if said repository --no-lock cat config >/dev/null; then
    note_repository
    repository unlock >/dev/null 2>&1
    return 0
  fi
  case $code in
    10)
      if grep -qxF "$REPOSITORY" $here/repositories 2>/dev/null; then
        fail "the backup target no longer holds its repository" "$why" "the repository that earlier backups went to" \
          "mount or repair the target $REPOSITORY; to begin a new one there: rm $here/repositories on the mailbox host"
      fi
      [ "$1" = make ] || fail "the backup target holds no backups" "$why" "a repository at $REPOSITORY" "tailwart backup"
      said repository init >/dev/null || fail "the backup repository cannot be made" "$why" "a writable target" \
        "check BACKUP_TARGET"
      note_repository ;;
    12) fail "the backup password is wrong" "$why" "the password that the repository was made with" \
      "set BACKUP_PASSWORD to that one, then: pyinfra inventory.py deploy.py --limit mailbox" ;;
    *) fail "the backup target cannot be used" "$why" "a repository that answers at $REPOSITORY" \
      "check BACKUP_TARGET, its keys, and the way to it from the mailbox host" ;;
  esac
}

note_repository() { grep -qxF "$REPOSITORY" $here/repositories 2>/dev/null || echo "$REPOSITORY" >>$here/repositories; }

# number LINE FIELD: the number in a line of JSON; 0 where it has none.
number() { found=$(printf %s "$1" | sed -nE 's/.*"('"$2"')":([0-9]+).*/\2/p'); echo "${found:-0}"; }

# percent COMMAND...: restic with --json; its progress becomes the stage. Succeeds only with exit code 0: restic keeps a
# snapshot also where a file could not be read (3).
percent() {
  what=$1; shift
  stage "$what"
  { repository "$@" --json 2>$here/stderr; echo "exit $?"; } | while IFS= read -r line; do
    case $line in
      exit\ *) echo "${line#exit }" >$here/code ;;
      *'"message_type":"status"'*)
        progress "$what" "$(number "$line" 'bytes_done|bytes_restored')" "$(number "$line" total_bytes)" ;;
      *'"message_type":"summary"'*) printf '%s\n' "$line" >$here/summary ;;
    esac
  done
  code=$(cat $here/code)
  [ "$code" = 0 ] && return 0
  why=$(grep . $here/stderr | sed -n 's/.*"message":"\([^"]*\)".*/\1/p; t; /^[^{]/p' | tail -n 3)
  return 1
}

# The host's own programs in a container: in the sidecar's network, where the stores answer, or in none at all. The image
# is a root without content; /usr comes from the host.
make_programs() {
  docker image inspect $programs >/dev/null 2>&1 && return 0
  present=
  for path in bin sbin lib lib64 etc/passwd etc/group etc/nsswitch.conf etc/ssl/certs etc/ld.so.cache; do
    [ -e /$path ] && present="$present $path"
  done
  tar -C / -cf - $present 2>/dev/null | docker import - $programs >/dev/null
}

# inside NETWORK OPTION... -- PROGRAM...
inside() {
  network=$1; shift
  options=
  while [ "$1" != -- ]; do options="$options $1"; shift; done
  shift
  docker run --rm -i --name tailwart-backup-$(date +%s%N) --network "$network" --read-only --tmpfs /tmp --user 0:0 --cap-drop ALL \
    --cap-add DAC_OVERRIDE --cap-add CHOWN --cap-add FOWNER -v /usr:/usr:ro \
    -v $here/pgpass:/pgpass:ro -e PGPASSFILE=/pgpass $options $programs "$@"
}

postgres_program() { ls -d /usr/lib/postgresql/*/bin/$1 2>/dev/null | sort -V | tail -n 1; }

database() {
  program=$(postgres_program $1); shift
  inside container:ts-stalwart -- "$program" --host "$DATABASE_HOST" --port "$DATABASE_PORT" \
    --username "$DATABASE_USER" --no-password --dbname "$DATABASE_NAME" "$@"
}

bucket() {
  inside container:ts-stalwart -v $here/rclone.conf:/rclone.conf:ro -v $here/blobs:/blobs -e RCLONE_CONFIG=/rclone.conf \
    -e RCLONE_CACHE_DIR=/tmp -- rclone --fast-list --transfers 8 --checkers 8 --retries 3 --stats 0 "$@"
}

# transfer WHAT ARGUMENT...: rclone with the bucket; how far it is becomes the stage.
transfer() {
  what=$1; shift
  stage "$what"
  : >$here/stderr
  { bucket --use-json-log --stats 1s --stats-log-level NOTICE "$@" 2>&1 >/dev/null; echo "exit $?"; } |
    while IFS= read -r line; do
      case $line in
        exit\ *) echo "${line#exit }" >$here/code ;;
        *'"stats":{'*)
          line=${line#*\"stats\":}
          line=$(printf %s "$line" | sed 's/"transferring":\[[^]]*\],*//')
          progress "$what" "$(number "$line" bytes)" "$(number "$line" totalBytes)" ;;
        *) printf '%s\n' "$line" >>$here/stderr ;;
      esac
    done
  code=$(cat $here/code)
  [ "$code" = 0 ] && return 0
  why=$(sed -n 's/.*"msg":"\([^"]*\)".*/\1/p; t; /^[^{]/p' $here/stderr | grep . | tail -n 3)
  return 1
}

# Rows of every table, as JSON: {"a": 12, …}.
COUNT="select 'select ' || quote_literal(tablename) || ', count(*) from ' || quote_ident(schemaname) || '.' ||
  quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1"
counts_json() { jq -Rn '[inputs | select(contains("|")) | split("|") | {(.[0]): (.[1] | tonumber)}] | add // {}'; }

# ask CONTAINER LOGIN-FILE METHODS: one request to the server in that container, with the login in the file.
ask() {
  sed -n 1p "$2" | timeout 90 docker exec -i "$1" sh -c '
    IFS= read -r login
    curl --silent --show-error --fail --max-time 60 --config /dev/fd/3 \
      --header "Content-Type: application/json" --data-binary "$1" http://127.0.0.1:8080/jmap/ 3<<END
header = "Authorization: $login"
END' sh "{\"using\":[\"urn:ietf:params:jmap:core\",\"urn:stalwart:jmap\"],\"methodCalls\":$3}"
}

# How many objects of the kinds that matter the server in a container has, as JSON.
objects_json() {
  calls='[["x:Account/query",{"calculateTotal":true,"limit":1},"accounts"],
    ["x:Domain/query",{"calculateTotal":true,"limit":1},"domains"],
    ["x:DkimSignature/query",{"calculateTotal":true,"limit":1},"dkim keys"]]'
  ask "$1" "$2" "$calls" | jq '[.methodResponses[] | select(.[1].total != null) | {(.[2]): .[1].total}] | add // {}'
}

# Message bodies that were added to the mirror since the list was made are hashed, the others are taken over.
list_blobs() {
  mkdir -p $here/blobs; touch $here/blobs.sha256
  (cd $here/blobs && find . -type f -print | sort) >$here/blobs.now
  sed 's/^[0-9a-f]*  //' $here/blobs.sha256 | sort >$here/blobs.known
  comm -12 $here/blobs.now $here/blobs.known >$here/blobs.kept
  { awk 'NR == FNR {kept[$0]; next} {name = $0; sub(/^[0-9a-f]*  /, "", name)} name in kept' $here/blobs.kept \
      $here/blobs.sha256
    comm -23 $here/blobs.now $here/blobs.known | (cd $here/blobs && tr '\n' '\0' | xargs -0r sha256sum)
  } | sort -k 2 >$here/blobs.sha256.new && mv -f $here/blobs.sha256.new $here/blobs.sha256
  rm -f $here/blobs.now $here/blobs.known $here/blobs.kept
}

volume() { docker volume inspect --format '{{.Mountpoint}}' "tailwart-mailbox_$1" 2>/dev/null; }

# The snapshot that holds a set; "latest" is the newest complete one.
snapshot_of() {
  repository --no-lock snapshots --json --tag complete 2>$here/stderr |
    jq -r --arg set "$1" 'sort_by(.time) | map(select($set == "latest" or (.tags | index("set=" + $set)))) | last // empty |
      .id + " " + (.tags | map(select(startswith("set="))) | first | ltrimstr("set="))'
}

# fetch SET DIRECTORY: the set, whole and proven by its manifest, or the end of the job.
fetch() {
  found=$(snapshot_of "$1")
  [ -n "$found" ] || fail "there is no complete set $1" "$(grep . $here/stderr | tail -n 2)" "one of \`tailwart backup list\`" \
    "tailwart backup list"
  snapshot=${found%% *} set=${found#* } to=$2
  rm -rf "$to.new" "$to"
  percent "fetching set $set" restore "$snapshot" --target "$to.new" ||
    fail "set $set cannot be read back whole" "$why" "every part as it was written" \
      "free space on the mailbox host; a damaged repository: \`tailwart backup list\`, and take an earlier set"
  mv "$to.new$here/set" "$to" && { [ ! -d "$to.new$here/blobs" ] || mv "$to.new$here/blobs" "$to/blobs"; }
  rocksdb=$(find "$to.new" -type d -name tailwart-backup-rocksdb | head -n 1)
  [ -z "$rocksdb" ] || mv "$rocksdb" "$to/rocksdb"
  rm -rf "$to.new"
  prove "$to"
}

# compared WHAT LIST: what differs from a list of digests, three lines of it; the files that were read become the stage.
compared() {
  total=$(grep -c . "$2") checked=0
  sha256sum --check --strict "$2" 2>&1 | while IFS= read -r line; do
    case $line in
      *': OK')
        checked=$((checked+1))
        [ $((checked % 200)) != 0 ] || progress "$1" $checked "$total" files >/dev/null ;;
      *) printf '%s\n' "$line" ;;
    esac
  done | head -n 3
}

# Every part that the manifest names is there, with its digest, and nothing else is.
prove() {
  stage "comparing set $set with its manifest"
  manifest=$1/manifest.json
  jq -e '.format == 1 and (.parts | length > 0)' "$manifest" >/dev/null 2>&1 ||
    fail "set $set has no manifest" "$manifest" "the list of its parts" "take an earlier set: tailwart backup list"
  jq -r '.parts[] | .sha256 + "  " + .path' "$manifest" >$here/parts
  wrong=$(cd "$1" && compared "comparing set $set with its manifest" $here/parts)
  [ -z "$wrong" ] || fail "set $set is damaged" "$wrong" "every part with the digest of the manifest" \
    "take an earlier set: tailwart backup list"
  if [ -d "$1/blobs" ]; then
    wrong=$(cd "$1/blobs" && compared "comparing message bodies of set $set" ../blobs.sha256)
    [ ! -s "$1/blobs.sha256" ] || [ -z "$wrong" ] || fail "set $set is damaged: message bodies" "$wrong" \
      "every body with its digest" "take an earlier set: tailwart backup list"
  fi
}
