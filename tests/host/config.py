# SPDX-License-Identifier: MIT
"""
What the kernel makes of a machine at boot, on machines that are made up: its sources, built as
Linux programs beside a model of the hardware (tests/native).
"""
import functools
import os
import platform
import threading

import machine
import worlds
from host import Skip, expect, test

FPU = ["xstate", "layout", "compact", "quirks", "regs", "pkru"]
CONFIG = ["tests/native/boot_config.c", "tests/native/made_up_cpu.c", "arch/x86/cpu/features.c",
          *(f"arch/x86/fpu/core/{name}.c" for name in FPU), "lib/options.c", "lib/string.c"]
GROUPS = ("forms", "features", "dynamic", "totals", "quirks", "amd", "cpu")
building = threading.Lock()


@functools.cache
def program(name, *sources):
    """Freestanding, with the kernel's string.c, as the kernel is built. Returns its path."""
    if platform.machine() != "x86_64":
        raise Skip("this CPU is not an x86-64, and the kernel's headers hold its instructions")
    path, log = os.path.join(machine.LOGS, name), os.path.join(machine.LOGS, name + ".build.log")
    code, output = machine.run(
        ["gcc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter",
         "-Wno-missing-field-initializers", "-fno-strict-aliasing", "-ffreestanding",
         "-mgeneral-regs-only", "-Itests/native/model", "-Itests/native/include", "-I.",
         "-o", path, *sources], log)
    expect(code == 0 and not output, f"gcc: exit status {code}\n{output}")
    return os.path.abspath(path)


def native(name, argument, *sources):
    """Runs a program of tests/native: it prints what is wrong, and its exit status is 1 then."""
    with building:
        path = program(name, *sources)
    code, output = machine.run([path, argument],
                               os.path.join(machine.LOGS, f"{name}-{argument}.log"))
    expect(code == 0, f"{argument}: exit status {code}\n{output}")


def boot_config(group):
    test(f"boot-config-{group}")(lambda: native("boot_config", group, *CONFIG))


for each in GROUPS:
    boot_config(each)


@test("clock")
def clock():
    """The calibration, on hosts that take the CPU away between any two instructions."""
    native("clock", worlds.SEED, "tests/native/clock.c", "arch/x86/time.c", "lib/string.c")
