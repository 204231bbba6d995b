# SPDX-License-Identifier: MIT
"""
The commands of scripts/gdb: what they print is compared with what that very run holds, as GDB
itself reads it, or as the program that runs there has computed it.
"""
import re

import builds
import ktap
import machine
from host import Failure, expect, test

DEMO = "init=/bin/demo"
# Whatever happens to the kernel's data, each prints something and comes back.
ALL = ("splat tasks", "splat fpu", "splat fpu 1", "splat owner", "splat preempt", "splat locks",
       "splat perms", "splat log 4", "splat pt 0xffffffff81000000", "splat pt 0x401000 1",
       "splat trace 4", "p $current()", "p $this_cpu()", "p $task(1)", "p *$task(1)", "p cpus[0]")
MARK = "@@@"
# To "scheduling while atomic" in the demo's contended fork.
CONTENDED = ["splat stops", *["continue"] * 3]
# demo's forks: the first is in world 1, and khungtaskd and the like are before.
DEMO_FORKS = "if !minimal"


def gdb(name, commands, append=DEMO, cpus=1, core=None, script="scripts/gdb/debug.sh", **world):
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
    if core:
        script, env = "scripts/gdb/attach.sh", {"CORE": core, **world}
    _, output = machine.run([script, *words], base + ".log", env)
    texts = re.split(rf"\n{MARK}\d+\n", output)
    expect(len(texts) == len(commands) + 2 and texts[-1].startswith("end"),
           f"GDB ended before its last command: {base}.log")
    for text in ("Traceback", "Python Exception", "Error while executing Python"):
        expect(text not in output, f"{text}: {base}.log")
    return {label: text for (label, _), text in zip(commands, texts[1:])}


KEPT = "bug-keep-siglock"


def kept(name, commands, cpus, append="", **world):
    """As gdb(), on the demo of a kernel in which the holder of the siglock never lets it go."""
    wrong = builds.ready(KEPT)
    expect(not wrong, wrong)
    return gdb(name, commands, f"{DEMO} {append}", cpus, **builds.environment(KEPT), **world)


def dumped(name, commands, core):
    """As gdb(), on the dump @core that was made in kept()."""
    return gdb(name, commands, core=core, **builds.environment(KEPT))


def says(text, *patterns):
    """@text has all @patterns, as expressions, each on one line."""
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failure(f"no line is as {pattern}:\n{text[:1500]}")


def number(text):
    """Of "$1 = 0x12 ...", as a number."""
    found = re.search(r"= (?:\([^)]*\) )?(-?(?:0x)?[0-9a-f]+)", text)
    expect(found, f"no number: {text}")
    return int(found[1], 0)


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

# Component: (size, offset in the standard format). As on a CPU with AVX-512 and AMX; 10 and 11 are
# supervisor's, 17 and 18 are aligned.
WIDE = {2: (256, 576), 5: (64, 1088), 6: (512, 1152), 7: (1024, 1664), 9: (8, 2688), 10: (8, 0),
        11: (16, 0), 17: (64, 2752), 18: (8192, 2816)}
WIDE_MASK = sum(1 << number for number in WIDE) | 3


def wide_image(compacted):
    """(an image of WIDE with another byte at each place, {component: its bytes})"""
    image = bytearray(i * i * 31 >> 5 & 255 for i in range(16384))
    kept = {9: 8} if compacted else {10: 8, 11: 16}     # PKRU has no room here, these not there
    mask = WIDE_MASK - sum(1 << number for number in kept)
    image[512:576] = (mask.to_bytes(8, "little") +
                      (compacted * (1 << 63 | mask)).to_bytes(8, "little") + bytes(48))
    at, parts = 576, {}
    for number, (size, offset) in WIDE.items():
        if number in kept:
            continue
        if compacted:
            offset = at + 63 & ~63 if number > 16 else at
            at = offset + size
        parts[number] = image[offset:offset + size]
    return bytes(image), parts


