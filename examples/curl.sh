#!/bin/sh
# Create, poll, download: everything that a client of the HTTP server does.
# Start a server first, without any account:  musicgate sandbox
# Then:  sh examples/curl.sh "Warm jazz trio with brushed drums"
set -eu

server=${MUSICGATE_URL:-http://127.0.0.1:8080}
# It is put into JSON unescaped: no quotation marks and no backslashes.
prompt=${1:-Warm jazz trio with brushed drums}
out=${2:-song.mp3}

# The value of a text field at the top of a JSON answer; with jq this would be more robust.
field() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' | head -n 1; }

id=$(curl -sS --fail-with-body "$server/v1/music/generate" \
  -H "Authorization: Bearer ${MUSICGATE_API_KEY:-none}" -H "Content-Type: application/json" \
  -d "{\"model\": \"suno/v4.5plus\", \"prompt\": \"$prompt\"}" |
  sed 's/, *"/\n"/g' | field id)
echo "job $id"

status=queued
while [ "$status" = queued ] || [ "$status" = in_progress ]; do
  sleep 1
  status=$(curl -sS --fail-with-body "$server/v1/music/generate/$id" \
    -H "Authorization: Bearer ${MUSICGATE_API_KEY:-none}" | sed 's/, *"/\n"/g' | field status)
  echo "$status"
done

[ "$status" = completed ]
curl -sS --fail -o "$out" -H "Authorization: Bearer ${MUSICGATE_API_KEY:-none}" \
  "$server/v1/music/generate/$id/audio/0"
echo "$out"
