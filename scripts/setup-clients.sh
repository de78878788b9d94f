#!/usr/bin/env bash
# Installs what `make clients` needs beside Rust: packages for the clients in Python and TypeScript and for the browser test. Python, Node and
# Chromium must be there; it says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf '%s\n' "$*" >&2; exit 1; }

command -v python3 >/dev/null || fail "Python is missing. On Debian:  apt-get install python3 python3-venv"
command -v npm >/dev/null && node --eval 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' ||
  fail "Node 20 or newer and npm are missing. Get them from https://nodejs.org; distributions often lag behind."
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || fail "Chromium is missing. On Debian:  apt-get install chromium  (or set CHROMIUM to a browser of that kind)"

# A Python environment of its own, unless the user's Python has the package.
environment=${CARGO_TARGET_DIR:-target}/clients-python
if ! python3 -c 'import cryptography' 2>/dev/null && ! "$environment/bin/python" -c 'import cryptography' 2>/dev/null; then
  python3 -m venv "$environment" || fail "Python cannot make an environment. On Debian:  apt-get install python3-venv, or python3-cryptography"
  "$environment/bin/pip" install --quiet --disable-pip-version-check 'cryptography>=41'
fi
for package in examples/typescript tests/explorer; do
  npm ci --prefix "$package" --no-audit --no-fund --silent
done
