# SPDX-License-Identifier: MIT
"""Tasks, what each CPU's preempt_count says, and permission records."""
import gdb

import locks
from read import (C, Bad, Command, all_tasks, check, comm, complain, cpus, each, flag_names,
                  label_at, symbol)


def state_name(state):
    return "|".join(flag_names(state, "TASK_")) or "RUNNING"


def state_of(task):
    exit_state = int(task["exit_state"])
    if exit_state:
        return "|".join(flag_names(exit_state, "EXIT_"))
    text = state_name(int(task["__state"]))
    saved = int(task["saved_state"])
    return f"{text}({state_name(saved)})" if saved else text


def waits_for(task):
    """The lock that @task waits for, in words."""
    waiter = int(task["pi_blocked_on"])
    if not waiter:
        return ""
    waiter = check(waiter, "a waiter", stack=True)
    lock = gdb.parse_and_eval(f"((struct rt_mutex_waiter *){waiter:#x})->lock")
    return locks.name_of(int(lock))


class Tasks(Command):
    """
splat tasks: all tasks.
An asterisk: runs on its CPU. PRIO is what the scheduler goes by, OWN the task's own; while it is
boosted they differ, and a "!" stands there. A state in brackets is kept while the task waits for a
spinlock (saved_state). FLAGS are PF_ and TIF_. WAITS FOR: the lock in whose queue it stands."""

    def run(self, _):
        tasks, bad = all_tasks()
        print(f"  {'PID':>4} {'COMM':15} {'STATE':22} CPU PRIO  OWN  {'FLAGS':26} WAITS FOR")
        each(tasks, self.show)
        for error in bad:
            complain(error)

    @staticmethod
    def show(task):
        flags = flag_names(int(task["flags"]), "PF_") + flag_names(
            int(task["thread_flags"]), "TIF_", bits=True)
        try:
            waits = waits_for(task)
        except (Bad, gdb.error) as error:
            waits = f"({error})"
        prio, own = int(task["prio"]), int(task["normal_prio"])
        mark, boosted = "*" if task["on_cpu"] else " ", "!" if prio < own else " "
        print(f"{mark} {int(task['pid']):4} {comm(task):15} {state_of(task):22} "
              f"{int(task['cpu']):3} {prio:4} {own:4}{boosted} "
              f"{' '.join(flags):26} {waits}".rstrip())


# --- preempt_count ---

def preempt_fields(count):
    """The fields of a preempt_count, in words."""
    soft = (count & C["SOFTIRQ_MASK"]) // C["SOFTIRQ_OFFSET"]
    serving = ", serving" if soft & 1 else ""
    return (f"preempt {count & C['PREEMPT_MASK']}, softirq {soft >> 1} disabled{serving}, "
            f"hardirq {(count & C['HARDIRQ_MASK']) // C['HARDIRQ_OFFSET']}, "
            f"NMI {(count & C['NMI_MASK']) // C['NMI_OFFSET']}, "
            f"need-resched {'no' if count & C['PREEMPT_NEED_RESCHED'] else 'yes'}")


class Preempt(Command):
    """
splat preempt: the preempt_count of each CPU, field by field, and who raised it from 0.
need-resched is bit 31, inverted. At 0 the address is that of the last one."""

    def run(self, _):
        each(cpus(), self.show)

    @staticmethod
    def show(cpu):
        raw = int(cpu["preempt_count"]) & 0xffffffff
        count, ip = raw & ~C["PREEMPT_NEED_RESCHED"], int(cpu["preempt_disable_ip"])
        print(f"CPU {int(cpu['id'])}: preempt_count {count:#x}: {preempt_fields(raw)}; "
              f"{'raised' if count else 'last raised'} by {symbol(ip) if ip else 'nobody'}; "
              f"runs {label_at(cpu['curr_task'])}")


# --- Permission records ---

class Perms(Command):
    """
splat perms: which state components each process may use, and the sizes that go with them.
The record is the group leader's; guest_perm is shown where it differs."""

    def run(self, _):
        tasks, bad = all_tasks()
        print(f" {'PID':>4} {'COMM':15} {'SIZE':>6} {'USER':>6}  PERMITTED")
        leaders = {int(task.address) for task in tasks}
        each([task for task in tasks if not int(task["flags"]) & C["PF_KTHREAD"] and
              (int(task["group_leader"]) == int(task.address) or
               int(task["group_leader"]) not in leaders)], self.show)
        for error in bad:
            complain(error)

    @staticmethod
    def show(task):
        leader = int(task["group_leader"])
        if leader != int(task.address):
            raise Bad(f"pid {int(task['pid'])}: its group leader, {leader:#x}, is no task")
        fpu = task["thread"]["fpu"]
        fields = ("__state_perm", "__state_size", "__user_state_size")
        perm, guest = (tuple(int(fpu[which][name]) for name in fields)
                       for which in ("perm", "guest_perm"))
        note = "" if perm == guest else "; guest_perm {:#x}, {}, {}".format(*guest)
        print(f" {int(task['pid']):4} {comm(task):15} {perm[1]:6} {perm[2]:6}  "
              f"{component_names(perm[0])}{note}")


def component_names(mask):
    """State components in words: enum xfeature has the names."""
    names = {field.enumval: field.name[len("XFEATURE_"):]
             for field in gdb.lookup_type("enum xfeature").fields()}
    return f"{mask:#x}" + "".join(f" {names.get(bit, bit)}" for bit in range(64)
                                  if mask >> bit & 1)


Tasks("tasks")
Preempt("preempt")
Perms("perms")