def wide_registers(image, parts):
    """What splat fpu must say of the image."""
    def digits(data, number, size):
        return data[number * size:(number + 1) * size][::-1].hex()

    want = {f"zmm{i}": digits(parts[6], i, 32) + digits(parts[2], i, 16) +
            digits(image[160:], i, 16) for i in range(16)}
    want |= {f"zmm{16 + i}": digits(parts[7], i, 64) for i in range(16)}
    want |= {f"k{i}": digits(parts[5], i, 8) for i in range(8)}
    want |= {f"tmm{i}[{row}]": digits(parts[18], 16 * i + row, 64)
             for i in range(8) for row in range(16)}
    want["tilecfg"] = digits(parts[17], 0, 64)
    if 9 in parts:
        want["pkru"] = digits(parts[9], 0, 4)
    if 11 in parts:
        want |= {"pasid": digits(parts[10], 0, 8), "u_cet": digits(parts[11], 0, 8),
                 "pl3_ssp": digits(parts[11], 1, 8)}
    return want


@test("gdb-fpu-wide", check=False)
def fpu_wide():
    """All components, in both formats: an image and a layout that are made up, as QEMU has none."""
    address = 0xffff888002000000        # free memory
    fake = f"((struct fpstate *){address:#x})"
    layout = [f"set var xstate_layout.features = {WIDE_MASK}",
              "set var xstate_layout.aligned = 3 << 17"]
    for number, (size, offset) in WIDE.items():
        layout += [f"set var xstate_layout.size[{number}] = {size}",
                   f"set var xstate_layout.offset[{number}] = {offset}"]
    commands, images = [], {}
    for form in ("standard", "compacted"):
        image, parts = wide_image(form == "compacted")
        images[form] = wide_registers(image, parts)
        with open(f"{machine.LOGS}/gdb-{form}.bin", "wb") as file:
            file.write(image)
        commands += [f"restore {machine.LOGS}/gdb-{form}.bin binary {address + 64:#x}",
                     (form, "splat fpu 1")]
    said = gdb("fpu-wide", to_fork(
        *layout, f"set var {fake}->size = 16384", "set var $current()->thread_flags |= 1 << 14",
        f"set var $current()->thread.fpu.fpstate = {fake}", *commands))
    for form, want in images.items():
        says(said[form], rf"^image: {form} format", r"\(a larger one\): size 16384")
        got = dict(re.findall(r"^  (\w+(?:\[\d+\])?) ([0-9a-f]+)$", said[form], re.M))
        compare(form, want, got)
        expect(("pkru" in got) == (form == "standard"), f"{form}: is there room for PKRU?")


@test("gdb-fpu-truth", check=False)
def fpu_truth():
    """The four rows of the table in arch/x86/fpu/core/regs.h."""
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
    says(said["kernel"], r"^ksoftirqd/0/2: the truth is nowhere: a kernel thread")


@test("gdb-fpu-other-cpu", check=False)
def fpu_other_cpu():
    """Live registers are those of the CPU that has them, whichever thread GDB has selected."""
    said = kept("fpu-other-cpu", [
        *CONTENDED, ("first", "splat fpu"), ("other", "splat fpu runqueues[1].curr"), "thread 2",
        *((f"xmm{i}", f"p/x $xmm{i}.uint128") for i in range(16)), "splat fpu",
        ("first again", "splat fpu 1")], 2)
    says(said["other"], r"^demo/\d+: the truth is in the registers of CPU 1; memory may be old$")
    expect(said["other"] == said["splat fpu"], "$current() of thread 2 is not CPU 1's")
    expect(said["first"] == said["first again"], "the live registers go by the selected thread")
    live = registers(said["other"].partition("\nimage")[0])
    compare("CPU 1", {f"ymm{i}": f"{number(said[f'xmm{i}']):032x}" for i in range(16)},
            {name: digits[32:] for name, digits in live.items()})
    expect(live != registers(said["first"].partition("\nimage")[0]), "both CPUs hold the same")


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
        "tbreak fpu_first_use", "continue", ("open", "splat perms"), ("shut", "splat owner"),
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


@test("gdb-locks", check=False)
def locks():
    """The contended demo: the holder, boosted; the waiter, and what it keeps."""
    for cpus in (1, 2):
        said = kept(f"locks-{cpus}", [
            *CONTENDED, "splat locks", "splat tasks",
            ("lock", "p/x (long)$current()->pi_blocked_on->lock"),
            ("owner", "p ((struct task_struct *)($current()->pi_blocked_on->lock->owner & "
                      "~1UL))->pid"), ("siglock", "p/x (long)&$current()->sighand->siglock.lock"),
            ("own", "p $task($current()->pi_blocked_on->lock->waiters.leftmost ? 1 : 0)->prio"),
            "set var $current()->saved_state = 1", ("saved", "splat locks")], cpus)
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
    """Five who wait for one lock, in the order in which they will get it."""
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
