# SPDX-License-Identifier: MIT
"""
A tour backwards through a recording (`make tour-rewind`): from the splat to the instruction that
turned preemption off, and from a lost register to the write that lost it.

Every number in the text is from the run itself. On a terminal each page waits for Enter, and at the
end the prompt is yours; else it runs through, and the exit status says whether it got to the end.
"""
import re
import sys
import textwrap

import gdb

from read import Bad, current, find_task, label, reason, selected_cpu, symbol
from rewind import instruction, stop_at_the_end

INTERACTIVE = sys.stdin.isatty()
WIDTH = 90
BACK_MAX = 50                           # writes that change nothing, before it is given up


def say(text):
    """Paragraphs, whatever the lengths of the values in them."""
    for paragraph in textwrap.dedent(text).strip().split("\n\n"):
        print("\n" + textwrap.fill(" ".join(paragraph.split()), WIDTH))


def page(text):
    """The next page begins with @text; what run() shows after it belongs to it."""
    if INTERACTIVE and page.number:
        input("\n-- Enter goes on, Ctrl-D ends the tour --")
    page.number += 1
    print(f"\n--- {page.number} ".ljust(WIDTH, "-"))
    say(text)
    print()


page.number = 0


def run(command):
    """A command as if it was typed."""
    print(f"(gdb) {command}")
    gdb.execute(command)


def value(expression):
    return int(gdb.parse_and_eval(expression))


def back_to_change(expression):
    """
    Back to the instruction that gave @expression its value: GDB then stands before it. A write that
    changes nothing stops, too.
    """
    for _ in range(BACK_MAX):
        now = value(expression)
        run("reverse-continue")
        run("reverse-stepi")
        if value(expression) != now:
            return
    raise Bad(f"nothing changes {expression}")


def select(function):
    """The frame of @function, or Bad."""
    frame = gdb.newest_frame()
    while frame and frame.name() != function:
        frame = frame.older()
    if not frame:
        raise Bad(f"{function}() is not in the backtrace")
    run(f"frame {frame.level()}")


# --- From the splat to its cause ---

def the_splat():
    stop_at_the_end()
    page("""
        This machine has run already, and was recorded: the demo, on one CPU. What you see is the
        recording. It can be played as often as you like, each instruction comes out as it did
        then, and so GDB can go backwards in it.

        First forwards, to the first report.""")
    run("tbreak splat_count")
    run("continue")
    frame = gdb.newest_frame()
    if frame.name() != "splat_count" or str(frame.read_var("kind")) != "SPLAT_MIGHT_SLEEP":
        raise Bad("the first report of this run is not might_sleep")
    run("bt 6")
    run("splat preempt")
    say(f"""
        {label(current())} forks. It takes a lock that may sleep, rt_spin_lock(), and
        preempt_count is {value("cpus[0].preempt_count & 0xff")}: preemption is off. After
        {instruction():,} instructions the kernel has noticed, and is about to print the
        splat. Where was preemption turned off? That is behind us.""")


def the_cause():
    page("""
        So back: watch the count, and run backwards to the last write.""")
    noted, start = int(selected_cpu()["preempt_disable_ip"]), instruction()
    run("watch -l cpus[0].preempt_count")
    while value("cpus[0].preempt_count & 0x7fffffff"):
        back_to_change("cpus[0].preempt_count")
    run("delete")
    run("x/i $pc")
    run("bt 5")
    select("fpu_clone_buggy")
    run("list")
    say(f"""
        This instruction made 1 of 0, {start - instruction():,} instructions before the
        report: preempt_disable(), in fpregs_lock(), which fpu_clone_buggy() calls. The lock
        that may sleep is taken before the unlock. That is the bug.

        The kernel says the same in the report's line "Preemption disabled at:",
        {symbol(noted)}. It can, because it keeps that address, each time that the count
        goes from 0 to more. To go back needs no such note, and works for every variable.""")


# --- From a lost register to the write ---

def the_loss():
    page("""
        The second case leaves no note. In this recording the demo also found that registers were
        not as they must be: fpu=BAD. Forwards again, to the first process that says so by its
        exit status.""")
    run("tbreak *do_exit if $edi != 0")
    run("continue")
    if gdb.newest_frame().name() != "do_exit":
        raise Bad("no process ends with a failing status in this run")
    run("splat symbols off")
    run("bt")
    select("fork_and_verify")
    run("p w->where")
    where = gdb.parse_and_eval("w->where").string()
    found = re.match(r"[xyz]mm(\d+)\[(\d+)\]: (0x\w+), not (0x\w+)", where)
    if not found or int(found[2]) >= 16:
        raise Bad(f"the first difference is {where}")
    register, byte = int(found[1]), int(found[2])
    run(f"x/4xw &want.reg[{register}]")
    run(f"x/4xw &got.reg[{register}]")
    say(f"""
        The child, {label(current())}, was forked with a known value in each vector register.
        It has found byte {byte} of xmm{register} to be {found[3]}, where its parent had
        {found[4]}. It did nothing in between. Somebody else did, at a time when the child did
        not even run.""")
    return current(), register, byte // 4


def the_writer(child, register, word):
    image = "regs.fxsave.xmm_space"
    task = int(child.address)
    page(f"""
        A register of a task that does not run is in memory, in the task's image. The kernel has
        loaded xmm{register} from there. Watch the word that is wrong, and go back to who wrote
        it.""")
    run(f"set $word = (unsigned int *)((struct task_struct *){task:#x})"
        f"->thread.fpu.fpstate->{image}[{register}] + {word}")
    run("watch -l *$word")
    back_to_change("*$word")
    run("bt")
    victim, by = find_task(f"(struct task_struct *){task:#x}"), current()
    writer, at = gdb.newest_frame().name(), instruction()
    last_cpu = int(victim["thread"]["fpu"]["last_cpu"].cast(gdb.lookup_type("int")))
    run("x/i $pc")
    run("p/x *$word")
    say(f"""
        Here it is: {writer}(), in an interrupt. Under the interrupt's frame in the backtrace stands
        what was interrupted: ring 3 of {label(by)}, whose registers are not touched. It writes
        into the image of {label(victim)}, whose last_cpu is {last_cpu}: it has never run. In
        time, and in the code, the cause is far from the complaint. Backwards it is one command
        away.""")
    return at


def the_rightful_writer(at):
    page("""
        And before that? Once more.""")
    back_to_change("*$word")
    run("bt 5")
    run("delete")
    say(f"""
        fork itself, {at - instruction():,} instructions earlier: it saves the parent's
        registers into the child's image. XSAVE's writes stop at a watchpoint, too. So between
        that write and the wrong one there was none: the value was right until instruction
        {at:,}.

        "monitor info replay" prints the number of instructions, "splat end" goes to the end.
        `make record APPEND=...` records a run of your own, and `make rewind` opens it.""")


def tour():
    the_splat()
    the_cause()
    at = the_writer(*the_loss())
    the_rightful_writer(at)


if not INTERACTIVE:
    gdb.execute("set width 0")
try:
    tour()
    STATUS = 0
except EOFError:
    STATUS = 0
except (Bad, gdb.error) as error:
    print(f"splat: the tour ends early: {reason(error)}")
    STATUS = 1
if not INTERACTIVE:
    gdb.execute(f"quit {STATUS}")
