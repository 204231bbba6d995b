# SPDX-License-Identifier: MIT
"""
Locks: who holds them, and who waits.

Known are those that tasks wait for, the siglock and the mmap_lock of each process, the queues' and
the tasks' raw locks, and every lock that is a variable. Others show only while somebody waits.
"""
import re

import gdb

import tasks
from read import (C, WALK_MAX, Bad, Command, all_tasks, check, complain, cpus, each, label,
                  label_at, offset_of, pointer, symbol, task_at)

VARIABLE = re.compile(r"^(?:\d+:)?\s+(?:static )?\w+ (\w+)(?:\[(\d+)\])?;")


def variables(kind):
    """(expression, name) of each lock of type @kind that is a variable."""
    path = None
    for line in gdb.execute(f"info variables -q -t ^{kind}$", to_string=True).splitlines():
        if line.startswith("File "):
            path = line[5:].rstrip(":")
        elif match := VARIABLE.match(line):
            names = [f"{match[1]}[{i}]" for i in range(int(match[2]))] if match[2] else [match[1]]
            yield from ((f"'{path}'::{name}", name) for name in names)


def of_processes(found):
    """(name, kind, lock) of what each process has, once each."""
    seen = set()
    for task in found:
        try:
            for field, path, kind in (("sighand", ("siglock",), "spinlock_t"),
                                      ("mm", ("mmap_lock",), "mutex_t")):
                address = int(task[field])
                if not address or address in seen:
                    continue
                seen.add(address)
                check(address, f"a {field}")
                yield f"{path[0]} of {label(task)}", kind, task[field][path[0]]
        except (Bad, gdb.error) as error:
            complain(Bad(f"pid {int(task['pid'])}: {error}"))


def base_of(lock, kind):
    """The rt_mutex_base in a lock."""
    return lock["rtmutex"] if kind == "mutex_t" else lock["lock"]


def name_of(address):
    """What the rt_mutex at @address is called."""
    for name, kind, lock in of_processes(all_tasks()[0]):
        if int(base_of(lock, kind).address) == address:
            return name
    name = symbol(address)
    return name.removesuffix("+0x0") if "+" in name else f"lock {address:#x}"


def waiters(base):
    """The waiters of a lock in their order: a walk of the tree from its smallest node on."""
    offset = offset_of("struct rt_mutex_waiter", "tree_entry")
    stack, node, seen = [], int(base["waiters"]["root"]), set()
    while stack or node:
        while node:
            if node in seen or len(seen) == WALK_MAX:
                raise Bad(f"the tree of waiters at {int(base.address):#x} is a ring, or endless")
            seen.add(node)
            stack.append(pointer(check(node, "a waiter", stack=True), "struct rb_node"))
            node = int(stack[-1]["child"][0])
        top = stack.pop()
        yield pointer(int(top) - offset, "struct rt_mutex_waiter").dereference()
        node = int(top["child"][1])


def describe(task):
    own, prio = int(task["normal_prio"]), int(task["prio"])
    text = f"{label(task)} prio {prio}" + (f" (own {own})" if own != prio else "")
    text += f", {tasks.state_name(int(task['__state']))}"
    if int(task["pi_blocked_on"]):
        text += f", saved_state {tasks.state_name(int(task['saved_state']))}"
    return f"{text}, CPU {int(task['cpu'])}"


def show_sleeping(name, kind, base):
    owner = int(base["owner"])
    print(f"{name} ({kind}, {int(base.address):#x})")
    if owner & ~1:
        task = task_at(owner & ~1)
        print(f"  owner {describe(task)}")
        if int(task["pi_blocked_on"]):
            print(f"    which waits for {tasks.waits_for(task)}")
    else:
        print("  free; the first of the queue takes it")
    for number, waiter in enumerate(waiters(base), 1):
        task = task_at(waiter["task"])
        print(f"  {number}. prio {int(waiter['prio'])}: {describe(task)}")
        if int(waiter["lock"]) != int(base.address):
            raise Bad(f"{label(task)} stands in the queue of {name}, "
                      f"but waits for {int(waiter['lock']):#x}")


def show_spinning(name, kind, raw):
    serving, drawn, holder = (int(raw[field]) for field in ("serving", "next", "holder"))
    print(f"{name} ({kind}, spins, {int(raw.address):#x})")
    if 0 < holder <= C["NR_CPUS"]:
        runs = [label_at(cpu["curr_task"]) for cpu in cpus() if int(cpu["id"]) == holder - 1]
        print(f"  held by CPU {holder - 1}, which runs {runs[0] if runs else 'nothing'}")
    else:
        print(f"  holder {holder}: no CPU says that it has it")
    if (drawn - serving & 0xffff) > 1:
        print(f"  {(drawn - serving & 0xffff) - 1} waiting")


def spins(lock):
    return bool(gdb.parse_and_eval("rt_off")) or bool(lock["spins"])


class Locks(Command):
    """
splat locks: the locks that are held or waited for: owner, and waiters as they will get it.
With each task its priority (its own, where it is boosted), its state, and what state it keeps while
it waits (saved_state). Raw locks, and with rt=off all spinlocks, know only their CPU."""

    def run(self, _):
        self.shown = set()
        found, bad = all_tasks()
        known = list(of_processes(found))
        for kind in ("spinlock_t", "mutex_t"):
            known += [(name, kind, gdb.parse_and_eval(text)) for text, name in variables(kind)]
        each(known, self.show)
        each([task for task in found if int(task["pi_blocked_on"])], self.show_waited)
        each(self.raw_locks(found), self.show_raw)
        for error in bad:
            complain(error)
        if not self.shown:
            print("no lock is held")

    def show(self, lock):
        name, kind, value = lock
        if kind == "spinlock_t" and spins(value):
            self.show_raw((name, kind, value["rlock"]))
            return
        base = base_of(value, kind)
        if int(base["owner"]) or int(base["waiters"]["root"]):
            self.shown.add(int(base.address))
            show_sleeping(name, kind, base)

    def show_waited(self, task):
        """A lock that nobody knew."""
        waiter = pointer(check(task["pi_blocked_on"], "a waiter", stack=True),
                         "struct rt_mutex_waiter")
        address = check(waiter["lock"], "a lock", stack=True)
        if address not in self.shown:
            self.shown.add(address)
            show_sleeping(name_of(address), "rt_mutex",
                          pointer(address, "struct rt_mutex_base").dereference())

    @staticmethod
    def raw_locks(found):
        for text, name in variables("raw_spinlock_t"):
            yield name, "raw_spinlock_t", gdb.parse_and_eval(text)
        queues = gdb.parse_and_eval("runqueues")
        for cpu in cpus():
            number = int(cpu["id"])
            yield f"run queue of CPU {number}", "raw_spinlock_t", queues[number]["lock"]
        for task in found:
            yield f"pi_lock of {label(task)}", "raw_spinlock_t", task["pi_lock"]

    def show_raw(self, lock):
        name, kind, raw = lock
        if int(raw["serving"]) != int(raw["next"]):
            self.shown.add(int(raw.address))
            show_spinning(name, kind, raw)


Locks("locks")
