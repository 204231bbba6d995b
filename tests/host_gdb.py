# SPDX-License-Identifier: MIT
"""
The commands of scripts/gdb: what they print is compared with what that very run holds, as GDB
itself reads it, or as the program that runs there has computed it.
"""
import os
import re
import tempfile

import host
import ktap
import machine
from host import Failure, expect, test

DEMO = "init=/bin/demo"
# Whatever happens to the kernel's data, each prints something and comes back.
ALL = ("splat tasks", "splat fpu", "splat fpu 1", "splat owner", "splat preempt", "splat locks",
       "splat perms", "splat log 4", "splat pt 0xffffffff81000000", "splat pt 0x401000 1",
       "p $current()", "p $this_cpu()", "p $task(1)", "p *$task(1)", "p cpus[0]")
MARK = "@@@"
# demo's forks: the first is in world 1, and khungtaskd and the like are before.
DEMO_FORKS = "if !minimal"


def gdb(name, commands, append=DEMO, cpus=1, core=None, **world):
    """
    GDB on a boot, or on the dump @core: runs @commands, each a text or (name, text). Returns what
    each printed, by its name: of one that is repeated, the last.
    """
    commands = [(c, c) if isinstance(c, str) else c for c in commands]
    words = ["-batch"]
    for number, (_, command) in enumerate([*commands, ("", "echo end")]):
        words += ["-ex", f"echo \\n{MARK}{number}\\n", "-ex", command]
    base = f"{machine.LOGS}/gdb-{name}"
    env = {"MEM": "48M", "ICOUNT": "1", "SMP": str(cpus), "APPEND": append,
           "DEBUG_LOG": base + ".console", **world}
    script = "scripts/debug.sh"
    if core:
        script, env = "scripts/attach.sh", {"CORE": core}
    _, output = machine.run([script, *words], base + ".log", env)
    texts = re.split(rf"\n{MARK}\d+\n", output)
    expect(len(texts) == len(commands) + 2 and texts[-1].startswith("end"),
           f"GDB ended before its last command: {base}.log")
    for text in ("Traceback", "Python Exception", "Error while executing Python"):
        expect(text not in output, f"{text}: {base}.log")
    return {label: text for (label, _), text in zip(commands, texts[1:])}


def says(text, *patterns):
    """@text has all @patterns, as expressions, each on one line."""
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failure(f"no line is as {pattern}:\n{text[:1500]}")


def number(text):
    """Of "$1 = 0x12 ...", as a number."""
    return int(re.search(r"= (?:\([^)]*\) )?(-?(?:0x)?[0-9a-f]+)", text)[1], 0)


def to_fork(*more):
    """To the first fork of the demo; then @more."""
    return [f"tbreak fpu_clone {DEMO_FORKS}", "continue", *more]


# --- FPU state ---

def registers(text):
    """The registers in an output of splat fpu, or in a part of it: name -> digits."""
    return dict(re.findall(r"^  ((?:[xyz]mm|st|k)\d+|pkru|mxcsr) (?:0x)?([0-9a-f]+)", text, re.M))


def wanted_registers(image, width):
    """What struct vec_image, as bytes, says of the same (user/lib/vec.h)."""
    def digits(at, size):
        return image[at:at + size][::-1].hex()

    name = "xmm" if width == 16 else "ymm"
    return {**{f"{name}{i}": digits(512 + 64 * i, width) for i in range(16)},
            **{f"st{i}": digits(32 + 16 * i, 10) for i in range(8)},
            "mxcsr": digits(24, 4).lstrip("0"), "pkru": digits(2624, 4)}


def compare(what, want, got, but=()):
    wrong = [f"{name}: {got.get(name)}, not {value}" for name, value in want.items()
             if got.get(name) != value and name not in but]
    expect(not wrong, f"{what}: " + "; ".join(wrong[:4]))


def fpu_in(name, append, form, width=32, cpus=1, **world):
    """The parent's registers in the CPU, and the child's image, have the values that demo chose."""
    path = f"{machine.LOGS}/gdb-{name}.bin"
    said = gdb(name, to_fork(
        "splat fpu", f"dump binary value {path} fork_and_verify::want",
        "tbreak wake_up_new_task", "continue", ("child", "splat fpu task"),
        ("by pid", "splat fpu task->pid"), ("size", "p task->thread.fpu.fpstate->size"),
        ("bv", "p/x task->thread.fpu.fpstate->regs.xsave.header.xfeatures"),
        ("comp", "p/x task->thread.fpu.fpstate->regs.xsave.header.xcomp_bv")),
               f"{DEMO} {append}", cpus, **world)
    with open(path, "rb") as file:
        image = file.read()
    parent, child = said["splat fpu"], said["child"]
    says(parent, r"^demo/1: the truth is in the registers of CPU 0; memory may be old$",
         r"^TIF_NEED_FPU_LOAD 0, last_cpu 0, fpregs_lock depth 0")
    live, _, _ = parent.partition("\nimage")
    wide = "ymm0 " in live
    # The monitor has no PKRU.
    compare("live", wanted_registers(image, 32 if wide else 16), registers(live), ("pkru",))
    expect(wide or width == 16, "the live YMM registers are not there")
    says(child, r"^demo/\d+: the truth is in memory$", rf"^image: {form} format",
         rf"\(its own\): size {number(said['size'])},")
    if form != "FXSAVE":
        says(child, rf"XSTATE_BV {number(said['bv']):#x} .*XCOMP_BV {number(said['comp']):#x}$")
    compare("the child's image", wanted_registers(image, width), registers(child),
            ("pkru",) if width == 16 else ())
    expect(said["by pid"] == child, "a pid and a pointer give different texts")


