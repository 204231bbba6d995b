# SPDX-License-Identifier: MIT
"""
What a trace means: who ran where, what was off or held from when to when, where each task's
registers were.

One pass over the events, with a method for each kind that matters. An item stands in a row of a
lane; a lane is a CPU or a task. Times are the TSC's.

Under icount QEMU runs the CPUs in turn, and one TSC counts the instructions of all of them. So a
CPU that is in the middle of something stands still while another has events; "still" marks that.
"""
import collections
import itertools
import dataclasses
import re

import trace                            # scripts/trace/trace.py

NR_CLONE, NR_FORK, NR_WAIT4 = 56, 57, 61
CLONE_THREAD = 0x10000
IDLE = 0

# Rows in the order in which they are shown.
CPU_ROWS = {"runs": "runs", "still": "stands still", "irq": "interrupt",
            "preempt": "preemption off", "irqs": "interrupts off"}
TASK_ROWS = {"splat": "reports", "oncpu": "on CPU", "still": "stands still",
             "call": "system call", "step": "steps",
             "fpu": "FPU state in", "fpregs": "fpregs_lock held", "lock": "locks",
             "lock2": "more locks", "both": "lock inside fpregs_lock"}

# Locks that have no symbol, by the functions that take them.
LOCK_USERS = {"fpu_inherit_perms": "siglock", "fpu_first_use": "siglock", "fget": "files->lock",
              "fpu_xstate_prctl": "siglock", "handle_mm_fault": "mmap_lock"}


@dataclasses.dataclass
class Item:
    """An interval, or a mark (no end) in a row."""
    lane: str
    row: str
    kind: str
    start: int
    end: int | None
    label: str
    text: str = ""


def read_names(path, pattern):
    """number -> name, as C source has them."""
    with open(path, encoding="utf-8") as file:
        return {int(number, 0): name for name, number in re.findall(pattern, file.read(), re.M)}


def syscall_names():
    with open("kernel/syscalls.c", encoding="utf-8") as file:
        names = {int(number): name for number, name in re.findall(r"CALL\((\d+), (\w+),",
                                                                  file.read())}
    return names | read_names("kernel/splat/uapi.h", r"#define SYS_(splat_\w+)\s+(\d+)")


def vector_names():
    names = read_names("arch/x86/entry/entry.h", r"#define (\w+)_VECTOR\s+(0x\w+)")
    traps = read_names("arch/x86/entry/entry.h", r"#define X86_TRAP_(\w+)\s+(\d+)")
    return {number: name.lower().replace("_", " ") for number, name in names.items()} | {
        number: f"#{name}" for number, name in traps.items()}


def splat_kinds():
    with open("kernel/splat/uapi.h", encoding="utf-8") as file:
        return re.findall(r"^\tSPLAT_\w+,\s*/\* (.*) \*/", file.read(), re.M)


