#!/usr/bin/env bash
# Installs what a machine with Rust needs to build quorate: a C++ compiler, for RocksDB. Does nothing, and asks for nothing, if it is there.
set -euo pipefail

rust_wanted=90 # 1.90

say() { printf '%s\n' "$*" >&2; }

# Minor version of the Rust that cargo uses here: 95 for 1.95.0. Empty if there is none.
rust_minor() { rustc --version 2>/dev/null | sed -nE 's/^rustc 1\.([0-9]+)\..*/\1/p'; }

need_rust() {
  if ! command -v cargo >/dev/null; then
    if [ -x "${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo" ]; then
      say "Rust is installed, but this shell does not find it. Run:  . \"${CARGO_HOME:-$HOME/.cargo}/env\""
    else
      say "Rust is missing. Install it as https://rustup.rs says (curl https://sh.rustup.rs -sSf | sh), open a new shell, and run this again."
    fi
    exit 1
  fi
  if command -v rustup >/dev/null && ! rustc --version >/dev/null 2>&1; then
    say "rustup has no toolchain yet: installing stable"
    rustup default stable
  fi
  local minor
  minor=$(rust_minor)
  if [ "${minor:-0}" -ge "$rust_wanted" ]; then return; fi
  if ! command -v rustup >/dev/null; then
    say "$(rustc --version 2>/dev/null || echo "A cargo without rustc") is too old: Rust 1.$rust_wanted or newer is needed. Get the newest from https://rustup.rs; distributions often lag behind."
    exit 1
  fi
  say "Rust 1.${minor:-?} is too old (1.$rust_wanted is needed): updating stable"
  rustup update stable
  minor=$(rust_minor)
  if [ "${minor:-0}" -lt "$rust_wanted" ]; then
    say "The toolchain in use here is not stable ($(rustup show active-toolchain)). Run:  rustup default stable"
    exit 1
  fi
}

# RocksDB's requirements: C++20 with its library, GCC 11 or clang 10. CXX may be two words, such as `ccache g++`.
has_cpp() {
  # shellcheck disable=SC2086
  ${CXX:-c++} -std=c++20 -x c++ -fsyntax-only - >/dev/null 2>&1 <<'CODE'
#include <string>
#if defined(__clang__) ? __clang_major__ < 10 : __GNUC__ < 11
#error too old
#endif
CODE
}

# Runs a command as root, or prints it if we cannot, so that someone else can run it.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then sh -c "$1"
  elif command -v sudo >/dev/null; then say "Root is needed for:  $1" && sudo sh -c "$1"
  else
    say "Root is needed, and there is no sudo. Have this run as root:  $1"
    exit 1
  fi
}

need_cpp_on_linux() {
  if has_cpp; then return; fi
  if command -v apt-get >/dev/null; then
    # Third-party package lists may be broken: what counts is whether the compiler is there afterwards. ccache saves compiling RocksDB
    # twice, but is optional.
    local install="DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
    as_root "apt-get update -qq; $install g++ && { $install ccache || true; }"
  elif command -v dnf >/dev/null; then as_root "dnf install -y gcc-c++"
  elif command -v zypper >/dev/null; then as_root "zypper --non-interactive install gcc-c++"
  elif command -v pacman >/dev/null; then as_root "pacman -S --noconfirm --needed gcc"
  elif command -v apk >/dev/null; then as_root "apk add g++"
  else
    say "A C++ compiler is missing: GCC 11, clang 10, or newer. Install it with this system's package manager."
    exit 1
  fi
  if ! has_cpp; then
    # shellcheck disable=SC2086
    say "${CXX:-c++} cannot compile C++20: $( (${CXX:-c++} --version || true) 2>&1 | head -n 1). RocksDB needs GCC 11, clang 10, or newer; set CXX and CC to choose another compiler."
    exit 1
  fi
}

need_cpp_on_macos() {
  if ! xcode-select --print-path >/dev/null 2>&1; then
    say "Installing the command line tools of Xcode (a C++ compiler). Confirm in the window, then run this again."
    xcode-select --install || true
    exit 1
  fi
}

need_rust
case "$(uname -s)" in
  Linux) need_cpp_on_linux ;;
  Darwin) need_cpp_on_macos ;;
  *) say "quorate is supported on Linux and macOS; trying anyway." ;;
esac
