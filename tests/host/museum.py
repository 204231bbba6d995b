# SPDX-License-Identifier: MIT
"""
The museum (scripts/build/edits.py): with each of its bugs the test that it names fails, and no
other but those that it names; and BUG= builds anew what an edit reaches, and nothing else.
"""
import os
import re
import shutil
import sys

import builds
import faults
import ktap
import machine
import worlds
from host import Skip, expect, expect_code, test

sys.path.insert(0, "scripts/build")

import edits                            # noqa: E402 (scripts/build/edits.py)


def boot(name, bug, append, **world):
    """As machine.boot(), of the kernel with @bug."""
    wrong = builds.ready("bug-" + bug)
    expect(not wrong, wrong)
    return machine.boot(name, append, **builds.environment("bug-" + bug), **world)


# --- Each bug is seen ---

def seen(piece):
    """A test that its test, and no other, sees @piece. A host test boots it itself."""
    name = piece.fields.get("world", "max")

    def fails():
        world = next(w for w in worlds.load() if w["name"] == name)
        if reason := worlds.missing(world):
            raise Skip(reason)
        known = worlds.suites_of(world, worlds.suites())
        fault = faults.Fault(piece)
        results = worlds.run({**world, "build": "bug-" + piece.name}, faults.nearby(fault, known),
                             False, "museum-" + piece.name)
        failed = {r.name.removeprefix(name + "/") for r in results if r.status == ktap.FAILED}
        wrong = faults.blame(fault, failed)
        expect(not wrong, wrong)
    test("museum-" + piece.name)(fails)


for each in edits.museum():
    if not each.fields["test"].startswith("host/"):
        seen(each)


@test("museum-list")
def museum_list():
    """`make museum` names each, and what shows it; another name is refused in one line."""
    code, output = machine.run(["make", "museum"], machine.LOGS + "/museum-list.log")
    expect(code == 0, f"make museum: exit status {code}")
    for piece in edits.museum():
        says, see = (re.escape(piece.fields[name]) for name in ("says", "see"))
        expect(re.search(rf"^{piece.name} +{says}\n +{see}; seen by ", output, re.M),
               f"make museum does not name {piece.name}: {output}")
    code, output = machine.run(["make", "run", "BUG=nobody"], machine.LOGS + "/museum-nobody.log")
    names = " ".join(piece.name for piece in edits.museum())
    expect(code and re.fullmatch(rf".*: \*\*\* splat: BUG=nobody is unknown; the museum has "
                                 rf"{names}\.  Stop\.\n", output), f"BUG=nobody: {code}: {output}")


# --- What a boot shows ---

def demo_can_fail(name, bug):
    """A test that a fork loses registers with @bug, and that the demonstration sees it."""
    def demo():
        code, output = boot(name, bug, "init=/bin/demo", boot="grub")
        expect_code(code, machine.FAIL, output)
        expect(re.search(r"^demo: .*fpu=BAD$", "\n".join(ktap.clean(output)), re.M),
               "no line says fpu=BAD")
    test(name)(demo)


demo_can_fail("demo-can-fail", "skip-save")
demo_can_fail("demo-scribble", "scribble")


# --- The build ---

def built(tree, *words):
    """What `make @words` compiles and links in @tree; or would do, with -n."""
    code, output = machine.run(["make", "V=1", "all", *words], f"{machine.LOGS}/museum-build.log",
                               {**builds.environment("gcc"), "V": "1"}, tree)
    expect(code == 0, output[-500:])
    return re.findall(r" -o (\S+)", output)


def change(path, old, new):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    expect(old in text, f"{path} has no {old}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


@test("museum-build")
def museum_build():
    """
    What differs is compiled, and that only; from a copy that follows its source; all of it, if a
    header differs; and a report still names the source.
    """
    wrong = builds.ready("gcc")
    expect(not wrong, wrong)
    tree = os.path.abspath(f"{machine.LOGS}/museum-tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=faults.not_copied("build"), symlinks=True)
    bug, words = "build/bug-skip-save", ("BUG=skip-save",)
    objects = [name for name in built(tree, *words) if name.endswith(".c.o")]
    expect(objects == [f"{bug}/arch/x86/fpu/clone.c.o"], f"compiled: {objects}")
    expect(built(tree, *words) == [], "nothing has changed, and it builds again")
    with open(f"{tree}/{bug}/splat.elf", "rb") as file:
        kernel = file.read()
    expect(b"build/bug-skip-save/src/arch/x86/fpu/clone.c" in kernel, "GDB finds no source")
    # The source changes: so does the copy. Another file's object is the base's.
    change(f"{tree}/arch/x86/fpu/clone.c", "fpu_clone_fixed", "fpu_clone_right")
    change(f"{tree}/kernel/fork.c", "copy_sighand", "copy_sighands")
    objects = {name for name in built(tree, *words) if name.endswith(".c.o")}
    expect(objects >= {f"{bug}/arch/x86/fpu/clone.c.o", "build/kernel/fork.c.o"} and
           len(objects) <= 3, f"compiled: {objects}")
    # An edit of a header as well.
    with open(f"{tree}/tests/museum/skip-save.edits", "a", encoding="utf-8") as file:
        file.write("@@ kernel/fork.h @@\n-#pragma once\n+#pragma once\n+#define CHANGED 1\n")
    objects = [name for name in built(tree, "-n", *words) if re.match(bug + r"/.*\.c\.o", name)]
    expect(len(objects) > 100, f"only {len(objects)} compiled")
    # One that has drifted is named.
    change(f"{tree}/arch/x86/fpu/clone.c", "save_fpregs_to_fpstate(dst", "save_them(dst")
    code, output = machine.run(["make", "all", *words], f"{machine.LOGS}/museum-drift.log",
                               builds.environment("gcc"), tree)
    expect(code and output.startswith("splat: tests/museum/skip-save.edits:"), output)
    shutil.rmtree(tree)
