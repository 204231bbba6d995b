# SPDX-License-Identifier: MIT
"""
The figures and rules in the book and the README, each computed again from the sources: what a page
says must be what the code has. A figure that no sentence has any more is red, too: its check moves
with it.
"""
import functools
import glob
import re
import subprocess

import lab                              # labs/tools/lab.py, by host.book
import machine
from host import expect, test
from host.book import source_text
from host.gdb import gdb, number, says

WORDS = "no one two three four five six seven eight nine ten".split()
LAYOUT, PREEMPT = "arch/x86/mm/address_space.h", "kernel/preempt/preempt.h"
SCHED = "kernel/sched/sched.h"
KNOWN = "tests/kernel/xstate_layout.c"  # component sizes and places that the suites know by heart


@functools.cache
def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def define(name, path):
    found = re.findall(rf"^#define {name}\s+(?:UL\()?(0x[0-9a-f]+|\d+)\b", read(path), re.M)
    expect(len(found) == 1, f"{path}: {name} is {found}")
    return int(found[0], 0)


def known(name):
    """(size, Intel's place, AMD's place) of a component."""
    found = re.search(rf"\[XFEATURE_{name}\] = {{ (\d+), \w+, {{ (\d+), (\d+) }} }}", read(KNOWN))
    return tuple(map(int, found.groups()))


def due_size(features):
    return int(re.search(rf"image_size\(&intel, {features}, false\), (\d+)\)", read(KNOWN))[1])


def between(path, first, last):
    """The text from @first on, up to @last."""
    return read(path).partition(first)[2].partition(last)[0]


def symbol(name):
    lines = subprocess.run(["nm", "build/splat.elf"], capture_output=True, text=True, check=True)
    return int(re.search(rf"^(\w+) . {name}$", lines.stdout, re.M)[1], 16)


def say(value):
    """As the book says it: 11,008; 0x200 and words come as they are."""
    return f"{value:,}" if isinstance(value, int) else value


def instructions():
    """Rows of chapter 4's table of saving instructions."""
    table = between("docs/04-xsave.md", "| instruction |", "\n\n")
    return len(re.findall(r"^\| [A-Z]", table, re.M))


def entry_step_1():
    step = between("arch/x86/entry/entry.S", "/* 1. The kernel's GS", "/* 2.")
    return len(re.findall(r"^\t[a-z]", step, re.M))


def saved_registers():
    return len(between("arch/x86/switch.S", ".irp\treg, ", "\n").split(", "))


def fork_steps():
    body = between("arch/x86/fpu/clone.c", "\nint fpu_clone(", "\n}\n")
    return len(re.findall(r"^\t ?(?:/\*|\*) \d\. ", body, re.M))


def sleeps_per_second(path, pattern):
    return int(re.search(pattern, read(path))[1])


FIGURE = r"(0x[0-9a-f]+|\d+(?:,\d+)*|[A-Za-z]+)"


