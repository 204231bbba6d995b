# SPDX-License-Identifier: MIT
"""
What the kernel reports, as text: the demonstration, the splats line by line, the watchdogs; and the
readers of such texts, which must see what is wrong.
"""
import re

import golden
from host import museum
import ktap
import machine
from host import Skip, expect, expect_code, test

# --- The demonstration ---

def demo_lines(output):
    return [line for line in ktap.clean(output) if line.startswith("demo: ")]


def demo_golden(name, append, path):
    """A test that `make demo`'s boot with @append ends with the lines in @path."""
    def demo():
        code, output = machine.boot(name, f"{append} init=/bin/demo", boot="grub", SMP="2")
        expect_code(code, machine.PASS, output)
        wrong = golden.compare(golden.read(path), demo_lines(output))
        expect(not wrong, f"the demo: lines differ from {path}: {wrong}")
    test(name)(demo)


demo_golden("demo", "rt=on", "tests/golden/demo.txt")
demo_golden("demo-rt-off", "rt=off", "tests/golden/demo-rt-off.txt")
demo_golden("demo-dynamic", "rt=on dynamic=ymm", "tests/golden/demo-dynamic.txt")


@test("demo-one-cpu")
def demo_one_cpu():
    """With rt=off a contended siglock needs a second CPU: said so, and no failure."""
    code, output = machine.boot("demo-one-cpu", "rt=off init=/bin/demo")
    expect_code(code, machine.PASS, output)
    expect(output.count("needs a second CPU") == 2, "two lines must say: needs a second CPU")


@test("demo-siglock-raw")
def demo_siglock_raw():
    """A siglock that spins with rt=on: nothing is reported, and who waits needs a second CPU."""
    for smp, skipped in ((1, 2), (2, 0)):
        code, output = machine.boot(f"demo-siglock-raw{smp}", "siglock=raw init=/bin/demo",
                                    SMP=str(smp))
        expect_code(code, machine.PASS, output)
        expect(output.count("needs a second CPU") == skipped and "BUG:" not in output,
               f"{smp} CPUs: {output}")


@test("make-demo", check=False)
def make_demo():
    """The command itself: its exit status and its last line, well and with a bug of the museum."""
    code, output = machine.run(["make", "demo"], machine.LOGS + "/make-demo.log")
    expect(code == 0, f"make demo: exit status {code}")
    code, output = machine.run(["make", "demo", "BUG=skip-save"],
                               machine.LOGS + "/make-demo-bug.log")
    expect(code != 0 and "init ended with a failing exit status" in output,
           f"make demo with a bug: exit status {code}")


def splat_golden(name, path, append="init=/bin/demo"):
    """A test that this world prints the report in @path, line by line."""
    def compare():
        want = golden.read(path)
        code, output = machine.boot(name, append)
        expect_code(code, machine.PASS, output)
        got = golden.block(ktap.clean(output), want[0])
        expect(got, f"no line is as the first of {path}: {want[0]}")
        wrong = golden.compare(want, got)
        expect(not wrong, f"the report differs from {path}: {wrong}")
    test(name)(compare)


splat_golden("splat-golden", "tests/golden/splat-buggy.txt")
splat_golden("splat-golden-contended", "tests/golden/splat-contended.txt")
splat_golden("splat-golden-mutex", "tests/golden/splat-mutex.txt",
             "init=/tests/testrun -- k/might_sleep")
splat_golden("splat-golden-kmalloc", "tests/golden/splat-kmalloc.txt",
             "init=/tests/testrun -- k/might_sleep")
splat_golden("ubsan-golden", "tests/golden/ubsan.txt", "init=/tests/testrun -- k/ubsan")


@test("splat-names-who-disabled-preemption")
def splat_names_the_culprit():
    """The address that disabled preemption lies on the stack, too: Linux's report shows it so."""
    _, output = machine.boot("splat-culprit", "init=/bin/demo")
    report = golden.block(ktap.clean(output), golden.read("tests/golden/splat-buggy.txt")[0])
    where = [re.search(r"fpu_clone_buggy\+0x\w+/0x\w+", line).group() for line in report
             if "fpu_clone_buggy" in line]
    expect(len(where) >= 3, "the report does not name fpu_clone_buggy three times")
    expect(any(" ? " + where[0] in line for line in report), f"no entry says ? {where[0]}")


