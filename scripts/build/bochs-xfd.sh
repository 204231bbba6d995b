#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bochs-xfd.sh: build a Bochs that has IA32_XFD, into build/bochs-xfd.
#
# The source is Debian's, of the release below, from where the system gets its own packages; what is
# added to it stands in bochs-xfd/. Some four minutes on two cores. Nothing outside build/ changes,
# and root is not needed.
set -euf

suite=trixie kind=deb-src
what="Bochs' source comes from Debian"
to=build/bochs-xfd
tarball=bochs_3.0+dfsg.orig.tar.xz
sha256=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b
# The display shows nothing: nobody looks at it, and it needs no library.
options='--with-nogui --disable-docbook --enable-cpu-level=6 --enable-x86-64 --enable-smp
	--enable-fpu --enable-amx --enable-avx --enable-evex --enable-cet --enable-uintr
	--enable-protection-keys --enable-memtype --enable-a20-pin --enable-pci --enable-cdrom
	--enable-repeat-speedups --enable-fast-function-calls'

die() { echo "splat: $*" >&2; exit 1; }

here=$(cd "${0%/*}" && pwd)
. "$here/debian.sh"

# A step, with its output in the log; $1 says what to call it.
step() {
	name=$1
	shift
	echo "splat: bochs-xfd: $name"
	"$@" >>"$work/log" 2>&1 ||
		die "bochs-xfd: $name failed: $(grep -m 1 -E "error:|^splat:" "$work/log" ||
			tail -n 1 "$work/log")"
}

[ ! -x $to/bochs ] || { echo "splat: the Bochs with IA32_XFD is in $to"; exit 0; }

need_tools apt-get g++ make python3

mkdir -p build
work=$(mktemp -d "$PWD/build/bochs-xfd.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
echo "splat: bochs-xfd: fetching the source of Debian's $suite"
prepare_apt
# The exit status says nothing, because some mirrors lack a file that is of no use here.
(cd "$work" && private_apt source --download-only bochs) || :
[ -f "$work/$tarball" ] || die "bochs-xfd: $tarball cannot be had: $(grep -m 1 '^E:' "$work/log")"
echo "$sha256  $work/$tarball" | sha256sum --check --status ||
	die "bochs-xfd: $tarball is not the one that the additions are for"

step "unpacking" python3 -c \
	'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' \
	"$work/$tarball" "$work"
tree=$(find "$work" -maxdepth 1 -type d -name 'bochs-3*')
step "adding IA32_XFD" python3 "$here/insert.py" "$tree" "$here/bochs-xfd/additions"
cp "$here/bochs-xfd/xfd.cc" "$tree/cpu/"
top=$PWD
cd "$tree"
# The words of $options are meant to be split.
# shellcheck disable=SC2086
step "configuring" ./configure $options
step "compiling, which takes some minutes" make -j"$(nproc)"
cd "$top"
mkdir "$work/new"
cp "$tree/bochs" "$work/new/bochs"
strip "$work/new/bochs"
rm -rf $to
mv "$work/new" $to
echo "splat: the Bochs with IA32_XFD is in $to"