@test("gdb-fpu")
def fpu_standard():
    fpu_in("fpu", "", "standard")


@test("gdb-fpu-compacted", check=False)
def fpu_compacted():
    fpu_in("fpu-compacted", "xsave=soft", "compacted", cpus=2)


@test("gdb-fpu-fxsave", check=False)
def fpu_fxsave():
    fpu_in("fpu-fxsave", "xsave=fxsave", "FXSAVE", width=16)


@test("gdb-fpu-initial", check=False)
def fpu_initial():
    """A component whose bit is clear is in its initial state, whatever lies in its place."""
    said = gdb("fpu-initial", [
        "tbreak wake_up_new_task if task->mm", "continue",
        "set var task->thread.fpu.fpstate->regs.xsave.header.xfeatures = 3",
        ("one", "splat fpu task"),
        "set var task->thread.fpu.fpstate->regs.xsave.header.xfeatures = 4",
        ("other", "splat fpu task")])
    one, other = registers(said["one"]), registers(said["other"])
    says(said["one"], r"^   2 YMM  .* initial$", r"^   1 SSE  .* in use$")
    expect(re.fullmatch("0{32}[0-9a-f]{32}", one["ymm3"]) and one["ymm3"].strip("0"),
           f"without YMM's bit, ymm3 is {one['ymm3']}")
    expect(re.fullmatch("[0-9a-f]{32}0{32}", other["ymm3"]) and other["ymm3"].strip("0"),
           f"without SSE's bit, ymm3 is {other['ymm3']}")
    expect("pkru" not in one and "st0" not in other, "a component is shown that is initial")


@test("gdb-fpu-truth", check=False)
def fpu_truth():
    """The four rows of the table in arch/x86/fpu/regs.h."""
    said = gdb("fpu-truth", to_fork(
        ("0 yes", "splat fpu"), "set var $current()->thread_flags |= 1 << 14",
        ("1 yes", "splat fpu"), "set var $current()->thread.fpu.last_cpu = 1",
        ("1 no", "splat fpu"), "set var $current()->thread_flags &= ~(1 << 14)",
        ("0 no", "splat fpu"), "set var $current()->thread.fpu.last_cpu = 0",
        "set var cpus[0].fpu_fpregs_owner_ctx = 0", ("no owner", "splat fpu"),
        ("kernel", "splat fpu 2")))
    for row, text in (("0 yes", "in the registers of CPU 0; memory may be old"),
                      ("1 yes", "in memory and in the registers of CPU 0"), ("1 no", "in memory"),
                      ("0 no", "nowhere: a bug"), ("no owner", "nowhere: a bug")):
        says(said[row], rf"^demo/1: the truth is {text}")
        expect(("live:" in said[row]) == (row == "0 yes"), f"{row}: are live registers the truth?")
    says(said["kernel"], r"^ksoftirqd/0/2: a kernel thread")


def owner_on(cpus):
    """Each CPU's line against what GDB reads there."""
    name = f"owner-{cpus}"
    raw = [(f"{what} {cpu}", f"p/x (long){path}") for cpu in range(cpus) for what, path in (
        ("owner", f"cpus[{cpu}].fpu_fpregs_owner_ctx"),
        ("last", f"(cpus[{cpu}].fpu_fpregs_owner_ctx ? "
                 f"cpus[{cpu}].fpu_fpregs_owner_ctx->last_cpu : 99)"))]
    last = cpus - 1
    said = gdb(name, to_fork("splat owner", ("mine", "p/x (long)&$current()->thread.fpu"), *raw,
                             f"set var cpus[{last}].in_kernel_fpu = 1",
                             f"set var cpus[{last}].fpu_fpregs_owner_ctx = (struct fpu *)64",
                             ("changed", "splat owner")), cpus=cpus)
    lines = said["splat owner"].strip().splitlines()
    expect(len(lines) == cpus + 1, f"{len(lines) - 1} CPUs: {lines}")
    mine = number(said["mine"])
    for cpu, line in enumerate(lines[1:]):
        owner, where = number(said[f"owner {cpu}"]), number(said[f"last {cpu}"])
        who = "demo/1" if owner == mine else "nobody" if not owner else r"\S+, no task"
        says(line, rf"^ +{cpu} {who} .* {'yes' if where == cpu else 'no'} +no ")
    says(lines[1], r"demo/1 +0 yes")
    says(said["changed"], rf"^ +{last} 0x40, no task +- no +yes ")


