# SPDX-License-Identifier: MIT
"""
Stopping where the kernel complains. Each kind of report is counted by splat_count() before any rate
limit, so a breakpoint there misses none; and one is at panic().
"""
import gdb

from read import Bad, Command, label, current, reason, selected_cpu, symbol, target
from tasks import preempt_fields

WORDS = {
    "SPLAT_MIGHT_SLEEP": "might_sleep: sleeping function called from invalid context",
    "SPLAT_ATOMIC_SCHED": "scheduling while atomic",
    "SPLAT_UNDERFLOW": "preempt_count would go below zero",
    "SPLAT_CORRUPTED": "a switch at the wrong preempt_count",
    "SPLAT_STATE": "a blocking call while the state is not RUNNING",
    "SPLAT_WARN": "WARN",
    "SPLAT_LOCKUP": "lockup: a CPU is stuck",
    "SPLAT_HUNG_TASK": "hung task",
    "SPLAT_UBSAN": "undefined behaviour",
}


def kind_of(value):
    """An enum splat_kind in words."""
    kind = gdb.lookup_type("enum splat_kind")
    names = {field.enumval: field.name for field in kind.fields()}
    name = names.get(int(value), f"report of unknown kind {int(value)}")
    return WORDS.get(name, name)


def say(what):
    """One line: what, where, who, and who turned preemption off."""
    text = f"splat: {what}"
    try:
        cpu = selected_cpu()
        count = int(cpu["preempt_count"]) & 0xffffffff
        text += f"; CPU {int(cpu['id'])}, {label(current())}; {preempt_fields(count)}"
        if count & 0x7fffffff:
            text += f"; raised by {symbol(int(cpu['preempt_disable_ip']))}"
    except (Bad, gdb.error) as error:
        text += f" ({reason(error)})"
    print(text)


class ReportStop(gdb.Breakpoint):
    def stop(self):
        try:
            what = kind_of(gdb.selected_frame().read_var("kind"))
        except (gdb.error, ValueError) as error:
            what = f"a report ({reason(error)})"
        say(what)
        return True


class PanicStop(gdb.Breakpoint):
    def stop(self):
        try:
            what = "panic: " + gdb.selected_frame().read_var("fmt").string(errors="replace")
        except (gdb.error, ValueError):
            what = "panic"
        say(what)
        return True


class Stops(Command):
    """
splat stops [off]: stop at every report of the kernel, and say which kind it is.
might_sleep, scheduling while atomic, WARN, underflow, lockups, hung tasks, undefined behaviour:
also those that the rate limit keeps from the console; and panic. "bt" then shows why."""

    def run(self, text):
        if text not in ("", "off"):
            raise Bad("splat stops [off]")
        if target() == "core":
            raise Bad("a dump does not run")
        for point in gdb.breakpoints():
            if type(point).__name__ in ("ReportStop", "PanicStop"):
                point.delete()
        if text != "off":
            ReportStop("splat_count")
            PanicStop("panic")


Stops("stops", gdb.COMMAND_BREAKPOINTS)
