#!/bin/sh
# SPDX-License-Identifier: MIT
#
# debug.sh [GDB ARGUMENTS]: QEMU stopped before its first instruction, GDB attached with the
# kernel's symbols.
#
# They meet on a socket in a folder of their own, so any number of sessions can run and none can be
# reached from outside. QEMU runs in a session of its own (Ctrl-C is for GDB) and ends when GDB
# does. The console goes to debug.log beside the kernel.
set -u

here=$(dirname "$0")
dir=$(mktemp -d)
kernel=${KERNEL:-build/splat.elf}
log=${DEBUG_LOG:-${kernel%/*}/debug.log}
: >"$log"
SERIAL=file:$log GDBSTUB=$dir/gdb setsid "$here/qemu.sh" -S \
	</dev/null >"$dir/qemu.log" 2>&1 &
qemu=$!
trap 'kill $qemu 2>/dev/null; wait $qemu 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' HUP TERM

tries=0
until [ -S "$dir/gdb" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 $qemu 2>/dev/null; then
		cat "$dir/qemu.log" >&2
		echo "splat: QEMU did not start" >&2
		exit 1
	fi
	sleep 0.1
done
echo "splat: the console is in $log ('tail -f $log' in another terminal)"
gdb -nx -q -x "$here/gdb/splat.py" -ex "target remote $dir/gdb" "$@" "$kernel"
