# SPDX-License-Identifier: MIT
"""
Tests of what the timeline says (scripts/trace/tracemodel.py, tracepage.py), without a browser:
whose registers are where while the kernel computes, who executed what on two CPUs that take turns,
who is boosted, and what the first view shows.
"""
import bisect
import collections
import os
import sys

import machine
from host import expect, expect_code, test

sys.path.insert(0, "scripts/trace")

import trace                            # noqa: E402 (scripts/trace/trace.py, not Python's own)
import tracemodel                       # noqa: E402
import tracepage                        # noqa: E402

TASK = "task1"                          # the demo's, which forks


def demo(name, append, order="buggy"):
    """The demo, traced on two CPUs and repeatable: a page's Run of it."""
    base = f"{machine.LOGS}/{name}"
    code, output = machine.boot(name, f"dynamic=ymm trace=on {append} init=/bin/demo -- {order}",
                                SMP="2", ICOUNT="1", RAM=base + ".ram")
    expect_code(code, machine.PASS, output)
    try:
        return tracepage.Run("build/splat.elf", machine.LOGS, name)
    finally:
        os.remove(base + ".ram")


def called(run, address):
    """The function at @address."""
    return run.trace.symbols.name(address).partition("+")[0]


def in_row(run, lane, row):
    return [item for item in run.model.items if (item.lane, item.row) == (lane, row) and
            item.end is not None]


# --- Where the registers are ---

class Truth:
    """The table of arch/x86/fpu/core/regs.h, from the events and from nothing else."""

    def __init__(self, run):
        self.name, self.symbol = run.trace.name, lambda address: called(run, address)
        self.flag, self.last, self.owner, self.memory = {}, {}, {}, set()
        self.users = {e.a for e in run.trace.events if self.name(e) == "fpu_owner" and e.a}

    def see(self, event):
        name, pid = self.name(event), event.a
        by = self.symbol(event.b)
        if name == "fpu_flag":
            self.flag[pid] = event.b != 0
            if not event.b:
                self.memory.discard(pid)
            elif by == "kernel_fpu_begin":
                self.memory.add(pid)
            elif by == "fpu_flush_thread":
                self.memory.add(pid)
                self.last.pop(pid, None)
            elif by == "fpu_exit_thread":
                self.flag.pop(pid)
        elif name == "fpu_owner":
            self.owner[event.cpu] = pid
            if pid:
                self.last[pid] = event.cpu
                self.memory.add(pid)
        elif name == "sched_switch" and self.flag.get(pid) is False:
            self.memory.add(pid)
        elif name == "fork_step" and self.symbol(event.a) == "link_child":
            self.flag[event.b] = True
            self.memory.add(event.b)

    def of(self, pid):
        """The kind of bar that is due, None: the task has no registers (yet, or any more)."""
        if pid not in self.flag or pid not in self.users:
            return None
        cpu = self.last.get(pid)
        live = cpu is not None and self.owner.get(cpu) == pid
        if live:
            return "both-places" if pid in self.memory else "registers"
        return "memory"


def expect_places(run, what):
    """At each event each user task's bar is the one that is due; never none while it lives."""
    truth, kinds = Truth(run), collections.Counter()
    bars = {pid: in_row(run, f"task{pid}", "fpu") for pid in truth.users}
    starts = {pid: [bar.start for bar in found] for pid, found in bars.items()}
    events = run.trace.events
    for event, following in zip(events, events[1:]):
        truth.see(event)
        if event.tsc == following.tsc:
            continue
        for pid in truth.users:
            at = bisect.bisect_right(starts[pid], event.tsc) - 1
            bar = bars[pid][at] if at >= 0 and event.tsc < bars[pid][at].end else None
            due, drawn = truth.of(pid), bar and bar.kind
            expect(drawn == due, f"{what}: task {pid}, at {run.time(event.tsc)}, after "
                   f"{run.trace.line(event)}: {due} is due, drawn is {drawn}")
            kinds[due] += 1
    expect({"registers", "both-places", "memory"} <= set(kinds), f"{what}: only {kinds}")


@test("timeline-places")
def places():
    """
    Each task's registers, through the demo, by the three facts: also when the kernel computes on
    the CPU that has them (scrub=on), in a thread or on top of the task itself.
    """
    for append in ("rt=on", "rt=on scrub=on", "rt=off scrub=on"):
        run = demo("timeline-places", append)
        by = [called(run, e.b) for e in run.trace.events if run.trace.name(e) == "fpu_owner"
              and not e.a]
        expect("fpu__drop" in by and ("kernel_fpu_begin" in by) == ("scrub" in append),
               f"{append}: registers are taken by {set(by)}")
        expect_places(run, append)
        # The bug itself: the parent's registers are somewhere all the time.
        bar = next(item for item in in_row(run, TASK, "call") if item.label == "fork")
        shown = sum(min(item.end, bar.end) - max(item.start, bar.start)
                    for item in in_row(run, TASK, "fpu")
                    if item.end > bar.start and item.start < bar.end)
        expect(shown == bar.end - bar.start, f"{append}: in fork the parent's registers are "
               f"nowhere for {bar.end - bar.start - shown} of {bar.end - bar.start}")


