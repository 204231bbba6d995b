#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deps.sh TOOL...: are these tools here? Installs what is missing; with NO_INSTALL=1 it only says
# how.
#
# TOOL is one of cc c++ llvm qemu qemu-img bochs iso uefi cpio python3 gdb trace-cmd chromium book
# libclang sandbox parallel.
# Needs nothing but a POSIX shell: it has to run on a machine that has only git, make and gcc. Exit
# status 0: all are here now.
set -u

qemu=${QEMU:-qemu-system-x86_64}
missing='' packages=''

die() { echo "splat: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# need PROGRAM PACKAGE...: note both if the program is not here.
need() {
	have "$1" && return
	missing="$missing $1"
	shift
	packages="$packages $*"
}

need_cc() {
	if [ "$(uname -m)" = x86_64 ] || [ -n "${CROSS:-}" ]; then
		need "${CROSS:-}gcc" gcc
		need "${CROSS:-}ld" binutils
	else
		need x86_64-linux-gnu-gcc gcc-x86-64-linux-gnu
	fi
}

need_iso() {
	have grub2-mkrescue || need grub-mkrescue grub-common
	need xorriso xorriso
	need mformat mtools
	for dir in /usr/lib/grub /usr/share/grub /usr/lib/grub2 /usr/share/grub2; do
		[ -d $dir/i386-pc ] && return
	done
	missing="$missing grub-i386-pc" packages="$packages grub-pc-bin"
}

# The scripts for it are Python's; Debian's gdb-minimal has none.
need_gdb() {
	! have gdb || [ "$(gdb -nx -batch -ex 'python print(6 * 7)' 2>/dev/null)" = 42 ] || {
		missing="$missing gdb-with-Python" packages="$packages gdb"
		return
	}
	need gdb gdb
}

# For Python: the system's own, if this python3 is another.
need_libclang() {
	python3 -c 'import sys; sys.path.append("/usr/lib/python3/dist-packages")
from clang.cindex import Index; Index.create()' 2>/dev/null && return
	missing="$missing libclang" packages="$packages python3-clang"
}

# Beside what "iso" needs: GRUB for UEFI, and the firmware for QEMU.
need_uefi() {
	if [ ! -d /usr/lib/grub/x86_64-efi ] && [ ! -d /usr/share/grub2/x86_64-efi ]; then
		missing="$missing grub-x86_64-efi" packages="$packages grub-efi-amd64-bin"
	fi
	"${0%/*}/run/ovmf.sh" || missing="$missing ovmf" packages="$packages ovmf"
}

# The display needs a module, and a terminal, which script makes.
need_bochs() {
	need bochs bochs bochs-term bochsbios vgabios
	need script bsdutils
}

# The oldest QEMU that is known to do is 7.2.
check_qemu_version() {
	have "$qemu" || return
	version=$("$qemu" --version 2>/dev/null)
	version=${version#*version }
	version=${version%%[!0-9.]*}
	minor=${version#*.}
	case $version in
	[0-9]*.[0-9]*) [ $((${version%%.*} * 1000 + ${minor%%.*})) -lt 7002 ] || return 0 ;;
	*) die "cannot tell the version of $qemu; 7.2 or newer is needed" ;;
	esac
	die "$qemu is version $version; 7.2 or newer is needed"
}

for tool; do
	case $tool in
	cc) need_cc ;;
	c++) need g++ g++; need make make ;;
	llvm) need clang clang; need ld.lld lld; need llvm-objcopy llvm ;;
	qemu) need "$qemu" qemu-system-x86; check_qemu_version ;;
	qemu-img) need qemu-img qemu-utils ;;
	bochs) need_bochs ;;
	iso) need_iso ;;
	uefi) need_uefi ;;
	book) need python3 python3; need markdown_py python3-markdown ;;
	gdb) need_gdb ;;
	libclang) need python3 python3; need_libclang ;;
	sandbox) need bwrap bubblewrap ;;
	cpio | python3 | trace-cmd | chromium | parallel) need "$tool" "$tool" ;;
	*) die "deps.sh: no such tool: $tool" ;;
	esac
done
[ -n "$missing" ] || exit 0

have apt-get || die "missing:$missing; install them with your system's package manager"
install="apt-get install -y --no-install-recommends$packages"
if [ -n "${NO_INSTALL:-}" ]; then
	echo "splat: missing:$missing; to install (as root):" >&2
	echo "  $install" >&2
	exit 1
fi
[ -z "${SPLAT_DEPS_TRIED:-}" ] || die "installed, and yet missing:$missing"
sudo=''
if [ "$(id -u)" != 0 ]; then
	have sudo || die "missing:$missing; type, as root: $install"
	sudo=sudo
fi
echo "splat: missing:$missing"
echo "+ $sudo${sudo:+ }$install"
export DEBIAN_FRONTEND=noninteractive
# The words of $install are meant to be split. Standard input stays with whoever called.
# shellcheck disable=SC2086
$sudo apt-get -q update </dev/null >/dev/null && $sudo $install </dev/null >/dev/null ||
	die "that failed; type, as root: apt-get update && $install"
SPLAT_DEPS_TRIED=1 exec "$0" "$@"
