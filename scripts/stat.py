#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
make stat: what there is against the budgets of the design: sizes, times, and calls between the
floors.

Sizes are read from the sources, times are measured now (wall clock; a busy machine makes them
worse), the floors are read from the objects: who calls what is in their symbol tables. Only one
table comes out; exit status 1 if something is over.
"""
import fnmatch
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time


KERNEL_DIRS = ("boot", "kernel", "arch", "lib")
ALL_DIRS = KERNEL_DIRS + ("user", "tests", "scripts")
BUILD = "build"
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
    kernel = [path for path in files(KERNEL_DIRS) if not path.startswith("kernel/debug/")]
    table.row("code lines: boot + kernel + arch + lib", 7800, sum(map(code_lines, kernel)))
    table.row("code lines: kernel/debug", 1500, sum(map(code_lines, files(["kernel/debug"]))))
    table.row("code lines: arch/x86/fpu", 1500, sum(map(code_lines, files(["arch/x86/fpu"]))))
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
    """Forms x components x worlds: what k/fpu_matrix printed in the logs of `make test`."""
    found = {}
    # Not those of planted faults: such kernels save as they should not.
    for path in sorted(glob.glob(f"{BUILD}/test/[!f]*.log") +
                       glob.glob(f"{BUILD}/test/f[!a]*.log")):
        for mask, form in re.findall(r"# a switch: components (0x[0-9a-f]+) by ([\w ]+), gate",
                                     read(path)):
            key = form, int(mask, 16)
            found.setdefault(key, set()).add(os.path.basename(path)[:-4])
    forms = {form for form, mask in found}
    details = []
    for (form, mask), worlds in sorted(found.items()):
        names = [name for bit, name in COMPONENTS.items() if mask >> bit & 1]
        details.append(f"{form}: {' '.join(names)}: {len(worlds)} worlds: "
                       f"{' '.join(sorted(worlds)[:6])}{' ...' if len(worlds) > 6 else ''}")
    table.row("forms of saving in the last `make test` (PKRU apart)", None, len(forms),
              details or ["none: run `make test`, and `make bochs3` before it"])


# --- The floors ---

def tool(name):
    return os.environ.get("CROSS", "") + name


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions_of(path):
    """The functions that an object defines for others."""
    lines = (line.split() for line in output_of(tool("nm"), path).splitlines())
    return {words[-1] for words in lines if words[-2] in "TW"}


def calls_of(path):
    """The names that an object calls, or jumps to: PLT32 relocations (addresses are others)."""
    lines = output_of(tool("objdump"), "-r", path).splitlines()
    return {re.split(r"[-+]0x", line.split()[2])[0] for line in lines if "R_X86_64_PLT32" in line}


def floors(table):
    with open("scripts/floors.json", encoding="utf-8") as file:
        rules = json.load(file)
    paths = {path[len(BUILD) + 1:-2]: path for top in KERNEL_DIRS
             for path in glob.glob(f"{BUILD}/{top}/**/*.o", recursive=True)}
    paths = {source: path for source, path in paths.items() if os.path.exists(source)}
    floor_of = {source: next((floor for pattern, floor in rules["floors"]
                              if fnmatch.fnmatchcase(source, pattern)), None) for source in paths}
    homeless = sorted(source for source, floor in floor_of.items() if floor is None)
    table.row("files without a floor (scripts/floors.json)", 0, len(homeless), homeless)
    home = {name: source for source, path in paths.items() for name in functions_of(path)}
    up, needed = calls_up(paths, home, floor_of, rules["may_go_up"])
    table.row("calls that go up", 0, len(up), up)
    table.row("calls that go up for a reason", None, len(needed),
              [f"{rule['from']} -> {rule['to']}: {rule['why']}" for rule in needed])
    idle = [f"{rule['from']} -> {rule['to']}" for rule in rules["may_go_up"] if rule not in needed]
    table.row("reasons that no call needs any more", 0, len(idle), idle)


def calls_up(paths, home, floor_of, exceptions):
    """The calls to a higher floor that no exception allows, and the exceptions that were needed."""
    up, needed = [], []
    for source, path in sorted(paths.items()):
        for name in sorted(calls_of(path) & set(home)):
            here, there = floor_of[source], floor_of[home[name]]
            if here is None or there is None or here >= there:
                continue
            rules = [rule for rule in exceptions if fnmatch.fnmatchcase(source, rule["from"])
                     and fnmatch.fnmatchcase(name, rule["to"])]
            needed += [rule for rule in rules if rule not in needed]
            if not rules:
                up.append(f"{source} ({here}) -> {name}, {home[name]} ({there})")
    return up, needed


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
                  seconds(["make", "-j" + cores, "B=" + folder, *choice, *made]))
            stripped = f"{folder}/stripped"
            subprocess.run([tool("objcopy"), "--strip-all", made[0], stripped], check=False)
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
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BOOT", "CPU", "MEM", "SMP", "APPEND",
                 "KERNEL", "INITRD", "LLVM", "RELEASE", "UBSAN"):
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
