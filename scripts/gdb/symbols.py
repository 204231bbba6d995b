# SPDX-License-Identifier: MIT
"""
Symbols of ring 3, loaded when a program starts, and the code before long mode.

All programs are linked at the same addresses, so the hook keeps those of one: the one that was
exec'ed last. A breakpoint in it stops whatever program executes that address.
"""
import os

import gdb

from read import Bad, Command, comm, current, reason, target


def find(name):
    """The unstripped program of a path below the build's user/, or of a task's name."""
    kernel = gdb.current_progspace().filename
    if not kernel:
        raise Bad("no kernel is loaded; file build/splat.elf does")
    folder = os.path.join(os.path.dirname(kernel), "user")
    for part in ("", "bin", "tests"):
        path = os.path.join(folder, part, name.lstrip("/"))
        if os.path.isfile(path):
            return path
    raise Bad(f"there is no program {name} in {folder}")


class Symbols:
    """What is loaded, and by whom: symbols that were asked for stay."""

    path = None                         # by the hook

    @staticmethod
    def loaded():
        return {os.path.realpath(objfile.filename) for objfile in gdb.objfiles()
                if objfile.filename}

    @classmethod
    def load(cls, path):
        path = os.path.realpath(path)
        if path in cls.loaded():
            return False
        gdb.execute(f"add-symbol-file {path}", to_string=True)
        return True

    @classmethod
    def replace(cls, path):
        """The symbols of @path instead of those that this loaded before."""
        if os.path.realpath(path) == cls.path:
            return
        if cls.path in cls.loaded():
            gdb.execute(f"remove-symbol-file {cls.path}", to_string=True)
        cls.path = None
        if cls.load(path):
            cls.path = os.path.realpath(path)


class ExecHook(gdb.Breakpoint):
    """At start_thread(), which each exec passes once, when current has its new name."""

    def __init__(self):
        super().__init__("start_thread", internal=True)
        self.silent = True

    def stop(self):
        try:
            Symbols.replace(find(comm(current())))
        except (Bad, gdb.error):
            pass                        # no program of this build: it has no symbols
        return False


class SymbolsCommand(Command):
    """
splat symbols [on|off]: the symbols of ring 3's programs.
on (as at the start): each exec loads those of the program that starts, instead of the last one's.
off: a breakpoint less, and what is loaded stays. Without a word: load those of the running task's
program, as on a dump."""

    hook = None

    def run(self, text):
        if text == "on":
            self.switch_on()
        elif text == "off":
            self.switch_off()
        elif text:
            raise Bad("splat symbols [on|off]")
        else:
            path = find(comm(current()))
            Symbols.replace(path)
            print(f"symbols of {path}")

    @classmethod
    def switch_off(cls):
        if cls.hook and cls.hook.is_valid():
            cls.hook.delete()
        cls.hook = None

    @classmethod
    def switch_on(cls):
        if not (cls.hook and cls.hook.is_valid()):
            cls.hook = ExecHook()


class UserSymbols(gdb.Command):
    """
user-symbols bin/NAME or tests/NAME: read the symbols of a ring-3 program, and keep them.
For a breakpoint in a program before it starts. All programs are linked at the same addresses: a
breakpoint stops every program that executes there."""

    def __init__(self):
        super().__init__("user-symbols", gdb.COMMAND_FILES)

    def invoke(self, text, from_tty):
        try:
            path = find(text.strip())
            print(f"symbols of {path}" if Symbols.load(path) else f"{path} is loaded already")
        except (Bad, gdb.error) as error:
            raise gdb.GdbError(f"user-symbols: {reason(error)}") from None


class BootDisas(gdb.Command):
    """
boot-disas: the next eight instructions as the CPU decodes them.
GDB takes all code of a 64-bit kernel for 64-bit code; before long mode it shows nonsense. QEMU
knows the mode."""

    def __init__(self):
        super().__init__("boot-disas", gdb.COMMAND_DATA)

    def invoke(self, text, from_tty):
        if target() != "remote":
            raise gdb.GdbError("boot-disas: QEMU knows how; a dump does not")
        gdb.execute("monitor x/8i $pc")


SymbolsCommand("symbols", gdb.COMMAND_FILES)
UserSymbols()
BootDisas()
if target() != "core" and gdb.current_progspace().filename:
    SymbolsCommand.switch_on()
