#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
mkbadelf.py GOOD DIR: writes damaged variants of the static ELF64 program GOOD into DIR.

For tests/user/elf.c. GOOD must exit with 0 when run without arguments. What exec must make of a
variant stands first in its name:
  RUNS      it runs and exits with 0
  ENOEXEC   execve returns this error
  EINVAL    execve returns EINVAL: the return to ring 3 itself would fault (not so on Linux)
  REFUSED   execve returns some error, or a signal ends the process when its old program is gone
  ANY       one of all these; Linux is more lenient here than it needs to be
"""
import os
import struct
import sys

PT_LOAD, PT_INTERP = 1, 3
PF_X, PF_W, PF_R = 1, 2, 4
PHDR_SIZE = 56

# Fields of the file header and of a program header: offset and format.
EHDR = {"class": (4, "B"), "type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"),
        "phoff": (32, "Q"), "shoff": (40, "Q"), "phentsize": (54, "H"), "phnum": (56, "H"),
        "shnum": (60, "H"), "shstrndx": (62, "H")}
PHDR = {"type": (0, "I"), "flags": (4, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"),
        "filesz": (32, "Q"), "memsz": (40, "Q"), "align": (48, "Q")}


class Elf:
    """A copy of the good program; h() and p() read a field, or change it and return the Elf."""

    def __init__(self, data):
        self.data = bytearray(data)

    def field(self, base, where, value):
        offset, fmt = where
        if value is None:
            return struct.unpack_from("<" + fmt, self.data, base + offset)[0]
        mask = 256 ** struct.calcsize(fmt) - 1
        struct.pack_into("<" + fmt, self.data, base + offset, value & mask)
        return self

    def h(self, name, value=None):
        return self.field(0, EHDR[name], value)

    def p(self, index, name, value=None):
        return self.field(self.h("phoff") + index * PHDR_SIZE, PHDR[name], value)

    def loads(self):
        return [i for i in range(self.h("phnum")) if self.p(i, "type") == PT_LOAD]

    def text(self):
        return next(i for i in self.loads() if self.p(i, "flags") & PF_X)

    def writable(self):
        return next(i for i in self.loads() if self.p(i, "flags") & PF_W)

    def other(self):
        """A program header that is not PT_LOAD, to be put to another use."""
        return next(i for i in range(self.h("phnum")) if self.p(i, "type") != PT_LOAD)


def without_sections(data):
    """Cuts off what exec has no use for: debug information and section headers."""
    elf = Elf(data)
    end = max(elf.p(i, "offset") + elf.p(i, "filesz") for i in elf.loads())
    elf.h("shoff", 0).h("shnum", 0).h("shstrndx", 0)
    return bytes(elf.data[:end])


def text_at(elf, vaddr):
    """Moves the text to @vaddr, as far as the headers go."""
    return elf.p(elf.text(), "vaddr", vaddr)


def interpreter(elf):
    elf.p(elf.other(), "type", PT_INTERP).p(elf.other(), "offset", len(elf.data))
    name = b"/no/such/interpreter\0"
    elf.p(elf.other(), "filesz", len(name)).p(elf.other(), "memsz", len(name))
    elf.data += name
    return elf


def extra_load(elf, vaddr, size):
    """One more segment: the first bytes of the file at @vaddr."""
    i = elf.other()
    elf.p(i, "type", PT_LOAD).p(i, "flags", PF_R).p(i, "offset", 0).p(i, "vaddr", vaddr)
    return elf.p(i, "filesz", size).p(i, "memsz", size).p(i, "align", 4096)


def move_headers(elf):
    """The program headers behind everything else."""
    end = len(elf.data)
    elf.data += elf.data[elf.h("phoff"):][:elf.h("phnum") * PHDR_SIZE]
    return elf.h("phoff", end)


def many_headers(elf, count):
    """So many program headers: those that are new say nothing."""
    move_headers(elf)
    elf.data += bytes((count - elf.h("phnum")) * PHDR_SIZE)
    return elf.h("phnum", count)


def no_loads(elf):
    for i in elf.loads():
        elf.p(i, "type", 0)
    return elf


# Each takes the good program and returns what to write.
VARIANTS = {
    # Still good.
    "RUNS-unchanged": lambda e: e,
    "RUNS-text-writable": lambda e: e.p(e.text(), "flags", PF_R | PF_W | PF_X),
    "RUNS-trailing-bytes": lambda e: bytes(e.data) + b"more" * 100,
    "RUNS-program-headers-elsewhere": move_headers,
    "RUNS-phnum-64": lambda e: many_headers(e, 64),
    "RUNS-more-bss": lambda e: e.p(e.writable(), "memsz", e.p(e.writable(), "memsz") + 100000),
    # No ELF at all.
    "ENOEXEC-empty": lambda e: b"",
    "ENOEXEC-one-byte": lambda e: e.data[:1],
    "ENOEXEC-text": lambda e: b"This is not a program.\n",
    "ENOEXEC-magic-only": lambda e: e.data[:4],
    "ENOEXEC-header-cut": lambda e: e.data[:40],
    "ENOEXEC-program-headers-cut": lambda e: e.data[:64 + 20],
    # The file header.
    "ENOEXEC-bad-magic": lambda e: b"\x7fELG" + bytes(e.data[4:]),
    "ANY-class-32": lambda e: e.h("class", 1),
    "ENOEXEC-machine-arm": lambda e: e.h("machine", 40),
    "ENOEXEC-type-object": lambda e: e.h("type", 1),
    "ENOEXEC-type-core": lambda e: e.h("type", 4),
    "REFUSED-type-dyn": lambda e: e.h("type", 3),
    "ENOEXEC-phentsize": lambda e: e.h("phentsize", 32),
    "ENOEXEC-phnum-0": lambda e: e.h("phnum", 0),
    "ENOEXEC-phnum-65": lambda e: many_headers(e, 65),
    "ENOEXEC-phnum-65535": lambda e: e.h("phnum", 65535),
    "ENOEXEC-phoff-past-the-end": lambda e: e.h("phoff", len(e.data) + 4096),
    "ENOEXEC-phoff-at-the-end": lambda e: e.h("phoff", len(e.data) - 56),
    "ENOEXEC-phoff-wraps": lambda e: e.h("phoff", -64),
    "REFUSED-entry-0": lambda e: e.h("entry", 0),
    "REFUSED-entry-outside": lambda e: e.h("entry", 0x70000000),
    "REFUSED-entry-in-data": lambda e: e.h("entry", e.p(e.writable(), "vaddr")),
    "EINVAL-entry-in-kernel": lambda e: e.h("entry", 0xffffffff81000000),
    "EINVAL-entry-not-canonical": lambda e: e.h("entry", 0x800000000000),
    # Segments.
    "REFUSED-no-segment": no_loads,
    "REFUSED-interpreter": interpreter,
    "REFUSED-text-not-executable": lambda e: e.p(e.text(), "flags", PF_R),
    "REFUSED-offset-past-the-end": lambda e: e.p(e.text(), "offset", 0x10000000),
    "REFUSED-offset-wraps": lambda e: e.p(e.text(), "offset", -4096),
    "REFUSED-offset-not-congruent": lambda e: e.p(e.text(), "offset", e.p(e.text(), "offset") + 8),
    "REFUSED-filesz-over-memsz": lambda e: e.p(e.text(), "memsz", e.p(e.text(), "filesz") - 1),
    "ANY-filesz-huge": lambda e: e.p(e.text(), "filesz", 1 << 46).p(e.text(), "memsz", 1 << 46),
    "REFUSED-sizes-minus-1": lambda e: e.p(e.text(), "filesz", -1).p(e.text(), "memsz", -1),
    "REFUSED-memsz-huge": lambda e: e.p(e.writable(), "memsz", 1 << 46),
    "REFUSED-memsz-wraps": lambda e: e.p(e.writable(), "memsz", -4096),
    "REFUSED-vaddr-0": lambda e: text_at(e, 0),
    "REFUSED-vaddr-end-of-ring-3": lambda e: text_at(e, 0x7ffffffff000),
    "REFUSED-vaddr-not-canonical": lambda e: text_at(e, 0x800000000000),
    "REFUSED-vaddr-in-kernel": lambda e: text_at(e, 0xffffffff81000000),
    "REFUSED-vaddr-wraps": lambda e: text_at(e, 0xfffffffffffff000),
    "REFUSED-extra-segment-in-kernel": lambda e: extra_load(e, 0xffffffff81000000, 4096),
    "REFUSED-extra-segment-end-of-ring-3": lambda e: extra_load(e, 0x7fffffffe000, 8192),
    "ANY-segments-overlap": lambda e: extra_load(e, e.p(e.text(), "vaddr"), 4096),
    "ANY-segments-same-page": lambda e: extra_load(e, e.p(e.writable(), "vaddr") & ~4095, 64),
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().splitlines()[0])
    with open(sys.argv[1], "rb") as f:
        good = without_sections(f.read())
    os.makedirs(sys.argv[2], exist_ok=True)
    for name, change in VARIANTS.items():
        result = change(Elf(good))
        path = os.path.join(sys.argv[2], name)
        with open(path, "wb") as f:
            f.write(result.data if isinstance(result, Elf) else result)
        os.chmod(path, 0o755)


if __name__ == "__main__":
    main()
