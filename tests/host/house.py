# SPDX-License-Identifier: MIT
"""
The house (scripts/stat/house.py): no call goes up, no files call each other in a circle, and only
the buggy order of fork leads from a section with preemption off to a sleep. And each of these,
broken, is seen: where an inline breaks it, and where a pointer does.
"""
import os
import re
import shutil
import sys

import faults
import machine
from host import Skip, expect, test

sys.path.insert(0, "scripts/stat")

import house                            # noqa: E402 (scripts/stat/house.py)


@test("house", check=False)
def house_stands():
    try:
        built = house.House()
    except house.NoClang as reason:
        raise Skip(str(reason)) from None
    rules = house.load_rules()
    for what, most, count, texts in house.rows(built, rules):
        expect(most is None or count <= most, f"{what}: {count}: {texts[:3]}")
    found, _ = house.sleeps(built, rules)
    expect(list(found) == ["fpu_clone_buggy"], f"leads to a sleep: {sorted(found)}")
    expect(len(built.functions) > 800 and len(rules["floors"]) <= 22, "it has become small, or big")


SLEEP = '{ void __might_sleep(const char *, int); __might_sleep("", 0); }'

# What is changed (file, text, instead), and what is then said.
BROKEN = {
    "a call up": (
        "lib/string.c", "size_t strlen(const char *s)\n{",
        "void dump_stack(void);\nsize_t strlen(const char *s)\n{\n\tdump_stack();",
        r"lib/string.c \(0\): strlen -> dump_stack, arch/x86/unwind.c \(1\)"),
    "a call up by an inline": (
        "kernel/preempt/thread_flags.h", "static inline bool need_resched(void)\n{",
        "void schedule(void);\nstatic inline bool need_resched(void)\n{\n\tschedule();",
        r"kernel/preempt/thread_flags.h \(1\): need_resched -> schedule, kernel/sched/core.c"),
    "a circle": (
        "kernel/vm/areas.c", "struct vm_area *mm_find_area(",
        "void back(struct mm_struct *mm) { mm_zap_range(mm, 0, 0); }\n"
        "struct vm_area *mm_find_area(",
        r"2 files: kernel/vm/areas, kernel/vm/mm$"),
    "the bug, in the other order": (
        "arch/x86/fpu/clone.c", "\tfpregs_unlock();\n\tif (!(clone_flags & CLONE_THREAD))\n"
        "\t\tfpu_inherit_perms(dst_fpu);\n",
        "\tif (!(clone_flags & CLONE_THREAD))\n\t\tfpu_inherit_perms(dst_fpu);\n"
        "\tfpregs_unlock();\n", r"fpu_clone_fixed -> fpu_inherit_perms -> spin_lock_irq"),
    "a sleep in a tick, by a pointer": (
        "kernel/debug/scrub.c", "ON_TICK(scrub_tick);",
        f"static void doze(struct pt_regs *regs) {SLEEP}\nON_TICK(doze);",
        r"do_irq -> tick -> doze -> __might_sleep"),
    "a sleep in a timer's function, set in another file": (
        "kernel/time/tick.c", "static void wake_sleeper(struct timer *timer)\n{",
        f"static void wake_sleeper(struct timer *timer)\n{{\n\t{SLEEP}",
        r"run_timers -> expire_slot -> call_timer_fn -> wake_sleeper -> __might_sleep"),
    "a pointer that leads nowhere": (
        "kernel/time/tick.c", "static void wake_sleeper(struct timer *timer)\n{",
        "void (*nowhere)(void);\nstatic void wake_sleeper(struct timer *timer)\n{\n\tnowhere();",
        r"tick.c: wake_sleeper: nowhere"),
    "a sleep under a raw lock, far below": (
        "kernel/sched/task.c", "void free_task(struct task_struct *task)\n{",
        f"static void put_files(void)\n{SLEEP}\nvoid free_task(struct task_struct *task)\n{{\n"
        "\tput_files();",
        r"hand_on -> put_task_struct -> free_task -> put_files -> __might_sleep"),
    "a sleep where a trylock succeeded": (
        "kernel/debug/scrub.c", "\tk = &known[next_page];",
        f"\t{SLEEP}\n\tk = &known[next_page];",
        r"scrub.c:\d+: scrub_softirq -> __might_sleep"),
    "a sleep with interrupts off": (
        "kernel/ksoftirqd.c", "\t\tlocal_irq_enable();", f"\t\t{SLEEP}\n\t\tlocal_irq_enable();",
        r"ksoftirqd -> __might_sleep"),
    "a sleep under a spinlock_t": (
        "kernel/fork.c", "\t\tchild->vfork_done = NULL;",
        f"\t\t{SLEEP}\n\t\tchild->vfork_done = NULL;",
        r"wait_for_vfork_done -> __might_sleep"),
    "a file without a floor": (
        "scripts/stat/floors.json", '["lib/*", 0]', '["lib/[!s]*", 0]', r"^    lib/string.c$"),
    "a reason for nothing": (
        "scripts/stat/floors.json", '"may_go_up": [',
        '"may_go_up": [{"from": "lib/*", "to": "schedule", "why": "no"},',
        r"^    lib/\* -> schedule$"),
}
# And what is right, and looks as if it were not.
RIGHT = {
    "an allocation that does not sleep": (
        "kernel/sched/task.c", "\tfree_kernel_stack(task->stack);",
        "\tkfree(kmalloc(8, GFP_ATOMIC));\n\tfree_kernel_stack(task->stack);"),
    "a sleep where a trylock failed": (
        "kernel/debug/scrub.c", "\tif (!raw_spin_trylock(&scrub_lock))\n\t\treturn;",
        f"\tif (!raw_spin_trylock(&scrub_lock)) {{\n\t\t{SLEEP}\n\t\treturn;\n\t}}"),
    "a sleep behind an early unlock": (
        "kernel/fork.c", "\t\tspin_unlock(&tasklist_lock);\n\t}\n\tput_task_struct(child);",
        f"\t\tspin_unlock(&tasklist_lock);\n\t\t{SLEEP}\n\t}}\n\tput_task_struct(child);"),
}


@test("house-sees", long=True)
def house_sees():
    try:
        house.House()
    except house.NoClang as reason:
        raise Skip(str(reason)) from None
    tree = os.path.abspath(f"{machine.LOGS}/house")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=faults.not_copied("build"), symlinks=True)
    _, before = machine.run([sys.executable, "scripts/stat/house.py"], f"{machine.LOGS}/house.log",
                            cwd=tree)
    for what, (path, old, new, *wanted) in {**BROKEN, **RIGHT}.items():
        with open(f"{tree}/{path}", encoding="utf-8") as file:
            text = file.read()
        expect(text.count(old) == 1, f"{what}: {path} has not once: {old}")
        with open(f"{tree}/{path}", "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        _, output = machine.run([sys.executable, "scripts/stat/house.py"],
                                f"{machine.LOGS}/house.log", cwd=tree)
        if wanted:
            expect(re.search(wanted[0], output, re.M) and not re.search(wanted[0], before, re.M),
                   f"{what}: not seen:\n{output}")
        else:
            said = [re.sub(r":\d+:", "", each) for each in (before, output)]
            expect(said[0] == said[1], f"{what}: taken for wrong:\n{output}")
        with open(f"{tree}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    shutil.rmtree(tree)
