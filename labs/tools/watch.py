# SPDX-License-Identifier: MIT
"""
What a guest's tests do, seen from outside: what counts for points is formed here, and nothing that
the guest says or has in its memory can be a verdict.

QEMU's debugger stub stops the guest at addresses of code that no student has written: where a test
begins, where it comes back to, where a check has its two values in registers, and where a failed
one goes. What the guest has in memory is read from QEMU's file of it, by the guest's own page
tables. At each such place of a test's, code and read-only data must be what was built, and the
tables that lead there, too.

A test is right if it was entered once, came back to where it was called from, saw as many of its
checks as the lab says, and none of them failed.
"""
import mmap
import os
import re
import select
import socket
import struct

from image import PAGE, Image, Strange

PRESENT, WRITABLE, LARGE, FRAME = 1, 2, 0x80, 0x000ffffffffff000
CR0_WP, FLAGS_TF, KERNEL_CS, STUB_SIZE = 1 << 16, 1 << 8, 0x10, 16
NAMES = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
DEBUGGERS = "watch.c", "entry.c"        # tests that take #DB themselves (arch/x86/entry/traps.c)
OPERATORS = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">=": lambda a, b: a >= b,
             "s>=": lambda a, b: signed(a) >= signed(b)}


class Gone(Exception):
    """The guest's machine has ended."""


def signed(number):
    return number - (1 << 64 if number >> 63 else 0)


# --- The guest's memory, and its registers ---

class Memory:
    """QEMU's file of the guest's memory."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def physical(self, addr, size):
        return self.bytes[addr:addr + size]

    def walk(self, cr3, addr):
        """(physical address, bytes from there in one page, writable), or None."""
        table, writable = cr3 & FRAME, True
        for shift in (39, 30, 21, 12):
            entry = self.physical(table + (addr >> shift & 511) * 8, 8)
            if len(entry) < 8 or not (entry := struct.unpack("<Q", entry)[0]) & PRESENT:
                return None
            writable &= bool(entry & WRITABLE)
            if shift == 12 or shift < 39 and entry & LARGE:
                inside = addr & (1 << shift) - 1
                return (entry & FRAME & -(1 << shift)) + inside, (1 << shift) - inside, writable
            table = entry & FRAME
        return None

    def read(self, cr3, addr, size, fixed=False):
        """@size bytes, fewer if a page is not there; @fixed: none of them may be writable."""
        data = b""
        while len(data) < size:
            found = self.walk(cr3, addr + len(data))
            if not found or fixed and found[2]:
                break
            data += self.physical(found[0], min(found[1], size - len(data)))
        return data


class Stub:
    """The part of GDB's remote protocol that is needed."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.ask("QStartNoAckMode")

    def send(self, text):
        data = text.encode()
        try:
            self.socket.sendall(b"+$%s#%02x" % (data, sum(data) & 255))
        except OSError as error:
            raise Gone from error

    def receive(self, seconds=None):
        """The next answer, or None if none comes for so long."""
        while not (found := re.search(rb"\$([^#]*)#..", self.buffer, re.S)):
            if seconds is not None and not select.select([self.socket], [], [], seconds)[0]:
                return None
            try:
                more = self.socket.recv(1 << 16)
            except OSError as error:
                raise Gone from error
            if not more:
                raise Gone
            self.buffer += more
        self.buffer = self.buffer[found.end():]
        return found[1].decode(errors="replace")

    def ask(self, text):
        self.send(text)
        return self.receive()

    def stopped(self, seconds):
        """The number of the thread that has stopped; None: none has, for so long."""
        answer = self.receive(seconds)
        while answer is not None and answer[:1] == "O":
            answer = self.receive(seconds)
        if answer is None:
            return None
        if answer[:1] in "WX":
            raise Gone
        found = re.search(r"thread:([0-9a-fp.]+)", answer)
        return found[1] if found else "1"

    def registers(self):
        data = bytes.fromhex(self.ask("g").replace("x", "0"))
        found = dict(zip(NAMES, struct.unpack_from("<17Q", data)))
        found["flags"], found["cs"] = struct.unpack_from("<II", data, 136)
        found["cr0"], _, found["cr3"] = struct.unpack_from("<3Q", data, 188)
        return found

    def stop_at(self, addr):
        if self.ask(f"Z1,{addr:x},1") != "OK":
            raise Strange(f"no breakpoint at {addr:#x}")

    def forget(self, addr):
        self.ask(f"z1,{addr:x},1")

    def step(self, thread):
        """One instruction of @thread; the others stand still."""
        self.send(f"vCont;s:{thread}")
        self.stopped(None)

    def go(self):
        self.send("c")


# --- Tests ---

