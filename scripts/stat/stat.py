#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
make stat: what there is against the budgets of the design: sizes, times, and calls between the
floors.

Sizes are read from the sources, times are measured now (wall clock; a busy machine makes them
worse), who calls what house.py knows. Only one table comes out; exit status 1 if something is over.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import house

KERNEL_DIRS = house.KERNEL_DIRS
ALL_DIRS = KERNEL_DIRS + ("user", "tests", "scripts")
BUILD = "build"
HEART = re.compile(r"arch/x86/(fpu/|switch\.)|kernel/(locking|sched|preempt)/|"
                   r"kernel/(fork|exec|exit)\.")
FUNCTION_LINES, FILE_LINES, COLUMNS = 70, 500, 100


class Table:
    """Rows: what, budget, is, verdict."""

    def __init__(self):
        self.over = 0
        print(f"{'what':62} {'budget':>9} {'is':>9}")

    def row(self, what, budget, value, details=()):
        number = f"{value:.2f} s" if isinstance(value, float) else str(value)
        unit = " s" if isinstance(value, float) else ""
        limit = "-" if budget is None else f"{budget}{unit}"
        verdict = "" if budget is None else "ok" if value <= budget else "OVER"
        self.over += verdict == "OVER"
        print(f"{what:62} {limit:>9} {number:>9}  {verdict}")
        for detail in details:
            print(f"    {detail}")


# --- Sources ---

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def files(dirs, endings=(".c", ".h", ".S", ".in")):
    return [path for top in dirs for path in sorted(glob.glob(f"{top}/**", recursive=True))
            if path.endswith(endings) and os.path.isfile(path)]


def code_lines(path):
    """Lines that are neither blank nor comment."""
    def without_comment(match):
        return match[0] if match[0][0] == '"' else " " + "\n" * match[0].count("\n")

    text = COMMENT_OR_STRING.sub(without_comment, read(path))
    return sum(bool(line.strip()) for line in text.split("\n"))


def long_functions(path):
    """C functions of more than FUNCTION_LINES lines, from their name to their last brace."""
    start, lines = None, read(path).split("\n")
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
            while start > 1 and lines[start - 2][:1] not in ("", " ", "}", "#", "/"):
                start -= 1
        elif line.startswith("}") and start:
            if number - start + 1 > FUNCTION_LINES:
                yield f"{path}:{start}: {number - start + 1} lines"
            start = None


def long_lines(path):
    return [f"{path}:{number}" for number, line in enumerate(read(path).split("\n"), 1)
            if len(line.expandtabs(8)) > COLUMNS]


def sources(table):
    heart = [path for path in files(KERNEL_DIRS) if HEART.match(path)]
    own = files(["kernel/debug", "kernel/splat"])
    ground = [path for path in files(KERNEL_DIRS) if path not in heart and path not in own]
    for what, budget, paths in (
            ("heart: fpu, locking, sched, preempt, fork, exec, exit, switch", 4200, heart),
            ("ground: all else of boot, kernel, arch and lib", 5300, ground),
            ("checkers and Splat's own calls", 1500, own)):
        table.row(f"code lines, {what}", budget, sum(map(code_lines, paths)))
    table.row("code lines: arch/x86/fpu", 1400, sum(map(code_lines, files(["arch/x86/fpu"]))))
    table.row("code lines: user", None, sum(map(code_lines, files(["user"]))))
    table.row("code lines: tests/kernel + tests/user", None, sum(map(code_lines, files(["tests"]))))
    every = files(ALL_DIRS, (".c", ".h", ".S", ".in", ".py", ".sh", ".mk", ".awk", ".gdb"))
    every += ["Makefile", "linker.ld"]
    lengths = [(path, read(path).count("\n")) for path in every]
    found = [f"{path}: {length} lines" for path, length in lengths if length > FILE_LINES]
    table.row(f"files of more than {FILE_LINES} lines", 0, len(found), found)
    found = [text for path in files(ALL_DIRS, (".c", ".h")) for text in long_functions(path)]
    table.row(f"functions of more than {FUNCTION_LINES} lines", 0, len(found), found)
    found = [text for path in every for text in long_lines(path)]
    table.row(f"lines of more than {COLUMNS} columns", 0, len(found), found[:10])


