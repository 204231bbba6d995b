# SPDX-License-Identifier: MIT
"""
Planted faults: each edit of tests/faults/ (scripts/build/edits.py) is a mistake of about one line,
and exactly its "test" must fail, in the "world" that it names (max). "also" has patterns of tests
that may fail with it: what looks at the same from further off, as ring 3 does at a switch. The
suites that these names have in full run, and no others: with all of a world for each fault, the
faults would take longer than all other tests together.

A fault is tried in a copy of the tree with its objects (times kept, so that make compiles only what
the change reaches). A test that no fault can make fail proves nothing; a fault that makes
everything fail proves little.
"""
import fnmatch
import glob
import os
import re
import shutil
import sys

import builds
import host
import ktap
import machine
import worlds

sys.path.insert(0, "scripts/build")

import edits                            # noqa: E402 (scripts/build/edits.py)

FIELDS = {"test", "world", "also"}
NOT_COPIED = {".git", "build/test", "build/faults", "build/iso", "build/bochs3",
              "build/bochs-xfd"}
OTHER_BUILD = re.compile("build/(" + "|".join([*builds.WORDS, "bug"]) + ")[^/]*$")


class Fault:
    """An edit, and what is to see it."""

    def __init__(self, edit):
        self.edit, self.name = edit, edit.name
        self.test = edit.fields.get("test", "")
        self.world = edit.fields.get("world", "max")
        self.also = edit.fields.get("also", "").split()

    def plant(self, tree):
        """Makes the change in @tree."""
        for path, text in self.edit.applied(edits.tree_texts(self.edit)).items():
            with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
                file.write(text)


def load():
    """The list of faults; one that is not well formed ends the run. Do they fit: host/edits-fit."""
    faults = []
    for path in sorted(glob.glob("tests/faults/*.edits")):
        try:
            faults += [Fault(edit) for edit in edits.load(path)]
        except edits.Drifted as error:
            raise SystemExit(f"splat: {error}") from None
    for edit in (fault.edit for fault in faults):
        if "test" not in edit.fields or set(edit.fields) - FIELDS or len(edit.changes) != 1:
            raise SystemExit(f"{edit.where}: {edit.name}: a fault has one place and a test, and "
                             "may have a world and others that fail also")
    twice = {fault.name for fault in faults if [f.name for f in faults].count(fault.name) > 1}
    if twice:
        raise SystemExit(f"tests/faults: two of one name: {sorted(twice)}")
    return faults


def not_copied(build):
    """For copytree: what @build does not need."""
    def ignore(folder, names):
        paths = {name: os.path.relpath(os.path.join(folder, name)) for name in names}
        return [name for name, path in paths.items()
                if path in NOT_COPIED or name == "__pycache__" or
                OTHER_BUILD.match(path) and path != build]
    return ignore


def blame(fault, failed):
    """What is wrong with the set of tests that the fault made fail, or ""."""
    others = sorted(name for name in failed - {fault.test}
                    if not any(fnmatch.fnmatchcase(name, also) for also in fault.also))
    if fault.test in failed and not others:
        return ""
    text = "" if fault.test in failed else f"{fault.test} passed, and must fail\n"
    return text + (f"failed, and must pass: {', '.join(others)}" if others else "")


def run_host(fault):
    """As run(), of a fault that a test made from outside must see: it runs in the copy."""
    tree = os.path.join("build/faults", fault.name)
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=not_copied(builds.folder(None)), symlinks=True)
    fault.plant(tree)
    log = os.path.join(machine.LOGS, "fault-" + fault.name)
    if wrong := builds.make(None, log + ".build.log", tree):
        return wrong
    log += ".log"
    code, output = machine.run([sys.executable, "tests/runner/run.py", fault.test], log, cwd=tree)
    if code != 1 or "0 passed, 1 failed" not in output or "gcc: exit status" in output:
        return f"{fault.test} did not fail, or not alone: see {log}"
    shutil.rmtree(tree)
    return ""


def nearby(fault, known):
    """The suites that are to tell: the named test's own, and those that "also" names in full."""
    named = {test.rpartition("/")[0] for test in [fault.test, *fault.also]}
    return [suite for suite in known if suite in named]


def run(fault):
    """Returns the text of the failure, or ""."""
    if fault.test.startswith("host/"):
        return run_host(fault)
    name = "fault-" + fault.name
    tree = os.path.join("build/faults", fault.name)
    world = next(w for w in worlds.load() if w["name"] == fault.world)
    known = worlds.suites_of(world, worlds.suites())
    suite, _, test = fault.test.rpartition("/")
    if test not in known.get(suite, []):
        return f"{fault.test}: world {world['name']} has no such test"
    build = world.get("build")
    if reason := worlds.missing(world):
        raise host.Skip(reason)
    if wrong := builds.ready(build):
        return wrong
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=not_copied(builds.folder(build)), symlinks=True)
    fault.plant(tree)
    log = os.path.join(machine.LOGS, name + ".build.log")
    if wrong := builds.make(build, log, tree):
        return wrong
    results = worlds.run(world, nearby(fault, known), False, name, tree)
    prefix = world["name"] + "/"
    failed = {r.name.removeprefix(prefix) for r in results if r.status == ktap.FAILED}
    wrong = blame(fault, failed)
    if not wrong:
        shutil.rmtree(tree)
    return wrong
