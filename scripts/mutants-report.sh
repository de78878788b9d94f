#!/usr/bin/env bash
# Writes docs/reports/mutants.md from the directory that scripts/mutants.sh filled. Exits with 0 only if every mutant was caught or is known to
# be equivalent.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
report=docs/reports/mutants.md
equivalent=docs/reports/mutants-equivalent.md
files=$(sed -n 's/^ *"\(.*\.rs\)",$/\1/p' .cargo/mutants.toml)

# Verdicts "caught" and "unviable" of the quick tests stand; for the rest the last pass counts.
for verdict in caught unviable; do sort -u "$out"/*/{quick,mutants.out}/$verdict.txt >"$out/all.$verdict"; done
for verdict in missed timeout; do sort -u "$out"/*/mutants.out/$verdict.txt >"$out/all.$verdict"; done
touch "$out/boundaries.caught" "$out/boundaries.missed"
# Known to be equivalent: the list quotes the line of code.
: >"$out/boundaries.known"
while read -r name; do
  if grep -qF "\`${name#*: }\`" "$equivalent"; then echo "$name" >>"$out/boundaries.known"; fi
done <"$out/boundaries.missed"
grep -vxFf "$out/boundaries.known" "$out/boundaries.missed" >"$out/boundaries.new" || true

row() {
  printf '| %s ' "$1"
  for list in all.caught all.missed all.timeout all.unviable boundaries.caught boundaries.new boundaries.known; do
    printf '| %s ' "$(grep -c "^$2" "$out/$list" || true)"
  done
  echo '|'
}
{
  cat <<END
# Mutation testing of the rules

The result of \`make mutants\` (CONTRIBUTING.md) at commit $(git rev-parse --short=12 HEAD)$(git diff --quiet HEAD -- consensus types ledger replica || echo ' with changes'), $(cargo mutants --version), $(rustc --version | cut -d ' ' -f 1-2),
$(cat "$out/cpu") of processor time. Each mutant is the program with one place changed; it is caught if a test of its crate fails. "Hangs" are
mutants that ran into the time limit of the tests, which counts as caught. What does not compile is caught by the compiler. Boundaries
are \`<=\` made \`<\` and \`>=\` made \`>\`, which cargo-mutants does not try.

| File | Caught | Missed | Hangs | Does not compile | Boundaries caught | Missed | Equivalent |
|---|---|---|---|---|---|---|---|
END
  for file in $files; do row "\`$file\`" "$file"; done
  row all ''
  if [ -s "$out/all.missed" ] || [ -s "$out/boundaries.new" ]; then
    printf '\nMissed:\n\n```text\n'
    cat "$out/all.missed" "$out/boundaries.new"
    echo '```'
  fi
  echo
  cat "$equivalent"
} >"$report"
cat "$report"
[ ! -s "$out/all.missed" ] && [ ! -s "$out/boundaries.new" ]