# --- What the last test run covered ---

COMPONENTS = {0: "x87", 1: "SSE", 2: "AVX", 5: "opmask", 6: "ZMM_Hi256", 7: "Hi16_ZMM",
              10: "PASID", 11: "CET_U", 17: "tile config", 18: "tile data"}


def coverage(table):
    """Forms x components x machines: what k/fpu_matrix printed in the logs of `make test`."""
    with open("tests/worlds.json", encoding="utf-8") as file:
        machines = {world["name"]: world.get("emu", "qemu") for world in json.load(file)["worlds"]}
    found = {}
    # Not those of planted faults: such kernels save as they should not.
    for path in sorted(glob.glob(f"{BUILD}/test/[!f]*.log") +
                       glob.glob(f"{BUILD}/test/f[!a]*.log")):
        machine = machines.get(os.path.basename(path)[:-4])
        for mask, form, gate in re.findall(
                r"# a switch: components (0x[0-9a-f]+) by ([\w ]+), gate (\w+)", read(path)):
            key = form, int(mask, 16)
            gate += ", modelled" if gate == "IA32_XFD" and machine != "bochs-xfd" else ""
            if machine:
                found.setdefault(key, {}).setdefault(machine, []).append(gate)
    forms = {form for form, mask in found}
    details = []
    for (form, mask), seen in sorted(found.items()):
        names = [name for bit, name in COMPONENTS.items() if mask >> bit & 1]
        details.append(f"{form}: {' '.join(names)}: " + ", ".join(
            f"{machine} {len(gates)} ({'; '.join(sorted(set(gates)))})"
            for machine, gates in sorted(seen.items())))
    table.row("forms of saving in the last `make test`, by machine (gates)", None, len(forms),
              details or ["none: run `make test`, and `make bochs3 bochs-xfd` before it"])


# --- The floors ---

def floors(table):
    try:
        for row in house.rows(house.House(), house.load_rules()):
            table.row(*row)
    except house.NoClang as error:
        table.row(f"the floors: {error}", 0, 1)


# --- Times ---

def seconds(command, env=None, until=None):
    """How long @command takes, or how long until it prints @until. None: it failed."""
    start = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen, output = None, b""
    while data := process.stdout.read1():
        output += data
        if until and until in output and seen is None:
            seen = time.monotonic() - start
    code = process.wait()
    if until:
        return seen
    return time.monotonic() - start if code == 0 else None


def timed(table, what, budget, value):
    if value is None:
        table.row(what + " (it failed)", 0, 1)
    else:
        table.row(what, budget, value)


