# SPDX-License-Identifier: MIT
"""
Tests of trace.dat: what Linux's own tool, trace-cmd, reads in it is what the rings hold. trace.py
reads those by itself, and is tested in host_trace.py.
"""
import collections
import os
import re
import shutil
import sys

import machine
from host import Skip, expect, expect_code, test

sys.path.insert(0, "scripts/trace")

import trace                            # noqa: E402 (scripts/trace/trace.py, not Python's own)
import tracedat                         # noqa: E402

# What Linux calls them, as expressions; what is not here has Splat's name.
LINUX_NAMES = {
    "task_comm": "task_rename", "sched_migrate": "sched_migrate_task",
    "irq_entry": "irq_handler_entry", "irq_exit": "irq_handler_exit",
    "page_fault": "page_fault_(user|kernel)", "fpu_save": "x86_fpu_before_save",
    "fpu_restore": "x86_fpu_before_restore", "fpu_owner": "x86_fpu_regs_(de)?activated",
    "sched_pi_boost": "sched_pi_setprio", "lock_contended": "contention_begin",
    "lock_released": "lock_release"}
# From 3.2 on, trace-cmd has a column more, "d..1.": interrupts, preemption.
LINE = re.compile(r" *(.+)-(\d+) +\[(\d+)\] +(?:[\w.#*]{4,6} +)?(\d+)\.(\d{9}): (\w+): +(.*)")
Line = collections.namedtuple("Line", "comm pid cpu ns name text")


def report(name, *options):
    """What trace-cmd says of build/test/NAME.dat: ([Line], the lines that are none)."""
    if not shutil.which("trace-cmd"):
        raise Skip("no trace-cmd; 'scripts/deps.sh trace-cmd' installs it")
    path = f"{machine.LOGS}/{name}.dat"
    code, output = machine.run(["trace-cmd", "report", "-t", *options, path],
                               f"{machine.LOGS}/{name}.report")
    expect(code == 0, f"trace-cmd: exit status {code}: {output[-500:]}")
    lines, others = [], []
    for text in output.splitlines():
        found = LINE.fullmatch(text)
        if found:
            comm, pid, cpu, seconds, ns, event, rest = found.groups()
            lines.append(Line(comm, int(pid), int(cpu), int(seconds) * 10**9 + int(ns), event,
                              rest))
        else:
            others.append(text)
    return lines, others


def compare(what, wanted, got):
    """Both are lists, of one element for each event."""
    wrong = [(i, want, have) for i, (want, have) in enumerate(zip(wanted, got)) if want != have]
    expect(not wrong, f"{what}: of event {wrong and wrong[0]}")
    expect(len(wanted) == len(got), f"{what}: {len(got)} are reported, {len(wanted)} are there")


def same_events(found, lines):
    """Each line is of the event in its place: its time, CPU and task; and the kinds' counts."""
    expect(lines == sorted(lines, key=lambda line: line.ns), "they are not in the order of time")
    # At the same time on two CPUs: in either order.
    compare("time, CPU and pid", [(e.tsc, e.cpu, e.pid) for e in found.events],
            sorted((line.ns, line.cpu, line.pid) for line in lines))
    counts = collections.Counter(line.name for line in lines)
    due = collections.Counter(LINUX_NAMES.get(found.name(event), found.name(event))
                              for event in found.events)
    for linux in {LINUX_NAMES.get(kind, kind) for kind, *_ in found.types}:
        got = sum(count for other, count in counts.items() if re.fullmatch(linux, other))
        expect(got == due[linux], f"{linux}: {due[linux]} in the rings, {got} in the report")


def task_names(found):
    """Each task's last name, by its pid."""
    names = {0: "<idle>"}
    for event in found.events:
        if found.name(event) == "task_comm":
            names[event.pid] = trace.comm(event)
    return names


def of_kind(found, lines, name):
    """([events], [lines]) of one of Splat's kinds, CPU by CPU."""
    return (sorted((e for e in found.events if found.name(e) == name), key=lambda e: e.cpu),
            sorted((line for line in lines if re.fullmatch(LINUX_NAMES.get(name, name),
                                                           line.name)), key=lambda l: l.cpu))


