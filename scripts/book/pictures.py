# SPDX-License-Identifier: MIT
"""
The book's pictures. Numbers and names in them are read from the sources, and end the build if they
are not there; only the drawing is typed. pictures2.py has those of single ideas.
"""
import json
import re

import pictures2
from excerpt import Drifted, find, read
from svg import Picture


def one(pattern, path):
    """The groups of @pattern, which must fit one place of the file."""
    found = re.findall(pattern, read(path), re.M)
    if len(found) != 1:
        raise Drifted(f"{path}: {len(found)} places fit /{pattern}/, not one")
    return found[0]


def number(name, path):
    return int(one(rf"#define {name}\s+(?:UL\()?(0x[0-9a-f]+)\)?(?:\s|$)", path), 16)


# --- Chapter 1: the address space ---

def memory_map(alt):
    path = "arch/x86/mm/address_space.h"
    image = int(one(r"^\t\. = (0xffffffff[0-9a-f]+);$", "linker.ld"), 16)
    gap = int(one(r"^ \* ([0-9a-f]{16})  not canonical", path), 16)
    if not number("TASK_SIZE_MAX", path) < gap == 1 << 47:
        raise Drifted(f"{path}: the gap begins at {gap:#x}")
    areas = [
        (image, "the kernel image: text, read-only data, data", "warm"),
        (number("STACK_AREA", path), "kernel stacks, an unmapped page below each", "plain"),
        (number("DIRECT_MAP", path), "all RAM, one to one: the direct map", "cool"),
        (gap, "no canonical addresses", "gap"),
        (0x400000, "ring 3: program, heap, mmap, stack", "good"),
    ]
    if [a for a, _, _ in areas] != sorted((a for a, _, _ in areas), reverse=True):
        raise Drifted(f"{path}: the areas have changed places")
    picture = Picture(alt, 40 + 46 * len(areas))
    for row, (start, what, kind) in enumerate(areas):
        y = 20 + 46 * row
        if kind == "gap":
            picture.line([(200, y + 36), (740, y + 36)], "stroke dashed")
            picture.text(470, y + 26, what, "muted", "middle")
        else:
            picture.labelled(200, y, 540, 40, what, kind)
        picture.text(190, y + (41 if kind == "gap" else 38), f"{start:016x}", "mono", "end")
    return picture


# --- Chapter 2: preempt_count ---

def preempt_count(alt):
    path = "kernel/preempt/preempt.h"
    fields = [(number(mask, path), number(step, path), what, kind) for mask, step, what, kind in (
        ("NMI_MASK", "NMI_OFFSET", "NMI", "bad"),
        ("HARDIRQ_MASK", "HARDIRQ_OFFSET", "hard interrupts", "warm"),
        ("SOFTIRQ_MASK", "SOFTIRQ_OFFSET", "softirqs", "cool"),
        ("PREEMPT_MASK", "PREEMPT_OFFSET", "preemption", "good"))]
    resched = number("PREEMPT_NEED_RESCHED", path)
    width, left = 22.5, 20
    picture = Picture(alt, 150)

    def span(mask):
        low, high = (mask & -mask).bit_length() - 1, mask.bit_length() - 1
        return left + (31 - high) * width, (high - low + 1) * width, low, high

    picture.box(left, 40, 32 * width, 44, "empty")
    for mask, step, what, kind in fields:
        x, wide, low, high = span(mask)
        picture.box(x, 40, wide, 44, kind)
        picture.text(x + 5, 32, high, "small")
        picture.text(x + wide - 5, 32, low, "small", "end")
        picture.text(x + wide / 2, 104, what, "", "middle")
        picture.text(x + wide / 2, 122, f"+ {step:#x}", "mono", "middle")
    x, wide, low, _ = span(resched)
    picture.box(x, 40, wide, 44, "plain")
    picture.text(x, 32, low, "small")
    picture.text(x, 104, "0: a reschedule", "small")
    picture.text(x, 120, "is wanted", "small")
    return picture


