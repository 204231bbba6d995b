# SPDX-License-Identifier: MIT
"""
GDB's commands wherever a machine may stand: at the first instruction, in ring 3, in a report, in a
dump; attached to from outside; and on damaged data.
"""
import os
import re
import tempfile

import host
import machine
from host import expect, test
from host.gdb import ALL, CONTENDED, dumped, gdb, kept, says, to_fork

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
    for cpus in (2, 4):
        said = gdb(f"stops-{cpus}", ["splat stops", "continue", *ALL], cpus=cpus)
        says(said["splat preempt"], r"^CPU 0: preempt_count 0x1: .* by fpu_clone_buggy\+0x")
        expect(len(re.findall("^CPU", said["splat preempt"], re.M)) == cpus, "one line a CPU")
        says(said["splat fpu"], "in the registers of CPU 0; memory may be old$", "^  ymm15 ")
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
        for command in ("tasks", "fpu", "owner", "preempt", "locks", "perms", "log", "pt", "trace",
                        "stops", "symbols", "test", "dump"):
            says(said["help splat"], f"^splat {command} -- splat {command}")
    for cpus in (1, 2, 4):
        said = gdb(f"boot-first-{cpus}", ["tbreak wake_up_new_task", "continue", *ALL], cpus=cpus)
        says(said["splat tasks"], r"^\*    0 swapper/0 +RUNNING +0  120  120  IDLE KTHREAD",
             rf"^.    0 swapper/{cpus - 1} ")
        says(said["splat owner"], r"^  0 nobody ")


@test("gdb-test", check=False)
def to_a_test():
    """To a test, and the call in it that is asked for; what is no test is said in a line."""
    how = "splat test k/SUITE/TEST"
    wrong = {"splat test": how, "splat test fpu_owner": "a test is k/SUITE/TEST or",
             "splat test k/fpu_owner/x f 0": how, "splat test k/fpu_owner/x f g": how,
             "splat test k/fpu_owner/nothing": 'Function "ktest_fn_nothing" not defined',
             "splat test u/nothing/x": "there is no program tests/nothing in "}
    said = gdb("test", [*wrong, "splat test u/fork/two_hundred_forks do_wait 2", "bt",
                        "info breakpoints"], "init=/tests/testrun -- u/fork")
    for command, text in wrong.items():
        says(said[command], f"^splat test: .*{text}")
        expect(said[command].count("\n") <= 1, f"{command}: {said[command]}")
    says(said["bt"], r"^#0 +do_wait \(")
    says(said["info breakpoints"], "breakpoint already hit 2 times")


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


@test("gdb-attach", long=True)
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
    with tempfile.TemporaryDirectory() as folder:
        for cpus in (1, 2, 4):
            ours, plain, paged = (os.path.join(folder, name) for name in ("ours", "plain", "paged"))
            live = kept("dump-live", [*CONTENDED, "splat fpu 1", "bt", "p *$current()", *ALL,
                                     "splat locks", f"splat dump {ours}",
                                     f"monitor dump-guest-memory {plain}",
                                     f"monitor dump-guest-memory -p {paged}"],
                       cpus, "trace=on")
            dump_is(ours, live, cpus)
        dump_is(plain, live, cpus)
        expect("virtual addresses now" in open_log("dump-plain"), "the plain dump was not mended")
        gone = dumped("dump-paged", [*ALL, "p 40 + 2"], paged)
        says(open_log("dump-paged"), "^splat: .*was made with paging")
        says(gone["p 40 + 2"], "= 42$")


