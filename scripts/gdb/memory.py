# SPDX-License-Identifier: MIT
"""The kernel's log, and the page tables."""
import struct

import gdb

from read import (C, Bad, Command, check, find_task, global_of, in_image, label, read,
                  selected_cpu, target)


class Log(Command):
    """
splat log [N]: the messages in the kernel's log, or the last N.
All levels: what the console has kept back (loglevel=), too."""

    def run(self, text):
        ring = global_of("lib/printk.c", "log_ring")
        count = ring.type.range()[1] + 1
        end = int(global_of("lib/printk.c", "log_next"))
        wanted = min(int(text, 0) if text else count, count, end)
        if wanted < 0:
            raise Bad(f"{wanted} is no number of messages")
        lines = [self.line(ring[seq % count], seq) for seq in range(end - wanted, end)]
        if lines and not any(lines):
            raise Bad(f"none of the last {wanted} messages is there: log_next is {end}")
        for line in lines:
            print("(a message that is being written, or was overwritten)" if line is None else line)

    @staticmethod
    def line(record, seq):
        if int(record["seq"]) != seq + 1:
            return None
        text = read(int(record["text"].address), record["text"].type.sizeof).split(b"\0")[0]
        text = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in text)
        ns, level = int(record["ns"]), chr(int(record["level"]))
        if level == "p":
            return text
        return f"[{ns // 10**9:5}.{ns // 1000 % 10**6:06}] {text}"


# --- Page tables ---

LEVELS = (("PML4", 39), ("PDPT", 30), ("PD", 21), ("PT", 12))
WORDS = (("P", "present"), ("RW", "writable"), ("US", "user"), ("PWT", "write-through"),
         ("PCD", "uncached"), ("A", "accessed"), ("D", "dirty"), ("G", "global"),
         ("NX", "no-execute"))


def words_of(entry, last):
    """The flags of a page-table entry. @last: it is of a page, not of a table."""
    words = [word for name, word in WORDS if entry & C["PTE_" + name] and
             (last or name not in ("D", "G"))]
    if not entry & C["PTE_P"]:
        words.insert(0, "not present")
    return ", ".join(words)


def physical(address):
    """Eight bytes of physical memory: by the direct map; without it, by QEMU's own means."""
    try:
        data = read(C["DIRECT_MAP"] + address, 8)
    except gdb.error:
        if target() != "remote":
            raise
        gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
        try:
            data = read(address, 8)
        finally:
            gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)
    return struct.unpack("<Q", data)[0]


def table_of_mm(mm):
    check(mm, "an mm_struct")
    return to_physical(int(mm["pml4"]))


def to_physical(address):
    check(address, "a page table")
    return address - (C["KERNEL_OFFSET"] if in_image(address) else C["DIRECT_MAP"])


def kernel_table():
    address = int(gdb.parse_and_eval("kernel_pml4"))
    if not address:
        raise Bad("the kernel has no page tables of its own yet")
    return to_physical(address)


def walk(table, address):
    """Prints the entries for @address below the top level @table, down to a page or a hole."""
    for name, shift in LEVELS:
        index = address >> shift & 511
        entry = physical(table + 8 * index)
        last = shift == 12 or bool(shift < 39 and entry & C["PTE_PS"])
        target_address = entry & C["PTE_ADDR"]
        print(f"{name:4}[{index:3}] at {table + 8 * index:#011x} = {entry:#018x}  "
              f"{words_of(entry, last)}")
        if last and (entry & C["PTE_P"] or target_address):
            size = 1 << shift
            kind = {12: "4 KiB page", 21: "2 MiB page", 30: "1 GiB page"}[shift]
            note = "" if entry & C["PTE_P"] else "; kept, but nobody may touch it (PROT_NONE)"
            print(f"{address:#x} is physical "
                  f"{(target_address & ~(size - 1)) + (address & size - 1):#x}, in a {kind}{note}")
            return
        if not entry & C["PTE_P"]:
            print(f"{address:#x} is not mapped")
            return
        table = target_address


class PageTable(Command):
    """
splat pt ADDRESS [PID]: the page walk of an address, level by level, with flags in words.
Without PID in the tables that the selected CPU has loaded. Both are expressions: a PID with blanks
needs quotes."""

    def run(self, text):
        words = gdb.string_to_argv(text)
        if not 1 <= len(words) <= 2:
            raise Bad("splat pt ADDRESS [PID]")
        address = int(gdb.parse_and_eval(words[0]).cast(gdb.lookup_type("unsigned long")))
        if address + (1 << 47) >> 48 not in (0, 1 << 16):
            raise Bad(f"{address:#x} is not canonical")
        walk(self.table(words[1:]), address)

    @staticmethod
    def table(words):
        if words:
            task = find_task(words[0])
            if not int(task["mm"]):
                print(f"{label(task)} has no memory of its own: the kernel's tables")
                return kernel_table()
            return table_of_mm(task["mm"])
        if target() == "remote":
            return int(gdb.parse_and_eval("$cr3").cast(gdb.lookup_type("unsigned long"))) & \
                C["PTE_ADDR"]
        mm = selected_cpu()["loaded_mm"]
        return table_of_mm(mm) if int(mm) else kernel_table()


Log("log")
PageTable("pt")
