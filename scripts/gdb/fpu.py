# SPDX-License-Identifier: MIT
"""
FPU state: where the truth is, what is in the image, what is in the registers; and who owns them.

An image is decoded by the kernel's own xstate_layout, as XSAVE wrote it: a component whose bit in
XSTATE_BV is 0 is in its initial state, whatever lies in its place.
"""
import re
import struct

import gdb

from read import (C, Bad, Command, all_tasks, check, complain, cpus, each, find_task, label,
                  offset_of, read, target)
from tasks import component_names

XSAVE_HEADER, XSAVE_MIN, COMPACTED = 512, 576, 1 << 63
SIZE_MAX = 4 * 4096
# By number, as in enum xfeature.
FP, SSE, YMM, OPMASK, ZMM_HI256, HI16_ZMM, PKRU, PASID, CET_USER = 0, 1, 2, 5, 6, 7, 9, 10, 11
TILE_CFG, TILE_DATA = 17, 18


def bit(mask, number):
    return mask >> number & 1


def last_cpu(fpu):
    return int(fpu["last_cpu"].cast(gdb.lookup_type("int")))        # -1: none


# --- Where the truth is: the table in arch/x86/fpu/core/regs.h ---

def valid_on(fpu):
    """The CPU whose registers are a true copy of @fpu, or None."""
    for cpu in cpus():
        if int(cpu["fpu_fpregs_owner_ctx"]) == int(fpu.address) and last_cpu(fpu) == int(cpu["id"]):
            return int(cpu["id"])
    return None


def truth(task):
    """(in words, the CPU in whose registers it is and memory is not, or None)"""
    flag = bool(int(task["thread_flags"]) >> C["TIF_NEED_FPU_LOAD"] & 1)
    cpu = valid_on(task["thread"]["fpu"])
    if int(task["flags"]) & C["PF_KTHREAD"]:
        return "nowhere: a kernel thread has no registers of ring 3", None
    if flag and cpu is None:
        return "in memory", None
    if flag:
        return f"in memory and in the registers of CPU {cpu}", None
    # Switched out, it was saved; the flag will be set when it comes back. A new one never was in.
    saved = not task["on_cpu"] and int(task["__state"]) != C["TASK_NEW"]
    if cpu is not None:
        return (f"in memory and in the registers of CPU {cpu}", None) if saved else \
            (f"in the registers of CPU {cpu}; memory may be old", cpu)
    return "in memory" if saved else "nowhere: a bug (flag 0, not valid)", None


# --- An image ---

class Image:
    """The register area of a fpstate, checked."""

    def __init__(self, fpstate):
        self.layout = gdb.parse_and_eval("xstate_layout")
        self.fxsave = str(gdb.parse_and_eval("fpu_form")) == "FORM_FXSAVE"
        size = int(fpstate["size"])
        if not 512 <= size <= SIZE_MAX:
            raise Bad(f"the fpstate at {int(fpstate.address):#x} has a size of {size} bytes")
        self.bytes = read(int(fpstate["regs"].address), size)
        self.bv = self.xcomp = 0
        if self.fxsave:
            self.bv = 3
        elif size >= XSAVE_MIN:
            self.bv, self.xcomp = struct.unpack_from("<QQ", self.bytes, XSAVE_HEADER)
        self.strange = 0 if self.fxsave else \
            (self.bv | self.xcomp & ~COMPACTED) & ~int(self.layout["features"])

    @property
    def format(self):
        return "FXSAVE" if self.fxsave else "compacted" if self.xcomp & COMPACTED else "standard"

    def offset(self, number):
        """Where component @number stands; 0: it has no room."""
        layout = self.layout
        if not bit(int(layout["features"]), number) or number < 2 or self.fxsave:
            return 0
        if not self.xcomp & COMPACTED:
            return int(layout["offset"][number])
        if not bit(self.xcomp, number):
            return 0
        at = XSAVE_MIN
        for i in range(2, number + 1):
            if bit(self.xcomp & int(layout["features"]), i):
                at = at + 63 & ~63 if bit(int(layout["aligned"]), i) else at
                at += int(layout["size"][i]) if i < number else 0
        return at

    def component(self, number):
        """Its bytes; None: in its initial state, or no room."""
        if not bit(self.bv, number):
            return None
        if number < 2:
            return self.bytes[:XSAVE_HEADER]
        at, size = self.offset(number), int(self.layout["size"][number])
        if not at:
            return None
        if at + size > len(self.bytes):
            raise Bad(f"component {number}, at {at}, goes beyond the image's {len(self.bytes)}")
        return self.bytes[at:at + size]


def pieces(data, size, count):
    return [data[i * size:(i + 1) * size] for i in range(count)] if data else [bytes(size)] * count


