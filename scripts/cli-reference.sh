#!/usr/bin/env bash
# Prints docs/reference/cli.md: the help of the program in QUORATE, and of every command below it. The same program prints the same page
# on every machine.
set -euo pipefail

quorate="${QUORATE:?run this with: make cli-reference}"

# The help shows the values of these variables, and is as wide as the terminal.
unset COLUMNS
for name in $(compgen -e QUORATE_ || true); do unset "$name"; done

help_of() { "$quorate" "$@" --help </dev/null 2>&1 | sed 's/ *$//'; }

# The program's own options, which every command has as well, are shown once: an option that reads word for word like one of them is left out.
without_common() {
  awk '
    function flush() {
      sub(/\n+$/, "", option)
      if (learning) known[option]
      else if (option != "" && !(option in known)) { printf "%s%s\n", title, option; title = "\n" }
      option = ""
    }
    FNR == 1 { flush(); learning = NR == 1; inside = 0 }
    /^Options:/ { inside = 1; title = $0 "\n"; next }
    inside && /^  (    )?-/ { flush() }
    inside { option = option $0 "\n"; next }
    !learning { print }
    END { flush() }
  ' <(help_of) -
}

page_of() {
  local help name
  help=$(help_of "$@")
  printf '\n## %s\n\n```text\n%s\n```\n' "quorate${*:+ $*}" "$(if [ $# -eq 0 ]; then echo "$help"; else without_common <<<"$help"; fi)"
  for name in $(sed -n '/^Commands:/,/^Options:/s/^  \([a-z][a-z-]*\)\( .*\)*$/\1/p' <<<"$help"); do
    [ "$name" = help ] || page_of "$@" "$name"
  done
}

cat <<'PAGE'
# Command line

The help of every command, as `quorate help COMMAND` prints it. The options of `quorate` itself (`-o`, `-q`, `--color`, `-h`) are those of every
command, and are shown there alone. The [guide](../guide.md) says how the commands belong together.

`make cli-reference` writes this page; a test compares it with the program.
PAGE
page_of
