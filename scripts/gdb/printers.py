# SPDX-License-Identifier: MIT
"""How print shows pointers to tasks, a CPU's preempt_count, FPU buffers, page-table entries."""
import gdb

from fpu import Image, truth
from memory import words_of
from read import C, Bad, label, offset_of, reason, task_at
from tasks import component_names, preempt_fields


class TaskPointer:
    """A pointer to a task with its name."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        address = int(self.value)
        try:
            return f"{address:#x} {label(task_at(address))}" if address else "0x0"
        except (Bad, gdb.error) as error:
            return f"{address:#x} ({reason(error)})"


class Fields:
    """A struct's fields as they are, but for those that show() says otherwise of."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return None

    def show(self, name, value):
        return value

    def children(self):
        for field in self.value.type.fields():
            yield field.name, self.show(field.name, self.value[field.name])


class Cpu(Fields):
    def show(self, name, value):
        if name == "preempt_count":
            return f"{int(value) & 0xffffffff:#x}: {preempt_fields(int(value) & 0xffffffff)}"
        return component_names(int(value)) if name == "xfd_state" else value


class Fpstate(Fields):
    """The buffer: its features in words, its header instead of its bytes."""

    def show(self, name, value):
        if name in ("xfeatures", "user_xfeatures", "xfd"):
            return component_names(int(value))
        if name != "regs":
            return value
        try:
            image = Image(self.value)
            return (f"{image.format} format, XSTATE_BV {component_names(image.bv)}, "
                    f"XCOMP_BV {image.xcomp:#x}")
        except (Bad, gdb.error) as error:
            return f"({reason(error)})"


class Fpu(Fields):
    """Where the truth is, first."""

    def children(self):
        try:
            offset = offset_of("struct task_struct", "thread.fpu")
            text = truth(task_at(int(self.value.address) - offset))[0]
        except (Bad, gdb.error, TypeError) as error:
            text = f"({reason(error)})"
        yield "truth", text
        yield from super().children()


class Pte:
    """A page-table entry: the address in it, and its flags in words."""

    def __init__(self, value):
        self.value = int(value)

    def to_string(self):
        return (f"{self.value:#x} (physical {self.value & C['PTE_ADDR']:#x}: "
                f"{words_of(self.value, True)})")


STRUCTS = {"struct cpu": Cpu, "struct fpstate": Fpstate, "struct fpu": Fpu}


def printer_of(value):
    if value.type.name == "pte_t":
        return Pte(value)
    kind = value.type.strip_typedefs().unqualified()
    if kind.code == gdb.TYPE_CODE_PTR and str(kind.target().unqualified()) == "struct task_struct":
        return TaskPointer(value)
    return STRUCTS[str(kind)](value) if str(kind) in STRUCTS else None


printer_of.__name__ = "splat"
gdb.pretty_printers[:] = [printer_of] + [
    other for other in gdb.pretty_printers if getattr(other, "__name__", "") != "splat"]