@test("golden-matcher")
def golden_matcher():
    """The comparison itself must see a changed word, a missing line and an additional one."""
    want = ["[<TIME>] BUG at <LINE>", "[<<ADDR>>] f+<OFF>", "pid: <PID>, a+b(c)"]
    got = ["[    0.017572] BUG at 72", "[<ffffffff81002237>] f+0x17/0xb0", "pid: 1, a+b(c)"]
    expect(golden.compare(want, got) == "", "equal text differs")
    for number, wrong in ((0, "[    0.017572] BUG on 72"), (0, "[    0.017572] BUG at x"),
                          (1, "[<81g>] f+0x17/0xb0"), (1, "[<81>] g+0x17/0xb0"),
                          (1, "[<81>] f+0x17"), (2, "pid: , a+b(c)"), (2, "pid: 1, aab(c)")):
        said = golden.compare(want, got[:number] + [wrong] + got[number + 1:])
        expect(said.startswith(f"line {number + 1}:"), f"not seen: {wrong}")
    expect(golden.compare(want, got[:2]), "a missing line is not seen")
    expect(golden.compare(want, got[1:]), "a missing first line is not seen")
    expect(golden.compare(want, got + ["more"]), "an additional line is not seen")
    expect(golden.block(["x"] + got[:2] + ["y"], want[0]) == got[:2],
           "the block of kernel messages is not found")


@test("ktap-reader")
def ktap_reader():
    """The reader of reports must see everything that a boot can lose."""
    good = "x\nKTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: a\n  1..2\n  ok 1 b\n" \
           "  ok 2 c # SKIP no such CPU\nok 1 k/a\n"
    report = ktap.parse(good)
    expect(not report.problems and [(r.name, r.status) for r in report.results] ==
           [("k/a/b", ktap.OK), ("k/a/c", ktap.SKIPPED)], "a good report is misread")
    for what, old, new in (("no report", good, "x\n"), ("no plan", "1..1\n", ""),
                           ("no plan of a suite", "  1..2\n", ""),
                           ("a lost test", "  ok 1 b\n", ""), ("a lost suite", "1..1\n", "1..2\n"),
                           ("a lost end", "ok 1 k/a\n", ""),
                           ("a failed test", "  ok 1", "  not ok 1"),
                           ("a failed suite", "\nok 1", "\nnot ok 1"),
                           ("a test too many", "  ok 1 b\n", "  ok 1 b\n" * 2),
                           ("nothing planned", good, "KTAP version 1\n1..0\n")):
        report = ktap.parse(good.replace(old, new, 1))
        expect(report.problems or any(r.status == ktap.FAILED for r in report.results),
               f"not seen: {what}")


@test("determinism")
def determinism():
    """Under icount, two boots print the same bytes."""
    outputs = [machine.boot(f"determinism-{number}", "init=/bin/demo")[1] for number in (1, 2)]
    expect(outputs[0] == outputs[1], "two boots differ: build/test/determinism-1.log and -2.log")
    expect(len(outputs[0]) > 1000, "there was hardly any output")


@test("time-stamps")
def time_stamps():
    """Of the kernel's messages: 0 until there is a clock, and then they go on, never back."""
    _, output = machine.boot("time-stamps", "init=/bin/demo")
    stamps = [float(stamp) for stamp in re.findall(r"^\[ *(\d+\.\d{6})\] ", output, re.M)]
    expect(len(stamps) > 20 and stamps == sorted(stamps), f"they go back: {stamps}")
    expect(stamps[0] == 0 and 0.01 < stamps[-1] < 10, f"from {stamps[0]} to {stamps[-1]}")


# --- The watchdogs: a machine that is stuck says so, and fails at once ---

