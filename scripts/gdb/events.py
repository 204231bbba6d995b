# SPDX-License-Identifier: MIT
"""
The trace, from the rings in the kernel's memory (trace=on). What an event is and how it is printed
is scripts/trace/trace.py's: a line is the same here and in the text of a finished run.
"""
import importlib.util
import os

import gdb

from read import C, ROOT, Bad, Command, address_of, check, complain, in_image, read, symbol

COUNT, SIZE_MAX = 20, 1 << 20           # events that are shown; that a ring may have room for


def load_reader():
    """scripts/trace/trace.py: not by its name, which Python's own trace module has, too."""
    path = os.path.join(ROOT, "scripts", "trace", "trace.py")
    spec = importlib.util.spec_from_file_location("splat_trace", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = load_reader()


class Names:
    """GDB's symbols."""

    @staticmethod
    def name(address):
        if not in_image(address):
            return f"{address:#x}"
        text = symbol(address)
        return text if address < address_of("_etext") else text.removesuffix("+0x0")


class Ring:
    """One CPU's ring, checked."""

    def __init__(self, cpu, value):
        self.cpu, self.size, self.head = cpu, int(value["size"]), int(value["head"])
        self.start = int(value["events"])
        if self.start:
            check(self.start, f"the events of CPU {cpu}")
        if self.start and not 0 < self.size <= SIZE_MAX:
            raise Bad(f"the ring of CPU {cpu} has room for {self.size} events")

    def event(self, number):
        at = self.start + number % self.size * reader.EVENT.size
        return reader.Event._make(reader.EVENT.unpack(read(at, reader.EVENT.size)))

    def last(self, count):
        return [self.event(number)
                for number in range(self.head - min(count, self.size, self.head), self.head)]


class Last(reader.Trace):
    """The last events of all rings, or of one CPU's, the oldest first; and why others are not."""

    def __init__(self, count, wanted):
        self.symbols = Names
        self.types = reader.event_types(os.path.join(ROOT, "kernel/report/trace.h"))
        self.last, first, self.bad = [], [], []
        rings = gdb.parse_and_eval("trace_rings")
        rings.fetch_lazy()              # or an error, before the kernel is mapped
        for cpu in range(C["NR_CPUS"]):
            try:
                ring = Ring(cpu, rings[cpu])
                if not ring.start or not ring.head:
                    continue
                # Time counts from the first event that is there.
                first.append(ring.event(max(0, ring.head - ring.size)))
                if cpu in wanted:
                    self.add(ring, count)
            except (Bad, gdb.error) as error:
                self.bad.append(error)
        self.last = sorted(self.last)[-count:]
        self.events = sorted(first)

    def add(self, ring, count):
        events = ring.last(count)
        good = [event for event in events if event.cpu == ring.cpu and
                event.type < len(self.types) and 0 <= event.pid < C["PID_MAX"]]
        self.last += good
        if len(good) < len(events):
            raise Bad(f"CPU {ring.cpu}: of these events {len(events) - len(good)} cannot be: "
                      "damaged, or being written")


class Trace(Command):
    """
splat trace [N] [CPU]: the last N events (20), of all CPUs or of one, the oldest first.
As the text that `make trace` writes: time in ns, CPU, the running task's pid, preempt_count,
whether interrupts are off, what happened. Needs trace=on on the kernel's command line."""

    def run(self, text):
        words = [int(word, 0) for word in gdb.string_to_argv(text)]
        count, cpu, *more = words + [COUNT, 0][len(words):]
        if count < 1 or not 0 <= cpu < C["NR_CPUS"] or more:
            raise Bad("splat trace [N] [CPU]")
        found = Last(count, [cpu] if len(words) > 1 else range(C["NR_CPUS"]))
        for event in found.last:
            print(found.line(event))
        for error in found.bad:
            complain(error)
        if not found.last and not found.bad:
            raise Bad("there is no trace: the kernel needs trace=on")


Trace("trace")