def vectors(image):
    """(name, bytes) of the vector registers, as wide as the machine's features have them."""
    features = int(image.layout["features"])
    legacy = image.component(SSE)
    values = pieces(legacy[160:] if legacy else None, 16, 16)
    name = "xmm"
    if bit(features, YMM):
        name = "ymm"
        values = [low + high for low, high in zip(values, pieces(image.component(YMM), 16, 16))]
    if bit(features, ZMM_HI256):
        name = "zmm"
        values = [low + high
                  for low, high in zip(values, pieces(image.component(ZMM_HI256), 32, 16))]
        values += pieces(image.component(HI16_ZMM), 64, 16)
    return [(f"{name}{i}", value) for i, value in enumerate(values)]


def number_of(data):
    """Little-endian bytes as hexadecimal, all digits."""
    return data[::-1].hex()


def extended(raw):
    """An 80-bit register: digits, and the value where it has one."""
    mantissa, sign = struct.unpack("<QH", raw[:10])
    exponent = sign & 0x7fff
    text = number_of(raw[:10])
    if exponent == 0x7fff or abs(exponent - 16383) > 1000:
        return text
    value = mantissa * 2.0 ** (exponent - 16383 - 63) * (-1 if sign >> 15 else 1)
    return f"{text} = {value:g}"


def legacy_lines(image):
    x87 = image.component(FP)
    if x87:
        fcw, fsw, ftw, fop, rip, rdp = struct.unpack_from("<HHHHQQ", x87)
        yield (f"fcw {fcw:#06x} fsw {fsw:#06x} ftw {ftw:#04x} fop {fop:#x} rip {rip:#x} "
               f"rdp {rdp:#x}")
        yield from (f"st{i} {extended(raw)}" for i, raw in enumerate(pieces(x87[32:], 16, 8)))
    # The standard format's MXCSR belongs to no bit of XSTATE_BV (SDM vol. 1, 13.8.1).
    if bit(image.bv, SSE) or image.format == "standard":
        yield f"mxcsr {struct.unpack_from('<I', image.bytes, 24)[0]:#x}"