class Model:
    """The items of one trace. @spins: with rt=off, a spinlock_t may be taken in fpregs_lock."""

    def __init__(self, found, spins=False):
        self.trace, self.symbols = found, found.symbols
        self.items, self.open = [], {}
        self.syscalls, self.vectors, self.kinds = syscall_names(), vector_names(), splat_kinds()
        self.comms, self.lock_names, self.born = {IDLE: "idle"}, {}, {}
        self.running, self.last_ran = {}, {}    # CPU -> pid; lane -> its last way out
        self.asked = {}                 # pid -> the event in which it asked for a lock
        self.threads = set()            # pids that are making a thread
        # The three facts (arch/x86/fpu/core/regs.h), and whether memory is as new as the registers.
        self.flag, self.last_cpu, self.owner, self.saved = {}, {}, {}, set()
        self.users = set()              # the tasks that have registers: no kernel threads
        handlers = [getattr(self, "on_" + name, None) for name, _, _ in found.types]
        self.learn_names()
        for event in found.events:
            self.observe(event)
            if handlers[event.type]:
                handlers[event.type](event)
        self.end_all(found.events[-1])
        if not spins:
            self.find_locks_inside()
        self.find_turns()
        self.items.sort(key=lambda item: item.start)

    # --- Items ---

    def begin(self, key, event, kind, label, text=""):
        """In the row @key = (lane, row) something begins, and what was there ends."""
        self.end(key, event)
        self.open[key] = Item(*key, kind, event.tsc, None, label, text)

    def end(self, key, event):
        item = self.open.pop(key, None)
        if item:
            item.end = event.tsc
            self.items.append(item)

    def end_all(self, last):
        """The trace's end, and, as nothing returns from exit, that of tasks that are gone."""
        gone = {lane: self.last_ran[lane] for (lane, row), item in self.open.items()
                if row == "call" and item.label.startswith("exit") and
                (lane, "oncpu") not in self.open}
        for lane, row in list(self.open):
            self.end((lane, row), gone.get(lane, last))

    def mark(self, lane, row, event, kind, label, text=""):
        self.items.append(Item(lane, row, kind, event.tsc, None, label, text))

    # --- Names ---

    def learn_names(self):
        """A task has its name at its first run, a lock at its first user's: both may be late."""
        for event in self.trace.events:
            name = self.trace.name(event)
            if name == "task_comm":
                self.comms[event.pid] = trace.comm(event)
            elif name == "fpu_owner" and event.a:
                self.users.add(event.a)
            elif name == "lock_acquired":
                user = self.function(event.b)
                if user in LOCK_USERS:
                    self.lock_names[event.a] = LOCK_USERS[user]

    def function(self, address):
        return self.symbols.name(address).partition("+")[0]

    def task(self, pid):
        return f"{self.comms[pid]} {pid}" if pid in self.comms and pid else \
            self.comms.get(pid, f"task {pid}")

    def kin(self, pid):
        """Whose child or thread a task is."""
        return self.born.get(pid, "") if pid in self.users else "kernel thread"

    def lock(self, address):
        return self.lock_names.get(address) or self.symbols.objects.get(address) or \
            f"lock \N{HORIZONTAL ELLIPSIS}{address & 0xffffff:06x}"

    # --- What every event says: is preemption off, are interrupts? ---

    def observe(self, event):
        """
        A section begins with its event or, where that was missed, with the first one recorded in
        it, and ends likewise: the scheduler sets a wrong count right without an event. The idle
        task runs with preemption off, and is left out.
        """
        name, lane = self.trace.name(event), f"cpu{event.cpu}"
        if event.cpu not in self.running:
            self.runs(event, event.pid)
        off = event.preempt_count and event.pid != IDLE and name != "preempt_enable"
        self.section((lane, "preempt"), event, off, "preempt_disable")
        off = event.irqs_off and name != "irq_enable"
        self.section((lane, "irqs"), event, off, "irq_disable")

    def section(self, key, event, off, begins):
        if off and key not in self.open:
            by = self.symbols.name(event.b) if self.trace.name(event) == begins else ""
            self.begin(key, event, key[1], by.partition("+")[0], f"by {by}" if by else "")
        elif not off and key in self.open:
            self.end(key, event)

    # --- The scheduler ---

    def runs(self, event, pid):
        """From now on @pid runs on the event's CPU."""
        self.running[event.cpu] = pid
        if pid == IDLE:
            self.end((f"cpu{event.cpu}", "runs"), event)
            return
        self.begin((f"cpu{event.cpu}", "runs"), event, "runs", self.task(pid))
        self.begin((f"task{pid}", "oncpu"), event, "runs", f"CPU {event.cpu}")

    def on_sched_switch(self, event):
        before, after = event.a, event.b
        self.end((f"task{before}", "oncpu"), event)
        self.last_ran[f"task{before}"] = event
        self.runs(event, after)
        # switch_fpu_prepare() has saved them, if they were its own.
        if self.flag.get(before) == 0:
            self.saved.add(before)
        self.place_all(event)

    def on_sched_wakeup(self, event):
        if event.a not in self.running.values():
            self.begin((f"task{event.a}", "oncpu"), event, "ready", "ready",
                       f"woken by {self.task(event.pid)}")

    def on_sched_pi_setprio(self, event):
        self.mark(f"task{event.a}", "step", event, "step", f"own priority {event.b}",
                  f"no loan; set by {self.task(event.pid)}; smaller is more urgent")

    def on_sched_pi_boost(self, event):
        self.mark(f"task{event.a}", "step", event, "step", f"boosted to priority {event.b}",
                  f"a loan, more urgent than its own; set by {self.task(event.pid)}; smaller is "
                  "more urgent")

    # --- Interrupts and system calls ---

    def on_irq_entry(self, event):
        self.begin((f"cpu{event.cpu}", "irq"), event, "irq",
                   self.vectors.get(event.a, f"vector {event.a:#x}"),
                   f"interrupts {self.symbols.name(event.b)}")

    def on_irq_exit(self, event):
        self.end((f"cpu{event.cpu}", "irq"), event)

    def on_exception(self, event):
        self.mark(f"cpu{event.cpu}", "irq", event, "irq",
                  self.vectors.get(event.a, f"exception {event.a}"),
                  f"exception {event.a} at {self.symbols.name(event.b)}")

    def on_sys_enter(self, event):
        name = self.syscalls.get(event.a, f"system call {event.a}")
        self.begin((f"task{event.pid}", "call"), event, "call", name, f"number {event.a}")
        self.threads.discard(event.pid)
        if event.a == NR_CLONE and event.b & CLONE_THREAD:
            self.threads.add(event.pid)

    def on_sys_exit(self, event):
        key = f"task{event.pid}", "call"
        if key in self.open:
            self.open[key].text += f", returned {self.trace.value('ret', event.b)}"
        self.end(key, event)

    def on_fork_step(self, event):
        name = self.function(event.a)
        self.mark(f"task{event.pid}", "step", event, "step", name)
        if name == "link_child":
            how = "thread" if event.pid in self.threads else "child"
            self.born[event.b] = f"{how} of {event.pid}" if event.pid else ""
            self.flag[event.b] = 1
            self.place_all(event)

    def on_splat(self, event):
        asked = self.asked.pop(event.pid, None)
        if asked:
            self.lock_item(asked, "ask", f"asked for; at {asked.a:#x}, by "
                           f"{self.symbols.name(asked.b)}, where it may not be taken")
        self.mark(f"task{event.pid}", "splat", event, "splat", self.kinds[event.a],
                  f"in {self.symbols.name(event.b)}")

    # --- Locks ---

    def on_fpregs_lock(self, event):
        by = self.symbols.name(event.a)
        self.begin((f"task{event.pid}", "fpregs"), event, "fpregs", by.partition("+")[0],
                   f"by {by}")

    def on_fpregs_unlock(self, event):
        self.end((f"task{event.pid}", "fpregs"), event)

    def lock_row(self, pid, name=None):
        """The row in which @pid has the lock @name; without a name one that is free."""
        for row in "lock", "lock2":
            item = self.open.get((f"task{pid}", row))
            if (item.label if item else None) == name:
                return f"task{pid}", row
        return f"task{pid}", "lock2"

    def lock_item(self, event, kind, text):
        name = self.lock(event.a)
        key = self.lock_row(event.pid, name)
        if key not in self.open or self.open[key].label != name:
            key = self.lock_row(event.pid)
        self.begin(key, event, kind, name, text)

    def on_lock_asked(self, event):
        """Until it is taken or waited for: if a report comes first, it is about that lock."""
        self.asked[event.pid] = event

    def on_lock_contended(self, event):
        self.asked.pop(event.pid, None)
        self.lock_item(event, "wait",
                       f"waited for; at {event.a:#x}, {self.task(event.b)} holds it")

    def on_lock_acquired(self, event):
        self.asked.pop(event.pid, None)
        self.lock_item(event, "held",
                       f"held; at {event.a:#x}, taken by {self.symbols.name(event.b)}")

    def on_lock_released(self, event):
        self.end(self.lock_row(event.pid, self.lock(event.a)), event)

    def find_locks_inside(self):
        """Where a task waits for, or holds, a lock that sleeps while it has fpregs_lock."""
        held = collections.defaultdict(list)
        for item in self.items:
            if item.row == "fpregs":
                held[item.lane].append(item)
        for item in list(self.items):
            for outer in held[item.lane] if item.row in ("lock", "lock2") else []:
                start, end = max(item.start, outer.start), min(item.end, outer.end)
                if start < end:
                    what = {"wait": "waited for", "ask": "asked for"}.get(item.kind, "held")
                    self.items.append(Item(item.lane, "both", "both", start, end, item.label,
                                           f"{what} with preemption off by {outer.label}"))

    # --- Who executes ---

    def find_turns(self):
        """Where a task is on a CPU, and another CPU has its turn: from event to event of that."""
        turns = []
        for cpu, group in itertools.groupby(self.trace.events, lambda event: event.cpu):
            group = list(group)
            turns.append((cpu, group[0].tsc, group[-1].tsc))
        for item in list(self.items):
            if item.kind != "runs":
                continue
            here = int(item.lane[3:] if item.row == "runs" else item.label[len("CPU "):])
            for cpu, first, last in turns:
                start, end = max(item.start, first), min(item.end, last)
                if cpu != here and start < end:
                    self.items.append(Item(item.lane, "still", "still", start, end,
                                           f"CPU {cpu}'s turn",
                                           f"CPU {here} executes nothing here: CPU {cpu} does"))

    # --- Where the registers' truth is ---

    def on_fpu_flag(self, event):
        by = self.function(event.b)
        self.flag[event.a] = event.b
        if event.b == 0:
            self.saved.discard(event.a)          # from here on ring 3 may change them
        elif by == "kernel_fpu_begin":
            self.saved.add(event.a)              # the kernel needs the registers for itself
        elif by == "fpu_flush_thread":
            self.last_cpu.pop(event.a, None)     # exec: only memory is new
        elif by == "fpu_exit_thread":
            self.flag.pop(event.a)               # nobody needs them any more
            self.end((f"task{event.a}", "fpu"), event)
        self.place_all(event)

    def on_fpu_owner(self, event):
        self.owner[event.cpu] = event.a
        if event.a:
            self.last_cpu[event.a] = event.cpu
            self.saved.add(event.a)              # just loaded from there
        self.place_all(event)

    def on_fpu_save(self, event):
        self.mark(f"task{event.pid}", "fpu", event, "save", "save",
                  f"to {event.a:#x}, features {event.b:#x}")

    def on_fpu_restore(self, event):
        self.mark(f"task{event.pid}", "fpu", event, "restore", "restore",
                  f"from {event.a:#x}, features {event.b:#x}")

    def place(self, pid):
        """
        (kind, label) of the table in arch/x86/fpu/core/regs.h; None: nowhere. A task that is
        switched out has its flag clear until it is switched in, and is in memory besides.
        """
        cpu = self.last_cpu.get(pid)
        if cpu is None or self.owner.get(cpu) != pid:
            return ("memory", "memory") if self.flag[pid] or pid in self.saved else None
        if pid in self.saved:
            return "both-places", f"CPU {cpu} and memory"
        return "registers", f"registers of CPU {cpu}"

    def place_all(self, event):
        """One event can move several tasks' truth: who loads pushes another one out."""
        for pid in self.users & self.flag.keys():
            key, place = (f"task{pid}", "fpu"), self.place(pid)
            item = self.open.get(key)
            if (item.kind, item.label) != place if item else place:
                self.end(key, event)
                if place:
                    self.begin(key, event, *place)