def watchdog_barks(name, append, *texts, cpus="2"):
    """
    A test that a boot which would never end, since nobody lets go of the siglock, panics with
    reports that have all @texts.
    """
    def boot():
        code, output = museum.boot(name, "keep-siglock", f"{append} watchdog=panic", SMP=cpus)
        expect_code(code, machine.PANIC, output)
        for text in texts:
            expect(re.search(text, output), f'no line says "{text}"')
    test(name)(boot)


watchdog_barks("hung-task", "init=/bin/demo watchdog_thresh=100ms",
               r"INFO: task demo:1 blocked for more than 1 seconds", r"rtlock_slowlock\+",
               r"It waits for a lock that demo:\d+ holds")
watchdog_barks("spinlock-lockup", "init=/bin/demo rt=off watchdog_thresh=100ms",
               r"BUG: spinlock lockup suspected on CPU#0, demo/1",
               r"\.owner_cpu: 1, which runs demo/\d+", r"NMI backtrace for cpu 1",
               r"do_splat_call\+")
watchdog_barks("soft-lockup", "init=/bin/latency rt=off watchdog_thresh=100ms",
               r"BUG: soft lockup - CPU#0 stuck for 0s! \[latency:1\]", r"do_splat_call\+",
               cpus="1")


@test("hung-task-not-vfork")
def hung_task_not_vfork():
    """Who waits for its child of vfork() can be killed, and so does not hang, however long."""
    code, output = machine.boot("hung-task-not-vfork", "watchdog_thresh=20ms watchdog=panic "
                                "init=/tests/killable -- vfork-for-long")
    expect_code(code, machine.PASS, output)


# --- Out of memory ---

@test("oom-init-alone")
def oom_init_alone():
    """Where there is nobody but init to end, the machine ends, with a clear line."""
    code, output = machine.boot("oom-init-alone", "init=/tests/oom -- eat")
    expect_code(code, machine.PANIC, output)
    expect("Kernel panic - not syncing: Out of memory and no killable processes" in output,
           "no line says why")


@test("fault-addresses")
def addresses():
    """A process ends by a fault: the address is the page fault's own, and 0 for all others."""
    _, output = machine.boot("fault-addresses", "init=/tests/testrun -- u/fault")
    found = re.findall(r": ([a-z ]+) ip:\w+ sp:\w+ error:\w+ addr:(\w+)", output)
    others = {addr for why, addr in found if why != "segfault"}
    own = {addr for why, addr in found if why == "segfault"}
    expect(others == {"0"}, f"faults that have no address print {others}")
    expect({"0", "10000", "7ffffffff000", "ffff888000000000"} <= own, f"page faults print {own}")


# --- What ends the machine, and must (tests/kernel/fatal.c) ---

def fatal(what, append, text, before=None):
    """A test that the machine panics with @text when it does @what, behind a line with @before."""
    name = "fatal-" + what + ("-panic_on_warn" if append else "")

    def boot():
        code, output = machine.boot(name, f"init=/tests/testrun fatal={what} {append} -- k/fatal")
        expect_code(code, machine.PANIC, output)
        expect(f"Kernel panic - not syncing: {text}" in output, f'no panic says "{text}"')
        expect(not before or re.search(before, output), f'no line says "{before}"')
    test(name)(boot)


fatal("raw-lock-twice", "", "kernel BUG at kernel/preempt/raw_spinlock.c:")
fatal("stack-end", "", "corrupted stack end detected inside scheduler: testrun/1")
fatal("might-sleep", "panic_on_warn=1", "might_sleep: panic_on_warn set ...",
      r"BUG: sleeping function called from invalid context at tests/kernel/fatal\.c")
fatal("atomic", "panic_on_warn=1", "scheduling while atomic: panic_on_warn set ...",
      r"BUG: scheduling while atomic: testrun/1/0x00000002")
fatal("warning", "panic_on_warn=1", "kernel: panic_on_warn set ...",
      r"WARNING: CPU: 0 PID: 1 at tests/kernel/fatal\.c:")


