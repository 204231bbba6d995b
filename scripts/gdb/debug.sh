#!/bin/sh
# SPDX-License-Identifier: MIT
#
# debug.sh [GDB ARGUMENTS]: QEMU stopped before its first instruction, GDB attached with the
# kernel's symbols.
#
# They meet on a socket in a folder of their own, so any number of sessions can run and none can be
# reached from outside. QEMU runs in a session of its own (Ctrl-C is for GDB) and ends when GDB
# does. The console goes to debug.log beside the kernel.
#
# RR=replay, for scripts/gdb/rewind.sh: it replays a recording, and somebody looks whether it hangs.
# STAY=1: QEMU stops where it would end, if it is not the kernel that ends it.
set -u

here=$(dirname "$0")
dir=$(mktemp -d)
kernel=${KERNEL:-build/splat.elf}
log=${DEBUG_LOG:-${kernel%/*}/debug.log}
: >"$log"
SERIAL=file:$log GDBSTUB=$dir/gdb setsid "$here/../qemu.sh" -S \
	${STAY:+-no-shutdown} \
	${RR:+-qmp "unix:$dir/qmp,server=on,wait=off"} </dev/null >"$dir/qemu.log" 2>&1 &
qemu=$!
# One that hangs in a replay does not obey a gentler signal.
trap 'kill ${RR:+-KILL} $qemu 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' HUP TERM

until [ -S "$dir/gdb" ]; do
	if ! kill -0 $qemu 2>/dev/null; then
		cat "$dir/qemu.log" >&2
		echo "splat: QEMU did not start" >&2
		exit 1
	fi
	sleep 0.1
done
[ -z "${RR:-}" ] || setsid python3 "$here/../run/hung.py" "$dir/qmp" $qemu "${HUNG_AFTER_S:-20}" &
echo "splat: the console is in $log ('tail -f $log' in another terminal)"
gdb -nx -q -x "$here/splat.py" -ex "target remote $dir/gdb" "$@" "$kernel"