@test("trace-dat")
def trace_dat():
    """The demo's trace, event by event: trace-cmd's report against the rings."""
    base = f"{machine.LOGS}/trace-dat"
    code, output = machine.boot("trace-dat", "trace=on dynamic=ymm init=/bin/demo -- buggy",
                                SMP="2", RAM=base + ".ram")
    expect_code(code, machine.PASS, output)
    found = trace.load("build/splat.elf", base + ".ram")
    code, output = machine.run(["python3", "scripts/trace/tracedat.py", "build/splat.elf",
                                base + ".ram", base + ".dat"], base + ".txt")
    os.remove(base + ".ram")
    expect(code == 0, f"tracedat.py: exit status {code}: {output}")
    lines, others = report("trace-dat")
    expect(others == ["cpus=2"], f"trace-cmd complains: {others[:3]}")
    strange = [line for line in lines if re.search(r"CANT FIND|FAILED|UNKNOWN|\?\?", line.text)]
    expect(not strange, f"trace-cmd does not understand {strange[:1]}")
    same_events(found, lines)
    names = task_names(found)
    wrong = {(line.pid, line.comm) for line in lines if line.comm != names.get(line.pid)}
    expect(not wrong and {"demo", "khungtaskd"} < set(names.values()), f"names: {wrong or names}")

    events, disabled = of_kind(found, lines, "preempt_disable")
    compare("callers", [f"caller={found.symbols.name(e.b)} count={e.a:#x}" for e in events],
            [line.text for line in disabled])
    events, restores = of_kind(found, lines, "fpu_restore")
    compare("which of them is a variable",
            [event.a == found.symbols.by_name["init_fpstate"] for event in events],
            ["init_fpstate+0x0" in line.text for line in restores])
    events, owners = of_kind(found, lines, "fpu_owner")
    compare("whose registers, and who took them",
            [f"x86/fpu: pid: {e.a} last_cpu: {e.cpu}" if e.a else
             f"x86/fpu: pid: {e.pid} by: {found.symbols.name(e.b)}" for e in events],
            [line.text for line in owners])
    events, switches = of_kind(found, lines, "sched_switch")
    pids = [re.fullmatch(r"(\S+):(\d+) \[(\d+)\] (\S+) ==> (\S+):(\d+) \[(\d+)\]", line.text)
            for line in switches]
    compare("switches", [(e.a, e.b, e.prio) for e in events],
            [(int(m[2]), int(m[6]), int(m[3])) for m in pids])
    names[0] = "swapper/"
    wrong = [m[0] for m in pids for pid, comm in ((2, 1), (6, 5))
             if m[comm].rstrip("01") != names[int(m[pid])].rstrip("01")]
    expect(not wrong, f"names in switches: {wrong[:1]}")
    # R: it was preempted, whatever its state. Linux's number for X was Z's once, and is so for
    # trace-cmd. Whether the waiter for siglock sleeps (D) is between the CPUs: trace-dat-states.
    shown = {0: "R", 1: "RS", 2: "RD", 0x102: "RD", 0x1000: "RD", 0x80: "XZ"}
    wrong = [m[0] for event, m in zip(events, pids) if m[4] not in shown.get(event.state, "")]
    states = {m[4] for m in pids}
    expect(not wrong and {"R", "S"} < states, f"tasks leave their CPUs as {states}: {wrong[:1]}")
    # The demo's contention: the holder gets the waiter's priority and loses it.
    expect({"siglock" in line.text or "0xffff8" in line.text for line in lines
            if line.name == "contention_begin"} == {True}, "locks have no addresses")
    boosted = {m[3] for m in pids} & {m[7] for m in pids}
    expect({"120", "49"} <= boosted, f"priorities in switches: {boosted}")


class Made:
    """A trace that no kernel has made."""

    types = [("task_comm", "first", "rest"), ("brand_new", "pid", "mask"),
             ("sched_switch", "prev_pid", "next_pid"), ("sched_wakeup", "pid", "target_cpu")]
    symbols = collections.namedtuple("Symbols", "by_name text")({}, [])

    def __init__(self, events, lost_on):
        self.lost_on = lost_on
        self.events = [trace.Event(tsc, a, b, 7, 0x10101, kind, cpu, 1, *(state or [0]), 99)
                       for tsc, cpu, kind, a, b, *state in events]

    def name(self, event):
        return self.types[event.type][0]


def write_made(name, events, lost_on):
    os.makedirs(machine.LOGS, exist_ok=True)
    with open(f"{machine.LOGS}/{name}.dat", "wb") as file:
        file.write(tracedat.trace_dat(Made(events, lost_on)))


@test("trace-dat-states")
def trace_dat_states():
    """Who is preempted while its state is another, on its way to sleep, does not sleep."""
    write_made("trace-dat-states", [
        (1, 0, 2, 7, 8, 1), (2, 0, 2, 8, 7, 1), (3, 0, 3, 8, 0), (4, 0, 2, 7, 8, 0x1000),
        (5, 0, 2, 8, 0, 0x80), (6, 0, 2, 0, 9)], {})
    lines, _ = report("trace-dat-states")
    states = "".join(line.text.split()[2] for line in lines if line.name == "sched_switch")
    expect(states in ("RSDXR", "RSDZR"), f"they go as {states}")


@test("trace-dat-made")
def trace_dat_made():
    """
    Events that Linux does not know; long silence; a CPU without any; what is lost; many pages; and
    an event in an interrupt and a softirq.
    """
    name = int.from_bytes(b"a task\0\0", "little")
    times = [5, 6, 6 + (1 << 27) - 1, 1 << 28, (1 << 28) + (1 << 27), 1 << 40,
             *range(1 << 41, (1 << 41) + 40000, 8)]
    write_made("trace-dat-made", [(9, 3, 0, name, 0), *((ns, 1, 1, -i & (1 << 64) - 1, i)
                                                        for i, ns in enumerate(times))], {1: 12345})
    lines, others = report("trace-dat-made")
    expect(others[0] == "cpus=4", f"trace-cmd complains: {others[:3]}")
    compare("times", times, [line.ns for line in lines if line.cpu == 1])
    compare("values", [f"pid={-i} mask={hex(i) if i else 0}" for i in range(len(times))],
            [line.text for line in lines if line.cpu == 1])
    expect({line.comm for line in lines} == {"a task"}, f"whose are they? {lines[0]}")
    expect({line.name for line in lines if line.cpu == 3} == {"task_rename"}, "CPU 3's")
    # Of more than one CPU that has lost some, trace-cmd tells of one.
    _, others = report("trace-dat-made", "--cpu", "1")
    expect("CPU:1 [12345 EVENTS DROPPED]" in others, f"nothing is lost: {others[:3]}")
    code, output = machine.run(["trace-cmd", "report", "-l", f"{machine.LOGS}/trace-dat-made.dat"],
                               f"{machine.LOGS}/trace-dat-made.report")
    expect(code == 0 and re.search(r"a task-7 +1d\.H1", output), f"in no interrupt: {output[:300]}")
