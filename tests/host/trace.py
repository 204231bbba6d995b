# SPDX-License-Identifier: MIT
"""
Tests of the trace: what it says about the two orders of fork, against what the demo reports; and a
ring that is too small.
"""
import os
import re
import sys

import machine
from host import expect, expect_code, session, test

sys.path.insert(0, "scripts/trace")

import trace                            # noqa: E402 (scripts/trace/trace.py, not Python's own)


def traced(name, append, **world):
    """Boots with trace=on. Returns (console, [(event's name, a, b, pid), ...], lost)."""
    ram = os.path.join(machine.LOGS, name + ".ram")
    code, output = machine.boot(name, f"trace=on {append}", RAM=ram, **world)
    expect_code(code, machine.PASS, output)
    return output, *left_in(ram)


def left_in(ram):
    """[(event's name, a, b, pid), ...] and how many are lost; the file goes."""
    symbols, types = trace.Symbols("build/splat.elf"), trace.event_types()
    with open(ram, "rb") as file:
        events, lost = trace.events(file.read(), symbols)
    os.remove(ram)
    return [(types[event[5]][0], symbols.name(event[1]), symbols.name(event[2]), event[3])
            for event in events], lost


def sections(events):
    """What happened between fpregs_lock() and the next event of a lock, for each fork of pid 1."""
    wanted = ("fpregs_lock", "fpregs_unlock", "fpu_save", "lock_acquired", "splat")
    names, inside = [], False
    for name, first, _, pid in events:
        if pid != 1:
            continue
        if name == "fork_step" and first.startswith("fpu_clone"):
            names.append([])
            inside = True
        elif inside and name in wanted:
            names[-1].append(name)
            inside = name != "lock_acquired"
    return names


@test("trace-orders")
def orders():
    """
    The trace shows the bug: buggy, siglock is taken and reported before fpregs_unlock(); fixed, it
    is taken after it. And as many splats as the demo counts.
    """
    output, events, lost = traced("trace-orders", "rt=on dynamic=force init=/bin/demo", SMP="2")
    expect(not lost, f"{lost} events are lost")
    # Not those that start in a kernel function: they copy no registers.
    found = [names for names in sections(events)
             if names[:1] == ["fpregs_lock"] and names[-1] == "lock_acquired"]
    buggy = [names for names in found if "splat" in names]
    fixed = [names for names in found if "splat" not in names]
    expect(buggy and fixed, f"{len(buggy)} forks in buggy order, {len(fixed)} in fixed")
    for names in buggy:
        expect(names.index("splat") < names.index("lock_acquired") and
               "fpregs_unlock" not in names, f"buggy order: {names}")
    for names in fixed:
        expect(names[:3] == ["fpregs_lock", "fpu_save", "fpregs_unlock"], f"fixed order: {names}")
    told = sum(int(n) for n in re.findall(r"^demo: order=.* splats=(\d+)", output, re.M))
    seen = sum(name == "splat" for name, *_ in events)
    expect(told == seen > 0, f"the demo counts {told} splats, the trace {seen}")


@test("trace-ring-is-full", check=False)
def full():
    """A ring that went round has its newest events, in order, and says how many are gone."""
    _, events, lost = traced("trace-ring-is-full", "init=/tests/testrun -- u/fork")
    expect(lost > 0 and len(events) > 10000, f"{len(events)} events, {lost} lost")
    calls = [name for name, *_ in events if name in ("sys_enter", "sys_exit")]
    expect(calls, "no system call among them")


@test("trace-by-a-call", check=False)
def by_a_call():
    """Switched on and off by a system call: what is between is recorded, and nothing else."""
    ram = os.path.abspath(machine.LOGS) + "/trace-by-a-call.ram"
    with session(f"RAM={ram}") as shell:
        for line in ("ls", "set trace=on", "echo between", "set trace=off", "ls", "cat nothing"):
            shell.read_until("$ ")
            shell.type(line + "\r")
        shell.read_until("$ ")
    events, lost = left_in(ram)
    expect(events and not lost, f"{len(events)} events, {lost} lost")
    called = [first for name, first, *_ in events if name == "sys_enter"]
    returned = [first for name, first, *_ in events if name == "sys_exit"]
    expect(returned[0] == hex(1001) == called[-1], f"from {returned[0]} to {called[-1]}")
    execs = called.count(hex(59))
    expect(execs == 1, f"{execs} programs were started, not echo alone")


@test("trace-is-off", check=False)
def off():
    """Without the option there are no rings, and the reader says so."""
    ram = os.path.join(machine.LOGS, "trace-is-off.ram")
    code, output = machine.boot("trace-is-off", "init=/bin/echo", RAM=ram)
    expect_code(code, machine.PASS, output)
    code, output = machine.run(["python3", "scripts/trace/trace.py", "build/splat.elf", ram],
                               machine.LOGS + "/trace-is-off.txt")
    os.remove(ram)
    expect(code == 1 and "no trace in it" in output, f"exit status {code}: {output}")


@test("trace-off-is-two-instructions")
def two_instructions():
    """Wherever the kernel asks whether somebody looks: a TESTB of memory and a jump, no more."""
    _, text = machine.run(["objdump", "-d", "--no-show-raw-insn", "build/splat.elf"],
                          machine.LOGS + "/trace-off.txt")
    lines, asked, setters = text.splitlines(), 0, set()
    function = ""
    for line, following in zip(lines, lines[1:]):
        if re.match(r"[0-9a-f]+ <", line):
            function = line.split("<")[1].split(">")[0]
        if "<hooks_on>" not in line:
            continue
        if re.search(r"\ttestb +\$0x[123],", line):
            asked += 1
            expect(re.search(r"\tjn?e ", following), f"{function}: {line} {following}")
        else:
            setters.add(function)
    expect(asked > 100, f"it is asked at {asked} places only")
    # The last one is a test's, which looks at what is recorded.
    expect(setters <= {"set_trace", "set_latency", "trace_init", "options_parse", "traced_fork"},
           f"other instructions look: in {setters}")