@test("gdb-owner", check=False)
def owner():
    for cpus in (1, 2, 4):
        owner_on(cpus)


@test("gdb-gate", check=False)
def gate():
    """The gate's features; and the permission records: of init, and of the demo that asks."""
    said = gdb("gate", [
        "tbreak start_thread", "continue", "splat perms",
        "tbreak xfd_enable_feature", "continue", ("open", "splat perms"), ("shut", "splat owner"),
        ("perm", "p/x $task(1)->thread.fpu.perm.__state_perm"),
        ("size", "p/d $task(1)->thread.fpu.perm.__state_size"),
        ("user", "p/d $task(1)->thread.fpu.perm.__user_state_size"),
        ("guest", "p/x $task(1)->thread.fpu.guest_perm.__state_perm"),
        ("xfd", "p/x cpus[0].xfd_state"), "splat fpu"], f"{DEMO} dynamic=ymm")
    says(said["shut"], r"GATE \(XCR0\)", rf"^  0 demo/1 .* {number(said['xfd']):#x} YMM$")
    says(said["splat fpu"], r"; xfd 0x4 YMM$")
    expect(number(said["xfd"]) == 4, "the gate is not at YMM")
    says(said["splat perms"], r"^    1 \S+ +\d+ +\d+  0x\w+ FP SSE PKRU PASID$")
    says(said["open"], rf"^    1 demo +{number(said['size'])} +{number(said['user'])}  "
                       rf"{number(said['perm']):#x} FP SSE YMM PKRU PASID; guest_perm "
                       rf"{number(said['guest']):#x}, ")


# --- Tasks, preemption, locks ---

@test("gdb-tasks", check=False)
def tasks():
    """Every field of a line, against GDB's own reading; and the functions."""
    for cpus in (1, 2, 4):
        said = gdb(f"tasks-{cpus}", to_fork(
            "splat tasks", ("comm", "p $current()->comm"), ("pid", "p $current()->pid"),
            ("one", "p $current() == $task(1)"), ("here", "p $this_cpu() == &cpus[0]"),
            ("idle", f"p/x runqueues[{cpus - 1}].idle->flags"), ("none", "p $task(4095)"),
            "set var $task(2)->prio = 7", "set var $task(2)->__state = 0x1000",
            "set var $task(2)->saved_state = 2", "set var $task(2)->thread_flags |= 8",
            ("changed", "splat tasks"), f"thread {cpus}", ("there", f"p $this_cpu() == &cpus["
                                                          f"{cpus - 1}]"),
            ("runs", "p $current() == $this_cpu()->rq->curr")), cpus=cpus)
        for name in ("one", "here", "there", "runs"):
            expect(said[name].strip().endswith("= 1"), f"{cpus} CPUs: {name}: {said[name]}")
        says(said["comm"], '"demo')
        says(said["splat tasks"], r"^\*    1 demo +RUNNING +0  120  120$",
             rf"^.    0 swapper/{cpus - 1} +RUNNING +{cpus - 1}  120  120  IDLE KTHREAD")
        says(said["changed"], r"^     2 ksoftirqd/0 +RTLOCK_WAIT\(UNINTERRUPTIBLE\) +0    7  120! "
                              r"KTHREAD (NO_SETAFFINITY )?NEED_RESCHED NEED_FPU_LOAD$")
        says(said["none"], "^there is no task 4095$")


@test("gdb-preempt", check=False)
def preempt():
    """The count inside fpregs_lock(), with either kind of lock, and inside the tick; all fields."""
    decoded = "preempt 3, softirq 41 disabled, hardirq 3, NMI 1, need-resched yes"
    for cpus, append, count, fields in (
            (1, "rt=on", 1, "preempt 1, softirq 0 disabled, hardirq 0"),
            (2, "rt=off", 0x200, "preempt 0, softirq 1 disabled, hardirq 0"),
            (4, "rt=on", 1, "preempt 1, softirq 0 disabled, hardirq 0")):
        said = gdb(f"preempt-{cpus}", [
            "tbreak fpu_clone_buggy", "continue", "tbreak fpu_inherit_perms", "continue",
            ("locked", "splat preempt"), ("ip", "info symbol cpus[0].preempt_disable_ip"),
            "tbreak scheduler_tick if $this_cpu() == &cpus[0]", "continue",
            ("tick", "splat preempt"), *ALL, "set var cpus[0].preempt_count = 0x00135203",
            ("set", "splat preempt")], f"{DEMO} {append}", cpus)
        says(said["ip"], r"^fpu_clone_buggy \+")
        says(said["locked"], rf"^CPU 0: preempt_count {count:#x}: {fields}, NMI 0, "
                             r"need-resched no; raised by fpu_clone_buggy\+0x\w+; runs demo/1$")
        says(said["tick"], rf"^CPU 0: preempt_count 0x1\w+: .*, hardirq 1, NMI 0.*; raised by \S+;")
        says(said["set"], rf"^CPU 0: preempt_count 0x135203: {decoded}; raised by")
        expect(len(re.findall("^CPU", said["tick"], re.M)) == cpus, "one line a CPU is due")
        says(said["splat tasks"], r"^\*    \d demo ")


