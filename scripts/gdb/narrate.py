# SPDX-License-Identifier: MIT
"""
A guided session: pages of text, and commands whose output is that of this very run. On a terminal
it waits after each page; else it prints all of them, for a log or a test.
"""
import re
import sys
import textwrap

import gdb

from read import Bad, reason

WIDTH = 79


class Leave(Exception):
    """The reader has had enough, or wants GDB's prompt."""


class Tour:
    def __init__(self, title):
        self.pages = 0
        self.asks = sys.stdin.isatty()
        if not self.asks:
            gdb.execute("set width 0")
        print("\n" + title.center(WIDTH).rstrip() + "\n" + "=" * WIDTH)

    def page(self, title):
        """A new page; before it, the reader says when."""
        if self.pages and self.asks:
            self.ask()
        self.pages += 1
        print(f"\n--- {self.pages}. {title} " + "-" * (WIDTH - len(title) - 9) + "\n")

    def ask(self):
        try:
            answer = input("\n[Enter: on; g: GDB's prompt, here; q: leave] ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            answer = "q"
        if answer in ("g", "q"):
            raise Leave(answer)

    def say(self, text):
        """Paragraphs, filled; an empty line parts them."""
        for paragraph in re.split(r"\n\s*\n", textwrap.dedent(text).strip()):
            print(textwrap.fill(" ".join(paragraph.split()), WIDTH) + "\n")

    def show(self, command, keep="", lines=0):
        """
        A command and what it prints: only lines that fit @keep, or the first @lines; dots stand for
        the rest. Returns all of it.
        """
        text = gdb.execute(command, to_string=True)
        print(f"(gdb) {command}")
        skipped = False
        for number, line in enumerate(text.rstrip("\n").split("\n")):
            if (lines and number >= lines) or (keep and not re.search(keep, line)):
                skipped = True
                continue
            print("  " + line)
        print("  ...\n" if skipped else "")
        return text

    @staticmethod
    def move(command):
        """A command that lets the machine run. GDB itself prints where it stops."""
        print(f"(gdb) {command}")
        gdb.execute(command)
        print()

    def go(self, place):
        """On to @place."""
        print(f"(gdb) tbreak {place}")
        gdb.execute("tbreak " + place, to_string=True)
        self.move("continue")

    @staticmethod
    def source(function):
        """The text of a function."""
        symbol = gdb.lookup_static_symbol(function)
        first = last = symbol.line
        with open(symbol.symtab.fullname(), encoding="utf-8") as file:
            lines = file.read().split("\n")
        while lines[last - 1] != "}":
            last += 1
        print(f"(gdb) list {symbol.symtab.filename}:{first},{last}")
        for line in gdb.execute(f"list {symbol.symtab.filename}:{first},{last}",
                                to_string=True).rstrip().split("\n"):
            print("  " + line)
        print()

    def end(self):
        print("=" * WIDTH)


def guide(tour, stay=False):
    """
    Runs the function @tour, and ends GDB after it, unless the reader asked for its prompt; with
    @stay a reader gets it in the end, too.
    """
    wants_prompt = stay and sys.stdin.isatty()
    try:
        tour()
    except Leave as leave:
        wants_prompt = str(leave) == "g"
    except (Bad, gdb.error) as error:
        print(f"splat: the tour ends here: {reason(error)}")
        if not wants_prompt:
            gdb.execute("quit 1")
    if not wants_prompt:
        gdb.execute("quit")
    print("GDB is yours: 'help splat' lists the commands, 'quit' leaves.")


def value(expression):
    """A number, as the unsigned one that it is in the registers."""
    return int(gdb.parse_and_eval(expression)) & (1 << 64) - 1


def register(text, name):
    """The digits of a register in the output of "splat fpu"; its lower 128 bits if it is a YMM."""
    found = re.search(rf"^  (?:y|x)mm{name[3:]} ([0-9a-f]+)$", text, re.M)
    if not found:
        raise gdb.error(f"{name} is not in the output of 'splat fpu'")
    return found[1][-32:]