def dump_is(core, live, cpus):
    """The dump @core shows the same as the commands did before."""
    name = f"dump-{os.path.basename(core)}"
    same = [command for command in (*ALL, "p *$current()") if not command.startswith("splat fpu")]
    refused = ("boot-disas", "splat stops", "splat test k/list/x", f"splat dump {core}2")
    dead = dumped(name, [*same, "splat fpu", "bt", f"thread {cpus}",
                         ("there", f"p $this_cpu() == &cpus[{cpus - 1}]"), "p $xmm0", *refused,
                         "thread 1", "splat symbols", ("ring 3", "bt")], core)
    for command in same:
        texts = [re.sub(r"^\$\d+ = ", "", said[command]) for said in (dead, live)]
        expect(texts[0] == texts[1], f"{name}, {cpus} CPUs: {command} differs")
    frames = strip_frames(dead["bt"])
    expect(len(frames) > 5 and frames == strip_frames(live["bt"])[:len(frames)],
           f"{name}: the backtrace differs")
    image = live["splat fpu 1"].partition("\nimage")[2]
    expect(dead["splat fpu"].partition("\nimage")[2] == image, f"{name}: the image differs")
    says(dead["splat fpu"], "^  unavailable: a dump has no vector registers, unless a panic")
    says(dead["there"], "= 1$")
    # Not always further: the stack's page may be on its way, by copy-on-write on another CPU.
    says(dead["ring 3"], r"^#\d+ .*vec_syscall \(\) at user/lib/vec_regs.S:\d+$")
    for command in refused:
        expect(dead[command].strip() and "\n" not in dead[command].strip(),
               f"{command}: {dead[command]}")


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
    "where a trace is": ["trace_rings[0].events = 0x6b6b6b6b6b6b6b6b"],
    "where its memory ends": ["trace_rings[1].events = 0xffff88ffffff0000"],
    "how long it is": ["trace_rings[0].size = 0", "trace_rings[1].size = -1"],
    "how much of it is written": ["trace_rings[0].head = -1", "trace_rings[1].head = 2"],
    "its events": ["trace_rings[0].events[(trace_rings[0].head - 1) % trace_rings[0].size].type = "
                   "0x6b6b"],
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
    "where a trace is": ("splat trace 4", "^splat: 0x6b6b6b6b6b6b6b6b is no address of the events"),
    "where its memory ends": ("splat trace 4", r"^splat: Cannot access memory at address 0x\w+$"),
    "how long it is": ("splat trace 4", "^splat: the ring of CPU 0 has room for 0 events$"),
    "its events": ("splat trace 4", "^splat: CPU 0: of these events 1 cannot be: damaged"),
    "the top of them": ("splat pt 0x401000 1", "^splat pt: 0x33 is no address of a page table$"),
    "all pids": ("splat tasks", "^splat: and 40.. more$"),
}


@test("gdb-damage", check=False)
def damage():
    """Garbage in the kernel's data: a line says so, and every command comes back."""
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
    said = kept("damage", [*commands, f"restore {PIDS} binary {PID_TABLE}", ("end", "splat tasks")],
               2, "trace=on")
    for name in DAMAGES:
        for command in ALL:
            text = said[f"{name}: {command}"]
            expect(text.strip(), f"{name}: {command} prints nothing")
            expect(len(text) < 20000, f"{name}: {command} prints {len(text)} bytes")
        if name in TOLD:
            command, pattern = TOLD[name]
            says(f"{name}: {command}:\n" + said[f"{name}: {command}"], pattern)
    expect(said["end"] == said["well"], "it does not read as before: build/test/gdb-damage.log")


PIDS = f"{machine.LOGS}/gdb-pids.bin"
PID_TABLE = "&'kernel/fork.c'::pid_table"


def garbage_pids():
    """Commands that keep the pid table, and fill it."""
    path = f"{machine.LOGS}/gdb-garbage.bin"
    with open(path, "wb") as file:
        file.write(b"\x69" * 8 * 4096)
    return [f"dump binary value {PIDS} 'kernel/fork.c'::pid_table",
            f"restore {path} binary {PID_TABLE}"]


@test("gdb-one-cpu-polls", check=False)
def one_cpu_polls():
    """What is typed is collected by CPU 0 only: the buffer has one writer."""
    said = gdb("one-cpu-polls", ["tbreak console_getc", "continue", ("first", "p $_thread"),
                                 "break console_getc if $_thread != 1",
                                 "tbreak machine_exit", "continue"], cpus=2)
    says(said["first"], r"= 1$")
    says(said["continue"], r"machine_exit")
