#!/bin/sh
# SPDX-License-Identifier: MIT
#
# mkinitramfs.sh OUT STAGE PROGRAM...: the first file system, a cpio archive (newc) of stripped
# programs.
#
# A program's folder and name are the last two parts of its path: .../bin/sh becomes bin/sh. badelf/
# gets damaged programs for tests/user/elf.c. Names are sorted and times and owners fixed: the same
# programs make the same bytes.
set -euf

out=$1 stage=$2
shift 2
rm -rf "$stage"
for program; do
	name=${program##*/}
	folder=${program%/*}
	folder=$stage/${folder##*/}
	mkdir -p "$folder"
	"${OBJCOPY:-objcopy}" --strip-all "$program" "$folder/$name"
	chmod 755 "$folder/$name"
done
[ ! -e tests/user/mkbadelf.py ] || python3 tests/user/mkbadelf.py "$stage/bin/echo" "$stage/badelf"
cd "$stage"
find . -type f -exec touch -d @0 {} +
find . -type f | sed 's,^\./,,' | LC_ALL=C sort |
	cpio --quiet -o -H newc --reproducible -R 0:0 >../initramfs.cpio.new
cd - >/dev/null
mv "${stage%/*}/initramfs.cpio.new" "$out"
