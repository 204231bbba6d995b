# SPDX-License-Identifier: MIT
"""
The sessions with GDB that the README and the book tell their readers to type: each command works,
and the machine shows what the text promises.
"""
import glob
import re
import shlex

import machine
from host import expect, test
from host.gdb import gdb, says
from host.rewind import folder, record, rewind

PAGES = ["README.md", *sorted(glob.glob("docs/*.md"))]
# What GDB says to a command that it cannot obey.
ERROR = re.compile(r"^(?:No symbol|Undefined|Function .* not defined|The program is not being|"
                   r"No frame|Cannot|Reverse|splat \w+: |.*rror in|No locals|Invalid).*", re.M)
# (page, heading of the section): what the session must print, each on a line.
BUG = r"^splat: might_sleep: .*; raised by fpu_clone_buggy\+", r"^#\d .*\brt_spin_lock \("
PROMISES = {
    ("README.md", "In the debugger"): [r"^demo/1: the truth is in the registers", *BUG],
    ("docs/01-boot.md", "Exercises"): [r"^0x\w+: .*movl .*0x336ec578", r"\bstart_kernel \("],
    ("docs/04-xsave.md", "Exercises"): [r"^image.*: compacted format", r" PASID .* initial$"],
    ("docs/05-ownership.md", "Exercises"): [r"^demo/1: the truth is in the registers of CPU 0"],
    ("docs/06-sleeping-locks.md", "Exercises"): [r"BUG: sleeping function called"],
    ("docs/08-fork.md", "Exercises"): [r"^#\d .*\bfpu_clone \("],
    ("docs/10-on-demand.md", "Exercises"): [r"\bfpstate_realloc \(", r" YMM$"],
    ("docs/instructors-guide.md", "A lecture, 50 minutes, with live commands"): [
        r"^demo/1: the truth is in the registers", r"preempt_count 0x0: ", r"preempt_count 0x1: ",
        r"^no lock is held$", r"BUG: sleeping function called"],
    ("docs/reading-order.md", "From the boot header to ring 3"): [r"\bboot_entry32\b"],
    ("docs/reading-order.md", "Once round the bug"): [r"^demo/1: the truth is in the regis", *BUG],
    ("docs/reading-order.md", "State on demand"): [r"\bfpstate_realloc \("],
    ("README.md", "Run time backwards"): [r"^#\d .*\bfpregs_lock \(",
                                          r"^#\d .*\bfpu_clone_buggy \(",
                                          r"^splat: the recording ends here"],
    ("docs/09-the-bug.md", "Exercises"): [r"^#\d .*\bfpu_clone_buggy \("],
}


def sessions(path):
    """
    (heading, make's words, commands) of each: "make debug" or "make rewind", then lines that begin
    with "(gdb)"; or, in one sentence, commands in backquotes, with commas between.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for part in re.split(r"^#+ +", text, flags=re.M):
        heading = part.partition("\n")[0]
        for words, lines in re.findall(r"^ *make ((?:debug|rewind)\b[^\n#]*)(?:#[^\n]*)?\n"
                                       r"((?: *\(gdb\) [^\n]*\n)+)", part, re.M):
            commands = re.findall(r"\(gdb\) (.*?)(?: +#.*)?$", lines, re.M)
            yield heading, shlex.split(words), commands
        if "| minutes |" in part:
            yield heading, *lecture(part)
            continue
        for words, rest in re.findall(r"`make (debug[^`]*)`,((?:\s+(?:then )?`[^`]+`,?)+)", part):
            yield heading, shlex.split(words), re.findall(r"`([^`]+)`", rest)


def lecture(text):
    """The live commands of the lecture: from its `make debug` to the row with the log, in order."""
    shown = re.search(r"`make debug.*splat log \d+`", text, re.S)[0]
    first, *commands = re.findall(r"`([^`]+)`", re.sub(r"(`next`) twice", r"\1 \1", re.sub(
        r"\|\n\|[^|]*\|[^|]*\|", "", shown)))
    return shlex.split(first)[1:], commands


def options(words):
    """NAME=VALUE of make's command line."""
    return dict(word.split("=", 1) for word in words if "=" in word)


def keep(path, heading, said, output):
    for command, text in said.items():
        # "finish" out of a function that is not the outermost is no error.
        expect(not ERROR.search(text), f"{path}, {heading}: {command}: {text.strip()[:300]}")
    promised = PROMISES.get((path, heading))
    expect(promised, f"{path}, {heading}: what does this session show?")
    says(output, *promised)


def numbered(commands):
    """None is lost that stands twice."""
    return [(f"{number}. {command}", command) for number, command in enumerate(commands)]


def all_sessions(kind):
    found = [(path, *session) for path in PAGES for session in sessions(path)
             if session[1][0] == kind]
    for path, heading, words, commands in found:
        yield path, heading, options(words[1:]), commands


@test("sessions-debug", check=False)
def debug_sessions():
    """Each session in a machine that runs; those about the bug show it."""
    count = 0
    for path, heading, world, commands in all_sessions("debug"):
        said = gdb("sessions", numbered(commands), world.get("APPEND", ""))
        keep(path, heading, said, "".join(said.values()))
        count += 1
    expect(count >= 11, f"only {count} sessions are found")


@test("sessions-rewind", long=True)
def rewind_sessions():
    """Each in a recording that is made as the text says."""
    count = 0
    for path, heading, _, commands in all_sessions("rewind"):
        with open(path, encoding="utf-8") as file:
            made = re.search(r"^ *`?make record(?: +APPEND=\"([^\"]*)\")?|`make record APPEND="
                             r"\"([^\"]*)\"`", file.read(), re.M)
        place = folder("sessions-rewind")
        code, output = record("sessions-record", place, APPEND=made[1] or made[2] or "")
        expect(code == 0, f"make record: exit status {code}\n{output[-500:]}")
        said = rewind("sessions-rewind", place, numbered(commands))
        said = {name: text for name, text in said.items() if name[0].isdigit()}
        keep(path, heading, said, "".join(said.values()))
        count += 1
    expect(count == 2, f"{count} sessions are found")
