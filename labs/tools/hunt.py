#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
hunt.py SEED FOLDER: a lab whose bug nobody knows but who knows SEED. hunt.py --show SEED: which.

Solutions of a public project are public. So here the bug is chosen: one of the project's planted
faults (tests/faults) stands in the tree, and the files of its trade are open. What it fails, and
that the tree without it has all points, is tried before the lab is handed out: both are graded.
"""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts/build"),
                os.path.join(HERE, "../../scripts/run")]

import edits                            # noqa: E402 (scripts/build/edits.py)
import lab                              # noqa: E402 (labs/tools/lab.py)
import rules                            # noqa: E402 (labs/tools/rules.py)

TEXTS = "labs/hunt"
TRADES = {"fpu": "arch/x86/fpu/", "locking": "kernel/locking/", "sched": "kernel/sched/"}
WORLDS = {"": {"cpu": "max"}, "smp2": {"cpu": "max", "smp": 2}}     # tests/runner/worlds.py's names
HINT = re.compile(r"fails with:.*?\*/", re.S)
NO_COMMENT = re.compile(r"^/\*[\s*]*\*/\n", re.M)
FOUND, UNHURT = 60, 40                  # points: the test that fails; the others of its suite


def candidates():
    """[(Edit, the folder that is open)], of those that a test sees in a world that labs have."""
    found, book = [], ""
    for path in glob.glob("docs/*.md"):
        with open(path, encoding="utf-8") as file:
            book += file.read()
    for trade, top in TRADES.items():
        for fault in edits.load(f"tests/faults/{trade}.edits"):
            if all(path.startswith(top) and path.endswith(".c") for path in fault.paths()) and \
                    fault.fields["test"][:2] in ("k/", "u/") and \
                    fault.fields.get("world", "") in WORLDS and fault.name not in book:
                found.append((fault, top))
    return found


def may_be_open(path):
    """Does the file keep the rules as it stands? What has assembly in it stays closed."""
    with tempfile.TemporaryDirectory(prefix="hunt-") as beside:
        for copy in f"{beside}/{path}", f"{beside}/starters/{path}":
            os.makedirs(os.path.dirname(copy))
            shutil.copy(path, copy)
        return not rules.refusals({"names": [], "casts": []}, f"{beside}/starters", beside, path)


def chosen(seed):
    """The first candidate from a place on that the seed says, whose files may be open."""
    those = candidates()
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    while not all(map(may_be_open, those[number % len(those)][0].paths())):
        number += 1
    return those[number % len(those)]


def plan_of(fault, others):
    """@others: the tests of the suite that must stay right. Doing nothing has no points."""
    test, world = fault.fields["test"], fault.fields.get("world", "")
    share, more = divmod(UNHURT, len(others)) if others else (0, 0)
    unhurt = [{"test": other, "world": "hunt", "points": share + (number < more), "needs": [test]}
              for number, other in enumerate(others)]
    return {"lab": "hunt", "title": "The hunt", "worlds": {"hunt": WORLDS[world]}, "sees": {},
            "steps": [{"name": "The bug is gone", "checks": [
                {"test": test, "world": "hunt", "points": FOUND + (0 if others else UNHURT)}]},
                      {"name": "Nothing else is hurt", "mark": False, "checks": unhurt}]}


def without_hints(files):
    """The tests without what their comments say of bugs that they see."""
    return {name: (NO_COMMENT.sub("", HINT.sub("*/", data.decode())).encode()
                   if name.startswith("tests/") and name.endswith((".c", ".h")) else data, mode)
            for name, (data, mode) in files.items()}


def tree_of(plan, starters):
    return without_hints(lab.whole_tree(dict(plan), TEXTS, starters))


def graded(plan, starters, handed_in, beside, name):
    """What the grader says to the files @handed_in, in a lab of @plan: its result."""
    tree = os.path.join(beside, name)
    lab.write(tree_of(plan, starters), tree, "The hunt")
    for path, text in handed_in.items():
        with open(f"{tree}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    done = subprocess.run([sys.executable, "scripts/grade.py", "--all", "--json", "said.json",
                           "--work", os.path.join(beside, "work")],
                          cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise lab.Wrong(f"the hunt cannot be graded: {done.stderr.strip()}")
    with open(f"{tree}/said.json", encoding="utf-8") as file:
        return json.load(file)


def make(seed, folder):
    fault, top = chosen(seed)
    texts = {}
    for path in lab.tracked():
        if path.startswith(top) and path.endswith(".c") and may_be_open(path):
            with open(path, encoding="utf-8") as file:
                texts[path] = file.read()
    starters = fault.applied(texts)
    suite = fault.fields["test"].rpartition("/")[0]
    plan = plan_of(fault, [])
    lab.what_the_grader_knows(plan, starters, texts)
    plan["names"] = sorted(set().union(*map(rules.words_in, texts.values())))
    known = {key: plan[key] for key in ("files", "names", "casts", "objects")}
    with tempfile.TemporaryDirectory(prefix="hunt-") as beside:
        right = graded(plan, starters, texts, beside, "first")
        seen = {test: count for test, count in right["seen"].items()
                if test.startswith(suite + "/")}
        plan = {**plan_of(fault, sorted(set(seen) - {fault.fields["test"]})), **known,
                "sees": seen}
        right = graded(plan, starters, texts, beside, "right")
        if right["points"] != 100:
            raise lab.Wrong(f"without the bug it has {right['points']} points:\n{right['text']}")
        wrong = graded(plan, starters, starters, beside, "wrong")
        if wrong["points"] != 0:
            raise lab.Wrong(f"with the bug it has {wrong['points']} points:\n{wrong['text']}")
    lab.write(tree_of(plan, starters), folder, "The hunt")


def main(words):
    try:
        if len(words) == 2 and words[0] == "--show":
            fault, _ = chosen(words[1])
            print(f"{fault.where}: {fault.name}, which {fault.fields['test']} sees")
            return 0
        if len(words) != 2 or not words[0]:
            raise lab.Wrong("which bug? SEED=word, that your students do not know")
        make(*words)
        print(f"splat: the hunt is in {words[1]}: begin with {words[1]}/README.md")
        return 0
    except (lab.Wrong, edits.Drifted, OSError, subprocess.CalledProcessError, KeyError,
            ValueError) as error:
        return f"splat: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
