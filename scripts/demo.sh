#!/usr/bin/env bash
# The whole program in a minute: four validator processes, a wallet, a crash. Exits with 0 only if everything worked.
set -euo pipefail

quorate="${QUORATE:?run this with: make demo}"
directory=$(mktemp -d "${TMPDIR:-/tmp}/quorate-demo.XXXXXX")
export QUORATE_LOCALNET="$directory/localnet"
export QUORATE_HOME="$QUORATE_LOCALNET"
unset QUORATE_NODE QUORATE_GENESIS

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

finish() {
  local code=$?
  if [ "$code" -ne 0 ] && [ -d "$QUORATE_LOCALNET" ]; then
    echo "The demo failed. The last lines of the validators' logs:" >&2
    tail -n 20 "$QUORATE_LOCALNET"/validator-*/node.log >&2 || true
  fi
  "$quorate" localnet destroy --quiet >/dev/null 2>&1 || true
  rm -rf "$directory"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() {
  printf '%s$ quorate %s%s\n' "$bold" "$*" "$plain"
  "$quorate" "$@"
}
# Runs a command that must fail with this exit code.
fails_with() {
  local wanted=$1 code=0
  shift
  run "$@" || code=$?
  if [ "$code" -ne "$wanted" ]; then
    echo "expected exit code $wanted, got $code" >&2
    exit 1
  fi
  echo "(exit code $code, as documented)"
}

step "Four validators, one process each: keys, a genesis ceremony, links, a first committed transaction"
run localnet start -n 4

# The wallet knows all four nodes, so it finds a live one.
eval "$("$quorate" localnet env)"

step "A new account, and money for it. A quorum's signatures prove each receipt, and the wallet checks them itself"
run wallet create dora --insecure-plaintext
run wallet transfer --from alice --to dora --amount 250
run wallet transfer --from dora --to bob --amount 50
run wallet balance dora

step "Keys and values"
run wallet put --from dora greeting hello
run wallet append --from dora greeting ' world'
run wallet get --from dora greeting
run wallet slice --from dora greeting 0 5
run wallet get --from dora greeting

step "A failed transaction is in the chain too, with the reason, and costs only its sequence number"
fails_with 5 wallet slice --from dora nothing-here 0 1

step "A validator is killed and the chain goes on: three of four are a quorum"
run localnet kill 3
run wallet transfer --from bob --to carol --amount 7
run wallet transfer --from alice --to bob --amount 13
run wallet put --from alice note 'written while validator 3 was dead'

step "It restarts and catches up"
run localnet restart 3
run wallet transfer --from carol --to dora --amount 1

step "All four ledgers hold the same blocks and the same state"
run localnet compare

step "Done"
run localnet destroy
