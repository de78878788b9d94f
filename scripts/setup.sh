#!/usr/bin/env bash
# Installs what a machine with rustup and a C compiler lacks to build quorate: a C++ compiler and libclang, both for RocksDB.
# Does nothing, and asks for nothing, where all is there.
set -euo pipefail

rust_wanted=90 # 1.90

say() { printf '%s\n' "$*" >&2; }

need_rust() {
  if ! command -v cargo >/dev/null; then
    say "cargo is missing. Install Rust with rustup (https://rustup.rs), then run this again."
    exit 1
  fi
  if ! cargo --version >/dev/null 2>&1; then
    say "rustup has no toolchain yet: installing stable"
    rustup default stable
  fi
  local minor
  minor=$(rustc --version | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
  if [ "$minor" -lt "$rust_wanted" ]; then
    if command -v rustup >/dev/null; then
      say "Rust 1.$minor is too old (1.$rust_wanted is needed): updating stable"
      rustup update stable
    else
      say "Rust 1.$minor is too old: 1.$rust_wanted or newer is needed."
      exit 1
    fi
  fi
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    say "This needs root, and there is no sudo. Run as root:  $*"
    exit 1
  fi
}

has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null && return 0
  compgen -G '/usr/lib*/libclang*.so*' >/dev/null && return 0
  compgen -G '/usr/lib/*-linux-gnu/libclang*.so*' >/dev/null
}

need_cpp_on_linux() {
  local missing=()
  command -v g++ >/dev/null || missing+=(g++)
  has_libclang || missing+=(libclang-dev)
  # Nobody waits for RocksDB twice who has this; nothing depends on it.
  if [ "${#missing[@]}" -gt 0 ] && ! command -v ccache >/dev/null; then missing+=(ccache); fi
  [ "${#missing[@]}" -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    say "Missing: ${missing[*]}. Install them with this system's package manager (a C++ compiler; libclang with its headers)."
    exit 1
  fi
  say "Installing: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

need_cpp_on_macos() {
  if ! xcode-select --print-path >/dev/null 2>&1; then
    say "Installing the command line tools of Xcode (a C++ compiler and libclang). Confirm in the window, then run this again."
    xcode-select --install || true
    exit 1
  fi
}

need_rust
case "$(uname -s)" in
  Linux) need_cpp_on_linux ;;
  Darwin) need_cpp_on_macos ;;
  *) say "quorate is built on Linux and macOS; trying all the same." ;;
esac
