# SPDX-License-Identifier: MIT
"""
Going to a test, and in it to the call that went wrong: `make grade` prints the command.
"""
import gdb

from read import Bad, Command, target
from symbols import Symbols, find


def place_of(test):
    """Where "k/SUITE/TEST" or "u/SUITE/TEST" begins, for GDB."""
    words = test.split("/")
    if len(words) != 3 or words[0] not in ("k", "u"):
        raise Bad(f"a test is k/SUITE/TEST or u/SUITE/TEST, not {test}")
    _, suite, name = words
    if words[0] == "k":
        return f"tests/kernel/{suite}.c:ktest_fn_{name}"
    Symbols.load(find(f"tests/{suite}"))
    return f"tests/user/{suite}.c:{name}"


class GoToTest(Command):
    """
splat test k/SUITE/TEST [FUNCTION [N]]: run to the test's begin, then to the Nth call of FUNCTION.
The suite must be one that the boot runs: APPEND="init=/tests/testrun -- k/SUITE". Calls by others
count, too, while the test runs. The breakpoint at FUNCTION stays."""

    def run(self, text):
        words = text.split()
        if not 1 <= len(words) <= 3 or words[2:] and not (words[2].isdigit() and int(words[2])):
            raise Bad("splat test k/SUITE/TEST [FUNCTION [N]]")
        if target() == "core":
            raise Bad("a dump does not run")
        for place in (place_of(words[0]), *words[1:2]):
            gdb.decode_line(place)      # else GDB would wait for it to come into being
        gdb.Breakpoint(place_of(words[0]), temporary=True)
        gdb.execute("continue")
        if words[1:]:
            point = gdb.Breakpoint(words[1])
            point.ignore_count = int((words[2:] or ["1"])[0]) - 1
            gdb.execute("continue")


GoToTest("test", gdb.COMMAND_RUNNING)
