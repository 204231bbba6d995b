#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bochs.sh: the one place that knows how Splat is run in Bochs.
#
# The environment says what: CPU=model MEM=128M SMP=1 APPEND="kernel options", KERNEL, INITRD as for
# qemu.sh; EMU=bochs, or bochs3 or bochs-xfd (what make brings by that name); BOCHS, the program
# itself; TIMEOUT=600 seconds of its own time (patience.py). V=1 prints the configuration before the
# run; DRYRUN=1, instead of a run, what repeats it.
# The way in is GRUB's CD. The serial port goes to standard output. Nothing can be typed, so init is
# the demonstration if APPEND does not say init=.
#
# Bochs has no exit code for the guest to choose. So the exit status is QEMU's (33, 35, 37: see
# kernel/report/panic.h) only if Bochs says that the guest shut it down, and the kernel has printed,
# once, its verdict with the word that only this run was given (nonce=). Else it is 1, and a line
# says why.
set -uf

APPEND=${APPEND:-}
KERNEL=${KERNEL:-build/splat.elf}
INITRD=${INITRD:-build/initramfs.cpio}
SMP=${SMP:-1}
MEM=${MEM:-128M}
TIMEOUT=${TIMEOUT:-600}
EMU=${EMU:-bochs}
here=$(dirname "$0")
run='' pid='' display=term

die() { echo "splat: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null || die "no $1; '$2' brings it"; }
word() { printf "%s='%s' " "$1" "$(printf '%s' "$2" | sed "s/'/'\\\\''/g")"; }

finish() {
	trap '' HUP INT TERM
	[ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null
	[ -z "$run" ] || rm -rf "$run"
}

configuration() {
	cat <<-END
		cpu: model=$CPU, count=$SMP, ips=50000000, reset_on_triple_fault=0
		memory: guest=${MEM%M}, host=${MEM%M}
		clock: sync=none, time0=1704067200
		romimage: file=$bios/BIOS-bochs-latest
		vgaromimage: file=$bios/VGABIOS-lgpl-latest
		ata0-master: type=cdrom, path=$run/splat.iso, status=inserted
		boot: cdrom
		com1: enabled=1, mode=file, dev=$run/serial
		display_library: $display
		panic: action=fatal
		log: $run/log
	END
}

# A Bochs with a debugger keeps its terminal for that, makes another one for the display, and stands
# still once that is full: nobody has to look at it, but somebody has to read it.
read_display() {
	until [ -n "${screen:-}" ]; do
		kill -0 $pid 2>/dev/null || return
		sleep 0.1
		screen=$(sed -n 's/^Bochs connected to screen "\(.*\)".*/\1/p' "$run/screen")
	done
	exec cat "$screen" >/dev/null 2>&1
}

# How often the machine has begun; to begin once more is its end, as with QEMU's -no-reboot.
starts() { cat "$run/log" 2>/dev/null | grep -c 'Reset(HARDWARE) called'; }
end_at_reset() {
	while kill -0 $pid; do
		sleep 0.3
		[ "$(starts)" -le 1 ] || kill $pid
	done 2>/dev/null
}

# Says why the run is not to be trusted.
untrusted() {
	echo "splat: Bochs: $*: no verdict" >&2
	exit 1
}

OFF='^[0-9]*p\[UNMAP *\] >>PANIC<< Shutdown port: shutdown requested'

# The exit status that this run deserves. $1: how patience.py ended.
judge() {
	[ "$(starts)" -le 1 ] || untrusted "the machine was reset"
	case $1 in
	124) untrusted "still running after $TIMEOUT s of its own" ;;
	75) echo "splat: Bochs: the machine was too busy: not judged" >&2; exit 75 ;;
	esac
	if [ "$(starts)" != 1 ] || ! grep -qs "$OFF" "$run/log"; then
		why=$(cat "$run/log" "$run/screen" 2>/dev/null | tr -d '\r' |
			grep -am 1 '>>PANIC<<')
		untrusted "${why:-it ended by itself}"
	fi
	verdict=$(tr -d '\r' <"$run/serial" |
		sed -n "s/^\[ *[0-9]*\.[0-9]*\] verdict \(0x[0-9a-f]*\), nonce $nonce\$/\1/p")
	case $verdict in
	0x10 | 0x11 | 0x12) exit $((verdict << 1 | 1)) ;;
	*) untrusted "the kernel did not print one verdict with nonce $nonce" ;;
	esac
}

case $EMU in
bochs)
	bochs=${BOCHS:-bochs} CPU=${CPU:-tigerlake} bios=/usr/share/bochs
	has "$bochs" "$here/deps.sh bochs"
	;;
bochs3)
	bochs=${BOCHS:-build/bochs3/bochs} CPU=${CPU:-sapphire_rapids}
	bios=$(dirname "$bochs")/unpacked/usr/share/bochs
	has "$bochs" "make bochs3"
	;;
bochs-xfd)
	bochs=${BOCHS:-build/bochs-xfd/bochs} CPU=${CPU:-sapphire_rapids} bios=/usr/share/bochs
	display=nogui debugger=
	has "$bochs" "make bochs-xfd"
	;;
*) die "EMU=$EMU is unknown; here it is bochs, bochs3 or bochs-xfd" ;;
esac
has script "$here/deps.sh bochs"
case ${BOOT:-grub} in
grub) ;;
*) die "BOOT=$BOOT: in Bochs, Splat boots through GRUB only" ;;
esac
case ${MEM%M}$SMP in
*[!0-9]*) die "MEM=$MEM SMP=$SMP: they are as MEM=128M SMP=2" ;;
esac
for file in "$KERNEL" "$INITRD"; do
	if [ ! -f "$file" ] || [ ! -r "$file" ]; then
		die "cannot read $file; 'make' builds it"
	fi
done

if [ -n "${DRYRUN:-}" ]; then
	for name in EMU CPU MEM SMP KERNEL INITRD APPEND; do
		eval "word $name \"\$$name\""
	done
	echo "$0"
	exit 0
fi

trap finish EXIT
trap 'exit 130' HUP INT TERM
run=$(mktemp -d) || exit 1
nonce=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
KERNEL=$KERNEL INITRD=$INITRD "$here/build/mkiso.sh" "$run/splat.iso" \
	"nonce=$nonce init=/bin/demo $APPEND" || exit 1
configuration >"$run/bochsrc"
[ "${V:-0}" != 1 ] || cat "$run/bochsrc" >&2
# Where Bochs starts in its debugger: continue.
echo c >"$run/go"
debugger=${debugger--rc "$run/go"}
: >"$run/serial"

# The display wants a terminal, which script(1) makes. It dies with script.
TERM=xterm python3 "$here/run/patience.py" "$TIMEOUT" script -qfc \
	"exec '$bochs' -q -f '$run/bochsrc' $debugger" "$run/screen" \
	</dev/null >/dev/null 2>&1 &
pid=$!
read_display 2>/dev/null &
end_at_reset &
tail -n +1 -s 0.2 -f --pid=$pid "$run/serial" &
wait $pid
code=$?
pid=''
wait					# for what the serial port said last
judge $code
