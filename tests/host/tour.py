# SPDX-License-Identifier: MIT
"""The guided session: its transcript against what another GDB reads at the same places."""
import re

import ktap
import machine
from host import Terminal, expect, expect_code, test
from host.gdb import DEMO, gdb, number, registers, says

PAGES = ("A fork comes in from ring 3", "copy_thread: a child", "fpregs_lock: preemption goes off",
         "The parent's registers", "The lock that may sleep", "The splat", "The fixed order",
         "Where to go from here")
CONSOLE = machine.LOGS + "/tour.console"
COUNT = "p/x cpus[0].preempt_count & 0x7fffffff"


def pages(transcript):
    """Page number -> its text."""
    parts = re.split(r"^--- (\d+)\. (.*?) -+$", transcript, flags=re.M)
    titles = parts[2::3]
    expect(len(titles) == len(PAGES) and all(map(str.startswith, titles, PAGES)),
           f"the pages are {titles}")
    return dict(zip(map(int, parts[1::3]), parts[3::3]))


def source(path, first, last):
    """As GDB shows the lines."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [f"  {n}\t{lines[n - 1]}" for n in range(first, last + 1)]


def counts_of(said):
    return [number(said[f"count {step}"]) for step in range(4)]


def same_places():
    """The tour's values, read by plain commands in a run of the same kind: it repeats exactly."""
    return gdb("tour-again", [
        "tbreak fpu_clone_buggy", "continue", ("count 0", COUNT), ("dst", "p/x (long)dst_fpu"),
        "tbreak save_fpregs_to_fpstate", "continue", ("count 1", COUNT),
        ("state", "p/x (long)fpstate"), ("xmm3", "p/x $xmm3.uint128"),
        "tbreak rt_spin_lock", "continue", ("siglock", "p/x (long)&$task(1)->sighand->siglock"),
        ("count 2", COUNT), ("raised", "info symbol cpus[0].preempt_disable_ip"),
        "tbreak fpu_clone_fixed", "continue", ("splats", "p/d splat_counts[0]"),
        "tbreak rt_spin_lock", "continue", ("count 3", COUNT)],
        f"{DEMO} dynamic=ymm", CPU="max")


@test("tour", check=False)
def tour():
    """Each page, with numbers from this run; the report is the console's; the code is the code."""
    code, transcript = machine.run(["make", "tour"], machine.LOGS + "/tour.log",
                                   {"DEBUG_LOG": CONSOLE})
    expect_code(code, 0, transcript)
    page, said = pages(transcript), same_places()
    expect(counts_of(said) == [0, 1, 1, 0], f"preempt_count is {counts_of(said)}")
    says(page[1], r"^  #\d+ +vec_syscall \(\) at user/lib", "TIF_NEED_FPU_LOAD 0, last_cpu 0")
    says(page[3], rf"fpu_clone_buggy \(dst_fpu={number(said['dst']):#x}", "preempt_count is 0 now",
         r"CPU 0: preempt_count 0x1: .*raised by fpu_clone_buggy\+")
    says(page[4], rf"fpstate={number(said['state']):#x}\)",
         rf"parent is {number(said['xmm3']):032x}, of the child")
    expect(": the same." in " ".join(page[4].split()), "parent and child differ")
    live, _, child = page[4].partition("finish")
    wide, narrow = registers(live.replace("\n  ", "\n"))["ymm3"], registers(
        child.replace("\n  ", "\n"))["ymm3"]
    expect(wide[32:] == narrow[32:] and int(wide[:32], 16) and not int(narrow[:32], 16),
           f"ymm3 of the parent {wide}, of the child {narrow}")
    says(page[5], rf"rt_spin_lock \(lock=lock@entry={number(said['siglock']):#x}\)",
         "no lock is held", "preempt_count 0x1: ")
    says(page[7], r"preempt_count 0x0: ", rf"\$\d+ = {number(said['splats'])}$")
    expect(": no new one." in " ".join(page[7].split()), "the fixed order has a report")
    for number_of_page, function in ((3, "fpu_clone_buggy"), (7, "fpu_clone_fixed")):
        first, last = map(int, re.search(r"clone\.c:(\d+),(\d+)$", page[number_of_page],
                                         re.M).groups())
        text = source("arch/x86/fpu/clone.c", first, last)
        expect(function in text[0] and text[-1].endswith("\t}"), f"{function}: {text}")
        expect("\n".join(text) in page[number_of_page],
               f"{function} is not as in the file:\n" + "\n".join(text))
    splat_of(page[6], said["raised"].split()[0])


def splat_of(page, culprit):
    """What the page shows of the log is on the console, too, and names @culprit."""
    shown = [line.strip() for line in page.splitlines() if line.startswith("  [")]
    with open(CONSOLE, encoding="utf-8") as file:
        console = [line.rstrip() for line in ktap.clean(file.read())]
    expect(len(shown) > 20 and "BUG: sleeping function called" in shown[0] and
           shown[-1].endswith("</TASK>"), f"the log is cut: {shown[:1]} to {shown[-1:]}")
    missing = [line for line in shown if line not in console]
    expect(not missing, f"not on the console: {missing}")
    at = next(i for i, line in enumerate(shown) if line.endswith("Preemption disabled at:"))
    expect(f" {culprit}+0x" in shown[at + 1], f"the culprit is {culprit}: {shown[at + 1]}")


@test("tour-by-hand", check=False)
def by_hand():
    """On a terminal it waits: Enter goes on, g gives GDB's prompt at this place, q leaves."""
    for answer in ("g", "q"):
        terminal = Terminal(["make", "tour", f"DEBUG_LOG={CONSOLE}-by-hand"])
        first = terminal.read_until("q: leave] ")
        expect(" 1. " in first and " 2. " not in first, "the first page does not end")
        terminal.type("\r")
        expect(" 2. copy_thread" in terminal.read_until("q: leave] "), "Enter does not go on")
        terminal.type(answer + "\r")
        code = terminal.end_in_gdb() if answer == "g" else terminal.end()
        expect(code == 0, f"{answer}: exit status {code}")
