# SPDX-License-Identifier: MIT
"""
Memory dumps. QEMU's dump-guest-memory (without paging: with it, it cuts the direct map off where
the first block of RAM ends) knows physical addresses only. repair() adds what GDB needs to the
file, once: the virtual addresses of the same bytes. The kernel's page tables say which they are.
"""
import os
import struct

import gdb

from read import C, Bad, Command, address_of, complain, offset_of, read, target

PT_LOAD, PHDR, EHDR_MIN = 1, struct.Struct("<IIQQQQQQ"), 64
MAPPINGS_MAX, TABLES_MAX = 20000, 20000
PN_XNUM = 0xffff


class Dump:
    """An ELF core and its blocks of physical memory."""

    def __init__(self, file):
        self.file = file
        head = file.read(EHDR_MIN)
        if head[:6] != b"\x7fELF\x02\x01":
            raise Bad("this is no ELF64 core")
        self.phoff, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        if size != PHDR.size or not 0 < count < PN_XNUM:
            raise Bad(f"a core with {count} program headers of {size} bytes is not QEMU's")
        file.seek(self.phoff)
        self.headers = [PHDR.unpack(file.read(PHDR.size)) for _ in range(count)]
        # type, flags, offset, vaddr, paddr, filesz, memsz, align
        self.blocks = sorted((h[4], h[2], h[5]) for h in self.headers if h[0] == PT_LOAD and h[5])
        self.paged = any(h[0] == PT_LOAD and h[3] >> 63 for h in self.headers)

    def offset(self, physical):
        """(offset in the file, how many bytes follow there)"""
        for start, offset, size in self.blocks:
            if start <= physical < start + size:
                return offset + physical - start, start + size - physical
        raise Bad(f"the dump has no physical address {physical:#x}")

    def read(self, physical, size):
        self.file.seek(self.offset(physical)[0])
        return self.file.read(size)

    def number(self, physical):
        return struct.unpack("<Q", self.read(physical, 8))[0]

    def mappings(self, table, first, last):
        """(virtual, physical, size) of each page in entries @first to @last of a top level."""
        self.tables = 0
        for index in range(first, last + 1):
            entry = self.number(table + 8 * index)
            if entry & C["PTE_P"]:
                base = index << 39 | (0xffff << 48 if index > 255 else 0)
                yield from self.below(entry & C["PTE_ADDR"], base, 30)

    def below(self, table, base, shift):
        self.tables += 1
        if self.tables > TABLES_MAX:
            raise Bad("the page tables are endless")
        try:
            entries = struct.unpack("<512Q", self.read(table, 4096))
        except (Bad, struct.error):
            return                      # a table outside of memory: damaged
        for index, entry in enumerate(entries):
            if not entry & C["PTE_P"]:
                continue
            virtual, target_address = base | index << shift, entry & C["PTE_ADDR"]
            if shift == 12 or entry & C["PTE_PS"]:
                yield virtual, target_address & ~((1 << shift) - 1), 1 << shift
            else:
                yield from self.below(target_address, virtual, shift - 9)


def joined(pages):
    """Neighbours as one."""
    last = None
    for virtual, physical, size in pages:
        if last and last[0] + last[2] == virtual and last[1] + last[2] == physical:
            last[2] += size
            continue
        if last:
            yield last
        last = [virtual, physical, size]
    if last:
        yield last


def physical_of(address):
    return address - C["KERNEL_OFFSET" if address >= C["KERNEL_OFFSET"] else "DIRECT_MAP"]


