#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
trace.py ELF RAM: the trace that a guest has left in its memory, as text, oldest first.

RAM is the guest's memory as a file (QEMU's memory-backend-file). The rings are found by the ELF's
symbols, the events' names in kernel/report/trace.h. Other scripts load() it from here.
"""
import bisect
import collections
import re
import struct
import subprocess
import sys

EVENT = struct.Struct("<QQQiIHBBHBx")
RING = struct.Struct("<QQQ")
Event = collections.namedtuple("Event", "tsc a b pid preempt_count type cpu irqs_off state prio")
DIRECT_MAP, KERNEL_OFFSET = 0xffff888000000000, 0xffffffff80000000
NR_CPUS = 8


# Values that are sets of bits, or known by their number in hex.
IN_HEX = {"vector", "error_code", "count", "features", "mask", "xfd", "was"}


class Symbols:
    """Names and addresses of the kernel."""

    def __init__(self, elf):
        lines = subprocess.run(["nm", "-n", elf], capture_output=True, text=True, check=True).stdout
        table = [line.split() for line in lines.splitlines()]
        self.by_name = {words[2]: int(words[0], 16) for words in table if len(words) == 3}
        self.text = [(int(words[0], 16), words[2]) for words in table
                     if len(words) == 3 and words[1] in "tT"]
        self.starts = [address for address, name in self.text]
        self.objects = {int(words[0], 16): words[2] for words in table
                        if len(words) == 3 and words[1] in "bBdDrR"}

    def name(self, address):
        """fork+0x10, tasklist_lock, or the number."""
        index = bisect.bisect(self.starts, address) - 1
        if index < 0 or not KERNEL_OFFSET <= address < self.by_name["_kernel_end"]:
            return f"{address:#x}"
        if address in self.objects:
            return self.objects[address]
        start, name = self.text[index]
        return f"{name}+{address - start:#x}"


def event_types(header="kernel/report/trace.h"):
    with open(header, encoding="utf-8") as file:
        return re.findall(r'EVENT\((\w+),\s*"(\w+)",\s*"(\w+)"\)', file.read())


def physical(address):
    return address - (KERNEL_OFFSET if address >= KERNEL_OFFSET else DIRECT_MAP)


def rings(ram, symbols):
    """Of each CPU that has events: (CPU, where they are, room for how many, how many written)."""
    for cpu in range(NR_CPUS):
        at = physical(symbols.by_name["trace_rings"]) + cpu * RING.size
        pointer, size, head = RING.unpack(ram[at:at + RING.size])
        if pointer and head:
            yield cpu, physical(pointer), size, head


def events(ram, symbols):
    """All events in order, and how many are lost."""
    found, lost = [], 0
    for _, start, size, head in rings(ram, symbols):
        lost += max(0, head - size)
        for number in range(max(0, head - size), head):
            at = start + number % size * EVENT.size
            found.append(Event._make(EVENT.unpack(ram[at:at + EVENT.size])))
    return sorted(found), lost


def comm(event):
    """The name in a task_comm event."""
    return struct.pack("<QQ", event.a, event.b).split(b"\0")[0].decode("ascii", "replace")


def icount_shift(script="scripts/qemu.sh"):
    """An instruction takes 2^shift steps of the TSC under ICOUNT=1; here is how many."""
    with open(script, encoding="utf-8") as file:
        return int(re.search(r"-icount shift=(\d+)", file.read()).group(1))


class Trace:
    """The events of one run, and what their numbers mean."""

    def __init__(self, elf, ram):
        self.symbols, self.types = Symbols(elf), event_types()
        self.events, self.lost = events(ram, self.symbols)
        self.lost_on = {cpu: max(0, head - size)
                        for cpu, _, size, head in rings(ram, self.symbols)}

    def name(self, event):
        return self.types[event.type][0]

    def value(self, name, number):
        """@number as text: an errno, an address or a plain number."""
        if number >= (1 << 64) - 4096:
            return str(number - (1 << 64))
        if name in IN_HEX or number >= 1 << 20:
            return self.symbols.name(number)
        return str(number)

    def values(self, event):
        """What @event is about, as text: "vector=0xec ip=idle+0x10"."""
        _, first, second = self.types[event.type]
        if self.name(event) == "task_comm":
            return f"comm={comm(event)}"
        return f"{first}={self.value(first, event.a)} {second}={self.value(second, event.b)}"

    def line(self, event):
        """@event as a line of text; its time counts from the first event."""
        return (f"{event.tsc - self.events[0].tsc:12} cpu{event.cpu} {event.pid:4} "
                f"{event.preempt_count:#7x}{' i' if event.irqs_off else '  '} "
                f"{self.name(event):18} {self.values(event)}")


def load(elf, path):
    """The Trace in the file @path, a guest's memory."""
    with open(path, "rb") as file:
        found = Trace(elf, file.read())
    if not found.events:
        sys.exit("splat: there is no trace in it: was the guest booted with trace=on?")
    return found


def main():
    found = load(*sys.argv[1:])
    for event in found.events:
        print(found.line(event))
    print(f"# {len(found.events)} events, {found.lost} lost")


if __name__ == "__main__":
    main()