CONTENDED = ["splat stops", *["continue"] * 3]


@test("gdb-locks", check=False)
def locks():
    """The contended demo: the holder, boosted; the waiter, and what it keeps."""
    for cpus in (1, 2):
        said = gdb(f"locks-{cpus}", [
            *CONTENDED, "splat locks", "splat tasks",
            ("lock", "p/x (long)$current()->pi_blocked_on->lock"),
            ("owner", "p ((struct task_struct *)($current()->pi_blocked_on->lock->owner & "
                      "~1UL))->pid"), ("siglock", "p/x (long)&$current()->sighand->siglock.lock"),
            ("own", "p $task($current()->pi_blocked_on->lock->waiters.leftmost ? 1 : 0)->prio"),
            "set var $current()->saved_state = 1", ("saved", "splat locks")], cpus=cpus)
        says(said["continue"], r"^splat: scheduling while atomic; CPU 0, demo/1; preempt 2")
        expect(said["lock"].split("=")[1] == said["siglock"].split("=")[1],
               "the run is not where it should be: nobody waits for the siglock")
        holder = number(said["owner"])
        says(said["splat locks"],
             rf"^siglock of demo/1 \(spinlock_t, {number(said['lock']):#x}\)$",
             rf"^  owner demo/{holder} prio 49 \(own 120\), RUNNING, CPU {cpus - 1}$",
             r"^  1\. prio 49: demo/1 prio 49, RTLOCK_WAIT, saved_state RUNNING, CPU 0$")
        says(said["splat tasks"], rf"^. +{holder} demo +RUNNING +{cpus - 1}   49  120!",
             r"^\*    1 demo +RTLOCK_WAIT +0   49   49 .* siglock of demo/1$")
        says(said["saved"], "saved_state INTERRUPTIBLE, CPU 0$")


@test("gdb-locks-order", check=False)
def locks_order():
    """Five who wait for one lock: in the order in which they will get it, each with its own name."""
    said = gdb("locks-order", [
        "break rt_mutex_slowunlock if lock->waiters.root && lock->waiters.root->child[0] && "
        "lock->waiters.root->child[1]", "continue", "splat locks", "splat tasks"],
               "init=/tests/testrun -- k/rtmutex_order")
    queue = re.findall(r"^  (\d)\. prio (\d+): (\S+) prio (\d+), (\w+), saved_state RUNNING",
                       said["splat locks"], re.M)
    # FIFO 40, 35, 30, 20, 14: Linux's numbers are 99 less that.
    expect([(int(n), int(prio)) for n, prio, *_ in queue] ==
           [(1, 59), (2, 64), (3, 69), (4, 79), (5, 85)], f"the queue is {queue}")
    expect(all(prio == own for _, prio, _, own, _ in queue), f"the queue is {queue}")
    says(said["splat locks"], r"^  owner testrun/1 prio 59 \(own \d+\)")


@test("gdb-locks-spinning", check=False)
def locks_spinning():
    """With rt=off a lock knows its CPU and how many wait."""
    said = gdb("locks-spinning", [
        "break splat_hold_siglock", "continue", "delete",
        "break fpu_inherit_perms if $current()->sighand->siglock.rlock.serving != "
        "$current()->sighand->siglock.rlock.next", "continue", "splat locks",
        "set var $current()->sighand->siglock.rlock.next += 1", ("more", "splat locks")],
               f"{DEMO} rt=off", cpus=2)
    says(said["splat locks"], r"^siglock of demo/1 \(spinlock_t, spins, 0x",
         r"^  held by CPU 1, which runs demo/\d+$")
    expect("waiting" not in said["splat locks"], "nobody waits yet")
    says(said["more"], "^  1 waiting$")


# --- Log, page tables, printers ---

@test("gdb-log", check=False)
def log():
    """The log is what the console shows, and its last lines are the last."""
    said = gdb("log", [*CONTENDED, "splat log", "splat log 3"])
    with open(f"{machine.LOGS}/gdb-log.console", encoding="utf-8", errors="replace") as file:
        console = [line for line in ktap.clean(file.read()) if re.match(r"\[ +\d", line)]
    lines = said["splat log"].strip("\n").splitlines()
    # The machine went on when GDB had gone.
    expect(len(lines) > 20 and lines == console[:len(lines)],
           "the log and the console differ: build/test/gdb-log.log")
    expect(said["splat log 3"].strip("\n").splitlines() == lines[-3:], "not the last three")


