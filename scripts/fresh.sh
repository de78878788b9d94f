#!/usr/bin/env bash
# Runs the README's commands as a new user on a machine that has little. Each runs in its own chroot of Debian, on a clean
# checkout of the commit, as a user who has rustup's Rust and none of our other tools:
#
#   gcc    root; gcc and make                                          the C++ compiler is installed without a question
#   llvm   a user with sudo; the same and LLVM, without libclang       a library that resembles libclang (libclang-cpp) confuses nothing
#   all    a user without sudo; g++, ccache, clang, libclang           nothing is installed, nothing is asked for
#
# STATES="gcc llvm" and COMMANDS="demo" select a part. The results are written to docs/reports/fresh.json. Needs root on Linux and debootstrap.
# Everything runs in its own mount and process namespaces: however this ends, the kernel removes mounts and processes.
set -euo pipefail
cd "$(dirname "$0")/.."

states=${STATES:-gcc llvm all}
commands=${COMMANDS:-demo test}
suite=${SUITE:-bookworm}
report=${REPORT:-docs/reports/fresh.json}

fail() { printf '%s\n' "$*" >&2; exit 1; }

work=${QUORATE_FRESH_INSIDE:-}
if [ -z "$work" ]; then
  [ "$(uname -s)" = Linux ] && [ "$(id -u)" -eq 0 ] || fail "make fresh needs root on Linux: it makes chroots."
  for tool in debootstrap unshare chroot; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install debootstrap util-linux coreutils"
  done
  # Removed out here, where nothing is mounted in it.
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/quorate-fresh.XXXXXX")
  trap 'kill -KILL "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  QUORATE_FRESH_INSIDE=$work unshare --mount --pid --fork --kill-child --mount-proc "scripts/fresh.sh" &
  child=$!
  wait "$child"
  exit
fi

# The mirror from which this machine gets the same release, whatever the format of its sources.
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null \
  | awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')}
[ -n "$mirror" ] || fail "This machine's apt knows no mirror of Debian $suite; set MIRROR=http://..."

commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit="$commit+"
toolchain=$(rustc --print sysroot)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
ccache=${CCACHE_DIR:-$(ccache --get-config cache_dir 2>/dev/null || true)}

say() { printf '== %s\n' "$*" >&2; }

say "Debian $suite, once for all states"
debootstrap --variant=minbase --include=gcc,libc6-dev,make,ca-certificates "$suite" "$work/base" "$mirror" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

in_chroot() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
add() { in_chroot apt-get install -y -qq --no-install-recommends "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
has() { in_chroot sh -c "command -v $1" >/dev/null; }
has_library() { compgen -G "$root/usr/lib/*/$1" >/dev/null || compgen -G "$root/usr/lib/*/lib/$1" >/dev/null; }

# Makes a machine in one of the states: sets $root, $user and $home.
prepare() {
  root="$work/$1" user=somebody home=/home/somebody
  cp -a "$work/base" "$root"
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  cp /etc/hosts "$root/etc/hosts"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  case $1 in
    gcc) user=root home=/root ;;
    llvm) add llvm-14 libclang-cpp14 sudo ;;
    all) add g++ ccache clang libclang-dev ;;
    *) fail "Unknown state $1; the states are gcc, llvm and all." ;;
  esac
  [ "$user" = root ] || in_chroot useradd --create-home --shell /bin/bash "$user"
  [ "$1" != llvm ] || echo "$user ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/$user"
  # The state must be what its name says, or the run proves nothing.
  case $1 in
    gcc | llvm) if has g++ || has c++ || has_library 'libclang.so*' || has_library 'libclang-[0-9]*'; then fail "state $1 has too much"; fi ;;
    all) has g++ && has_library 'libclang.so*' || fail "state all lacks something" ;;
  esac
  [ "$1" != llvm ] || has_library 'libclang-cpp.so*' || fail "state llvm lacks libclang-cpp"
  # A new user's package lists are no younger than the image.
  [ "$1" = all ] || rm -rf "$root"/var/lib/apt/lists/*

  # Rust as rustup installs it, with this machine's cargo downloads and compiler cache.
  mkdir -p "$root/opt/rust" "$root$home/.cargo/registry" "$root$home/quorate"
  mount --bind -o ro "$toolchain" "$root/opt/rust"
  echo 'export PATH=/opt/rust/bin:$PATH' >"$root/etc/profile.d/rust.sh"
  for part in cache index; do
    [ ! -d "$cargo_home/registry/$part" ] || cp -a "$cargo_home/registry/$part" "$root$home/.cargo/registry/"
  done
  [ ! -f "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$root$home/.cargo/"
  if [ -d "$ccache" ]; then mkdir -p "$root$home/.cache" && cp -a "$ccache" "$root$home/.cache/ccache"; fi
  git archive HEAD | tar -x -C "$root$home/quorate"
  in_chroot chown -R "$user:" "$home"
}

# Joins items with commas, each on a line of its own that begins with the first argument.
listed() {
  local indent=$1 text
  shift
  text=$(printf ",\n$indent%s" "$@")
  printf '%s' "${text#,$'\n'"$indent"}"
}

results=()
code_of_all=0
for state in $states; do
  say "$state"
  prepare "$state"
  runs=()
  for command in $commands; do
    say "$state: make $command"
    start=$SECONDS code=0
    chroot "$root" /usr/bin/env -i TERM=dumb su - "$user" -c "cd quorate && make $command" </dev/null >&2 || code=$?
    say "$state: make $command ended with $code after $((SECONDS - start)) s"
    [ "$code" -eq 0 ] || code_of_all=1
    runs+=("{ \"command\": \"make $command\", \"exit_code\": $code, \"seconds\": $((SECONDS - start)) }")
  done
  left=$(in_chroot sh -c 'command -v g++ >/dev/null && echo -n g++; command -v ccache >/dev/null && echo -n " ccache"; true')
  results+=("{
      \"state\": \"$state\", \"user\": \"$user\", \"installed_afterwards\": \"$left\",
      \"runs\": [
        $(listed '        ' "${runs[@]}")
      ]
    }")
done

{
  printf '{\n  "commit": "%s",\n  "system": "Debian %s, minbase, %s",\n  "rust": "%s",\n' "$commit" "$suite" "$(uname -m)" "$(rustc --version)"
  printf '  "cached": "downloads of cargo; results of the C++ compiler where ccache is there or is installed",\n  "states": [\n'
  printf '    %s\n  ]\n}\n' "$(listed '    ' "${results[@]}")"
} >"$report"
cat "$report"
exit "$code_of_all"