@test("fatal-nothing")
def nothing():
    """A boot that asks for nothing fatal skips the test, and the line says why."""
    code, output = machine.boot("fatal-nothing", "init=/tests/testrun -- k/fatal")
    expect_code(code, machine.PASS, output)
    expect("ok 1 as_the_boot_asked # SKIP host/fatal-* ask for it" in output, "nothing is skipped")


@test("fatal-oopses")
def oopses():
    """All CPUs oops at the same time: one report, whole; the others stop without a word."""
    code, output = machine.boot("fatal-oopses", "init=/tests/testrun fatal=oopses -- k/fatal",
                                SMP="4", ICOUNT="", MTTCG="1")
    expect_code(code, machine.PANIC, output)
    lines = [re.sub(r"^\[ *[\d.]+\] ", "", line) for line in ktap.clean(output)]
    first = next((i for i, line in enumerate(lines) if line.startswith("Oops: ")), len(lines))
    cpus = {found[1] for line in lines[first:] if (found := re.match(r"CPU: (\d+) PID: ", line))}
    begun = [line for line in lines if re.match("Oops: |Kernel panic|RIP: 0010:|Call Trace:", line)]
    order = ["Oops", "RIP:", "Call", "Kern", "Call", "RIP:"]
    expect(len(cpus) == 1 and [line[:4] for line in begun] == order,
           f"CPUs {cpus} print: " + " | ".join(begun))


@test("fatal-oops-meanwhile")
def oops_meanwhile():
    """A CPU oopses while another is in the middle of a report: its own begins behind the end."""
    code, output = machine.boot("fatal-oops-meanwhile",
                                "init=/tests/testrun fatal=oops-meanwhile -- k/fatal", SMP="2")
    expect_code(code, machine.PANIC, output)
    order = re.findall(r"a report begins|the report ends|Oops: ", output)
    expect(order == ["a report begins", "the report ends", "Oops: "], f"the order is {order}")


@test("fatal-first-use")
def first_use():
    """Ring 0 has no first use: the gate's fault ends the machine, by XCR0 and by IA32_XFD."""
    for append, oops, more in (
            ("dynamic=ymm", "invalid opcode", {}),
            ("", "device not available", {"emu": "bochs-xfd", "boot": "grub", "cpu": ""})):
        if reason := machine.missing(more.get("emu", "qemu")):
            raise Skip(reason + " (XCR0's fault is as it must)")
        code, output = machine.boot("fatal-first-use" + append, f"{append} init=/tests/testrun "
                                    "fatal=first-use -- k/fatal", **more)
        expect_code(code, machine.PANIC, output)
        for text in (f"Oops: {oops}: 0000", "use_what_is_off+",
                     "Kernel panic - not syncing: Fatal exception"):
            expect(text in output, f"{more or 'QEMU'}: no line says \"{text}\"")


@test("fatal-report-held")
def report_held():
    """A CPU is stopped in its report: the one that panics does not wait for its end."""
    code, output = machine.boot("fatal-report-held",
                                "init=/tests/testrun fatal=report-held -- k/fatal", SMP="2")
    expect_code(code, machine.PANIC, output)
    expect("Kernel panic - not syncing: amid a report" in output and
           re.search(r"WARNING: CPU: 0 .* at tests/kernel/fatal\.c", output), "not both are said")


# --- The numbers behind the rejected fix ---

@test("raw-siglock")
def raw_siglock():
    """Who holds the siglock keeps preemption off if that lock spins, and only then."""
    for append, spins in (("rt=on", False), ("rt=on siglock=raw", True), ("rt=off", True)):
        name = "latency-" + append.replace(" ", "-")
        code, output = machine.boot(name, append + " init=/bin/latency")
        expect_code(code, machine.PASS, output)
        found = re.search(r"^latency: hold preempt_off=(\d+) ", output, re.M)
        expect(found, f"{append}: no line says how long")
        expect((int(found[1]) > 1000000) == spins, f"{append}: preemption off for {found[1]} ns")
