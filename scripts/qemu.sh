#!/bin/sh
# SPDX-License-Identifier: MIT
#
# qemu.sh [MORE QEMU ARGUMENTS]: the one place that knows how Splat is run in QEMU.
#
# The environment says what: BOOT=pvh|grub|uefi CPU=model MEM=128M SMP=1 APPEND="kernel options",
# SERIAL=stdio (a QEMU chardev), ICOUNT=1 (repeatable: 8 ns an instruction, whatever the host does),
# MTTCG=1 (CPUs really run at the same time), RAM=FILE (the guest's memory, to be read by others and
# after its end), KERNEL, INITRD (empty: none), ISO, DEBUG_EXIT (the device; empty: none),
# GDBSTUB=SOCKET (where GDB can attach), GDBWAIT=1 (the machine waits for it; a line says when to),
# RR=record|replay RRDIR=FOLDER (one CPU, without ICOUNT; for scripts/gdb/rewind.sh), ACCEL=tcg|kvm
# (kvm: this machine's own CPU, CPU=host, which counts no instructions: no ICOUNT). V=1 prints the
# command before it runs, DRYRUN=1 instead of running. Exit status: QEMU's; 33 is success.
set -uf

BOOT=${BOOT:-pvh}
APPEND=${APPEND:-}
KERNEL=${KERNEL:-build/splat.elf}
INITRD=${INITRD-build/initramfs.cpio}
DEBUG_EXIT=${DEBUG_EXIT-isa-debug-exit,iobase=0xf4,iosize=0x1}
here=$(dirname "$0")

die() { echo "splat: $*" >&2; exit 1; }
readable() { [ -f "$1" ] && [ -r "$1" ] || die "cannot read $1 ($2); 'make' builds it"; }

# An ISO per command line, remade when something in it is newer, or GRUB has got other modules.
iso_for() {
	dir=build/iso
	iso=$dir/$(printf '%s' "$KERNEL $INITRD $1" | cksum | tr -d ' ').iso
	if [ ! -e "$iso" ] || [ "$KERNEL" -nt "$iso" ] || [ "$INITRD" -nt "$iso" ] ||
		[ /usr/lib/grub -nt "$iso" ]; then
		mkdir -p $dir
		KERNEL=$KERNEL INITRD=$INITRD "$here/build/mkiso.sh" "$iso" "$1" >&2 || exit 1
	fi
	echo "$iso"
}

# Can KVM run Splat here? It is there or not, permitted or not; and a KVM in a virtual machine may
# give up in the middle, where QEMU ends by itself or stands still for ever. So a short boot tries.
try_kvm() {
	kvm=${KVM:-/dev/kvm}
	[ -e "$kvm" ] || die "ACCEL=kvm: there is no KVM here ($kvm)"
	[ -r "$kvm" ] && [ -w "$kvm" ] ||
		die "ACCEL=kvm: $(id -un) may not use $kvm; is there a group for it?"
	readable "$KERNEL" "the kernel"
	readable "$INITRD" "the initramfs"
	said=$(mktemp) || exit 1
	"$@" -accel kvm -display none -serial null -no-reboot -net none \
		-device isa-debug-exit,iobase=0xf4,iosize=0x1 -kernel "$KERNEL" -initrd "$INITRD" \
		-append init=/bin/echo </dev/null >/dev/null 2>"$said" &
	trap 'kill $!; rm -f "$said"' EXIT
	while kill -0 $! 2>/dev/null; do
		! grep -q 'KVM internal error' "$said" || kill $!
		sleep 0.1
	done
	wait $!
	code=$? why=$(head -n 1 "$said")
	trap - EXIT
	rm -f "$said"
	[ $code = 33 ] || die "ACCEL=kvm: KVM does not run Splat here: ${why:-exit status $code}"
}

# Prints its arguments so that a shell would read them back.
quoted() {
	for word; do
		case $word in
		'' | *[!A-Za-z0-9_./=,:+-]*)
			printf "'%s' " "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" ;;
		*) printf '%s ' "$word" ;;
		esac
	done
	echo
}

