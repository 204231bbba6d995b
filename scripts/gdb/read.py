# SPDX-License-Identifier: MIT
"""
Reading the kernel's data: what all commands share.

The data may be damaged. So every walk has a bound, every pointer is looked at before it is
followed, and what cannot be right is a Bad, with its reason in one line: a command prints it and
goes on with the rest.
"""
import os
import re

import gdb

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFINE = re.compile(r"^#define\s+(\w+)\s+"
                    r"(?:BIT\((\d+)\)|UL\((0x\w+)\)|(0x[0-9a-f]+|\d+)U?L*)\s*(?:/\*.*)?$", re.M)
WALK_MAX = 1000                         # steps in a tree
BAD_MAX = 20                            # errors of one kind, before the rest is only counted


class Bad(Exception):
    """What is read cannot be right, or is not there."""


class Command(gdb.Command):
    """A command "splat NAME"; run() does it and may raise. Its error is one line."""

    def __init__(self, name, kind=gdb.COMMAND_DATA):
        self.name = "splat " + name
        super().__init__(self.name, kind)

    def invoke(self, text, from_tty):
        try:
            self.run(text.strip())
        except KeyboardInterrupt:
            raise
        except Exception as error:      # pylint: disable=broad-except
            raise gdb.GdbError(f"{self.name}: {reason(error)}") from None


class Function(gdb.Function):
    """A function $NAME(); value() gives the value and may raise."""

    def invoke(self, *args):
        try:
            return self.value(*args)
        except Exception as error:      # pylint: disable=broad-except
            raise gdb.GdbError(reason(error)) from None


