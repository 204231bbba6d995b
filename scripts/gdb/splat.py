# SPDX-License-Identifier: MIT
"""
GDB for Splat: the one script to load (gdb -x scripts/gdb/splat.py; `make debug` and `make gdb` do).

"help splat" lists the commands. They work on a running machine and on a memory dump. Each group
stands in a file beside this one; read.py is what they share.
"""
import os
import sys

import gdb

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)
GROUPS = ("read", "core", "tasks", "fpu", "locks", "memory", "events", "stops", "symbols",
          "testing", "printers")
# The script can be loaded again.
if "symbols" in sys.modules:
    sys.modules["symbols"].SymbolsCommand.switch_off()
for group in GROUPS:
    sys.modules.pop(group, None)

for setting in ("confirm off", "pagination off", "print pretty on"):
    gdb.execute("set " + setting)


class Splat(gdb.Command):
    """Splat: what its structures say. Functions: $current(), $this_cpu(), $task(PID)."""

    def __init__(self):
        super().__init__("splat", gdb.COMMAND_DATA, prefix=True)

    def invoke(self, text, from_tty):
        gdb.execute("help splat")


Splat()
for group in GROUPS:
    __import__(group)
sys.modules["core"].repair()
