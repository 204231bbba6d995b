#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ovmf.sh [OUT]: is there UEFI firmware for QEMU (OVMF)? With OUT it becomes one image there, for
# -bios.
#
# Distributions ship it as code and an empty store of variables; in the image they lie one behind
# the other. Run by -bios, the firmware keeps its variables in RAM: nothing is written, runs repeat,
# and any number can share the file. OVMF_CODE names another code file. Without OUT it
# needs nothing but a POSIX shell. Exit status 0: there is one.
set -u

# Debian and Ubuntu (new, old), Fedora, Arch (new, old).
for code in ${OVMF_CODE:-/usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd
		/usr/share/edk2/ovmf/OVMF_CODE.fd
		/usr/share/edk2/x64/OVMF_CODE.4m.fd /usr/share/edk2-ovmf/x64/OVMF_CODE.fd}; do
	vars=${code%CODE*}VARS${code##*CODE}
	[ -r "$code" ] && [ -r "$vars" ] || continue
	[ $# -gt 0 ] || exit 0
	mkdir -p "$(dirname "$1")"
	# In one step: somebody else may be making the same image.
	cat "$vars" "$code" >"$1.$$" && mv "$1.$$" "$1"
	exit
done
exit 1