def builds(table):
    """A clean build and its images: the default one, and the release."""
    cores = str(min(2, os.cpu_count() or 1))
    for suffix, choice in (("", []), (", release", ["RELEASE=1"])):
        with tempfile.TemporaryDirectory() as folder:
            made = [f"{folder}/splat.elf", f"{folder}/initramfs.cpio"]
            timed(table, f"clean build, {cores} cores{suffix}", 15,
                  seconds(["make", "-j" + cores, "B=" + folder, "BASE=" + folder, *choice, *made]))
            stripped = f"{folder}/stripped"
            subprocess.run([os.environ.get("CROSS", "") + "objcopy", "--strip-all", made[0],
                            stripped], check=False)
            for what, path in (("kernel image without symbols, KiB", stripped),
                               ("kernel image, KiB", made[0]), ("initramfs, KiB", made[1])):
                if os.path.exists(path):
                    table.row(what + suffix, None, os.path.getsize(path) // 1024)


def times(table):
    boot = {"BOOT": "pvh", "CPU": "max", "APPEND": "init=/bin/echo -- this is ring 3"}
    best = [seconds(["scripts/qemu.sh"], boot, b"this is ring 3") for _ in range(3)]
    timed(table, "PVH boot to ring 3's first line", 0.5, None if None in best else min(best))
    timed(table, "make demo", 20, seconds(["make", "demo"]))


# --- Costs: what things take (user/bench.c) ---

BENCH = re.compile(r"bench: (\w+) insns=(\d+) saves=(\d+) restores=(\d+)")
COSTS = {"syscall": ("system call", 100), "yield": ("FIFO yield round trip, 2 switches", 1000),
         "pipe": ("pipe round trip", 3500), "clone": ("clone(CLONE_VM)+exit+wait", 8000),
         "fork": ("fork+exit+wait", 20000)}


def costs(table):
    """In guest instructions. The targets hold for the release build."""
    for build, target in (("release", True), ("", False)):
        folder = os.path.join(BUILD, build)
        choice = ["RELEASE=1"] if build else []
        subprocess.run(["make", "-j2", *choice, f"{folder}/splat.elf", f"{folder}/initramfs.cpio"],
                       check=True, capture_output=True)
        env = {**os.environ, "BOOT": "pvh", "CPU": "max,-erms", "APPEND": "init=/bin/bench",
               "KERNEL": f"{folder}/splat.elf", "INITRD": f"{folder}/initramfs.cpio"}
        done = subprocess.run(["scripts/qemu.sh", "-icount", "shift=0,sleep=off"], env=env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        found = BENCH.findall(done.stdout)
        if done.returncode != 33 or len(found) != len(COSTS):
            table.row(f"costs {build} (it failed)", 0, 1)
        for name, insns, saves, restores in found:
            what, budget = COSTS[name]
            table.row(f"insns, {build or 'default build'}: {what}", budget if target else None,
                      int(insns), [f"saves and restores of FPU state: {saves} and {restores}"])


# --- Latencies: what a lock that spins costs (user/latency.c) ---

LATENCY = re.compile(r"latency: (\w+) preempt_off=(\d+) at (\S+) irqs_off=(\d+) at (\S+)")


def latencies(table):
    """The longest sections, in guest instructions: one step of the TSC is one instruction here."""
    steps = int(re.search(r"#define HOLD_STEPS\s+(\d+)", read("user/latency.c"))[1])
    work_names = {"fixed": "forks, fixed order", "buggy": "forks, buggy order",
                  "hold": f"siglock held for {steps:,} steps"}
    for world in ("rt=on", "rt=on siglock=raw", "rt=off"):
        env = {**os.environ, "BOOT": "pvh", "CPU": "max",
               "APPEND": f"{world} init=/bin/latency watchdog_thresh=0 loglevel=3"}
        done = subprocess.run(["scripts/qemu.sh", "-icount", "shift=0,sleep=off"], env=env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        found = LATENCY.findall(done.stdout)
        if done.returncode != 33 or len(found) != len(work_names):
            table.row(f"longest sections, {world} (it failed)", 0, 1)
        for work, preempt, preempt_owner, irqs, irqs_owner in found:
            table.row(f"preemption off, insns: {world}, {work_names[work]}", None, int(preempt),
                      [f"begun at {preempt_owner}"])
            table.row(f"interrupts off, insns: {world}, {work_names[work]}", None, int(irqs),
                      [f"begun at {irqs_owner}"])


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BOOT", "CPU", "MEM", "SMP", "APPEND",
                 "KERNEL", "INITRD", "LLVM", "RELEASE", "UBSAN", "BUG"):
        os.environ.pop(name, None)
    table = Table()
    sources(table)
    coverage(table)
    floors(table)
    builds(table)
    times(table)
    costs(table)
    latencies(table)
    return 1 if table.over else 0


if __name__ == "__main__":
    sys.exit(main())
