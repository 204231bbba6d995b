# SPDX-License-Identifier: MIT
"""Tests of the table of worlds, and of what no world has: the CPU under the emulator."""
import glob
import importlib.util
import itertools
import os
import platform
import re

import faults
import machine
import worlds
from host import Skip, expect, test

# What must be combined; the CPU models are those that stand in the table.
VALUES = {"rt": ("on", "off"), "smp": (1, 2, 4), "boot": ("pvh", "grub", "uefi"),
          "build": ("gcc", "llvm")}


def parameters(world):
    return {"rt": "off" if "rt=off" in world.get("append", "") else "on",
            "smp": world.get("smp", 1), "boot": world.get("boot", "pvh"),
            "cpu": world.get("cpu", "max"), "build": world.get("build", "gcc")}


@test("pairs")
def pairs():
    """
    Most bugs of combinations need two values: every pair of them stands in one world. In QEMU:
    Bochs is there for its CPUs, and has one way to boot.
    """
    table = [parameters(world) for world in worlds.load() if "emu" not in world]
    values = {**VALUES, "cpu": sorted({row["cpu"] for row in table})}
    missing = [f"{a}={x} {b}={y}" for a, b in itertools.combinations(values, 2)
               for x, y in itertools.product(values[a], values[b])
               if not any(row[a] == x and row[b] == y for row in table)]
    expect(not missing, "no world has " + ", ".join(missing))


@test("suites")
def suites():
    """Each suite with each rt, on 1, 2 and 4 CPUs: the last may wait for test-all."""
    known, met = worlds.suites(), set()
    for world in worlds.load():
        row = parameters(world)
        if row["smp"] == 4 or not world.get("all"):
            met |= {(suite, row["rt"], row["smp"]) for suite in worlds.suites_of(world, known)}
    missing = sorted(f"{suite} with rt={rt} on {smp} CPUs" for suite, rt, smp in
                     set(itertools.product(known, VALUES["rt"], VALUES["smp"])) - met)
    expect(not missing, "no world has " + ", ".join(missing))
    table = {world["name"]: world for world in worlds.load()}
    lost = [fault.name for fault in faults.load() if fault.test.rpartition("/")[0] not in
            {"host", *worlds.suites_of(table[fault.world], known)}]
    expect(not lost, f"their worlds do not run their tests: {lost}")


NO_XSAVEC = 77                          # tests/native/silicon.c


@test("xsave-soft-and-silicon")
def silicon():
    """
    The kernel's compacted format in software against XSAVEC and XRSTOR of this very CPU, in 20,000
    random states; each restores the other's images.
    """
    if platform.machine() != "x86_64":
        raise Skip("this CPU is not an x86-64")
    program, log = os.path.join(machine.LOGS, "silicon"), os.path.join(machine.LOGS, "silicon.log")
    # Freestanding, with the kernel's string.c: no library may use the registers looked at.
    code, output = machine.run(
        ["gcc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter",
         "-fno-strict-aliasing", "-ffreestanding", "-mgeneral-regs-only", "-Itests/native/include",
         "-I.", "-o", program, "tests/native/silicon.c", "arch/x86/fpu/core/layout.c",
         "arch/x86/fpu/core/compact.c", "lib/string.c"], log)
    expect(code == 0 and not output, f"gcc: exit status {code}\n{output}")
    code, output = machine.run([os.path.abspath(program), worlds.SEED], log)
    if code == NO_XSAVEC:
        raise Skip("this CPU has no XSAVEC")
    expect(code == 0, f"seed {worlds.SEED}: exit status {code}\n{output}")


@test("xsave-stands-in-insns")
def wrappers():
    """The instructions that move FPU state stand in wrappers that count them, and nowhere else."""
    found = []
    for path in (path for top in ("arch", "boot", "kernel", "lib")
                 for path in glob.glob(f"{top}/**/*.[chS]", recursive=True)):
        with open(path, encoding="utf-8") as file:
            if re.search(r"\bf?x(save|rstor)(opt|c|s)?(64)?[ \t]+[%(]", file.read()):
                found.append(path)
    expect(found == ["arch/x86/fpu/core/xsave_insns.h"], f"they stand in {sorted(found)}")


@test("stat-says-what-was-held", long=True)
def stat_says_what_was_held():
    """
    `make stat` names a hold by what was asked for, the program's steps: how many instructions that
    takes is what the table measures, and differs from world to world.
    """
    path = "scripts/stat/stat.py"       # not by its name, which Python's own stat module has, too
    spec = importlib.util.spec_from_file_location("splat_stat", path)
    stat = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stat)
    rows = []

    class Rows:
        """The table, kept."""

        @staticmethod
        def row(what, budget, value, details=()):
            rows.append((what, value, details))

    stat.latencies(Rows)
    with open("user/latency.c", encoding="utf-8") as file:
        steps = int(re.search(r"#define HOLD_STEPS\s+(\d+)", file.read())[1])
    held = [(what, value) for what, value, _ in rows if "siglock held" in what]
    expect(len(rows) == 18 and len(held) == 6, f"the table has {rows}")
    for what, value in held:
        numbers = re.findall(r"\d[\d,]*\d", what.partition("siglock held")[2])
        expect(numbers == [f"{steps:,}"] and f"{steps:,} steps" in what, f"it is called: {what}")
    spun = {value for what, value in held if what.startswith("preemption off") and
            ("siglock=raw" in what or "rt=off" in what)}
    expect(len(spun) == 2 and min(spun) > 5 * steps, f"preemption is off for {spun} of {steps}")
