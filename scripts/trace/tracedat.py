#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
tracedat.py ELF RAM OUT: the trace that a guest has left in its memory, as a file for Linux's tools,
`trace-cmd report OUT` and KernelShark.

The file is of the version that all of them read, 6: man trace-cmd.dat.v6. It says what each kind of
event is made of, has the kernel's symbols and the tasks' names, and for each CPU pages as Linux's
ring buffer has them. An event that Linux has, too, gets Linux's name, and those of Linux's fields
that Splat records: what it does not is left out, not made up. The others are in the system "splat".
Time is the guest's, in nanoseconds.
"""
import re
import struct
import sys

import trace                            # scripts/trace/trace.py, not Python's own
import tracemodel

# How an event is printed: {field:conversion}, which says what the field is, too.
LINUX = {
    "task_rename": ("task", "pid={pid:%d} newcomm={newcomm:%s}"),
    "sched_switch": ("sched", "{prev_comm:%s}:{prev_pid:%d} [{prev_prio:%d}] {prev_state:%ld} ==> "
                              "{next_comm:%s}:{next_pid:%d} [{next_prio:%d}]"),
    # "success" is always 1. Linux has it no more, but trace-cmd looks for it.
    "sched_wakeup": ("sched", "{comm:%s}:{pid:%d} [{prio:%d}] success={success:%d} "
                              "CPU:{target_cpu:%d}"),
    "sched_migrate_task": ("sched", "comm={comm:%s} pid={pid:%d} prio={prio:%d} "
                                    "dest_cpu={dest_cpu:%d}"),
    "sched_pi_setprio": ("sched", "comm={comm:%s} pid={pid:%d} oldprio={oldprio:%d} "
                                  "newprio={newprio:%d}"),
    "preempt_disable": ("preemptirq", "caller={caller:%pS} count={count:%#lx}"),
    "preempt_enable": ("preemptirq", "caller={caller:%pS} count={count:%#lx}"),
    "irq_disable": ("preemptirq", "caller={caller:%pS} count={count:%#lx}"),
    "irq_enable": ("preemptirq", "caller={caller:%pS} count={count:%#lx}"),
    "irq_handler_entry": ("irq", "irq={irq:%d} name={irq:VECTOR} ip={ip:%pS}"),
    "irq_handler_exit": ("irq", "irq={irq:%d} name={irq:VECTOR} ip={ip:%pS}"),
    "page_fault_user": ("exceptions", "address={address:%pS} error_code={error_code:%#lx}"),
    "page_fault_kernel": ("exceptions", "address={address:%pS} error_code={error_code:%#lx}"),
    "sys_enter": ("raw_syscalls", "NR {id:%ld} ({arg0:%lx}, ...): {id:CALL}"),
    "sys_exit": ("raw_syscalls", "NR {id:%ld} = {ret:%ld}: {id:CALL}"),
    "x86_fpu_before_save": ("x86_fpu", "x86/fpu: {fpu:%pS} xfeatures: {xfeatures:%lx}"),
    "x86_fpu_before_restore": ("x86_fpu", "x86/fpu: {fpu:%pS} xfeatures: {xfeatures:%lx}"),
    "x86_fpu_regs_activated": ("x86_fpu", "x86/fpu: pid: {pid:%d} last_cpu: {last_cpu:%d}"),
    "x86_fpu_regs_deactivated": ("x86_fpu", "x86/fpu: pid: {pid:%d} by: {by:%pS}"),
    "contention_begin": ("lock", "{lock_addr:%pS} owner={owner:%d}"),
    "lock_acquired": ("lock", "{lock_addr:%pS} caller={caller:%pS}"),
    "lock_release": ("lock", "{lock_addr:%pS} caller={caller:%pS}"),
}
# How Splat's own fields are printed, by their names in kernel/report/trace.h; the others in hex.
SPLAT_FIELDS = {**dict.fromkeys(("caller", "ip", "where", "lock", "fpstate",
                               "set_by", "by"), "%pS"),
                **dict.fromkeys(("pid", "child_pid", "owner_pid"), "%ld"),
                "kind": "KIND", "vector": "VECTOR"}
# A field's declaration in C, and how it is packed. Signs are the reader's affair.
C_TYPES = {"%s": ("char {}[16]", "16s"), "%d": ("int {}", "I"), "%ld": ("long {}", "Q")}
OTHER_TYPE = ("unsigned long {}", "Q")
FIELD = re.compile(r"{(\w+):([^}]+)}")

# What each event begins with: type, flags, preempt_count, pid.
COMMON = struct.Struct("<HBBi")
COMMON_TEXT = """\
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

