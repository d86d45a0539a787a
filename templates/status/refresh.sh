#!/bin/sh
# The status page on the mailbox host: looks at the host and the server, writes the page, and mails what changed. Run by
# tailwart-status.service. Needs no secret but the server's login that is there anyway, and reaches nobody but the engine.
set -u
export LC_ALL=C
here=$(dirname "$0")
. "$here/settings"
now=$(date +%s)
shown=$(date -u '+%Y-%m-%d %H:%M UTC')
tab=$(printf '\t')
results=$here/results.new
: >"$results"

# said ID VERDICT [SEEN]: a result; checks that this installation does not have are not in the list and leave none.
said() {
  grep -q "^$1$tab" "$here/checks" || return 0
  printf '%s\t%s\t%s\n' "$1" "$2" "$(printf '%s' "${3:-}" | tr '\t\n\r' '   ' | tr -d '\000-\037\177' | cut -c 1-300)" >>"$results"
}

# judged ID SEEN: what was seen is wrong; nothing seen is well.
judged() { if [ -n "$2" ]; then said "$1" failed "$2"; else said "$1" passed; fi; }

inspect() { timeout 20 docker inspect --format "$1" "$2" 2>/dev/null; }

containers() {
  wrong=
  for name in "$SIDECAR" "$SERVER"; do
    state=$(inspect '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$name") || state="is not there"
    [ "$state" = "running healthy" ] || wrong="$wrong$name is $state; "
  done
  judged mailbox.containers-healthy "${wrong%; }"
}

answers() {
  wrong=$(timeout 20 docker exec "$SERVER" curl -fsS -m 10 -o /dev/null "$HEALTH" 2>&1) && wrong=
  judged mailbox.http-answers "$wrong"
}

reached() {
  if ! dialled=$(timeout 30 sh "$here/dial.sh" 2>/dev/null); then
    for id in stores smarthost; do said mailbox.$id-reached "could not look" "the sidecar does not answer"; done
    said mailbox.ipv6-egress "could not look" "the sidecar does not answer"
    return
  fi
  beyond() { printf '%s\n' "$dialled" | awk -v only="$1" '$2 != 0 && index(only, $1) { printf "%s is not reached; ", $1 }'; }
  judged mailbox.stores-reached "$(beyond 'STALWART_DB_HOST REDIS_URL S3_ENDPOINT')"
  judged mailbox.smarthost-reached "$(beyond SMARTHOST_ADDRESS)"
  judged mailbox.ipv6-egress "$(beyond PROBE_IPV6)"
}

host() {
  facts=$(sh "$here/host.sh" 2>/dev/null)
  judged mailbox.disk "$(printf '%s\n' "$facts" | awk -v full="$FULL" -v least="$LEAST_DISK" \
    '$1 == "disk" && ($4 >= full || $3 < least) { printf "%s is %s %% full; ", $2, $4 }')"
  judged mailbox.memory "$(printf '%s\n' "$facts" | awk -v least="$LEAST_MEMORY" \
    '$1 == "memory" && $2 < least { printf "%d MiB are available", $2 / 1048576 }')"
  judged mailbox.no-reboot-due "$(printf '%s\n' "$facts" | sed -n 's/^reboot */for /p')"
}

# job ID FILE SECONDS
job() {
  [ -f "$2" ] || { said "$1" failed "there was none yet"; return; }
  ended=$(sed -n 's/.*"ended": *"\([^"]*\)".*/\1/p' "$2")
  at=$(date +%s -d "$ended" 2>/dev/null) || { said "$1" "could not look" "$2 cannot be read"; return; }
  if ! grep -q '"ok": *true' "$2"; then
    said "$1" failed "the last one failed: $(sed -n 's/.*"what": *"\([^"]*\)".*/\1/p' "$2")"
  elif [ $((now - at)) -gt "$3" ]; then
    said "$1" failed "the last one ended on $ended"
  else
    said "$1" passed
  fi
}

server() {
  answer=$(timeout 90 sh "$here/ask.sh" 2>/dev/null)
  case $answer in
    *'"methodResponses"'*) ;;
    *)
      for id in queue tasks certificate; do said server.$id "could not look" "the server does not answer"; done
      return ;;
  esac
  # The values of a property, by a pattern: the host needs no JSON program for this.
  each() { grep -o "\"$1\" *: *\"[^\"]*\"" | sed "s/\"$1\" *: *\"//; s/\"\$//"; }
  length=$(printf '%s\n' "$answer" | grep -o '"total" *: *[0-9]*' | head -n 1 | tr -dc 0-9)
  queue=$(printf '%s\n' "$answer" | sed 's/.*"x:QueuedMessage\/get"//; s/"x:Task\/query".*//')
  oldest=$(printf '%s\n' "$queue" | each createdAt | sort | head -n 1)
  wrong=
  [ "${length:-0}" -le "$QUEUE_LONG" ] || wrong="$length messages wait"
  if [ "${length:-0}" -gt 0 ] && at=$(date +%s -d "$oldest" 2>/dev/null) && [ $((now - at)) -gt "$QUEUE_STUCK" ]; then
    wrong="one of $length messages waits since $oldest"
  fi
  judged server.queue "$wrong"
  judged server.tasks "$(printf '%s\n' "$answer" | grep -o '{[^{}]*"@type" *: *"Failed"[^{}]*}' |
    each failureReason | grep -v 'still valid' | head -n 1)"
  certificates
}