# (page, the sentence with a place for each figure, the figures). A space may be a new line.
def figures():
    ymm, pkru, tiles = known("YMM"), known("PKRU"), known("XTILE_DATA")
    mpx, opmask = known("BNDREGS"), known("OPMASK")
    small, large = due_size("PKRU"), due_size("ALL")
    direct = define("DIRECT_MAP", LAYOUT) + symbol("_kernel_start") - define("KERNEL_OFFSET",
                                                                             LAYOUT)
    return [
        ("01-boot", "map the low {} GiB twice", [
            int(re.search(r"\.rept\t(\d+) \* 512", read("boot/entry32.S"))[1])]),
        ("01-boot", "splat pt {}` in the debugger", [hex(symbol("_kernel_start"))]),
        ("01-boot", "in the direct map ({})", [hex(direct)]),
        ("01-boot", "bits 63 to {} are all alike", [47]),
        ("02-interrupts", "a table of {} entries, to a stub of {} bytes", [
            int(re.search(r"entry_stubs:.*?\.rept\t(\d+)", read("arch/x86/entry/entry.S"),
                          re.S)[1]), -(-(symbol("common_entry") - symbol("entry_stubs")) // 256)]),
        ("02-interrupts", "the first {} instructions, step 1", [WORDS[entry_step_1()]]),
        ("02-interrupts", "with `rt=off`, adds {}, and a softirq that runs adds {}", [
            hex(2 * define("SOFTIRQ_OFFSET", PREEMPT)), hex(define("SOFTIRQ_OFFSET", PREEMPT))]),
        ("02-interrupts", "an interrupt adds {}, an NMI {}", [
            hex(define("HARDIRQ_OFFSET", PREEMPT)),
            hex(define("NMI_OFFSET", PREEMPT) + define("HARDIRQ_OFFSET", PREEMPT))]),
        ("02-interrupts", "same depth, {}, which", [
            int(re.search(r"FORK_PREEMPT_COUNT\s+\((\d) \*", read(PREEMPT))[1])]),
        ("02-interrupts", "interrupts {} times a second", [define("HZ", SCHED)]),
        ("02-interrupts", "field for preemption has {} bits", [
            define("PREEMPT_MASK", PREEMPT).bit_length()]),
        ("02-interrupts", "the {}th nested", [define("PREEMPT_MASK", PREEMPT) + 1]),
        ("03-tasks", "kernel stack of {} KiB", [define("THREAD_SIZE", LAYOUT) // 1024]),
        ("03-tasks", "Push {} registers", [WORDS[saved_registers()]]),
        ("03-tasks", "Pop {} registers", [WORDS[saved_registers()]]),
        ("03-tasks", "Why {} registers, and not", [WORDS[saved_registers()]]),
        ("03-tasks", "list: {} lists and a bitmap", [define("MAX_RT_PRIO", SCHED) + 1]),
        ("04-xsave", "## {} instructions, three habits", [WORDS[instructions()].capitalize()]),
        ("04-xsave", "and {} flags in ECX", [WORDS[3]]),
        ("04-xsave", "a hole from {} to {}; its second half, from {} on", [
            str(ymm[1] + ymm[0]), str(opmask[1]), str(mpx[1])]),
        ("04-xsave", "AVX ends at {}, PKRU lies at {}, and in between are {} bytes", [
            str(ymm[1] + ymm[0]), str(pkru[1]), str(pkru[1] - ymm[1] - ymm[0])]),
        ("04-xsave", "place is MPX's, at {}", [known("APX")[1]]),
        ("04-xsave", "So a task takes {} bytes", [512]),
        ("07-priority-inheritance", "becomes {} - *p*; all ordinary tasks have {}", [
            define("MAX_RT_PRIO", SCHED) - 1, define("DEFAULT_PRIO", SCHED)]),
        ("08-fork", "a buffer of {} bytes, the child has room for {}", [large, small]),
        ("08-fork", "## {} steps", [WORDS[fork_steps()].capitalize()]),
        ("10-on-demand", "brings {} registers of a kilobyte each", [WORDS[tiles[0] // 1024]]),
        ("10-on-demand", "of some {} bytes where it needed {}", [
            round(large, -3), round(small, -2)]),
        ("10-on-demand", "spends {} megabytes on zeros", [
            (large - small) * 10000 // 10**7 * 10]),
        ("glossary", "interrupt, {} times a second", [define("HZ", SCHED)]),
        ("glossary", "are masked. Default {}", [hex(define("MXCSR_DEFAULT",
                                                           "arch/x86/fpu/core/fpu_types.h"))]),
        ("instructors-guide", "reports after {} to {} seconds of guest time", [10, 20]),
        ("README", "may have {} areas", [str(define("AREAS_MAX", "kernel/vm/mm.h"))]),
        ("README", "four CPUs ({} at most)", [WORDS[define("NR_CPUS", LAYOUT)]]),
    ]


def page_text(name):
    return read("README.md" if name == "README" else f"docs/{name}.md")


@test("figures", check=False)
def all_figures():
    """Each figure stands in its sentence, once, and is the code's."""
    wrong = []
    for page, sentence, values in figures():
        pattern = re.escape(sentence).replace(r"\ ", r"\s+").replace(r"\{\}", FIGURE)
        found = re.findall(pattern, page_text(page), re.S)
        due = tuple(say(value) for value in values)
        if len(found) != 1:
            wrong.append(f"{page}: '{sentence}' stands {len(found)} times")
        elif (found[0] if isinstance(found[0], tuple) else (found[0],)) != due:
            wrong.append(f"{page}: '{sentence}': {due} is due, it says {found[0]}")
    expect(not wrong, "\n".join(wrong))


@test("figures-pictures", check=False)
def pictures():
    """What the pictures say of places: the gap, MPX's half of the hole, the tile configuration."""
    from host.book import OUT, site     # pylint: disable=import-outside-toplevel
    site()
    boot, xsave, demand = (read(f"{OUT}/{name}.html") for name in (
        "01-boot", "04-xsave", "10-on-demand"))
    gap = re.search(r"no canonical addresses</text><text[^>]*>(\w+)<", boot)
    expect(gap and int(gap[1], 16) == 1 << 47, f"the gap begins at {gap and gap[1]}")
    expect(">MPX<" in xsave and ">hole<" in xsave, "Intel's hole is not named")
    size, place, _ = known("XTILE_CFG")
    due = 20 + place * 720 / due_size("ALL")
    box = re.search(rf'<rect class="(\w+)" x="{due:g}" y="108"', demand)
    expect(box and box[1] not in ("empty", "plain") and
           f"tile configuration, {size} bytes" in demand, "the tile configuration is not drawn")


@test("figures-three-locks", check=False)
def three_locks():
    """
    Chapter 7: at most three raw locks in a walk along a chain. Seen in one: preempt_count where the
    next owner changes its place in a run queue.
    """
    expect("At most three\nraw locks are held" in page_text("07-priority-inheritance"),
           "chapter 7 says something else")
    said = gdb("three-locks", [
        "tbreak ktest_fn_mutex_donate_chain", "continue", "tbreak chain_step", "continue",
        "tbreak rq_enqueue", "continue", ("count", "p cpus[0].preempt_count & 0xff"), "bt 8"],
        "init=/tests/testrun -- k/rtmutex_donation")
    says(said["bt 8"], r"\bset_prio \(", r"\brt_mutex_setprio \(", r"\bchain_step \(")
    expect(number(said["count"]) == 3, f"{said['count']} raw locks are held")


# --- Tables ---

@test("figures-options")
def options():
    """Each boot option is in the README's table, with the code's values, in their order."""
    text = between("README.md", "| option | values", "\n\n")
    rows = dict(re.findall(r"^\| `(\w+)=?[^`]*`(?: `[^`]+`)? \| (.*?) \|", text, re.M))
    rows |= dict.fromkeys(re.findall(r"`(\w+)=\d`", text), "")
    code = source_text()
    names = set(re.findall(r"^BOOT_(?:CHOICE|OPTION)\((\w+),", code, re.M)) - \
        {"fatal", "slow"}     # for the grader, and for tests of the tests' own
    expect(names == set(rows), f"not in both: {names ^ set(rows)}")
    for name, values in re.findall(r"^BOOT_CHOICE\((\w+), \w+, \w+,([^;]*)\);", code, re.M):
        if name not in rows or '""' in values:          # one that takes no value
            continue
        values = re.findall(r'"([\w-]+)"', values)
        shown = re.findall(r"`([\w-]+)`", rows[name])
        if " to " not in rows[name] and rows[name]:
            expect(shown == values, f"{name}=: {values} are due, the README has {shown}")
        elif rows[name]:
            expect({shown[0], shown[-1]} == {values[0], values[-1]}, f"{name}=: {shown}")


def rows_of(path, columns):
    """The cells of each row with so many columns."""
    for line in read(path).split("\n"):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns and not set(line) <= set("|- "):
            yield cells


@test("figures-reading-order")
def reading_order():
    """Each step's files are there, and have what is to be looked for; the steps are counted up."""
    rows = [row for row in rows_of("docs/reading-order.md", 4) if row[0].isdigit()]
    expect([int(row[0]) for row in rows] == list(range(1, len(rows) + 1)), "steps are missing")
    wrong, folder = [], ""
    for step, files, wanted, _ in rows:
        texts = ""
        for path in re.findall(r"`([^`]+)`", files):
            path = path if "/" in path else f"{folder}/{path}"
            folder = path.rpartition("/")[0]
            found = glob.glob(path)
            texts += read(path) if found else ""
            wrong += [] if found else [f"step {step}: no {path}"]
        wrong += [f"step {step}: {name} is not in {files}"
                  for name in re.findall(r"`([\w-]+)(?:\(\))?`", wanted)
                  if not re.search(rf"\b{name}\b|CALL\(\d+, {name[4:]},", texts)]
    expect(not wrong and len(rows) > 30, "\n".join(wrong))


@test("figures-side-by-side")
def side_by_side():
    """Splat's column of the comparison with Linux: the files and the names in it are there."""
    sources, wrong = source_text(), []
    tracked = set(lab.tracked())
    for cells in rows_of("docs/linux-side-by-side.md", 6):
        for name in re.findall(r"`([^`]+)`", cells[1]):
            base = name.removesuffix("()").removeprefix("struct ")
            if "/" in name:
                there = any(path.endswith("/" + name) or path == name for path in tracked)
            elif name.endswith("="):
                there = f"BOOT_CHOICE({name[:-1]}," in sources
            else:
                there = re.search(rf"\b{re.escape(base.split('=')[0])}\b", sources)
            wrong += [] if there else [f"{cells[0]}: {name}"]
    expect(not wrong, "not there: " + "; ".join(wrong))


@test("figures-same-until-fpu-clone", check=False)
def same_until_fpu_clone():
    """Chapter 9: up to fpu_clone both orders agree to the instruction."""
    expect("agree to the instruction" in page_text("09-the-bug"), "chapter 9 says something else")
    times = []
    for order in "buggy", "fixed":
        from host.timeline import demo  # pylint: disable=import-outside-toplevel
        run = demo(f"figures-{order}", "rt=on", order)
        enter = run.forks[0]["at"]
        times.append([(run.time(event.tsc) - enter, run.trace.name(event))
                      for event in run.trace.events
                      if enter <= run.time(event.tsc) <= run.forks[0]["clone"]])
    expect(times[0] == times[1] and len(times[0]) > 20, f"they differ: {machine.LOGS}")