class Test:
    """What is known of one."""

    def __init__(self, name, image, function):
        self.name, self.image, self.function = name, image, function
        self.entered, self.left, self.skipped = 0, False, False
        self.seen, self.failures = set(), []
        self.calls = 0                          # of the function that is counted, before it failed
        self.sites = {}                         # address -> a check
        self.back = None                        # (address, stack pointer, CR3) that it returns to

    def status(self, checks):
        """"ok", or why not. @checks: so many different ones at least must have been seen."""
        if not self.entered:
            return "none"
        if self.skipped and not self.failures:
            return "skipped"
        if self.failures:
            return "failed"
        if self.entered > 1:
            return "twice"
        if not self.left:
            return "not left"
        return "ok" if len(self.seen) >= checks else "cut short"


class Watch:
    """
    Follows a boot. @suites: "k/name" and "u/name", all of whose tests are watched. @idt_bases: asks
    all CPUs where their interrupt descriptors are. @counts: a function of the kernel's, whose calls
    in each test are counted.

    A place slows down the code of its page, since QEMU goes through that instruction by
    instruction. So outside of tests there are the places where one begins, and inside of one only
    its own.
    """

    def __init__(self, stub, memory, tree, suites, idt_bases=lambda: (), counts=""):
        self.stub, self.memory, self.tree, self.idt_bases = stub, memory, tree, idt_bases
        self.kernel = Image(os.path.join(tree, "build/splat.elf"))
        self.counts = self.kernel.symbols.get(counts)
        self.programs = {}                      # name -> Image
        self.program("testrun")
        self.places, self.tests = {}, {}        # address -> what to do; name -> Test
        self.now, self.strange, self.thread = None, "", ""
        for suite in suites:
            image = self.kernel if suite.startswith("k/") else self.program(suite[2:])
            for where, name, at in image.tests():
                if where in ("", suite[2:]):
                    self.add(Test(f"{suite}/{name}", image, at), suite[2:] + ".c")
        self.begin()

    def program(self, name):
        if name not in self.programs:
            self.programs[name] = Image(os.path.join(self.tree, "build/user/tests", name))
        return self.programs[name]

    def add(self, test, file):
        """
        A test's checks: all of @file's in the kernel, its own function's in ring 3; and those of
        functions that are no test's, which tests share.
        """
        if test.name in self.tests:
            self.strange = f"there are two tests {test.name}"
        self.tests[test.name] = test
        kernel = test.image is self.kernel
        others = {f"{suite}.c" if kernel else run for suite, _, run in test.image.tests()} - {
            file if kernel else test.function}
        for at, site in test.image.sites.items():
            start, _, _, source = test.image.function(at)
            if (source if kernel else start) not in others:
                test.sites[at] = site

    def place(self, addr, action, *more):
        if addr not in self.places:
            self.stub.stop_at(addr)
        self.places[addr] = action, more

    def unplace(self, addr):
        if self.places.pop(addr, None):
            self.stub.forget(addr)

    def only(self, places):
        """Places are these now: address -> (action, ...)."""
        for addr in set(self.places) - set(places):
            self.unplace(addr)
        for addr, what in places.items():
            self.place(addr, *what)

    def begin(self):
        """No test runs. What fails now does so for the last one: it may have made a report."""
        places = {test.function: (self.enter, test) for test in self.tests.values()}
        calls = {at: (self.syscall,) for image in self.programs.values() for at in image.syscalls}
        self.only({**places, **self.ends(), **calls})

    def ends(self):
        if not self.now:
            return {}
        fail, skip = ("ktest_fail", "ktest_skip") if self.now.image is self.kernel else \
            ("ktap_fail", "ktap_skip")
        return {self.now.image.symbols[fail]: (self.fail,),
                self.now.image.symbols[skip]: (self.skip,)}

    def stopped(self, thread):
        """The guest stands at a place. Afterwards it can go on."""
        regs = self.stub.registers()
        addr = regs["rip"]
        self.thread = thread
        action, more = self.places.get(addr, (None, ()))
        if action:
            action(regs, *more)
        if addr in self.places:                 # it is to stop here again
            self.stub.forget(addr)
            self.stub.step(thread)
            self.stub.stop_at(addr)

    # What happens

    def enter(self, regs, test):
        self.look(test.image, regs)
        self.expect_undisturbed(regs)
        self.now = test
        test.entered += 1
        stack = self.memory.read(regs["cr3"], regs["rsp"], 8)
        back = struct.unpack("<Q", stack)[0] if len(stack) == 8 else 0
        if test.image.function(back)[2] not in ("run_test", "ktap_run_suite", "main"):
            test.failures.append("it was called from elsewhere")
        test.back = back, regs["rsp"] + 8, regs["cr3"] & FRAME
        counted = {self.counts: (self.count, test)} if self.counts else {}
        self.only({back: (self.leave, test), **self.ends(), **counted,
                   **{at: (self.check, site) for at, site in test.sites.items()}})

    def count(self, _, test):
        test.calls += not test.failures

    def leave(self, regs, test):
        if (regs["rip"], regs["rsp"], regs["cr3"] & FRAME) != test.back:
            return                              # another task, or another depth
        self.look(test.image, regs)
        self.expect_undisturbed(regs)
        test.left = True
        self.begin()

    def expect_undisturbed(self, regs):
        """
        Nobody looks on from inside, instruction by instruction: else a check's values could be made
        right just before it.
        """
        hook, = struct.unpack("<Q", self.memory.read(
            regs["cr3"], self.kernel.symbols["kernel_debug_trap"], 8))
        if regs["flags"] & FLAGS_TF:
            self.strange = self.strange or "each instruction is looked at (RFLAGS.TF)"
        elif hook and self.kernel.function(hook)[3] not in DEBUGGERS:
            self.strange = self.strange or f"#DB goes to {self.kernel.named(hook)}"

    def fail(self, regs):
        self.expect_undisturbed(regs)
        self.now.failures.append("a check failed")
        self.unplace(regs["rip"])

    def skip(self, regs):
        self.now.skipped = True
        self.unplace(regs["rip"])

    def check(self, regs, site):
        self.expect_undisturbed(regs)
        where, left, operator, right = site
        self.now.seen.add(where)
        if not OPERATORS[operator](regs[left], regs[right]):
            self.now.failures.append(f"{where}: {regs[left]:#x} {operator} {regs[right]:#x}")
        self.unplace(regs["rip"])

    def syscall(self, regs):
        """
        The first one of ring 3 since a test's end. No stub and no monitor tells where MSR_LSTAR
        leads: it is tried.
        """
        if self.memory.read(regs["cr3"], regs["rip"], 2) != b"\x0f\x05":
            return                              # another program has something else there
        for addr in [addr for addr, what in self.places.items() if what[0] == self.syscall]:
            self.unplace(addr)
        self.stub.step(self.thread)
        entry = self.stub.registers()["rip"]
        if entry != self.kernel.symbols["entry_SYSCALL_64"]:
            self.strange = self.strange or f"system calls go to {self.kernel.named(entry)}"

    # What must be as it was built

    def look(self, image, regs):
        """Code, read-only data, and what leads there; of the kernel always, and of @image."""
        try:
            self.expect_fixed(self.kernel, regs, "the kernel")
            if image is not self.kernel:
                self.expect_fixed(image, regs, "the test's program")
            self.expect_gates(regs)
            if not regs["cr0"] & CR0_WP:
                raise Strange("CR0.WP is off")
        except Strange as what:
            self.strange = self.strange or str(what)

    def expect_fixed(self, image, regs, what):
        for start, data in image.fixed:
            if image is not self.kernel:
                self.expect_pages(image, start, data, regs, what)
            elif start >> 63:                   # the code that boots is gone by now
                self.expect_kernel(image, start, data, regs, what)

    def expect_kernel(self, image, start, data, regs, what):
        got = self.memory.read(regs["cr3"], start, len(data), fixed=True)
        if got != data:
            at = next((i for i, (a, b) in enumerate(zip(got, data)) if a != b), len(got))
            raise Strange(f"{what} is not as it was built, at {image.named(start + at)}: " + (
                "other bytes" if at < len(got) else "not mapped, or writable"))
        if self.memory.walk(regs["cr3"], start)[0] != start - image.symbols["KERNEL_OFFSET"]:
            raise Strange(f"{what} is somewhere else, at {image.named(start)}")

    def expect_pages(self, image, start, data, regs, what):
        """A program's pages come when they are first used."""
        for at in range(0, len(data), PAGE):
            want = data[at:at + PAGE]
            got = self.memory.read(regs["cr3"], start + at, len(want), fixed=True)
            if got != want and self.memory.walk(regs["cr3"], start + at):
                raise Strange(f"{what} is not as it was built, at {image.named(start + at)}")

    def expect_gates(self, regs):
        """Each vector leads to its stub, on all CPUs (arch/x86/entry/idt.c)."""
        idt, stubs = self.kernel.symbols["idt"], self.kernel.symbols["entry_stubs"]
        if set(self.idt_bases()) - {idt}:
            raise Strange("a CPU has other interrupt descriptors")
        table = self.memory.read(regs["cr3"], idt, 256 * 16)
        for vector, gate in enumerate(struct.iter_unpack("<HHBBHII", table)):
            low, selector, _, kind, middle, high, _ = gate
            to = low | middle << 16 | high << 32
            if to != stubs + STUB_SIZE * vector or selector != KERNEL_CS or \
                    kind not in (0x8e, 0xee):
                raise Strange(f"the gate of vector {vector} leads to {self.kernel.named(to)}")

    def end(self):
        """The machine has ended: a last look. Its page tables may be gone, the bytes are not."""
        for start, data in self.kernel.fixed:
            where = start - self.kernel.symbols["KERNEL_OFFSET"]
            if start >> 63 and self.now and self.memory.physical(where, len(data)) != data:
                self.strange = self.strange or "the kernel is not as it was built, at its end"