# Each name that the server shows a certificate for: that of the name itself goes before a wildcard, and the longest counts.
certificates() {
  wrong='' rows=$(printf '%s\n' "$answer" | sed 's/.*"x:Certificate\/get"//' | held)
  for name in $SERVED; do
    ends=$(printf '%s\n' "$rows" | awk -v own="$name" -v wild="*.${name#*.}" '
      { for (i = 2; i <= NF; i++) { if ($i == own && $1 > o) o = $1; if ($i == wild && $1 > w) w = $1 } }
      END { print o ? o : w }')
    if [ -z "$ends" ]; then
      case $name in mail.*) wrong="$wrong$name has none; " ;; esac
    elif at=$(date +%s -d "$ends" 2>/dev/null) && [ $((at - now)) -ge "$CERTIFICATE_SOON" ]; then
      :
    else
      case $wrong in *"$ends"*) ;; *) wrong="$wrong$name: valid until $ends; " ;; esac
    fi
  done
  judged server.certificate "${wrong%; }"
}

# A line for each certificate: until when it is valid, and its names. Its values are texts, and objects without others in them.
held() {
  grep -oE '[{][^{}]*([{][^{}]*[}][^{}]*)+[}]' | while read -r one; do
    printf '%s %s\n' "$(printf '%s\n' "$one" | each notValidAfter | head -n 1)" \
      "$(printf '%s\n' "$one" | grep -o '"subjectAlternativeNames" *: *{[^{}]*}' | sed 's/[^{]*{//' |
        grep -o '"[^"]*" *: *true' | sed 's/^"//; s/".*//' | tr '\n' ' ')"
  done
}

verdict() { awk -F "$tab" -v id="$2" '$1 == id { print $2 }' "$1" 2>/dev/null; }
column() { awk -F "$tab" -v id="$1" -v column="$2" '$1 == id { print $column }' "$here/checks"; }

# Only what two runs in a row have found is told: a restart is no news. What could not be mailed is told the next time.
tell() {
  text=$here/mail.new
  : >"$here/told.new"
  while IFS=$tab read -r id found seen; do
    before=$(verdict "$here/told" "$id")
    before=${before:-passed} told=$before
    if [ "$found" = "$(verdict "$here/results" "$id")" ] && [ "$found" != "$before" ]; then
      told=$found
      printf '%s: %s\r\n  was: %s\r\n  now: %s\r\n' "$id" "$(column "$id" 2)" "$before" "$found"
      [ -z "$seen" ] || printf '  seen: %s\r\n' "$seen"
      [ "$found" = passed ] || printf '  remedy: %s\r\n' "$(column "$id" 3)"
      printf '\r\n'
    fi
    printf '%s\t%s\t\n' "$id" "$told" >>"$here/told.new"
  done <"$results" >"$text"
  if [ -s "$text" ] && ! send <"$text"; then
    echo "the change could not be mailed; it is tried again" >&2
    return
  fi
  mv -f "$here/told.new" "$here/told"
}