# --- Who executes ---

@test("timeline-turns")
def turns():
    """
    QEMU runs the CPUs in turn, on one count of instructions: while one has events, each other
    that is not idle is marked as standing still; nowhere else; and no CPU in its own events.
    """
    run = demo("timeline-turns", "rt=on")
    events, marked = run.trace.events, 0
    for cpu in range(2):
        lane = f"cpu{cpu}"
        still = in_row(run, lane, "still")
        busy = in_row(run, lane, "runs")
        for before, after in zip(events, events[1:]):
            middle = (before.tsc + after.tsc) / 2
            if before.tsc == after.tsc or not any(b.start < middle < b.end for b in busy):
                continue
            due = before.cpu == after.cpu != cpu
            drawn = any(item.start < middle < item.end for item in still)
            expect(due == drawn, f"{lane} at {run.time(before.tsc)}: stands still: "
                   f"{due} is due, drawn is {drawn}")
            marked += due
        for item in still:
            expect(any(b.start <= item.start and item.end <= b.end for b in busy),
                   f"{lane}: marked while it is idle, from {run.time(item.start)} on")
            expect(not any(e.cpu == cpu and item.start < e.tsc < item.end for e in events),
                   f"{lane}: marked over its own events, from {run.time(item.start)} on")
    expect(marked > 20, f"only {marked} stretches are marked")
    # The same in the lanes of the tasks that are on those CPUs.
    cpus = sum(i.end - i.start for n in range(2) for i in in_row(run, f"cpu{n}", "still"))
    tasks = sum(i.end - i.start for i in run.model.items if i.row == "still" and
                i.lane.startswith("task"))
    expect(cpus == tasks > 0, f"CPUs stand still for {cpus}, tasks for {tasks}")
    # One CPU never stands still.
    code, output = machine.boot("timeline-one", "trace=on init=/bin/demo -- fixed", ICOUNT="1",
                                RAM=machine.LOGS + "/timeline-one.ram")
    expect_code(code, machine.PASS, output)
    model = tracemodel.Model(trace.load("build/splat.elf", machine.LOGS + "/timeline-one.ram"))
    os.remove(machine.LOGS + "/timeline-one.ram")
    expect(not any(item.row == "still" for item in model.items), "one CPU stands still")


# --- Priorities ---

@test("timeline-boosts")
def boosts():
    """Who borrows is boosted, and by whom; who has paid back has its own priority again."""
    run = demo("timeline-boosts", "rt=on")
    said = [(run.model.task(int(i.lane[4:])), i.label, i.text) for i in run.model.items
            if i.row == "step" and "priority" in i.label]
    labels = collections.Counter(label for _, label, _ in said)
    # The contended fork: FIFO 50 of its own, the holder is boosted to that, and loses it.
    holders = {task for task, label, _ in said if label == "boosted to priority 49"}
    expect(len(holders) == 1, f"boosted are {holders}: {said}")
    holder = holders.pop()
    own = [label for task, label, _ in said if task == holder]
    expect(own == ["boosted to priority 49", "own priority 120"] * (len(own) // 2) and own,
           f"{holder}: {own}")
    expect(set(labels) == {"boosted to priority 49", "own priority 49", "own priority 120"},
           f"{labels}")
    lenders = {text for _, label, text in said if label.startswith("boosted")}
    expect(all(f"set by {run.model.task(1)};" in text for text in lenders), f"loans: {lenders}")


# --- The first view ---

@test("timeline-views")
def views():
    """The view "the order of the locks" has siglock in both runs, of each fork."""
    runs = [demo(f"timeline-{order}", "rt=on", order) for order in ("buggy", "fixed")]
    pages = [run.page() for run in runs]
    found = [view for view in tracepage.views(pages) if view["label"] == "the order of the locks"]
    expect(len(found) == 2, f"{len(found)} views, of two forks")
    for view in found:
        for run, page in zip(runs, pages):
            origin = page["forks"][view["fork"]]["at"]
            begin, end = view["from"] + origin, view["to"] + origin
            seen = {(item["row"], item["kind"]) for item in page["items"]
                    if item["lane"] == TASK and item.get("end", item["start"]) > begin and
                    item["start"] < end and item["label"] in ("siglock", "fpu_clone_buggy",
                                                              "fpu_clone_fixed")}
            what = f"{run.name}, fork {view['fork'] + 1}: {sorted(seen)}"
            expect(("fpregs", "fpregs") in seen, f"no fpregs_lock in {what}")
            locks = {kind for row, kind in seen if row in ("lock", "lock2")}
            expect(locks and (run.name.endswith("buggy") or "held" in locks),
                   f"no siglock in {what}")
            # Wide enough to be seen: a hundredth of the view.
            widest = max(min(item["end"], end) - max(item["start"], begin)
                         for item in page["items"] if item["lane"] == TASK and
                         item["row"] in ("lock", "lock2") and item["label"] == "siglock")
            expect(widest > (end - begin) / 100, f"siglock is a line of {widest} in {what}")
