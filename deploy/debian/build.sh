#!/usr/bin/env bash
# Puts the program, its units and its users into a Debian package: deploy/debian/build.sh target/release/quorate DIRECTORY
# Needs dpkg-dev. Whoever builds it is its maintainer: DEBFULLNAME and DEBEMAIL.
set -euo pipefail
fail() { printf '%s\n' "$*" >&2; exit 1; }
if [ $# -ne 2 ] || ! [ -x "$1" ] || ! [ -d "$2" ]; then fail "usage: deploy/debian/build.sh PROGRAM DIRECTORY"; fi
if [ -z "${DEBFULLNAME:-}" ] || [ -z "${DEBEMAIL:-}" ]; then
  fail "set DEBFULLNAME and DEBEMAIL to your name and address: they become the package's maintainer"
fi
command -v dpkg-shlibdeps >/dev/null || fail "dpkg-shlibdeps is missing. On Debian:  apt-get install dpkg-dev"
program=$(realpath "$1") out=$(realpath "$2")
cd "$(dirname "$0")/../.."
umask 022

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
root=$tree/root
doc=$root/usr/share/doc/quorate
install -d "$root/DEBIAN" "$doc" "$tree/debian"
install -D --strip -m 755 "$program" "$root/usr/bin/quorate"
install -D -m 644 -t "$root/usr/lib/systemd/system" deploy/systemd/quorate.service deploy/systemd/quorate-signer.service
install -D -m 644 deploy/systemd/quorate.sysusers "$root/usr/lib/sysusers.d/quorate.conf"
"$program" completions bash | install -D -m 644 /dev/stdin "$root/usr/share/bash-completion/completions/quorate"
install -m 644 docs/operate.md docs/guide.md CHANGELOG.md "$doc"
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
printf 'quorate (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s <%s>  %s\n' "$version" "$DEBFULLNAME" "$DEBEMAIL" "$(date -R)" |
  gzip -9n >"$doc/changelog.gz"
cat >"$doc/copyright" <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: quorate
Source: https://github.com/quorate/quorate

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE-MIT)
License: Expat or Apache-2.0

License: Expat
$(sed -e '1,/^Permission/{/^Permission/!d}' -e 's/^$/./' -e 's/^/ /' LICENSE-MIT)

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
TEXT

# dpkg-shlibdeps wants the form of a source package.
printf 'Source: quorate\n\nPackage: quorate\nArchitecture: any\n' >"$tree/debian/control"
depends=$(cd "$tree" && dpkg-shlibdeps -O root/usr/bin/quorate | sed -n 's/^shlibs:Depends=//p')
cat >"$root/DEBIAN/control" <<TEXT
Package: quorate
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: $DEBFULLNAME <$DEBEMAIL>
Depends: $depends, systemd
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f 1)
Section: net
Priority: optional
Homepage: https://github.com/quorate/quorate
Description: validator of a permissioned blockchain (DiemBFT v4)
 Organisations that do not trust each other run one validator each; together
 they order transactions and certify the state after each block. The package
 holds the program, units for the validator and for a signer in a process of
 its own, and their users. It starts nothing.
TEXT
# A running validator is not restarted: when that happens is for its operator to decide.
for script in postinst postrm; do
  {
    printf '#!/bin/sh\nset -e\n'
    [ "$script" = postrm ] || printf 'systemd-sysusers quorate.conf\n'
    printf 'if [ -d /run/systemd/system ]; then\n  systemctl daemon-reload\nfi\n'
  } >"$root/DEBIAN/$script"
  chmod 755 "$root/DEBIAN/$script"
done
dpkg-deb --root-owner-group --build "$root" "$out"
