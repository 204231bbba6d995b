# SPDX-License-Identifier: MIT
"""Tests of the table of worlds."""
import itertools

import worlds
from host import expect, test

# What must be combined; the CPU models are those that stand in the table.
VALUES = {"rt": ("on", "off"), "smp": (1, 2, 4), "boot": ("pvh", "grub", "uefi"),
          "build": ("gcc", "llvm")}


def parameters(world):
    return {"rt": "off" if "rt=off" in world.get("append", "") else "on",
            "smp": world.get("smp", 1), "boot": world.get("boot", "pvh"),
            "cpu": world.get("cpu", "max"), "build": world.get("build", "gcc")}


@test("pairs")
def pairs():
    """
    Most bugs of combinations need two values: every pair of them stands in one world. In QEMU:
    Bochs is there for its CPUs, and has one way to boot.
    """
    table = [parameters(world) for world in worlds.load() if "emu" not in world]
    values = {**VALUES, "cpu": sorted({row["cpu"] for row in table})}
    missing = [f"{a}={x} {b}={y}" for a, b in itertools.combinations(values, 2)
               for x, y in itertools.product(values[a], values[b])
               if not any(row[a] == x and row[b] == y for row in table)]
    expect(not missing, "no world has " + ", ".join(missing))
