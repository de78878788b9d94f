#!/usr/bin/env bash
# Asks a running node what its own description says that it answers, and much that it should refuse: Schemathesis on /v1/openapi.json. Fails on an
# answer that the description does not allow, and on every server error. Needs Python; QUORATE is the program.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=$(realpath -m "${CARGO_TARGET_DIR:-target}")/api-python
if ! [ -x "$environment/bin/schemathesis" ]; then
  command -v python3 >/dev/null || { echo "Python is missing. On Debian:  apt-get install python3 python3-venv" >&2; exit 1; }
  python3 -m venv "$environment" || { echo "Python cannot make an environment. On Debian:  apt-get install python3-venv" >&2; exit 1; }
  "$environment/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
fi
if [ "${1:-}" = --setup ]; then exit; fi

directory=$(mktemp -d)
trap '"$QUORATE" localnet destroy --dir "$directory/net" >/dev/null 2>&1 || true; rm -rf "$directory"' EXIT
"$QUORATE" localnet start --dir "$directory/net" --heartbeat-ms 1000 --quiet
node=http://$(cat "$directory/net/validator-1/data/api.address")
# It leaves files where it runs.
cd "$directory"
# Streams of events have no end; /readyz answers 503 where the node is not ready; the metrics have another listener.
"$environment/bin/schemathesis" run "$node/v1/openapi.json" --url "$node" --exclude-path-regex 'events|readyz|metrics' \
  --phases coverage,fuzzing --max-examples "${EXAMPLES:-60}" --workers 1 --request-timeout 20 --no-color \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
