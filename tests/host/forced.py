# SPDX-License-Identifier: MIT
"""
What no emulator does by itself, made to happen through the debugger: the kernel's answer is that of
the real path.
"""
import re

import ktap
import machine
from host import expect, test
from host.gdb import gdb

BELIEVED = "init=/tests/testrun -- k/fpu_switch k/fpu_restore k/fpu_matrix u/vec u/dynamic"


def console(name):
    with open(f"{machine.LOGS}/gdb-{name}.console", encoding="utf-8", errors="replace") as file:
        return file.read()


@test("malformed-cpuid", long=True)
def malformed_cpuid():
    """CPUID leaf 0xD makes no sense: one line says so, and all runs on with FXSAVE."""
    for number, (change, why) in enumerate((
            ("sub[2].size = 65536", "a component is too large"),
            ("sub[2].offset = 512", "a component lies in the header"),
            ("sub[9].offset = 600", "components overlap"),
            ("sub[9].offset = 8192", "an image is larger than a page"),
            ("user = 5", "x87 or SSE is missing"))):
        name = f"malformed-cpuid-{number}"
        gdb(name, ["tbreak xstate_layout_init", "continue",
                   f"set var ((struct xstate_cpuid *)cpuid)->{change}", "continue"],
            BELIEVED, CPU="max")
        output = console(name)
        line = f"CPUID leaf 0xD makes no sense ({why}); using FXSAVE"
        expect(output.count(line) == 1, f"{name}: not one line says: {line}")
        expect("saved by FXSAVE" in output, f"{name}: states are not saved by FXSAVE")
        report = ktap.parse(output)
        failed = [r.name for r in report.results if r.status == ktap.FAILED]
        expect(not report.problems and not failed and "init exited with status 0" in output,
               f"{name}: {report.problems + failed}")


@test("first-use-in-the-kernel")
def first_use_in_the_kernel():
    """The kernel's own use of what the gate keeps off is no first use, even with permission."""
    for name, permitted in (("kernel-avx", 3), ("kernel-avx-permitted", 7)):
        said = gdb(name, [
            "tbreak fpu_first_use", "continue", ("xfd", "p/x cpus[0].xfd_state"),
            f"set var $current()->thread.fpu.perm.__state_perm = {permitted}",
            "set var *(int *)$pc = 0x9077fcc5", "continue"],        # VZEROALL; NOP
                   "init=/bin/demo dynamic=ymm", CPU="max")
        expect(said["xfd"].strip().endswith("= 0x4"), f"{name}: the gate is open: {said['xfd']}")
        lines = ktap.clean(console(name))
        for text in ("invalid opcode", "RIP: 0010:fpu_first_use+0x0/",
                     "Kernel panic - not syncing: Fatal exception"):
            expect(any(text in line for line in lines), f"{name}: no line says: {text}")
        trace = lines.index(next(line for line in lines if line.endswith(" <TASK>")))
        expect(" fpu_first_use+0x0/" in lines[trace + 1], f"the trace begins: {lines[trace + 1]}")


@test("kmalloc-panics")
def kmalloc_panics():
    """What is done to an object that is not right ends the machine, with the object's name."""
    at_release = ["tbreak pipe_release", "continue", "set $f = (char *)file"]
    at_free = ["tbreak kfree if object == $f", "continue"]
    for name, commands, why in (
            ("overrun", ["set var $f[24] = 0"],
             r"object \w+ \(24 bytes\) was written behind its end: byte 24 is 0\b"),
            ("write-after-free", [*at_free, "finish", "set var $f[17] = 5"],
             r"object \w+ \(32 bytes\) was written after free: byte 17 is 0x5"),
            ("double-free", [*at_free, "finish", "tbreak *kfree", "continue", "set var $rdi = $f"],
             r"object \w+ \(32 bytes\) is freed twice"),
            ("wrong-start", ["tbreak *kfree if $rdi == $f", "continue", "set var $rdi = $f + 8"],
             r"kfree\(\w+\) is no object's start \(size 32\)")):
        gdb(f"kmalloc-{name}", [*at_release, *commands, "continue"],
            "init=/tests/testrun -- u/pipe", CPU="max")
        output = console(f"kmalloc-{name}")
        expect(re.search(r"Kernel panic - not syncing: kmalloc: " + why, output),
               f"{name}: no line says: {why}")