# --- Chapter 3: what a new task finds on its stack ---

def fields_of(path, name):
    body = " ".join(text for _, text in find(f"{path}: {name}")[0].lines[1:-1])
    return re.findall(r"\b(\w+)(?=[,;])", re.sub(r"/\*.*?\*/", "", body))


def new_stack(alt):
    frame = fields_of("arch/x86/process.c", "inactive_task_frame")
    regs = fields_of("arch/x86/thread.h", "pt_regs")
    picture = Picture(alt, 250)
    right = [("pt_regs", regs[::-1], "cool", 56), ("inactive_task_frame", frame[::-1], "warm", 134)]
    picture.text(60, 22, "the child's kernel stack", "strong")
    for name, fields, kind, y in right:
        picture.labelled(60, y, 240, 66, f"struct {name}", kind, "mono")
        half = (len(fields) + 1) // 2
        picture.lines(320, y + 26, [" ".join(fields[:half]), " ".join(fields[half:])], "mono small")
    picture.line([(60, 44), (300, 44)], "stroke dashed")
    picture.text(320, 48, "top: task_stack_top(child)", "small")
    picture.arrow([(30, 200), (56, 200)])
    picture.text(60, 226, "thread.sp points here: the switch pops these registers, and returns to "
                 "ret_addr,", "small")
    picture.text(60, 243, "which copy_thread() has set to ret_from_fork.", "small")
    return picture


# --- Chapter 4: two formats ---

SHORT = {"YMM": "YMM", "OPMASK": "", "ZMM_Hi256": "ZMM_Hi256", "Hi16_ZMM": "Hi16_ZMM", "PKRU": ""}
KINDS = {"YMM": "good", "OPMASK": "bad", "ZMM_Hi256": "warm", "Hi16_ZMM": "cool", "PKRU": "bad"}


def components():
    """Name -> (size, {vendor: place}), of the table that the tests know by heart."""
    rows = re.findall(r"\[XFEATURE_(\w+)\] = \{ (\d+), \w+, \{ (\d+), (\d+) \} \}",
                      read("tests/kernel/xstate_layout.c"))
    return {name: (int(size), {"intel": int(intel), "amd": int(amd)})
            for name, size, intel, amd in rows}


def compacted_places():
    found = re.findall(r"\{ (?:AVX512|AVX512 \| PKRU), (\d+), XFEATURE_(\w+), (\d+) \}",
                       read("tests/kernel/xstate_layout.c"))
    return {name: int(place) for _, name, place in found}


def xsave_formats(alt):
    known, compacted = components(), compacted_places()
    rows = [("standard, Intel", {n: known[n][1]["intel"] for n in SHORT}),
            ("standard, AMD", {n: known[n][1]["amd"] for n in SHORT}),
            ("compacted: YMM, AVX-512, PKRU", {"YMM": 576, **compacted})]
    if set(compacted) | {"YMM"} != set(SHORT):
        raise Drifted("tests/kernel/xstate_layout.c: not all of the components are known")
    scale, left = 720 / 2720, 20
    picture = Picture(alt, 10 + 96 * len(rows))
    for row, (title, places) in enumerate(rows):
        y = 20 + 96 * row
        end = max(places[n] + known[n][0] for n in places)
        picture.text(left, y, title, "strong")
        picture.text(left + end * scale, y, f"{end} bytes", "small", "end")
        picture.box(left, y + 10, end * scale, 34, "empty")
        picture.labelled(left, y + 10, 512 * scale, 34, "x87, SSE", "plain")
        picture.box(left + 512 * scale, y + 10, 64 * scale, 34, "dark")
        for name, place in sorted(places.items(), key=lambda item: item[1]):
            size = known[name][0]
            wide = max(size * scale, 4)
            x = left + place * scale
            picture.box(x, y + 10, wide, 34, KINDS[name], 2)
            if SHORT[name]:
                picture.text(x + wide / 2, y + 32, SHORT[name], "small", "middle")
            low = name in ("OPMASK", "PKRU")        # narrow: its text goes below the others'
            picture.text(x, y + (76 if low else 60), f"{name} {place}" if low else place, "tiny",
                         "end" if name == "PKRU" else "start")
        if title == "standard, Intel":
            picture.text(left + 512 * scale, y + 60, "header", "tiny", "middle")
            middle = left + known["BNDREGS"][1]["intel"] * scale
            picture.line([(middle, y + 11), (middle, y + 43)], "stroke dashed")
            picture.text(middle - 2, y + 32, "hole", "tiny muted", "end")
            picture.text(middle + 2, y + 32, "MPX", "tiny muted")
    return picture


