#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
trace.py ELF RAM: the trace that a guest has left in its memory, as text, oldest first.

RAM is the guest's memory as a file (QEMU's memory-backend-file). The rings are found by the ELF's
symbols, the events' names in kernel/trace.h. Other scripts load() it from here.
"""
import bisect
import collections
import re
import struct
import subprocess
import sys

EVENT = struct.Struct("<QQQiIHBB4x")
RING = struct.Struct("<QQQ")
Event = collections.namedtuple("Event", "tsc a b pid preempt_count type cpu irqs_off")
DIRECT_MAP, KERNEL_OFFSET = 0xffff888000000000, 0xffffffff80000000
NR_CPUS = 8


class Symbols:
    """Names and addresses of the kernel."""

    def __init__(self, elf):
        lines = subprocess.run(["nm", "-n", elf], capture_output=True, text=True, check=True).stdout
        table = [line.split() for line in lines.splitlines()]
        self.by_name = {words[2]: int(words[0], 16) for words in table if len(words) == 3}
        self.text = [(int(words[0], 16), words[2]) for words in table
                     if len(words) == 3 and words[1] in "tT"]
        self.starts = [address for address, name in self.text]

    def name(self, address):
        index = bisect.bisect(self.starts, address) - 1
        if index < 0 or address < KERNEL_OFFSET:
            return f"{address:#x}"
        start, name = self.text[index]
        return f"{name}+{address - start:#x}"


def event_types(header="kernel/trace.h"):
    with open(header, encoding="utf-8") as file:
        return re.findall(r'EVENT\((\w+),\s*"(\w+)",\s*"(\w+)"\)', file.read())


def physical(address):
    return address - (KERNEL_OFFSET if address >= KERNEL_OFFSET else DIRECT_MAP)


def events(ram, symbols):
    """All events in order, and how many are lost."""
    found, lost = [], 0
    for cpu in range(NR_CPUS):
        at = physical(symbols.by_name["trace_rings"]) + cpu * RING.size
        pointer, size, head = RING.unpack(ram[at:at + RING.size])
        if not pointer or not head:
            continue
        lost += max(0, head - size)
        for number in range(max(0, head - size), head):
            at = physical(pointer) + number % size * EVENT.size
            found.append(Event._make(EVENT.unpack(ram[at:at + EVENT.size])))
    return sorted(found), lost


class Trace:
    """The events of one run, and what their numbers mean."""

    def __init__(self, elf, ram):
        self.symbols, self.types = Symbols(elf), event_types()
        self.events, self.lost = events(ram, self.symbols)

    def name(self, event):
        return self.types[event.type][0]

    def values(self, event):
        """What @event is about, as text: "vector=0xec ip=idle+0x10"."""
        _, first, second = self.types[event.type]
        return f"{first}={self.symbols.name(event.a)} {second}={self.symbols.name(event.b)}"

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