send() {
  failing=$(grep -c "${tab}failed$tab" "$here/told.new") count=$(grep -c . "$here/told.new")
  {
    printf 'From: tailwart <status@tailwart.invalid>\r\nTo: <%s>\r\nSubject: %s: %s\r\n' "$RECIPIENT" "$DOMAIN" \
      "$([ "$failing" = 0 ] && echo 'the mailbox host is well again' || echo "$failing of $count checks of the mailbox host fail")"
    printf 'Date: %s\r\nMessage-ID: <%s.%s@tailwart.invalid>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' \
      "$(date -R)" "$(date +%s%N)" "$$"
    cat
    printf 'The page: http://%s:%s/\r\n' "$PAGE_HOST" "$PORT"
  } | timeout 120 docker exec -i "$SERVER" curl --silent --show-error --max-time 90 --mail-from '<>' \
    --mail-rcpt "$RECIPIENT" --upload-file - smtp://127.0.0.1:25/tailwart.invalid >/dev/null
}

escaped() { printf '%s' "$*" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

ago() {
  if [ "$1" -ge 172800 ]; then echo "$(($1 / 86400)) days"; elif [ "$1" -ge 7200 ]; then echo "$(($1 / 3600)) hours"
  else echo "$(($1 / 60)) minutes"; fi
}

header() {
  failing=$(grep -c "${tab}failed$tab" "$results")
  blind=$(grep -c "${tab}could not look$tab" "$results")
  count=$(grep -c . "$results")
  if [ "$failing" -gt 0 ]; then state=failed sign=✕ text="$failing of $count checks of the mailbox host fail"
  elif [ "$blind" -gt 0 ]; then state=unknown sign='?' text="$blind of $count checks of the mailbox host could not look"
  else state=passed sign=✓ text="All $count checks of the mailbox host pass"; fi
  if [ "$whole" = failed ] && [ "$state" != failed ]; then
    state=failed sign=✕ text="$text; the last whole run found failures"
  fi
  printf '<header class="%s"><span class="sign" aria-hidden="true">%s</span><div><h1>%s</h1>\n<p>%s · refreshed at %s · %s</p></div></header>\n' \
    "$state" "$sign" "$text" "$(escaped "$DOMAIN")" "$shown" "$age"
}

now_section() {
  printf '<h2>The mailbox host, now</h2>\n<ul class="card">\n'
  while IFS=$tab read -r id found seen; do
    case $found in passed) state=passed sign=✓ ;; failed) state=failed sign=✕ ;; *) state=unknown sign='?' ;; esac
    printf '<li class="result"><span><span class="badge %s">%s %s</span></span><span>%s' "$state" "$sign" "$found" \
      "$(escaped "$(column "$id" 2)")"
    [ "$state" = passed ] || printf '<br><span class="soft">%s</span><br>remedy: <code>%s</code>' "$(escaped "$seen")" \
      "$(escaped "$(column "$id" 3)")"
    printf '</span><code class="soft">%s</code></li>\n' "$id"
  done <"$results"
  printf '</ul>\n'
}

write_page() {
  page=$here/seen.html
  [ -f "$page" ] || page=$here/waiting.html
  # The first line of a whole run's page: <!-- run STATE TIME -->.
  whole=$(sed -n 's/^<!-- run \([a-z]*\) .*/\1/p' "$page" | head -n 1)
  began=$(sed -n 's/^<!-- run [a-z]* \(.*\) -->.*/\1/p' "$page" | head -n 1)
  age="no whole run yet: tailwart doctor --publish"
  if at=$(date +%s -d "$began" 2>/dev/null) && [ -n "$began" ]; then
    age="edges, tailnet and zone as tailwart doctor saw them $(ago $((now - at))) ago"
  fi
  header >"$here/header.new"
  now_section >"$here/now.new"
  awk -v header="$here/header.new" -v now="$here/now.new" '
    function put(file, line) { while ((getline line < file) > 0) print line; close(file) }
    /^<!-- header -->$/ { put(header); next }
    /^<!-- now -->$/ { put(now); next }
    { print }' "$page" >"$here/page.new"
  chmod 0644 "$here/page.new"
  mv -f "$here/page.new" "$here/www/index.html"
}

containers
answers
reached
host
job mailbox.backup "$LAST_BACKUP" "$BACKUP_AGE"
job mailbox.drill "$LAST_DRILL" "$DRILL_AGE"
server
write_page
tell
mv -f "$results" "$here/results"
rm -f "$here"/*.new
