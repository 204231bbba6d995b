# SPDX-License-Identifier: MIT
"""
A recorded run in GDB (`make rewind`): where it ends, and how far on it is.

The hook that loads ring 3's symbols is a breakpoint that decides for itself whether it stops: going
back, QEMU would run up to it again and again. So it is off here, and the symbols are those that it
has loaded by the end.
"""
import re

import gdb

from read import Bad, Command

# The functions that a kernel does not return from. Then QEMU ends.
ENDS = ("machine_exit", "machine_restart", "machine_halt")
points = []


def instruction():
    """How many instructions the machine has executed."""
    found = re.search(r"instruction count = (\d+)",
                      gdb.execute("monitor info replay", to_string=True))
    if not found:
        raise Bad("this machine does not replay a recording; 'make rewind' does")
    return int(found[1])


def stop_at_the_end():
    """Breakpoints that "info breakpoints" does not show, once."""
    if not points:
        points.extend(gdb.Breakpoint(name, internal=True) for name in ENDS)


class End(Command):
    """
splat end [N]: run on to the end of the recording (N: its last instruction, if the kernel did not
end it). All that GDB calls reverse-... goes back from there."""

    last = None

    def run(self, text):
        instruction()
        stop_at_the_end()
        self.last = int(text) if text else self.last
        if self.last:
            gdb.execute(f"monitor replay_break {self.last}")
        gdb.execute("continue", to_string=True)
        gdb.execute("splat symbols off")
        print(f"splat: the recording ends here, after {instruction()} instructions. Back go\n"
              "reverse-stepi, reverse-next, reverse-finish, reverse-continue (to a watchpoint or\n"
              "breakpoint: none with a condition); and 'splat end' comes here again.")


End("end", gdb.COMMAND_RUNNING)