case ${ACCEL:-tcg} in
tcg) ;;
kvm)
	[ -z "${RR:-}" ] || die "ACCEL=kvm: only TCG records and replays"
	CPU=${CPU:-host} ICOUNT='' MTTCG=''
	[ -n "${DRYRUN:-}" ] || (try_kvm "${QEMU:-qemu-system-x86_64}" -M q35 -cpu "$CPU" \
		-m "${MEM:-128M}" -smp "${SMP:-1}") || exit 1
	set -- -accel kvm "$@"
	;;
*)
	die "ACCEL=$ACCEL is unknown; it is tcg or kvm"
	;;
esac
case $BOOT in
pvh)
	readable "$KERNEL" "the kernel"
	[ -z "$INITRD" ] || readable "$INITRD" "the initramfs"
	set -- -kernel "$KERNEL" ${INITRD:+-initrd "$INITRD"} -append "$APPEND" "$@"
	;;
grub | uefi)
	if [ -z "${ISO:-}" ]; then
		readable "$KERNEL" "the kernel"
		readable "$INITRD" "the initramfs"
		ISO=$(iso_for "$APPEND") || exit 1
	fi
	readable "$ISO" "the ISO image"
	if [ -n "${RR:-}" ]; then
		# A replay waits for ever for a CD that is not behind blkreplay.
		set -- -drive "file=$ISO,if=none,format=raw,readonly=on,id=iso" \
			-drive driver=blkreplay,if=none,image=iso,id=cd,readonly=on \
			-device ide-cd,drive=cd,bus=ide.0 "$@"
	else
		set -- -cdrom "$ISO" "$@"
	fi
	if [ "$BOOT" = uefi ]; then
		"$here/run/ovmf.sh" build/ovmf.fd || die "there is no UEFI firmware (OVMF)"
		set -- -bios build/ovmf.fd "$@"
	fi
	;;
*)
	die "BOOT=$BOOT is unknown; it is pvh, grub or uefi"
	;;
esac
[ -z "${ICOUNT:-}" ] || set -- -icount shift=3,sleep=off -rtc base=2024-01-01,clock=vm "$@"
# Without vapic=off QEMU 7.2 stands still for ever after a few steps backwards, its threads waiting
# for each other.
[ -z "${RR:-}" ] || set -- -icount "shift=3,rr=$RR,rrfile=$RRDIR/events,rrsnapshot=start" \
	-rtc base=2024-01-01,clock=vm -global apic-common.vapic=off \
	-drive "file=$RRDIR/snapshots.qcow2,if=none,id=rr" "$@"
[ -z "${RAM:-}" ] || set -- -machine memory-backend=ram -object \
	memory-backend-file,id=ram,size="${MEM:-128M}",mem-path="$RAM",share=on "$@"
[ -z "${MTTCG:-}" ] || set -- -accel tcg,thread=multi "$@"
set -- "${QEMU:-qemu-system-x86_64}" -M q35 -cpu "${CPU:-max}" -m "${MEM:-128M}" \
	-smp "${SMP:-1}" -display none -serial "${SERIAL:-stdio}" -no-reboot -net none \
	${DEBUG_EXIT:+-device "$DEBUG_EXIT"} "$@"
[ -z "${GDBSTUB:-}" ] || set -- "$@" -chardev "socket,path=$GDBSTUB,server=on,wait=off,id=gdb" \
	-gdb chardev:gdb
[ -z "${DRYRUN:-}" ] || { quoted "$@"; exit 0; }
[ "${V:-0}" != 1 ] || quoted "$@" >&2
if [ -n "${GDBWAIT:-}" ]; then
	set -- "$@" -S
	rm -f "$GDBSTUB"
	until [ -S "$GDBSTUB" ] && exec echo "splat: GDB can attach to $GDBSTUB"; do
		sleep 0.3
		kill -0 $$ 2>/dev/null || exit
	done </dev/null >&2 &
fi
exec "$@"