@test("gdb-pt", check=False)
def page_tables():
    """Where an address leads by its walk is where the bytes are; flags are those of its section."""
    said = gdb("pt", ["tbreak kernel_clone if args->flags == 0 && args->fn == 0", "continue",
                      ("own", "splat pt fork_and_verify::want.reg")] + to_fork(
        ("data", "splat pt &splat_counts"), ("text", "splat pt &fpu_clone"),
        ("ro", "splat pt &_srodata"), ("stack", "splat pt $rsp"), ("at rsp", "p/x *(long *)$rsp"),
        ("user", "splat pt &fork_and_verify"), ("user's", "splat pt &fork_and_verify 1"),
        ("want", "splat pt fork_and_verify::want.reg"), ("hole", "splat pt 0x10000"),
        ("odd", "splat pt 0x900000000000"), ("thread", "splat pt 0x401000 2"),
        ("address", "p/x (long)&splat_counts"), ("other", "splat pt 0x401000 4095"),
        "maintenance packet Qqemu.PhyMemMode:1", ("cr3", "p/x $cr3"),
        ("top", "p/x *(long *)($cr3 + 8 * 511)")))
    physical = number(said["address"]) + 0x80000000 & (1 << 64) - 1
    says(said["data"], rf"is physical {physical & 0xffffffff:#x}, in a \d \wiB page$",
         r"^P[DT] .* present, writable, .*no-execute$")
    says(said["data"], rf"= {number(said['top']):#018x}  present, writable")
    text, read_only = said["text"].splitlines()[-2], said["ro"].splitlines()[-2]
    expect("present" in text and "writable" not in text and "no-execute" not in text, text)
    expect("present" in read_only and "writable" not in read_only and "no-execute" in read_only,
           read_only)
    says(said["stack"], r"^PT .*present, writable, .*no-execute$")
    expect(said["user"] == said["user's"], "the running task's tables are not its own")
    says(said["user"], r"^PT .* present, user, accessed", r", in a 4 KiB page$")
    says(said["own"], r"^PT .* present, writable, user, .*no-execute$")
    says(said["want"], r"^PT .* present, user, .*no-execute$")      # copy-on-write
    says(said["hole"], r"^0x10000 is not mapped$")
    says(said["odd"], "^splat pt: 0x900000000000 is not canonical$")
    says(said["thread"], r"^ksoftirqd/0/2 has no memory of its own", r"is not mapped$")
    says(said["other"], "^splat pt: there is no task 4095$")


@test("gdb-printers", check=False)
def printers():
    said = gdb("printers", to_fork(
        "p $task(1)", "p cpus[0].curr_task", "p *$this_cpu()", "p $current()->thread.fpu",
        ("cr", "p/x $current()->mm->pml4[0]"), ("pte", "p $current()->mm->pml4[0]"),
        "p (struct task_struct *)0x1234", "p (struct task_struct *)0"))
    says(said["p $task(1)"], r"= 0xffff8880\w+ demo/1$")
    says(said["p cpus[0].curr_task"], r"= 0xffff8880\w+ demo/1$")
    says(said["p *$this_cpu()"], r"preempt_count = 0x80000000: preempt 0, .*need-resched no,$")
    says(said["p $current()->thread.fpu"], r"truth = in the registers of CPU 0",
         r"xfeatures = 0x207 FP SSE YMM PKRU,$", r"regs = standard format, XSTATE_BV 0x\w+")
    says(said["pte"], rf"\(physical 0x\w+000: present, writable, user, accessed\)$")
    says(said["p (struct task_struct *)0x1234"], r"= 0x1234 \(0x1234 is no address of a task\)$")
    says(said["p (struct task_struct *)0"], r"= 0x0$")


# --- Where it stops ---

@test("gdb-stops", check=False)
def stops():
    """At each report, with its kind; those that the rate limit keeps from the console, too."""
    kinds = [f"{n}" for n in range(4)]
    said = gdb("stops", ["splat stops", *[(kind, "continue") for kind in kinds], "bt",
                         "splat stops off", ("end", "info breakpoints")])
    for kind, text in zip(kinds, ("might_sleep: sleeping function called from invalid context",
                                  "might_sleep: sleeping function called from invalid context",
                                  "scheduling while atomic", "preempt_count would go below zero")):
        says(said[kind], rf"^splat: {text}; CPU 0, demo/1; preempt \d")
    says(said["0"], r"; raised by fpu_clone_buggy\+0x\w+$")
    says(said["bt"], r"fpu_clone_buggy \(")
    says(said["end"], "No breakpoints")
    said = gdb("stops-warn", ["splat stops", "continue"], "init=/tests/testrun -- k/kernel_fpu")
    says(said["continue"], "^splat: WARN; CPU 0, testrun/1; ")
    said = gdb("stops-panic", ["splat stops", "continue", *ALL], "init=/bin/nothing", cpus=2)
    says(said["continue"], "^splat: panic: .*cannot be run")
    says(said["splat tasks"], r"^\*    1 ")


