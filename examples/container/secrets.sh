#!/bin/sh
# Make examples/secrets/ for compose.yaml: a password of PostgreSQL, and the settings with one account. Run
# once.
set -eu
umask 077
folder=$(dirname "$0")/../secrets
# A second password would not be that of the database, which keeps its first one.
mkdir "$folder" || { echo "$folder exists already; nothing was changed" >&2; exit 1; }

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
# macOS has no sha256sum.
digest() { sha256sum 2>/dev/null || shasum -a 256; }
password=$(random)
key=$(random)

printf %s "$password" > "$folder/postgres_password"
cat > "$folder/musicgate.toml" <<SETTINGS
[store]
url = "postgresql://musicgate:$password@database/musicgate"

[[accounts]]
name = "studio"
key_hash = "sha256:$(printf %s "$key" | digest | cut -d ' ' -f 1)"

# [providers.suno_kie]
# api_key = "..."
SETTINGS
# Containers read them as another user. No other user of this machine can: the folder is closed to them.
chmod 0444 "$folder/postgres_password" "$folder/musicgate.toml"

echo "The key of the account studio, which is kept as a digest only: $key"
