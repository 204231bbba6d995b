#!/bin/sh
# SPDX-License-Identifier: MIT
#
# attach.sh [GDB ARGUMENTS]: GDB, with the kernel's symbols, on what is there already.
#
# CORE=file: a memory dump. Else REMOTE, a stub: a socket, as `make run GDBSTUB=build/gdb.sock`
# makes, or host:port, as QEMU's -s does (localhost:1234). Leaving GDB lets the machine go on.
set -u

here=$(dirname "$0")
kernel=${KERNEL:-build/splat.elf}
remote=${REMOTE:-build/gdb.sock}

die() { echo "splat: $*" >&2; exit 1; }

if [ -n "${CORE:-}" ]; then
	[ -r "$CORE" ] || die "cannot read $CORE"
	exec gdb -nx -q -x "$here/splat.py" "$@" "$kernel" "$CORE"
fi
case $remote in
*:*) ;;
*) [ -S "$remote" ] || die "nothing listens at $remote; 'make run GDBSTUB=$remote' does" ;;
esac
exec gdb -nx -q -x "$here/splat.py" -ex "target remote $remote" "$@" "$kernel"
