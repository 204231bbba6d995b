# SPDX-License-Identifier: MIT
"""
A recorded run in GDB (`make rewind`): where it ends, and how far on it is.

The hook that loads ring 3's symbols is a breakpoint that decides for itself whether it stops: going
back, QEMU would run up to it again and again. So it is off here, and the symbols are those that it
has loaded by the end.
"""
import contextlib
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


@contextlib.contextmanager
def without_breakpoints():
    """The user's do not stop what runs inside, and are as they were afterwards."""
    enabled = [point for point in gdb.breakpoints() if point.enabled and point.number > 0]
    for point in enabled:
        point.enabled = False
    try:
        yield
    finally:
        for point in enabled:
            if point.is_valid():
                point.enabled = True


def in_an_end():
    """Is the machine in a function that it does not come back from?"""
    frame = gdb.newest_frame()
    while frame and frame.is_valid():
        if frame.name() in ENDS:
            return True
        frame = frame.older()
    return False


class End(Command):
    """
splat end [N]: run on to the end of the recording (N: its last instruction, if the kernel did not
end it), past all breakpoints. All that GDB calls reverse-... goes back from there."""

    last = None

    def at_the_end(self):
        """To go on from there would end the emulator, and with it this session."""
        return in_an_end() or (self.last is not None and instruction() >= self.last)

    def run(self, text):
        instruction()
        stop_at_the_end()
        self.last = int(text) if text else self.last
        if not self.at_the_end():
            if self.last:
                gdb.execute(f"monitor replay_break {self.last}")
            with without_breakpoints():
                gdb.execute("continue", to_string=True)
        gdb.execute("splat symbols off")
        if not self.at_the_end():
            print(f"splat: this is not the end: something stopped the machine after "
                  f"{instruction()} instructions.\n'splat end' goes on.")
            return
        print(f"splat: the recording ends here, after {instruction()} instructions. Back go\n"
              "reverse-stepi, reverse-next, reverse-finish, reverse-continue (to a watchpoint or\n"
              "breakpoint: none with a condition); and 'splat end' comes here again.")


End("end", gdb.COMMAND_RUNNING)