def tables(dump):
    """(top level, first entry, last entry): the kernel's half, and the user's of a CPU's."""
    kernel = dump.number(physical_of(address_of("kernel_pml4")))
    if not kernel:
        raise Bad("the kernel had no page tables of its own yet")
    direct = C["DIRECT_MAP"] >> 39 & 511
    span = C["DIRECT_MAP_MAX"] >> 39
    yield physical_of(kernel), 256, direct - 1
    yield physical_of(kernel), direct + span, 511
    cpu = physical_of(address_of("cpus"))
    size = gdb.lookup_type("struct cpu").sizeof
    for number in range(C["NR_CPUS"]):
        mm = dump.number(cpu + number * size + offset_of("struct cpu", "loaded_mm"))
        if mm:
            pml4 = dump.number(physical_of(mm) + offset_of("struct mm_struct", "pml4"))
            yield physical_of(pml4), 0, 255
            return                      # two would overlap


def virtual_headers(dump):
    """Program headers: the direct map, then what the page tables map."""
    for physical, offset, size in dump.blocks:
        yield PHDR.pack(PT_LOAD, 0, offset, C["DIRECT_MAP"] + physical, physical, size, size, 0)
    for top in tables(dump):
        try:
            for virtual, physical, size in joined(dump.mappings(*top)):
                while size:
                    offset, room = dump.offset(physical)
                    part = min(size, room)
                    yield PHDR.pack(PT_LOAD, 0, offset, virtual, physical, part, part, 0)
                    virtual, physical, size = virtual + part, physical + part, size - part
        except Bad as error:
            if "no physical" not in str(error):     # devices: the local APIC
                complain(error)


def add_virtual(path):
    """Appends a new table of program headers to the core @path. Returns False if it has one."""
    os.chmod(path, os.stat(path).st_mode | 0o600)
    with open(path, "r+b") as file:
        dump = Dump(file)
        if dump.paged:
            return False
        headers = [PHDR.pack(*header) for header in dump.headers if header[0] != PT_LOAD]
        headers += virtual_headers(dump)
        if len(headers) >= min(PN_XNUM, MAPPINGS_MAX):
            raise Bad(f"{len(headers)} mappings are too many")
        end = file.seek(0, os.SEEK_END)
        file.write(b"".join(headers))
        file.seek(32)
        file.write(struct.pack("<Q", end))
        file.seek(56)
        file.write(struct.pack("<H", len(headers)))
    return True


def core_path():
    for line in gdb.execute("info files", to_string=True).splitlines():
        if "file type elf64-x86-64" in line and line.lstrip().startswith("`"):
            path = line.strip()[1:].split("', file type")[0]
            if path != gdb.current_progspace().filename:
                return path
    raise Bad("GDB does not say which dump this is")


def readable():
    """Are the kernel's image and the direct map there, and do they show the same bytes?"""
    try:
        address = address_of("cpus")
        found = [struct.unpack("<Q", read(where, 8))[0] for where in (
            address, C["DIRECT_MAP"] + physical_of(address))]
    except gdb.error:
        return False
    return found == [address, address]


def repair():
    """If a dump is open that GDB cannot read: mend it, and open it again."""
    if target() != "core" or not gdb.current_progspace().filename or readable():
        return
    try:
        path = core_path()
        if add_virtual(path):
            print(f"splat: {path} has virtual addresses now, too")
            gdb.execute(f"core-file {path}")
        if not readable():
            raise Bad(f"{path} is of another kernel, or was made with paging (QEMU cuts the direct "
                      "map off then): 'splat dump FILE' makes a better one")
    except (Bad, OSError, gdb.error, struct.error) as error:
        complain(error)


class DumpCommand(Command):
    """
splat dump FILE: write the machine's memory to a file, for: make gdb CORE=FILE.
By QEMU's dump-guest-memory. Any dump of its that was made without paging can be opened."""

    def run(self, text):
        if target() != "remote":
            raise Bad("there is no running machine")
        if not text:
            raise Bad("splat dump FILE")
        path = os.path.abspath(text)
        said = gdb.execute(f"monitor dump-guest-memory {path}", to_string=True).strip()
        if said or not os.path.isfile(path):
            raise Bad(said or f"QEMU has not written {path}")
        if not add_virtual(path):
            raise Bad(f"{path} has virtual addresses already")


DumpCommand("dump")