def reason(error):
    """An exception in one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, (Bad, gdb.error, gdb.GdbError))
    return text if known and text else f"{type(error).__name__}: {text}"


def complain(error):
    print(f"splat: {reason(error)}")


def each(things, show):
    """show() each of @things; what is wrong with one is a line, and the others follow."""
    for thing in things:
        try:
            show(thing)
        except (Bad, gdb.error, ValueError, OverflowError, LookupError) as error:
            complain(error)


# --- Constants: from the headers, as macros are not in the debug information ---

def constants():
    found = {}
    for path in ("arch/x86/mm/address_space.h", "arch/x86/mm/pgtable.h", "kernel/preempt/preempt.h",
                 "kernel/preempt/thread_flags.h", "kernel/sched/task.h", "kernel/sched/sched.h",
                 "kernel/pid.h"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            for name, bit, ul, number in DEFINE.findall(file.read()):
                found[name] = 1 << int(bit) if bit else int(ul or number, 0)
    return found


C = constants()


def flag_names(value, prefix, bits=False):
    """The names of the flags in @value: constants that begin with @prefix (@bits: bit numbers)."""
    names = []
    for name, flag in sorted(C.items(), key=lambda item: item[1]):
        if not name.startswith(prefix):
            continue
        mask = 1 << flag if bits else flag
        if mask and value & mask == mask:
            names.append(name[len(prefix):])
            value &= ~mask
    return names + ([f"{value:#x}"] if value else [])


# --- Memory ---

def read(address, size):
    return gdb.selected_inferior().read_memory(address & (1 << 64) - 1, size).tobytes()


def pointer(address, type_name):
    """@address as a pointer to @type_name."""
    return gdb.Value(address & (1 << 64) - 1).cast(gdb.lookup_type(type_name).pointer())


def address_of(name):
    return int(gdb.parse_and_eval(f"(unsigned long)&{name}"))


def global_of(path, name):
    """A variable of the file @path."""
    return gdb.parse_and_eval(f"'{path}'::{name}")


def in_image(address):
    return address_of("_kernel_start") <= address < address_of("_kernel_end")


def in_direct_map(address):
    return 0 <= address - C["DIRECT_MAP"] < C["DIRECT_MAP_MAX"]


def check(address, what, stack=False):
    """An address at which the kernel may have an object, or Bad."""
    address = int(address) & (1 << 64) - 1
    on_stack = stack and C["STACK_AREA"] <= address < C["STACK_AREA_END"]
    if address % 4 or not (in_direct_map(address) or in_image(address) or on_stack):
        raise Bad(f"{address:#x} is no address of {what}")
    return address


def offset_of(type_name, path):
    """Byte offset of a field: "thread.fpu"."""
    bits, kind = 0, gdb.lookup_type(type_name)
    for name in path.split("."):
        bits += kind[name].bitpos
        kind = kind[name].type.strip_typedefs()
    return bits // 8


def symbol(address):
    """An address of the kernel as "symbol+0xoffset", or as a number."""
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", gdb.execute(
        f"info symbol {address:#x}", to_string=True))
    return f"{found[1]}+{int(found[2] or 0):#x}" if found else f"{address:#x}"


# --- The machine ---

def target():
    """"remote": a running machine; "core": a dump; "": neither."""
    connection = gdb.selected_inferior().connection
    kind = connection.type if connection else ""
    return "remote" if "remote" in kind else kind


def cpus():
    """The CPUs that have set up what is theirs, or Bad if there is none yet."""
    if not target():
        raise Bad("there is no machine: attach to one, or open a dump")
    array = gdb.parse_and_eval("cpus")
    try:
        found = [array[i] for i in range(C["NR_CPUS"]) if int(array[i]["self"]) == array[i].address]
    except gdb.MemoryError:             # before the kernel is mapped
        found = []
    if not found:
        raise Bad("no CPU is set up yet, or their data are damaged: none points at itself")
    return found


def selected_cpu():
    """
    The struct cpu of the selected thread. In one of two registers stands its address, ring 3 or
    not; a dump has neither, but its threads are the CPUs in their order.
    """
    known = {int(cpu.address): cpu for cpu in cpus()}
    thread = gdb.selected_thread()
    for register in ("$gs_base", "$k_gs_base") if target() == "remote" else ():
        value = int(gdb.parse_and_eval(register)) & (1 << 64) - 1
        if value in known:
            return known[value]
    for cpu in known.values():
        if int(cpu["id"]) == thread.num - 1:
            return cpu
    raise Bad(f"CPU {thread.num - 1} has not set up what is its own yet")


def task_at(address):
    """The task at @address, which must look like one."""
    task = pointer(check(address, "a task"), "struct task_struct").dereference()
    if not -1 < int(task["pid"]) < C["PID_MAX"]:
        raise Bad(f"{int(address) & (1 << 64) - 1:#x} is no task: its pid is {int(task['pid'])}")
    return task


def all_tasks():
    """All tasks, idle ones first, and the reasons (Bad) why some could not be read."""
    found, bad, running = [], [], cpus()
    table = global_of("kernel/fork.c", "pid_table")
    size = C["PID_MAX"] * 8
    pids = memoryview(read(int(table.address), size)).cast("Q")
    queues = gdb.parse_and_eval("runqueues")
    wanted = [(0, int(queues[int(cpu["id"])]["idle"])) for cpu in running]
    wanted += [(pid, address) for pid, address in enumerate(pids) if address and pid]
    for pid, address in wanted:
        try:
            if not address:
                continue                # the CPU's scheduler is not set up
            task = task_at(address)
            if int(task["pid"]) != pid:
                raise Bad(f"the task at {address:#x} says that it is {int(task['pid'])}")
            found.append(task)
        except (Bad, gdb.error) as error:
            bad.append(Bad(f"pid {pid}: {reason(error)}"))
    if len(bad) > BAD_MAX:
        bad[BAD_MAX:] = [Bad(f"and {len(bad) - BAD_MAX} more")]
    return found, bad


def find_task(text):
    """A task by an expression, of its pid or a pointer to it; nothing: the running one."""
    if not text:
        return current()
    value = gdb.parse_and_eval(text)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        return task_at(value)
    pid = int(value)
    if not 0 <= pid < C["PID_MAX"]:
        raise Bad(f"{pid} is no pid")
    address = int(global_of("kernel/fork.c", "pid_table")[pid]) if pid else address_of("init_task")
    if not address:
        raise Bad(f"there is no task {pid}")
    return task_at(address)


def current():
    address = int(selected_cpu()["curr_task"])
    if not address:
        raise Bad("this CPU has no task yet")
    return task_at(address)


def comm(task):
    text = read(int(task["comm"].address), C["TASK_COMM_LEN"]).split(b"\0")[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in text) or "?"


def label(task):
    return f"{comm(task)}/{int(task['pid'])}"


def label_at(address):
    """The name of a task by its address, whatever is there."""
    try:
        return label(task_at(address))
    except (Bad, gdb.error) as error:
        return f"({reason(error)})"


class This(Function):
    """$this_cpu(): the struct cpu of the selected thread's CPU. As $current()."""

    def value(self):
        return selected_cpu().address


class Current(Function):
    """
$current(): the task that the selected thread's CPU runs.
Behind && in a condition GDB does not know its type: ((struct task_struct *)$current())->pid."""

    def value(self):
        return current().address


class TaskOf(Function):
    """$task(PID): the task with this pid; 0 is the first of all."""

    def value(self, pid):
        return find_task(str(int(pid))).address


This("this_cpu")
Current("current")
TaskOf("task")
