#!/usr/bin/env bash
# Generates the bindings of RocksDB (rocksdb-bindings/README.md) with the real bindgen. Needed only when the version of RocksDB changes.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted="bindgen 0.72.1"
# Bindings that are identical on all of these are used on every 64-bit Unix.
targets=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-apple-darwin aarch64-apple-darwin)

if [ "$(bindgen --version 2>/dev/null)" != "$wanted" ] || ! command -v clang >/dev/null; then
  echo "This needs $wanted and clang with libclang: cargo install bindgen-cli@${wanted#bindgen }; on Debian apt-get install clang libclang-dev" >&2
  exit 1
fi

source_of() { # directory of a crate in the lock file
  cargo metadata --format-version 1 --locked | sed 's/"manifest_path":"/\n/g' | sed -n "s#^\([^\"]*/$1-[0-9][^/\"]*\)/Cargo.toml\".*#\1#p" | head -n 1
}
sys=$(source_of librocksdb-sys)
library=$(source_of rocksdb)
headers="$sys/rocksdb/include"
number() { sed -n "s/^#define ROCKSDB_$1 \([0-9]*\)$/\1/p" "$headers/rocksdb/version.h"; }
version="$(number MAJOR).$(number MINOR).$(number PATCH)"
out="rocksdb-bindings/rocksdb-$version.rs"

# The crate rocksdb uses a third of the interface.
names=$(grep -rhoE '\brocksdb_[A-Za-z0-9_]+' "$library/src" | sort -u | paste -s -d '|' -)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf 'max_width = 300\nuse_small_heuristics = "Max"\n' > "$scratch/rustfmt.toml"
for target in "${targets[@]}"; do
  # Freestanding uses the headers of clang itself, which exist for every target.
  bindgen "$headers/rocksdb/c.h" \
    --allowlist-function "$names" --allowlist-type "$names" --allowlist-var "$names" \
    --ctypes-prefix libc --blocklist-type max_align_t --no-derive-debug \
    --no-doc-comments --merge-extern-blocks --disable-header-comment \
    --rust-target 1.88 --rust-edition 2021 --rustfmt-configuration-file "$scratch/rustfmt.toml" \
    --output "$scratch/$target.rs" -- "--target=$target" -ffreestanding -resource-dir "$(clang -print-resource-dir)"
  cmp "$scratch/${targets[0]}.rs" "$scratch/$target.rs" || { echo "The bindings depend on the platform: those for $target differ." >&2; exit 1; }
done

rm -f rocksdb-bindings/rocksdb-*.rs
{
  echo "// Bindings of RocksDB $version, made by \`make bindings\` ($wanted) from its c.h, of the names that the crate rocksdb uses."
  echo "// c.h is (c) Meta Platforms, Inc. and affiliates, and used under the Apache License 2.0."
  cat "$scratch/${targets[0]}.rs"
} > "$out"
wc -lc "$out"