@test("gdb-boot", check=False)
def boot():
    """Before there is a task each command is one line, and GDB goes on."""
    for name, commands in (("start", ["stepi"]),
                           ("32", ["tbreak boot_pvh32", "continue", "boot-disas"]),
                           ("64", ["tbreak boot_entry64", "continue"]),
                           ("kernel", ["tbreak start_kernel", "continue"])):
        said = gdb(f"boot-{name}", [*commands, *ALL, "splat symbols", "splat symbols off",
                                    "splat stops", "splat nonsense", "help splat", "p 40 + 2"])
        for command in ("splat tasks", "splat fpu", "splat owner", "splat locks", "splat preempt"):
            says(said[command], f"^{command}: no CPU is set up yet")
        says(said["p $current()"], "^no CPU is set up yet")
        for command in ALL[:10] + ("splat symbols",):
            expect(said[command].count("\n") <= 5, f"{name}: {command}: {said[command]}")
        says(said["p 40 + 2"], "= 42$")
        for command in ("tasks", "fpu", "owner", "preempt", "locks", "perms", "log", "pt", "stops",
                        "symbols", "dump"):
            says(said["help splat"], f"^splat {command} -- splat {command}")
    said = gdb("boot-first", ["tbreak wake_up_new_task", "continue", *ALL, "p $current()->comm"])
    says(said["splat tasks"], r"^\*    0 swapper/0 +RUNNING +0  120  120  IDLE KTHREAD")
    says(said["splat owner"], r"^  0 nobody ")
    says(said["splat locks"], "^no lock is held$")


@test("gdb-ring3", check=False)
def ring3():
    """Symbols come by themselves at exec, and of one program at a time; and can be kept away."""
    for cpus in (1, 2, 4):
        said = gdb(f"ring3-{cpus}", [
            "set breakpoint pending on", "break fork_and_verify", "continue", "bt", "p $cs & 3",
            "info line main", *ALL, "splat pt $rip"], cpus=cpus)
        says(said["continue"], r"fork_and_verify \(w=.*\) at user/demo.c:\d+$")
        says(said["bt"], r"main \(.*\) at user/demo.c:\d+$")
        says(said["p $cs & 3"], "= 3$")
        says(said["p $current()"], "demo/1$")
        says(said["splat fpu"], "^demo/1: the truth is in the registers of CPU 0", "^  ymm15 ")
        says(said["splat preempt"], "^CPU 0: preempt_count 0x0: ")
        says(said["splat pt $rip"], "present, user, accessed")
    said = gdb("ring3-two", ["tbreak sys_exit_group", "tbreak do_exit", "continue",
                             "info line vec_fill", ("main", "info line main")],
               "init=/tests/testrun -- u/vec")
    says(said["main"], 'of "user/lib/ktap.c"')
    said = gdb("ring3-off", ["splat symbols off", *to_fork("bt"), "splat symbols", "info line main",
                             ("again", "splat symbols on")])
    expect("user/demo.c" not in said["bt"], "symbols are there that nobody wanted")
    says(said["splat symbols"], "^symbols of .*/user/bin/demo$")
    says(said["info line main"], 'of "user/demo.c"')


@test("gdb-attach", check=False)
def attach():
    """`make gdb` on what `make run` runs; and the machine goes on when GDB has gone."""
    stub = f"{machine.LOGS}/gdb-attach.sock"
    with host.session(f"GDBSTUB={stub}") as terminal:
        terminal.read_until("$ ")
        code, output = machine.run(["make", "gdb", f"REMOTE={stub}",
                                    "GDBARGS=-batch -ex 'splat tasks' -ex 'p runqueues[0].idle'"],
                                   machine.LOGS + "/gdb-attach.log")
        expect(code == 0, f"make gdb: exit status {code}")
        says(output, r"^ +1 sh +INTERRUPTIBLE", r"^\$1 = 0xffff\w+ swapper/0/0$",
             r"detached\]$")
        terminal.type("echo still here\r")
        terminal.read_until("\nstill here")
    code, output = machine.run(["make", "gdb", "REMOTE=/nothing"], machine.LOGS + "/gdb-none.log")
    expect(code and "nothing listens at /nothing" in output, f"no stub: {output}")


# --- A dump ---

