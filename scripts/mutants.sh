#!/usr/bin/env bash
# Changes the rules of safety, votes, quorums and certificates, and the code that puts them to work, one place at a time, and runs the tests of
# the owning crate: a change that no test notices is a missing test. Writes docs/reports/mutants.md and exits with 0 only if no mutant was missed.
#
# 1. cargo-mutants, configured by .cargo/mutants.toml.
# 2. A mutation that cargo-mutants lacks: it turns `<=` into `>` but never into `<`, and off-by-one boundaries are the typical mistake in
#    rules. Assertions are not rules.
#
# Each mutant first runs against the tests that build and run quickly, and against all of them if those notice nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in mutants nextest; do
  cargo "$tool" --version >/dev/null 2>&1 || { echo "cargo-$tool is missing: cargo install --locked cargo-$tool" >&2; exit 1; }
done

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
# Nobody reads the backtraces of mutants.
export RUST_BACKTRACE=0 CARGO_PROFILE_RELEASE_DEBUG=false
out="$CARGO_TARGET_DIR/mutants"
rm -rf "$out"
mkdir -p "$out"

# The quick tests of a crate: what to build, and what to run of it. The crate itself is not optimised, so its longest tests are left out.
build=() run=() all=()
choose() {
  run=()
  build=("--config=profile.release.package.quorate-$1.opt-level=0")
  case $1 in
    consensus)
      build+=(--lib --test=protocol)
      run=(-E 'not test(/every_sequence|b20_/)')
      all=(--package quorate-consensus)
      ;;
    types)
      build+=(--lib --test=suite)
      run=(-E 'not test(/every_bit|every_message|huge_lengths|nonsense|one_bad|the_largest_answer|messages_have_golden/)')
      all=(--package quorate-types --package quorate-consensus)
      ;;
    ledger | replica)
      build+=(--tests)
      all=(--package "quorate-$1" --package quorate-replica)
      ;;
  esac
}

# ---- cargo-mutants ----------------------------------------------------------------------------------------------------------------------

# Exit codes 2 and 3 mean missed mutants and timeouts, which the report lists.
mutants() { cargo mutants -j1 --no-times "$@" || [ $? -le 3 ]; }

for crate in consensus types ledger replica; do
  choose $crate
  mkdir "$out/$crate"
  mutants --output "$out/$crate" --package "quorate-$crate" "${build[@]/#/-C=}" -- "${run[@]}"
  cp -R "$out/$crate/mutants.out" "$out/$crate/quick"
  if [ -s "$out/$crate/quick/missed.txt" ] || [ -s "$out/$crate/quick/timeout.txt" ]; then
    packages=$(printf '%s\n' "${all[@]}" | grep quorate | paste -s -d , -)
    mutants --output "$out/$crate" --package "quorate-$crate" --iterate --test-package "$packages"
  fi
done

# ---- boundaries -------------------------------------------------------------------------------------------------------------------------

copy=$(mktemp -d "${TMPDIR:-/tmp}/quorate-boundaries.XXXXXX")
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$copy"

# Prints file $1 with boundary number $3 of line $2 made strict.
strict() {
  awk -v at="$2" -v nth="$3" 'NR == at {
    rest = $0; line = ""
    while (match(rest, / [<>]= /)) {
      line = line substr(rest, 1, RSTART + 1) (++seen == nth ? " " : "= ")
      rest = substr(rest, RSTART + 4)
    }
    $0 = line rest
  } { print }' "$1"
}

nextest() { (cd "$copy" && cargo nextest run --release --locked "$@" >"$out/log" 2>&1); }

for file in $(sed -n 's/^ *"\(.*\.rs\)",$/\1/p' .cargo/mutants.toml); do
  choose "${file%%/*}"
  { grep -nE ' [<>]= ' "$file" | grep -vE '^[0-9]+: *//|assert!' || true; } | while IFS=: read -r line text; do
    for nth in $(seq 1 "$(grep -o ' [<>]= ' <<<"$text" | wc -l)"); do
      strict "$file" "$line" "$nth" >"$copy/$file"
      name="$file:$line: boundary $nth of $(sed 's/^ *//' <<<"$text")"
      if nextest "${all[@]:0:2}" "${build[@]}" "${run[@]}" </dev/null && nextest "${all[@]}" </dev/null; then
        echo "$name" | tee -a "$out/boundaries.missed"
      else
        ! grep '^error: could not compile' "$out/log" || { echo "$name does not compile" >&2; exit 1; }
        echo "$name" >>"$out/boundaries.caught"
      fi
    done
    cp "$file" "$copy/$file"
  done
done

# The last line of `times` is that of the children; in a pipe it would be another process's.
times >"$out/times"
awk 'END { print $1 " user, " $2 " system" }' "$out/times" >"$out/cpu"
scripts/mutants-report.sh "$out"
