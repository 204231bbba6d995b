# SPDX-License-Identifier: MIT
"""
Planted faults: each entry of tests/faults.json changes one line, and exactly the test that it names
must fail. "also" names, as patterns, tests that may fail with it: what looks at the same from
further off, as ring 3 does at a switch. The suites that these names have in full run, and no others:
with all of a world for each fault, the faults would take longer than all other tests together.

A fault is tried in a copy of the tree with its objects (times kept, so that make compiles only what
the change reaches). A test that no fault can make fail proves nothing; a fault that makes
everything fail proves little.
"""
import fnmatch
import json
import os
import re
import shutil
import sys

import builds
import host
import ktap
import machine
import worlds

OPTIONAL = {"world", "also"}
KEYS = {"name", "file", "old", "new", "test"} | OPTIONAL
NOT_COPIED = {".git", "build/test", "build/faults", "build/iso", "build/bochs3"}
OTHER_BUILD = re.compile("build/(" + "|".join(builds.WORDS) + ")[^/]*$")


def load():
    """The list of faults; one that is not well formed ends the run."""
    with open("tests/faults.json", encoding="utf-8") as file:
        faults = json.load(file)
    for fault in faults:
        missing = KEYS - OPTIONAL - set(fault)
        if missing or set(fault) - KEYS or "\n" in fault["old"] + fault["new"]:
            raise SystemExit(f"tests/faults.json: {fault.get('name')}: needs name, file, old, new "
                             "and test, one line each")
    return faults


def plant(fault, tree):
    """Makes the change. Returns what is wrong with it, or ""."""
    path = os.path.join(tree, fault["file"])
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if (count := text.count(fault["old"])) != 1:
        return f"'{fault['old']}' stands {count} times in {fault['file']}, not once"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(fault["old"], fault["new"]))
    return ""


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
    others = sorted(name for name in failed - {fault["test"]}
                    if not any(fnmatch.fnmatchcase(name, also) for also in fault.get("also", [])))
    if fault["test"] in failed and not others:
        return ""
    text = "" if fault["test"] in failed else f"{fault['test']} passed, and must fail\n"
    return text + (f"failed, and must pass: {', '.join(others)}" if others else "")


def run_host(fault):
    """As run(), of a fault that a test made from outside must see: it runs in the copy."""
    tree = os.path.join("build/faults", fault["name"])
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=not_copied(builds.folder(None)), symlinks=True)
    if wrong := plant(fault, tree):
        return wrong
    log = os.path.join(machine.LOGS, "fault-" + fault["name"])
    if wrong := builds.make(None, log + ".build.log", tree):
        return wrong
    log += ".log"
    code, output = machine.run([sys.executable, "tests/run.py", fault["test"]], log, cwd=tree)
    if code != 1 or "0 passed, 1 failed" not in output or "gcc: exit status" in output:
        return f"{fault['test']} did not fail, or not alone: see {log}"
    shutil.rmtree(tree)
    return ""


def nearby(fault, known):
    """The suites that are to tell: the named test's own, and those that "also" names in full."""
    named = {test.rpartition("/")[0] for test in [fault["test"], *fault.get("also", [])]}
    return [suite for suite in known if suite in named]


def run(fault):
    """Returns the text of the failure, or ""."""
    if fault["test"].startswith("host/"):
        return run_host(fault)
    name = "fault-" + fault["name"]
    tree = os.path.join("build/faults", fault["name"])
    world = next(w for w in worlds.load() if w["name"] == fault.get("world", "max"))
    known = worlds.suites_of(world, worlds.suites())
    suite, _, test = fault["test"].rpartition("/")
    if test not in known.get(suite, []):
        return f"{fault['test']}: world {world['name']} has no such test"
    build = world.get("build")
    if reason := worlds.missing(world):
        raise host.Skip(reason)
    if wrong := builds.ready(build):
        return wrong
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=not_copied(builds.folder(build)), symlinks=True)
    if wrong := plant(fault, tree):
        return wrong
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
