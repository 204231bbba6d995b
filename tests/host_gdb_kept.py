# SPDX-License-Identifier: MIT
"""
GDB's commands for what the kernel keeps for later: the trace.
"""
import os
import re

import machine
from host import expect, test
from host_gdb import CONTENDED, KEPT, gdb, says


@test("gdb-trace", check=False)
def trace():
    """The last events are the last lines of the text that scripts/trace.py makes of that memory."""
    ram, path = (f"{machine.LOGS}/gdb-trace.{name}" for name in ("ram", "text"))
    script = f"python3 scripts/trace.py build/splat.elf {ram} >{path}"
    said = gdb("trace", [*CONTENDED, "shell " + script, "splat trace", "splat trace 300",
                         "splat trace 5 1", "splat trace 0", "splat trace 5 8",
                         "splat trace 1 1 1", "set var trace_rings[1].events = 0",
                         ("one", "splat trace 7")], KEPT + " trace=on", 2, RAM=ram)
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