@test("gdb-dump", check=False)
def dump():
    """A dump shows what the machine showed, but for what no dump has."""
    same = [command for command in ALL if command != "splat fpu"]
    where = [*CONTENDED, "splat fpu 1", "bt", "p *$current()"]
    with tempfile.TemporaryDirectory() as folder:
        ours, plain, paged = (os.path.join(folder, name) for name in ("ours", "plain", "paged"))
        live = gdb("dump-live", [*where, *same, "splat locks", f"splat dump {ours}",
                                 f"monitor dump-guest-memory {plain}",
                                 f"monitor dump-guest-memory -p {paged}"], cpus=2)
        for core in (ours, plain):
            name = f"dump-{os.path.basename(core)}"
            dead = gdb(name, [*same, "splat fpu", "bt", "p *$current()", "thread 2",
                              ("there", "p $this_cpu() == &cpus[1]"), "p $xmm0", "boot-disas",
                              "splat stops", f"splat dump {core}2", "splat symbols", ("ring 3", "bt"),
                              ], core=core)
            for command in [*(c for c in same if c != "splat fpu 1"), "p *$current()"]:
                texts = [re.sub(r"^\$\d+ = ", "", said[command]) for said in (dead, live)]
                expect(texts[0] == texts[1], f"{name}: {command} differs")
            expect(strip_frames(dead["bt"]) and strip_frames(dead["bt"]) ==
                   strip_frames(live["bt"])[:len(strip_frames(dead["bt"]))],
                   f"{name}: the backtrace differs")
            image = live["splat fpu 1"].partition("\nimage")[2]
            expect(dead["splat fpu"].partition("\nimage")[2] == image, f"{name}: the image differs")
            says(dead["splat fpu"], "^  unavailable: a dump has no vector registers$")
            says(dead["there"], "= 1$")
            for command in ("boot-disas", "splat stops", f"splat dump {core}2"):
                expect(dead[command].strip().count("\n") == 0 and dead[command].strip(),
                       f"{command}: {dead[command]}")
        expect("virtual addresses now" in open_log("dump-plain"), "the plain dump was not mended")
        gone = gdb("dump-paged", [*ALL, "p 40 + 2"], core=paged)
        says(open_log("dump-paged"), "^splat: .*was made with paging")
        says(gone["p 40 + 2"], "= 42$")


def strip_frames(text):
    """The functions of a backtrace in the kernel."""
    return re.findall(r"^#\d+ .*?(\w+) \(.*\) at (?:\./)?(?:kernel|arch)/", text, re.M)


def open_log(name):
    with open(f"{machine.LOGS}/gdb-{name}.log", encoding="utf-8", errors="replace") as file:
        return file.read()


# --- Damaged data ---

