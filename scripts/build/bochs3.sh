#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bochs3.sh: bring Bochs 3.x into build/bochs3, beside whatever Bochs the system has.
#
# For a Debian whose own Bochs is older. The packages are those of a newer release, from where the
# system gets its own, and are unpacked, not installed: nothing outside build/bochs3 changes, and
# root is not needed. They bring their C library, and a dynamic linker that is called by its name.
# The libraries of Bochs' sound come from the system's own package bochs.
set -euf

suite=trixie kind=deb
what="Bochs 3 comes as Debian's packages"
to=build/bochs3
packages='bochs bochs-term bochsbios vgabios seabios libc6 libstdc++6 libgcc-s1 libreadline8t64
	libtinfo6 libncurses6 libltdl7'

die() { echo "splat: $*" >&2; exit 1; }

. "${0%/*}/debian.sh"

[ ! -x $to/bochs ] || { echo "splat: Bochs 3 is in $to"; exit 0; }
[ "$(uname -m)" = x86_64 ] ||
	die "$what for x86-64, and this is $(uname -m)"
need_tools apt-get dpkg

mkdir -p build
work=$(mktemp -d "$PWD/build/bochs3.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/new/unpacked"
echo "splat: bringing Bochs 3 from Debian's $suite into $to"
prepare_apt
# The words of $packages are meant to be split.
# shellcheck disable=SC2086
(cd "$work/cache" && private_apt download $packages) ||
	die "the packages cannot be had: $(grep '^E:' "$work/log" | head -n 1)"
find "$work/cache" -name '*.deb' -exec dpkg -x {} "$work/new/unpacked" \;

cat >"$work/new/bochs" <<'END'
#!/bin/sh
tree=$(dirname "$(readlink -f "$0")")/unpacked
lib=$tree/usr/lib/x86_64-linux-gnu
export LTDL_LIBRARY_PATH="$lib/bochs/plugins"
exec "$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "$lib" "$tree/usr/bin/bochs-bin" "$@"
END
chmod +x "$work/new/bochs"
"$work/new/bochs" --help cpu </dev/null >"$work/cpus" 2>&1 || true
grep -q sapphire_rapids "$work/cpus" ||
	die "Bochs 3 does not run here: $(grep -im 1 error "$work/cpus" || tail -n 1 "$work/cpus")"
rm -rf $to
mv "$work/new" $to