# --- Chapter 5: the table of regs.h, and what leads from row to row ---

def ownership(alt):
    rows = dict(((flag, valid), where) for flag, valid, where in re.findall(
        r"^ \* +([01]) +(yes|no) +(.*)$", read("arch/x86/fpu/core/regs.h"), re.M))
    wanted = {("0", "yes"): "in the registers", ("1", "yes"): "in both",
              ("1", "no"): "in memory", ("0", "no"): "nowhere"}
    for key, begin in wanted.items():
        if not rows.get(key, "").startswith(begin):
            raise Drifted(f"arch/x86/fpu/core/regs.h: the table's row {key} says not '{begin}'")
    picture = Picture(alt, 372)
    for key, (x, y, wide, high), kind in (
            (("0", "yes"), (20, 20, 230, 250), "good"), (("1", "yes"), (490, 20, 250, 90), "cool"),
            (("1", "no"), (490, 180, 250, 90), "warm"), (("0", "no"), (20, 290, 230, 48), "bad")):
        flag, valid = key
        picture.labelled(x, y, wide, high, [
            f"flag {flag}, {'valid' if valid == 'yes' else 'not valid'}",
            wanted[key] + (": a bug" if wanted[key] == "nowhere" else "")], kind)
    for y, begin, end, text in ((46, 250, 490, "switched out: saved"),
                                (94, 490, 250, "on the way to ring 3: no load"),
                                (206, 250, 490, "kernel_fpu_begin(): saved, taken"),
                                (254, 490, 250, "on the way to ring 3: loaded")):
        picture.arrow([(begin, y), (end, y)])
        picture.text(370, y - 7, text, "small", "middle")
    picture.arrow([(615, 110), (615, 180)])
    picture.text(607, 142, "another task's are loaded,", "small", "end")
    picture.text(607, 158, "or the kernel computes", "small", "end")
    picture.text(20, 362, "flag: TIF_NEED_FPU_LOAD.  valid: the CPU's owner is this task, and "
                 "last_cpu is this CPU.", "small")
    return picture


# --- Chapter 9: two orders, as the code has them ---

def steps_of(function):
    """The statements of fpu_clone_buggy() or fpu_clone_fixed()."""
    found = find(f"arch/x86/fpu/clone.c: {function}")[0]
    return re.findall(r"\b(fpregs_lock|save_parent_regs|fpu_inherit_perms|fpregs_unlock)\(",
                      " ".join(text for _, text in found.lines))


def two_orders(alt):
    picture = Picture(alt, 290)
    for column, function in enumerate(("fpu_clone_buggy", "fpu_clone_fixed")):
        x, steps = 20 + 375 * column, steps_of(function)
        first, last = steps.index("fpregs_lock"), steps.index("fpregs_unlock")
        picture.text(x, 22, function + "()", "strong mono")
        picture.box(x, 38 + 52 * first, 345, 52 * (last - first) + 40, "held")
        for row, step in enumerate(steps):
            inside = first < row < last
            wrong = step == "fpu_inherit_perms" and inside
            kind = "bad" if wrong else "warm" if "fpregs" in step else "plain"
            picture.labelled(x + 12, 44 + 52 * row, 200, 28, step + "()", kind, "mono")
            count = 1 if inside or step == "fpregs_lock" else 0
            picture.text(x + 224, 63 + 52 * row, f"preempt_count {count}" if not wrong else
                         "may sleep at 1!", "small strong" if wrong else "small")
    picture.text(20, 275, "Shaded: between fpregs_lock() and fpregs_unlock(), preemption is off. "
                 "Inside, nothing may sleep.", "small")
    return picture


