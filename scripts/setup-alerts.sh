#!/usr/bin/env bash
# Checks that `make alerts` has what it needs beside Rust, and says what is missing.
set -euo pipefail

for program in prometheus promtool; do
  command -v "$program" >/dev/null || { printf '%s\n' "$program is missing. On Debian:  apt-get install prometheus" >&2; exit 1; }
done
