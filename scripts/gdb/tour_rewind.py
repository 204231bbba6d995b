# SPDX-License-Identifier: MIT
"""
A tour backwards through a recording (`make tour-rewind`): from the splat to the instruction that
turned preemption off, and from a lost register to the write that lost it.

Every number in the text is from the run itself. On a terminal GDB's prompt is yours in the end;
else it runs through, and the exit status says whether it got there.
"""
import re

import gdb

from narrate import Tour, guide
from read import Bad, current, find_task, label, selected_cpu, symbol
from rewind import instruction, stop_at_the_end

BACK_MAX = 50                           # writes that change nothing, before it is given up


def value(expression):
    return int(gdb.parse_and_eval(expression))


def back_to_change(tour, expression):
    """
    Back to the instruction that gave @expression its value: GDB then stands before it. A write that
    changes nothing stops, too.
    """
    for _ in range(BACK_MAX):
        now = value(expression)
        tour.move("reverse-continue")
        tour.move("reverse-stepi")
        if value(expression) != now:
            return
    raise Bad(f"nothing changes {expression}")


def select(tour, function):
    """The frame of @function, or Bad."""
    frame = gdb.newest_frame()
    while frame and frame.name() != function:
        frame = frame.older()
    if not frame:
        raise Bad(f"{function}() is not in the backtrace")
    tour.move(f"frame {frame.level()}")


# --- From the splat to its cause ---

def the_splat(tour):
    stop_at_the_end()
    tour.page("The splat, in a recording")
    tour.say("""
        This machine has run already, and was recorded: the demo, on one CPU. What you see is the
        recording. It can be played as often as you like, each instruction comes out as it did
        then, and so GDB can go backwards in it.

        First forwards, to the first report.""")
    tour.move("tbreak splat_count")
    tour.move("continue")
    frame = gdb.newest_frame()
    if frame.name() != "splat_count" or str(frame.read_var("kind")) != "SPLAT_MIGHT_SLEEP":
        raise Bad("the first report of this run is not might_sleep")
    tour.move("bt 6")
    tour.move("splat preempt")
    tour.say(f"""
        {label(current())} forks. It takes a lock that may sleep, rt_spin_lock(), and
        preempt_count is {value("cpus[0].preempt_count & 0xff")}: preemption is off. After
        {instruction():,} instructions the kernel has noticed, and is about to print the
        splat. Where was preemption turned off? That is behind us.""")


def the_cause(tour):
    tour.page("Back to the instruction that turned preemption off")
    tour.say("""
        So back: watch the count, and run backwards to the last write.""")
    noted, start = int(selected_cpu()["preempt_disable_ip"]), instruction()
    tour.move("watch -l cpus[0].preempt_count")
    while value("cpus[0].preempt_count & 0x7fffffff"):
        back_to_change(tour, "cpus[0].preempt_count")
    tour.move("delete")
    tour.move("x/i $pc")
    tour.move("bt 6")
    select(tour, "fpu_clone_buggy")
    tour.move("list")
    tour.say(f"""
        This instruction made 1 of 0, {start - instruction():,} instructions before the
        report: preempt_disable(), in fpregs_lock(), which fpu_clone_buggy() calls. The lock
        that may sleep is taken before the unlock. That is the bug.

        The kernel says the same in the report's line "Preemption disabled at:",
        {symbol(noted)}. It can, because it keeps that address, each time that the count
        goes from 0 to more. To go back needs no such note, and works for every variable.""")


# --- From a lost register to the write ---

def the_loss(tour):
    tour.page("A register that is lost")
    tour.say("""
        The second case leaves no note. In this recording the demo also found that registers were
        not as they must be: fpu=BAD. Forwards again, to the first process that says so by its
        exit status.""")
    tour.move("tbreak *do_exit if $edi != 0")
    tour.move("continue")
    if gdb.newest_frame().name() != "do_exit":
        raise Bad("no process ends with a failing status in this run")
    tour.move("splat symbols off")
    tour.move("bt")
    select(tour, "fork_and_verify")
    tour.move("p w->where")
    where = gdb.parse_and_eval("w->where").string()
    found = re.match(r"[xyz]mm(\d+)\[(\d+)\]: (0x\w+), not (0x\w+)", where)
    if not found or int(found[2]) >= 16:
        raise Bad(f"the first difference is {where}")
    register, byte = int(found[1]), int(found[2])
    tour.move(f"x/4xw &want.reg[{register}]")
    tour.move(f"x/4xw &got.reg[{register}]")
    tour.say(f"""
        The child, {label(current())}, was forked with a known value in each vector register.
        It has found byte {byte} of xmm{register} to be {found[3]}, where its parent had
        {found[4]}. It did nothing in between. Somebody else did, at a time when the child did
        not even run.""")
    return current(), register, byte // 4


def the_writer(tour, child, register, word):
    image = "regs.fxsave.xmm_space"
    task = int(child.address)
    tour.page("Back to the write that lost it")
    tour.say(f"""
        A register of a task that does not run is in memory, in the task's image. The kernel has
        loaded xmm{register} from there. Watch the word that is wrong, and go back to who wrote
        it.""")
    tour.move(f"set $word = (unsigned int *)((struct task_struct *){task:#x})"
        f"->thread.fpu.fpstate->{image}[{register}] + {word}")
    tour.move("watch -l *$word")
    back_to_change(tour, "*$word")
    tour.move("bt")
    victim, by = find_task(f"(struct task_struct *){task:#x}"), current()
    writer, at = gdb.newest_frame().name(), instruction()
    last_cpu = int(victim["thread"]["fpu"]["last_cpu"].cast(gdb.lookup_type("int")))
    tour.move("x/i $pc")
    tour.move("p/x *$word")
    tour.say(f"""
        Here it is: {writer}(), in an interrupt. Under the interrupt's frame in the backtrace stands
        what was interrupted: ring 3 of {label(by)}, whose registers are not touched. It writes
        into the image of {label(victim)}, whose last_cpu is {last_cpu}: it has never run. In
        time, and in the code, the cause is far from the complaint. Backwards it is one command
        away.""")
    return at


def the_rightful_writer(tour, at):
    tour.page("And the write before")
    tour.say("""
        And before that? Once more.""")
    back_to_change(tour, "*$word")
    tour.move("bt 6")
    tour.move("delete")
    tour.say(f"""
        fork itself, {at - instruction():,} instructions earlier: it saves the parent's
        registers into the child's image. XSAVE's writes stop at a watchpoint, too. So between
        that write and the wrong one there was none: the value was right until instruction
        {at:,}.

        "monitor info replay" prints the number of instructions, "splat end" goes to the end.
        `make record APPEND=...` records a run of your own, and `make rewind` opens it.""")


def tour():
    guided = Tour("Backwards: from a report, and from a lost register, to the cause")
    the_splat(guided)
    the_cause(guided)
    at = the_writer(guided, *the_loss(guided))
    the_rightful_writer(guided, at)
    guided.end()


guide(tour, stay=True)
