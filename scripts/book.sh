#!/usr/bin/env bash
# Builds the book into target/book, and points its links to files outside docs/ at the repository.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
target="${CARGO_TARGET_DIR:-$root/target}/book"
if ! command -v mdbook >/dev/null; then
  echo "mdbook is not installed: cargo install mdbook --locked" >&2
  exit 1
fi
mdbook build "$root" --dest-dir "$target"

# Only pages at the top are searched: from those below it, ../ leads to a page of the book.
repository=$(sed -n 's/^git-repository-url = "\(.*\)"$/\1/p' "$root/book.toml")
for page in "$target"/*.html; do
  sed -e "s#href=\"\.\./\([^\"]*\)\.html\([\"\#]\)#href=\"$repository/blob/main/\1.md\2#g" -e "s#href=\"\.\./#href=\"$repository/blob/main/#g" "$page" >"$page.new"
  mv "$page.new" "$page"
done
echo "the book is $target/index.html"