TASK2 = "$task(2)"
WAITER = "$current()->pi_blocked_on"
DAMAGES = {
    "a pointer in the pid table": ["'kernel/fork.c'::pid_table[2] = 0x123456789"],
    "a task that is another's": ["'kernel/fork.c'::pid_table[2] = 'kernel/fork.c'::pid_table[1]"],
    "a task in the air": ["'kernel/fork.c'::pid_table[2] = 0xffff8900deadbee0"],
    "its pid": [f"{TASK2}->pid = 77"],
    "its name": [f"*(long *){TASK2}->comm = -2", f"*(long *)({TASK2}->comm + 8) = -2"],
    "states and flags": [f"{TASK2}->{field} = 0xdeadbeef" for field in (
        "__state", "saved_state", "flags", "thread_flags", "exit_state", "cpu", "prio")],
    "pointers": [f"{TASK2}->{field} = 0xdeadbeefdeadbee8" for field in (
        "pi_blocked_on", "sighand", "mm", "group_leader", "signal")],
    "its fpstate": ["$task(1)->thread.fpu.fpstate = 0xffff888000001008"],
    "where its fpstate is": ["$task(1)->thread.fpu.fpstate = 0x6b6b6b6b6b6b6b6b"],
    "sizes": ["$task(1)->thread.fpu.fpstate->size = 0xffffffff",
              "$task(1)->thread.fpu.fpstate->xfeatures = -1"],
    "the image's header": [
        "$task(1)->thread.fpu.fpstate->regs.xsave.header.xcomp_bv = -1",
        "$task(1)->thread.fpu.fpstate->regs.xsave.header.xfeatures = -1"],
    "the layout": ["xstate_layout.features = -1", "xstate_layout.size[2] = 0xffffffff",
                   "xstate_layout.offset[9] = 0xffffffff"],
    "the owner": ["cpus[0].fpu_fpregs_owner_ctx = 0xdeadbeefdeadbeef", "cpus[1].curr_task = 0x77"],
    "the CPUs": ["cpus[1].self = 0", "cpus[0].curr_task = 0xffffc90000000004"],
    "all CPUs": ["cpus[0].self = 1", "cpus[1].self = 1"],
    "a queue": ["runqueues[1].idle = 0x11", "runqueues[0].idle = -4"],
    "the log": ["'lib/printk.c'::log_next = 0xffffffffffff"],
    "the log's level": ["'lib/printk.c'::log_ring[1].level = 200",
                        "'lib/printk.c'::log_ring[2].text[0] = 200"],
    "a ring of waiters": [f"{WAITER}->tree_entry.child[0] = &{WAITER}->tree_entry"],
    "a waiter's task": [f"{WAITER}->task = 0x1111111111111110"],
    "a waiter's lock": [f"{WAITER}->lock = 0xffff888000001000"],
    "a lock's tree": [f"{WAITER}->lock->waiters.root = 0x6b6b6b6b6b6b6b68"],
    "a lock's owner": [f"{WAITER}->lock->owner = 0x6b6b6b6b6b6b6b68"],
    "raw locks": ["$current()->pi_lock.tickets = 0x12345678", "$current()->pi_lock.holder = 99"],
    "page tables": ["$current()->mm->pml4[0] = -1", "$current()->mm->pml4[511] = 0x7fffffff003"],
    "the top of them": ["$current()->mm->pml4 = 0x33"],
    "all pids": [],
}
# What the damage must be told by, where it is more than an odd value.
TOLD = {
    "a pointer in the pid table": ("splat tasks", r"^splat: pid 2: 0x123456789 is no address of"),
    "a task that is another's": ("splat tasks", r"^splat: pid 2: the task at .* says that it is 1"),
    "a task in the air": ("splat owner", r"^splat: pid 2: Cannot access memory at address 0x\w+$"),
    "its pid": ("splat perms", r"^splat: pid 2: .* says that it is 77$"),
    "pointers": ("splat locks", r"^splat: pid 2: 0xdeadbeefdeadbee8 is no address of a sighand"),
    "its fpstate": ("splat fpu 1", r"^splat fpu: the fpstate at 0x\w+ has a size of \d+ bytes$"),
    "where its fpstate is": ("splat fpu 1", "^splat fpu: 0x6b6b6b6b6b6b6b6b is no address of"),
    "sizes": ("splat fpu 1", "has a size of 4294967295 bytes$"),
    "the image's header": ("splat fpu 1", "^splat: the header has components that this machine"),
    "the layout": ("splat fpu 1", r"^splat fpu: component \d+, at \d+, goes beyond the image"),
    "the owner": ("splat preempt", r"runs \(0x77 is no address of a task\)$"),
    "all CPUs": ("splat tasks", "^splat tasks: no CPU is set up yet"),
    "the CPUs": ("p $current()", "is no address of a task$"),
    "the log": ("splat log 4", "^splat log: none of the last 4 messages is there"),
    "a ring of waiters": ("splat locks", "^splat: the tree of waiters at 0x.* is a ring"),
    "a waiter's task": ("splat locks", "^splat: 0x1111111111111110 is no address of a task$"),
    "a waiter's lock": ("splat locks", "^splat: demo/1 stands in the queue of .*, but waits for"),
    "a lock's tree": ("splat locks", "^splat: 0x6b6b6b6b6b6b6b68 is no address of a waiter$"),
    "a lock's owner": ("splat locks", "^splat: 0x6b6b6b6b6b6b6b68 is no address of a task$"),
    "raw locks": ("splat locks", "holder 99: no CPU says that it has it$"),
    "the top of them": ("splat pt 0x401000 1", "^splat pt: 0x33 is no address of a page table$"),
    "all pids": ("splat tasks", "^splat: and 40.. more$"),
}


@test("gdb-damage", check=False)
def damage():
    """Garbage in the kernel's data: a line says so, every command comes back, no walk is endless."""
    commands = [*CONTENDED, ("well", "splat tasks")]
    for name, changes in DAMAGES.items():
        if name == "all pids":
            commands += garbage_pids()
        for i, change in enumerate(changes):
            place = change.split(" = ")[0]
            commands += [f"set $place{i} = &({place})", f"set $old{i} = {place}",
                         f"set var {change}"]
        commands += [(f"{name}: {command}", command) for command in ALL]
        commands += [f"set var *$place{i} = $old{i}" for i in reversed(range(len(changes)))]
    said = gdb("damage", [*commands, f"restore {PIDS} binary {PID_TABLE}", ("end", "splat tasks")],
               cpus=2)
    for name in DAMAGES:
        for command in ALL:
            text = said[f"{name}: {command}"]
            expect(text.strip(), f"{name}: {command} prints nothing")
            expect(len(text) < 20000, f"{name}: {command} prints {len(text)} bytes")
        if name in TOLD:
            command, pattern = TOLD[name]
            says(f"{name}: {command}:\n" + said[f"{name}: {command}"], pattern)
    expect(said["end"] == said["well"], "the damages were not all undone: build/test/gdb-damage.log")


PIDS = f"{machine.LOGS}/gdb-pids.bin"
PID_TABLE = "&'kernel/fork.c'::pid_table"


def garbage_pids():
    """Commands that keep the pid table, and fill it."""
    path = f"{machine.LOGS}/gdb-garbage.bin"
    with open(path, "wb") as file:
        file.write(b"\x69" * 8 * 4096)
    return [f"dump binary value {PIDS} 'kernel/fork.c'::pid_table",
            f"restore {path} binary {PID_TABLE}"]