"""
IRQS_OFF, IN_HARDIRQ, IN_SOFTIRQ, IN_NMI = 1, 8, 16, 64

# A page: time, length, events. An event: its length in words, time since the last one; itself.
PAGE, PAGE_HEAD = 4096, struct.Struct("<QQ")
PAGE_TEXT = b"""\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;
"""
FILE_HEAD = b"\x17\x08\x44tracing6\0" + bytes([0, 8]) + struct.pack("<I", PAGE)
LOST, LOST_COUNT_BEHIND = 1 << 31, 1 << 30      # in a page's length: events are missing before it
DELTA_BITS, TIME_EXTEND = 27, 30
FIRST_NUMBER = 1                        # of the kinds of events

# A task's state as Linux shows it, R, D and X; and the priority of whom we know nothing.
RUNNING, UNINTERRUPTIBLE, DEAD, DEFAULT_PRIO = 0, 2, 16, 120
# TASK_DEAD, TASK_KILLABLE, TASK_RTLOCK_WAIT
STATES = {0x80: DEAD, 0x102: UNINTERRUPTIBLE, 0x1000: UNINTERRUPTIBLE}


def symbolic(names):
    """number -> name, as a format has it."""
    return ", ".join(f'{{ {number}, "{name}" }}' for number, name in names.items())


class Format:
    """A kind of event: its description for the file, and its bytes."""

    symbols = {"VECTOR": symbolic(tracemodel.vector_names()),
               "KIND": symbolic(dict(enumerate(tracemodel.splat_kinds()))),
               "CALL": symbolic(tracemodel.syscall_names())}

    def __init__(self, number, name, system, template):
        self.number, self.system = number, system
        found = FIELD.findall(template)
        self.codes, lines, layout = {}, "", "<"
        for field, conversion in found:
            if field in self.codes:
                continue
            declaration, code = C_TYPES.get(conversion, OTHER_TYPE)
            size = struct.calcsize("<" + code)
            layout += f"{-struct.calcsize(layout) % min(size, 8)}x{code}"
            self.codes[field] = code
            lines += (f"\tfield:{declaration.format(field)};"
                      f"\toffset:{COMMON.size + struct.calcsize(layout) - size};"
                      f"\tsize:{size};\tsigned:{int(declaration[0] in 'il')};\n")
        self.layout = struct.Struct(layout)
        shown = FIELD.sub(lambda match: match[2] if match[2][0] == "%" else "%s", template)
        arguments = ", ".join(self.argument(*pair) for pair in found)
        self.text = (f"name: {name}\nID: {number}\nformat:\n{COMMON_TEXT}{lines}\n"
                     f'print fmt: "{shown}", {arguments}\n').encode()

    def argument(self, field, conversion):
        if conversion in self.symbols:
            return f"__print_symbolic(REC->{field}, {self.symbols[conversion]})"
        return f"(void *)REC->{field}" if conversion == "%pS" else f"REC->{field}"

    def pack(self, event, values):
        """The bytes of @event, without its length and time."""
        count = event.preempt_count
        flags = (IRQS_OFF * event.irqs_off | IN_HARDIRQ * bool(count & 0xf0000) |
                 IN_SOFTIRQ * bool(count & 0x100) | IN_NMI * bool(count & 0xf00000))
        fields = [value if code == "16s" else value & (1 << 8 * struct.calcsize(code)) - 1
                  for value, code in zip(values, self.codes.values())]
        return (COMMON.pack(self.number, flags, min(count & 0xff, 15), event.pid) +
                self.layout.pack(*fields))


# Splat's events as Linux's: the name, then the fields' values; from the event and a Converter.
CONVERT = {
    "task_comm": lambda e, c: ("task_rename", e.pid, trace.comm(e).encode()),
    "sched_switch": lambda e, c: ("sched_switch", c.comm(e.a), e.a, e.prio, c.state(e),
                                  c.comm(e.b), e.b, c.prio(e.b)),
    "sched_wakeup": lambda e, c: ("sched_wakeup", c.comm(e.a), e.a, c.prio(e.a), 1, e.b),
    "sched_migrate": lambda e, c: ("sched_migrate_task", c.comm(e.a), e.a, c.prio(e.a), e.b),
    "sched_pi_setprio": lambda e, c: ("sched_pi_setprio", c.comm(e.a), e.a, c.prio(e.a), e.b),
    "sched_pi_boost": lambda e, c: ("sched_pi_setprio", c.comm(e.a), e.a, c.prio(e.a), e.b),
    "preempt_disable": lambda e, c: ("preempt_disable", e.b, e.a),
    "preempt_enable": lambda e, c: ("preempt_enable", e.b, e.a),
    "irq_disable": lambda e, c: ("irq_disable", e.b, e.a),
    "irq_enable": lambda e, c: ("irq_enable", e.b, e.a),
    "irq_entry": lambda e, c: ("irq_handler_entry", e.a, e.b),
    "irq_exit": lambda e, c: ("irq_handler_exit", e.a, e.b),
    "page_fault": lambda e, c: ("page_fault_user" if e.b & 4 else "page_fault_kernel", e.a, e.b),
    "sys_enter": lambda e, c: ("sys_enter", e.a, e.b),
    "sys_exit": lambda e, c: ("sys_exit", e.a, e.b),
    "fpu_save": lambda e, c: ("x86_fpu_before_save", e.a, e.b),
    "fpu_restore": lambda e, c: ("x86_fpu_before_restore", e.a, e.b),
    "fpu_owner": lambda e, c: (("x86_fpu_regs_activated", e.a, e.cpu) if e.a else
                               ("x86_fpu_regs_deactivated", e.pid, e.b)),
    "lock_contended": lambda e, c: ("contention_begin", e.a, e.b),
    "lock_acquired": lambda e, c: ("lock_acquired", e.a, e.b),
    "lock_released": lambda e, c: ("lock_release", e.a, e.b),
}


class Converter:
    """Goes through the events, oldest first, and gives each its format and values."""

    def __init__(self, found):
        self.found, self.cpu = found, 0
        self.formats = {name: Format(number, name, *LINUX[name])
                        for number, name in enumerate(LINUX, FIRST_NUMBER)}
        for name, *fields in found.types:
            if name not in CONVERT:
                template = " ".join(f"{field}={{{field}:{SPLAT_FIELDS.get(field, '%#lx')}}}"
                                    for field in fields)
                number = FIRST_NUMBER + len(self.formats)
                self.formats[name] = Format(number, name, "splat", template)
        self.names, self.prios, self.sleeps = {}, {}, []
        self.look_ahead()

    def look_ahead(self):
        """
        A task's priority before the first event that says so; its name, always the last, as
        trace-cmd knows one only; and for each switch, the last first: does the task sleep? Who was
        preempted runs again without being woken, whatever its state says.
        """
        woken = {}
        for event in reversed(self.found.events):
            self.prios[event.pid] = event.prio
            name = self.found.name(event)
            if name == "task_comm":
                self.names.setdefault(event.pid, trace.comm(event))
            elif name == "sched_wakeup":
                woken[event.a] = True
            elif name == "sched_switch":
                self.sleeps.append(woken.get(event.a, True))
                woken[event.b] = False

    def comm(self, pid):
        name = self.names.get(pid, "<...>") if pid else f"swapper/{self.cpu}"
        return name.encode()

    def prio(self, pid):
        return self.prios.get(pid, DEFAULT_PRIO)

    def state(self, event):
        return STATES.get(event.state, event.state) if self.sleeps.pop() else RUNNING

    def convert(self, event):
        """@event's bytes."""
        self.cpu, self.prios[event.pid] = event.cpu, event.prio
        name, values = self.found.name(event), (event.a, event.b)
        if name in CONVERT:
            linux, *values = CONVERT[name](event, self)
        if name in ("sched_pi_setprio", "sched_pi_boost"):
            self.prios[event.a] = event.b
        return self.formats[linux if name in CONVERT else name].pack(event, values)


