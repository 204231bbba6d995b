#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mkiso.sh OUT [CMDLINE]: a GRUB rescue ISO with the kernel and the initramfs. It boots by BIOS and,
# if GRUB's modules for UEFI are here, by UEFI.
#
# Without CMDLINE it has the menu of boot/grub.cfg. With it, it boots that at once and shows no
# menu: for scripts.
set -euf

out=$1
kernel=${KERNEL:-build/splat.elf}
initrd=${INITRD:-build/initramfs.cpio}
mkrescue=$(command -v grub-mkrescue || command -v grub2-mkrescue) ||
	{ echo "splat: no grub-mkrescue" >&2; exit 1; }
for file in "$kernel" "$initrd"; do
	[ -r "$file" ] || { echo "splat: cannot read $file; 'make' builds it" >&2; exit 1; }
done

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/iso/boot/grub"
cp "$kernel" "$tree/iso/boot/splat.elf"
cp "$initrd" "$tree/iso/boot/initramfs.cpio"

# One entry. Each word in quotes: GRUB's shell has wildcards and variables, too. What the kernel
# gets has a backslash before ', " and \: that is GRUB's way with every kernel. What follows the
# "if" runs only if GRUB could not boot: a line on the serial port, then off, so that nobody waits
# for ever.
one_entry() {
	echo 'set gfxpayload=text'
	printf 'if multiboot2 /boot/splat.elf'
	for word in $1; do
		printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
	done
	cat <<-'END'
		; then
			if module2 /boot/initramfs.cpio; then boot; fi
		fi
		serial --unit=0 --speed=115200
		terminal_output serial
		echo "splat: GRUB could not load the kernel"
		halt
	END
}

if [ $# -gt 1 ]; then
	one_entry "$2" >"$tree/iso/boot/grub/grub.cfg"
else
	cp boot/grub.cfg "$tree/iso/boot/grub/grub.cfg"
fi
if ! "$mkrescue" --fonts= --locales= --themes= \
	-o "$tree/out.iso" "$tree/iso" >"$tree/log" 2>&1; then
	cat "$tree/log" >&2
	echo "splat: grub-mkrescue failed" >&2
	exit 1
fi
# In one step: somebody else may be making the same image.
cp "$tree/out.iso" "$out.$$"
mv "$out.$$" "$out"
