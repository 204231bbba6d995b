#!/bin/sh
# SPDX-License-Identifier: MIT
#
# rewind.sh record: runs Splat as qemu.sh does, and records the run.
# rewind.sh [GDB ARGUMENTS]: opens the recording in GDB, at its end, to go back from there.
# rewind.sh tour: the guided tour of it (scripts/gdb/tour_rewind.py).
#
# The recording is in RRDIR (build/record): QEMU's log of events, a disk with a snapshot of the
# start, the console, and the world. It fits the build that it was made with, and no other. How a
# run ends does not matter: who records one that fails has what they want.
set -u

here=$(dirname "$0")
dir=${RRDIR:-build/record}

die() { echo "splat: $*" >&2; exit 1; }

# What a recording must be replayed with.
build_sum() { { "$QEMU" --version; cat "$KERNEL" ${INITRD:+"$INITRD"}; } 2>/dev/null | cksum; }

# Prints "NAME='value'", as a shell reads it.
assign() { printf "%s='%s'\n" "$1" "$(printf '%s' "$2" | sed "s/'/'\\\\''/g")"; }

replay() { RR=replay RRDIR=$dir DEBUG_LOG=$dir/replay.txt "$here/debug.sh" "$@"; }

# The last instruction of a run that did not end by itself: it was quit, or the machine was reset.
last_instruction() {
	count=$(STAY=1 replay -batch -ex continue -ex 'monitor info replay' 2>&1 |
		sed -n 's/.*instruction count = \([0-9]*\).*/\1/p')
	[ -n "$count" ] && echo $((count - 1))
}

record() {
	ignored=''
	[ "${SMP:-1}" = 1 ] || ignored=", so not SMP=$SMP"
	echo "splat: recording one CPU, as QEMU can record no more$ignored;" \
		"a lock is contended when its holder is preempted"
	unset SMP ICOUNT MTTCG RAM GDBSTUB
	QEMU=${QEMU:-qemu-system-x86_64} KERNEL=${KERNEL:-build/splat.elf}
	INITRD=${INITRD-build/initramfs.cpio} BOOT=${BOOT:-pvh} APPEND=${APPEND:-}
	export QEMU KERNEL INITRD BOOT APPEND
	[ "$BOOT" != uefi ] ||
		die "BOOT=uefi is not recorded: the firmware makes a step back take a minute"
	mkdir -p "$dir" && rm -f "$dir/world" "$dir/snapshots.qcow2"
	qemu-img create -q -f qcow2 "$dir/snapshots.qcow2" 256M ||
		die "there is no disk for the snapshot; is qemu-img here (qemu-utils)?"
	if [ "$BOOT" != pvh ] && [ -z "${ISO:-}" ]; then
		ISO=$dir/splat.iso
		export ISO
		"$here/../build/mkiso.sh" "$ISO" "$APPEND" || exit 1
	fi

	trap : INT				# Ctrl-C ends QEMU, and that is a recording, too
	RR=record RRDIR=$dir SERIAL=chardev:console "$here/../qemu.sh" \
		-chardev "stdio,id=console,logfile=$dir/console.txt"
	code=$?
	"$here/../run/verdict.sh" $code
	END=''
	case $code in
	33 | 35 | 37) ;;
	0) END=$(last_instruction) || die "the recording cannot be replayed" ;;
	*) die "there is no recording" ;;
	esac
	for name in QEMU KERNEL INITRD BOOT ISO CPU MEM APPEND END; do
		eval "assign $name \"\${$name:-}\""
	done >"$dir/new"
	assign SUM "$(build_sum)" >>"$dir/new"
	mv "$dir/new" "$dir/world"
	echo "splat: recorded in $dir"
}

if [ "${1:-}" = record ]; then
	record
	exit
fi
[ -e "$dir/world" ] || die "there is no recording in $dir; 'make record' makes one"
# shellcheck source=/dev/null
. "$dir/world"
[ "$SUM" = "$(build_sum)" ] ||
	die "the recording in $dir is another build's, or another QEMU's; 'make record' makes one"
export QEMU KERNEL INITRD BOOT ISO CPU MEM APPEND
unset ICOUNT MTTCG RAM SMP
if [ "${1:-}" = tour ]; then
	shift
	replay -x "$here/rewind.py" -x "$here/tour_rewind.py" "$@"
else
	replay -x "$here/rewind.py" -ex "splat end $END" "$@"
fi