# --- Chapter 9: the floors ---

FLOORS = ["the library", "what never sleeps: fpu/core, raw locks, the switch",
          "the scheduler", "the locks that sleep", "what may sleep: fork, exec, fpu/clone",
          "entry, system calls"]


def floors(alt):
    table = json.loads(read("scripts/stat/floors.json"))["floors"]
    where = {pattern: floor for pattern, floor in table}
    if [where["arch/x86/fpu/core/*"], where["kernel/locking/*"], where["arch/x86/fpu/*"]] != \
            [1, 3, 4]:
        raise Drifted("scripts/stat/floors.json: the files of this picture have moved")
    picture = Picture(alt, 310)
    for floor, what in enumerate(FLOORS):
        y = 16 + 44 * (5 - floor)
        picture.labelled(60, y, 450, 38, what, "held" if floor < 3 else "plain")
        picture.text(40, y + 24, floor, "strong", "middle")
    picture.line([(540, 150), (540, 274)], "stroke")
    picture.lines(552, 200, ["may be called", "inside fpregs_lock()"], "small")
    picture.arrow([(440, 200), (530, 200), (530, 128), (512, 128)], "stroke hot")
    picture.lines(552, 118, ["the bug: from inside", "up to a lock that sleeps"], "small strong")
    picture.text(60, 298, "A call goes down or stays on its floor. make stat lists each that "
                 "goes up.", "small")
    return picture


# --- Chapter 10: sizes ---

def two_buffers(alt):
    known = components()
    tilecfg, tilecfg_size = known["XTILE_CFG"][1]["intel"], known["XTILE_CFG"][0]
    rows = re.findall(r"xstate_image_size\(&intel, (PKRU|ALL), false\), (\d+)\)",
                      read("tests/kernel/xstate_layout.c"))
    sizes = {name: int(size) for name, size in rows}
    tiles = int(re.search(r"\[XFEATURE_XTILE_DATA\] = \{ (\d+)",
                          read("tests/kernel/xstate_layout.c"))[1])
    if set(sizes) != {"PKRU", "ALL"} or tilecfg < sizes["PKRU"] or \
            tilecfg + tilecfg_size + tiles != sizes["ALL"]:
        raise Drifted("tests/kernel/xstate_layout.c: no sizes with and without tiles")
    scale, picture = 720 / sizes["ALL"], Picture(alt, 170)
    picture.text(20, 22, "in the task_struct, from fork on", "strong")
    picture.box(20, 32, sizes["PKRU"] * scale, 34, "good")
    picture.text(30 + sizes["PKRU"] * scale, 54, f"{sizes['PKRU']} bytes", "small")
    picture.text(20, 98, "kmalloc'ed at the first tile instruction", "strong")
    picture.box(20, 108, 720, 34, "empty")
    picture.box(20, 108, sizes["PKRU"] * scale, 34, "good")
    picture.labelled(740 - tiles * scale, 108, tiles * scale, 34, f"tile data, {tiles} bytes",
                     "warm")
    picture.box(20 + tilecfg * scale, 108, tilecfg_size * scale, 34, "cool", 1)
    picture.text(20 + tilecfg * scale, 160, f"tile configuration, {tilecfg_size} bytes", "small")
    picture.text(740, 160, f"{sizes['ALL']} bytes", "small", "end")
    return picture


DRAWN = {name.replace("_", "-"): function for name, function in (
    *vars(pictures2).items(), *globals().items())
    if callable(function) and getattr(function, "__code__", None)
    and function.__code__.co_varnames[:1] == ("alt",)}


def draw(name, alt):
    if name not in DRAWN:
        raise ValueError(f"nobody draws it; there are {', '.join(sorted(DRAWN))}")
    return DRAWN[name](alt).html()