def tile_lines(image):
    config, data = image.component(TILE_CFG), image.component(TILE_DATA)
    if config:
        yield "tilecfg " + number_of(config)
    for i, tile in enumerate(pieces(data, 1024, len(data) // 1024) if data else ()):
        yield from (f"tmm{i}[{row}] {number_of(line)}"
                    for row, line in enumerate(pieces(tile, 64, 16)) if any(line))


def other_lines(image):
    if masks := image.component(OPMASK):
        yield from (f"k{i} {number_of(k)}" for i, k in enumerate(pieces(masks, 8, 8)))
    for number, names in ((PKRU, ("pkru",)), (PASID, ("pasid",)), (CET_USER, ("u_cet", "pl3_ssp"))):
        if data := image.component(number):
            size = 4 if number == PKRU else 8
            yield from (f"{name} {number_of(value)}"
                        for name, value in zip(names, pieces(data, size, len(names))))


def component_lines(image):
    """One line a component: where, how long, and whether it is in use."""
    for number in range(64 if not image.fxsave else 2):
        if not bit(int(image.layout["features"]) | (3 if image.fxsave else 0), number):
            continue
        at = image.offset(number)
        state = "in use" if bit(image.bv, number) else "initial"
        if number >= 2 and not at:
            state = "no room"
        size = int(image.layout["size"][number]) if number >= 2 else XSAVE_HEADER
        name = component_names(1 << number).split()[1]
        yield f"{number:2} {name:10} {f'at {at}, {size} bytes':22} {state}"


# --- Live registers ---

def saved_image(cpu):
    """The copy that a panic has made of a CPU's registers, or None."""
    address = int(cpu["dump_fpstate"])
    if not address:
        return None
    check(address, "a fpstate")
    return Image(cpu["dump_fpstate"][0]) if int(cpu["dump_fpstate"]["size"]) else None


def register_lines(image):
    """What is in the registers of @image."""
    yield from legacy_lines(image)
    yield from (f"{name} {number_of(value)}" for name, value in vectors(image))
    yield from other_lines(image)
    yield from tile_lines(image)


def live_lines(cpu):
    """What QEMU's monitor shows of a CPU's registers. It knows no PKRU."""
    text = gdb.execute(f"monitor info registers {cpu}", to_string=True)
    vectors_found = re.findall(r"([XYZ]MM|Opmask)(\d+)=([0-9a-f ]+)", text)
    control = re.search(r"FCW=(\w+) FSW=(\w+) .*FTW=(\w+) MXCSR=(\w+)", text)
    if not vectors_found or not control:
        return ["unavailable: the monitor shows no vector registers"]
    fcw, fsw, ftw, mxcsr = (int(digits, 16) for digits in control.groups())
    lines = [f"fcw {fcw:#06x} fsw {fsw:#06x} ftw {ftw:#04x}"]
    # The monitor's are the physical ones: st0 is where the top of the stack is.
    raw = {int(number): sign + digits for number, digits, sign in re.findall(
        r"FPR(\d)=([0-9a-f]{16}) ([0-9a-f]{4})", text)}
    lines += [f"st{i} " + extended(bytes.fromhex(raw[i + (fsw >> 11) & 7])[::-1])
              for i in range(8) if len(raw) == 8]
    lines.append(f"mxcsr {mxcsr:#x}")
    return lines + [f"{kind.lower().replace('opmask', 'k')}{int(number)} {''.join(digits.split())}"
                    for kind, number, digits in vectors_found]


class Fpu(Command):
    """
splat fpu [PID]: the FPU state of a task, by default the running one.
Where the truth is, what the buffer has room for, and every component's registers, from the image in
either format; from the CPU, through QEMU's monitor, where only the registers are true. A dump has
none, but for those that a panic saved. PID may be an expression, or a pointer to a task."""

    def run(self, text):
        task = find_task(text)
        where, cpu = truth(task)
        fpu = task["thread"]["fpu"]
        flag = int(task["thread_flags"]) >> C["TIF_NEED_FPU_LOAD"] & 1
        print(f"{label(task)}: the truth is {where}")
        print(f"TIF_NEED_FPU_LOAD {flag}, last_cpu {last_cpu(fpu)}, "
              f"fpregs_lock depth {int(task['thread']['fpregs_locked'])}, pkru "
              f"{int(task['thread']['pkru']):#x} (while switched out)")
        address = int(fpu["fpstate"])
        if not address:
            print("no fpstate: it was never given one")
            return
        check(address, "a fpstate")
        fpstate, own = fpu["fpstate"][0], address == int(fpu["__fpstate"].address)
        print(f"fpstate {address:#x} ({'its own' if own else 'a larger one'}): size "
              f"{int(fpstate['size'])}, user_size {int(fpstate['user_size'])}, xfeatures "
              f"{component_names(int(fpstate['xfeatures']))}; xfd "
              f"{component_names(int(fpstate['xfd']))}")
        if cpu is not None:
            self.show_registers(cpu)
        self.show_image(fpstate, "image, which may be old" if cpu is not None else "image")

    @staticmethod
    def show_registers(cpu):
        """Live; in a dump those that a panic has saved."""
        lines, how = ["unavailable: a dump has no vector registers, unless a panic saved them"], ""
        try:
            if target() == "remote":
                lines = live_lines(cpu)
            elif image := saved_image(gdb.parse_and_eval("cpus")[cpu]):
                lines, how = register_lines(image), " saved by the panic"
        except (Bad, gdb.error) as error:
            complain(error)
        print(f"registers of CPU {cpu}, live:{how}")
        each(lines, lambda line: print("  " + line))

    @staticmethod
    def show_image(fpstate, title):
        image = Image(fpstate)
        print(f"{title}: {image.format} format, XSTATE_BV {component_names(image.bv)}, "
              f"XCOMP_BV {image.xcomp:#x}")
        if image.strange:
            complain(Bad(f"the header has components that this machine lacks: {image.strange:#x}"))
        for lines in (component_lines(image), register_lines(image)):
            for line in lines:
                print("  " + line)


class Owner(Command):
    """
splat owner: whose state each CPU's registers hold.
Valid: the owner's last_cpu is this CPU, too. KERNEL_FPU: inside kernel_fpu_begin(). GATE: what is
off on this CPU (xfd_state), by which means."""

    def run(self, _):
        offset = offset_of("struct task_struct", "thread.fpu")
        tasks, bad = all_tasks()
        self.by_fpu = {int(task.address) + offset: task for task in tasks}
        self.gate = str(gdb.parse_and_eval("fpu_gate")).removeprefix("GATE_")
        print(f"CPU {'OWNER':20} LAST_CPU VALID KERNEL_FPU GATE ({self.gate})")
        each(cpus(), self.show)
        for error in bad:
            complain(error)

    def show(self, cpu):
        number, owner = int(cpu["id"]), int(cpu["fpu_fpregs_owner_ctx"])
        task = self.by_fpu.get(owner)
        name, last, valid = "nobody", "-", "no"
        if task is not None:
            name = label(task)
            last = last_cpu(task["thread"]["fpu"])
            valid = "yes" if last == number else "no"
        elif owner:
            name = f"{owner:#x}, no task"
        print(f"{number:3} {name:20} {last:>8} {valid:5} "
              f"{'yes' if cpu['in_kernel_fpu'] else 'no':10} "
              f"{component_names(int(cpu['xfd_state']))}")


Fpu("fpu")
Owner("owner")