# --- The file ---

def pages(records, lost):
    """A CPU's ring buffer: pages of (ns, bytes)."""
    done, page, start, last = b"", b"", 0, 0

    def close(flags=0):
        behind = struct.pack("<Q", lost) if flags else b""
        return (PAGE_HEAD.pack(start, len(page) | flags) + page + behind).ljust(PAGE, b"\0")

    flags = LOST | LOST_COUNT_BEHIND if lost else 0
    for ns, data in records:
        data += bytes(-len(data) % 4)
        room = PAGE - PAGE_HEAD.size - 8 - len(page)
        if page and room < len(data) + 12:
            done, page, flags = done + close(flags), b"", 0
        if not page:
            start = last = ns
        delta = ns - last
        if delta >> DELTA_BITS:
            page += struct.pack("<II", (delta & (1 << DELTA_BITS) - 1) << 5 | TIME_EXTEND,
                                delta >> DELTA_BITS)
            delta = 0
        page += struct.pack("<I", delta << 5 | len(data) // 4) + data
        last = ns
    return done + close(flags) if page else b""


def sized(data, code="<Q"):
    return struct.pack(code, len(data)) + data


def systems(formats):
    """The descriptions of the events, by system."""
    names = sorted({form.system for form in formats})
    text = struct.pack("<I", len(names))
    for name in names:
        files = [sized(form.text) for form in formats if form.system == name]
        text += name.encode() + b"\0" + struct.pack("<I", len(files)) + b"".join(files)
    return text


def kallsyms(symbols):
    """The kernel's symbols, variables as well: locks have names."""
    table = {(address, name) for name, address in symbols.by_name.items()} | set(symbols.text)
    return "".join(f"{address:016x} T {name}\n" for address, name in sorted(table)
                   if address >= trace.KERNEL_OFFSET).encode()


def trace_dat(found):
    """The whole file."""
    converter, rings = Converter(found), {}
    for event in found.events:
        rings.setdefault(event.cpu, []).append((event.tsc, converter.convert(event)))
    data = [pages(rings.get(cpu, ()), found.lost_on.get(cpu, 0)) for cpu in range(max(rings) + 1)]
    names = "".join(f"{pid} {name}\n" for pid, name in sorted(converter.names.items()))
    head = FILE_HEAD + b"header_page\0" + sized(PAGE_TEXT) + b"header_event\0" + sized(b"")
    head += struct.pack("<I", 0)        # events of ftrace itself
    head += systems(converter.formats.values()) + sized(kallsyms(found.symbols), "<I")
    head += sized(b"", "<I") + sized(names.encode())        # printk formats; names
    head += struct.pack("<I", len(data)) + b"options  \0" + bytes(2) + b"flyrecord\0"
    at = -(-(len(head) + 16 * len(data)) // PAGE) * PAGE
    body = b""
    for ring in data:
        head += struct.pack("<QQ", at + len(body), len(ring))
        body += ring
    return head.ljust(at, b"\0") + body


def main():
    elf, ram, out = sys.argv[1:]
    data = trace_dat(trace.load(elf, ram))
    with open(out, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
