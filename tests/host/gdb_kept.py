# SPDX-License-Identifier: MIT
"""
GDB's commands for what the kernel keeps for later: the trace, and a panic's registers.
"""
import os
import re
import tempfile

import builds
import machine
from host import expect, test
from host.gdb import (CONTENDED, KEPT, compare, dumped, gdb, kept, registers, says,
                      wanted_registers)


@test("gdb-trace", check=False)
def trace():
    """The last events are the last lines of what scripts/trace/trace.py makes of that memory."""
    ram, path = (f"{machine.LOGS}/gdb-trace.{name}" for name in ("ram", "text"))
    script = f"python3 scripts/trace/trace.py {builds.folder(KEPT)}/splat.elf {ram} >{path}"
    said = kept("trace", [*CONTENDED, "shell " + script, "splat trace", "splat trace 300",
                         "splat trace 5 1", "splat trace 0", "splat trace 5 8",
                         "splat trace 1 1 1", "set var trace_rings[1].events = 0",
                         ("one", "splat trace 7")], 2, "trace=on", RAM=ram)
    with open(path, encoding="utf-8") as file:
        text = [line for line in file.read().splitlines() if line[0] != "#"]
    os.remove(ram)

    def same(what, lines, wanted):
        """GDB knows the names of variables, too."""
        pairs = [[re.sub(r"(lock|fpstate)=\S+", "", line) for line in pair]
                 for pair in zip(lines.strip("\n").splitlines(), wanted, strict=True)]
        wrong = [pair for pair in pairs if pair[0] != pair[1]]
        expect(not wrong, f"{what}: {wrong[:1]}")

    same("the last 20", said["splat trace"], text[-20:])
    same("the last 300", said["splat trace 300"], text[-300:])
    same("CPU 1's", said["splat trace 5 1"], [line for line in text if " cpu1 " in line][-5:])
    same("CPU 0's", said["one"], [line for line in text if " cpu0 " in line][-7:])
    says(said["splat trace 300"], "^ +[0-9]+ cpu0 +1 .* lock_contended ", " splat +kind=")
    for wrong in ("splat trace 0", "splat trace 5 8", "splat trace 1 1 1"):
        expect(said[wrong].strip() == r"splat trace: splat trace [N] [CPU]", said[wrong])


def panic_in(name, append, width=32):
    """
    Two CPUs run demo, both with registers that are nowhere else, and one jumps to address 0. The
    dump says of each what the monitor said; and the parent's are those that it has computed.
    """
    base = f"{machine.LOGS}/gdb-{name}"
    both = ["splat fpu", "splat fpu runqueues[1].curr", "splat owner"]
    with tempfile.TemporaryDirectory() as folder:
        cores = [os.path.join(folder, number) for number in "12"]
        live = kept(name, [
            *CONTENDED, f"dump binary value {base}.bin fork_and_verify::want", "splat stops off",
            "tbreak machine_exit", "set var $pc = 0", "continue", *both, f"splat dump {cores[0]}",
            "set var cpus[1].dump_fpstate = 0x6b6b6b6b6b6b6b6b", f"splat dump {cores[1]}"],
            2, append)
        dead = dumped(name + "-dump", both, cores[0])
        damaged = dumped(name + "-damaged", both, cores[1])
    says(live["continue"], "machine_exit")
    with open(base + ".bin", "rb") as file:
        want = wanted_registers(file.read(), width)
    for command in both[:2]:
        says(dead[command], r"^demo/\d+: the truth is in the registers of CPU \d; memory may be",
             r"^registers of CPU \d, live: saved by the panic$")
        got, there = (registers(said[command].partition("\nimage")[0]) for said in (dead, live))
        expect(len(there) > 16, f"the monitor shows {there}")
        compare(command, there, got, ("pkru",))
    compare("the parent's", want, registers(dead["splat fpu"].partition("\nimage")[0]),
            ("pkru",) if width == 16 else ())
    expect(dead["splat owner"] == live["splat owner"], "the owners differ")
    says(damaged["splat fpu runqueues[1].curr"],
         "^splat: 0x6b6b6b6b6b6b6b6b is no address of a fpstate$", "^  unavailable: a dump has no")
    expect(damaged["splat fpu"] == dead["splat fpu"], "CPU 0's, too, are gone")


@test("gdb-panic", check=False)
def panic():
    panic_in("panic", "")


@test("gdb-panic-compacted", check=False)
def panic_compacted():
    panic_in("panic-compacted", "xsave=soft")


@test("gdb-panic-fxsave", check=False)
def panic_fxsave():
    panic_in("panic-fxsave", "xsave=fxsave", width=16)
