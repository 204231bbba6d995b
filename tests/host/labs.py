# SPDX-License-Identifier: MIT
"""
The labs: is every solution right, every starter what it is said to be, and does every known wrong
answer lose what is meant for it, and no more? And what hand-ins that cheat get: nothing.
"""
import json
import os
import re
import shutil
import sys
import tarfile
from unittest import mock

import golden
import machine
from host import Skip, expect, test

sys.path[:0] = ["labs/tools", "scripts/build"]

import edits                            # noqa: E402 (scripts/build/edits.py)
import grade as grader                  # noqa: E402 (labs/tools/grade.py)
import hunt                             # noqa: E402 (labs/tools/hunt.py)
import lab                              # noqa: E402 (labs/tools/lab.py)

FOLDER = os.path.abspath(machine.LOGS) + "/labs"


# --- Trees ---

def handed_out(number, name=None):
    """The starter tree, made anew."""
    tree = f"{FOLDER}/{name or number}"
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(FOLDER, exist_ok=True)
    lab.make(number, tree)
    return tree


def solution(number):
    """The opened files, path -> text, as they stand in the kernel."""
    return lab.opened_texts(number)[1]


def hand_in(name, texts):
    """A folder with these files."""
    folder = f"{FOLDER}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for path, text in texts.items():
        write(f"{folder}/{path}", text)
    return folder


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def wrong_answers(folder):
    """(Edit, points it loses by step) of each known one."""
    if not os.path.exists(f"{folder}/wrong.edits"):
        raise Skip("its wrong answers are not written yet")
    for answer in edits.load(f"{folder}/wrong.edits"):
        loses = re.findall(r"(?:^|, )(\d+): (\d+)(?=,|$)", answer.fields.get("loses", ""))
        expect(set(answer.fields) == {"why", "loses"} and answer.fields["loses"] == ", ".join(
            map(": ".join, loses)), f"{answer.where}: it needs why, and loses as 2: 10, 5: 20")
        yield answer, {step: int(points) for step, points in loses}


# --- Points ---

def grade(number, folder, work, base=None, *more):
    """Points by step, and what was printed. @more: options of the grader's."""
    report = f"{work}.json"
    words = ["python3", "labs/tools/grade.py", "--pristine",
             f"{FOLDER}/{number}/.lab/pristine.tar.gz", "--work", work, "--json", report,
             *(["--base", base] if base else []), *more, folder]
    code, output = machine.run(words, work + ".txt", timeout=600)
    expect(code in (0, 1), f"exit code {code}: {output}")
    with open(report, encoding="utf-8") as file:
        data = json.load(file)
    points = {str(n): step["points"] for n, step in enumerate(data["steps"], 1)}
    expect((code == 0) == all(step["points"] == step["of"] for step in data["steps"]),
           f"exit code {code} with {points}")
    return points, output


def wanted_of(plan):
    """All tests that count in @plan."""
    return {test for step in plan["steps"] for check in step["checks"]
            for _, test in grader.wanted(check)}


def full(plan):
    return {str(n): sum(check["points"] for check in step["checks"])
            for n, step in enumerate(plan["steps"], 1)}


def no_solution_in(tree, number):
    """Not in any file, and there is no history."""
    secrets = [hole.solution for hole in lab.holes(number) if len(hole.solution) > 1]
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as file:
                text = file.read()
            for lines in secrets:
                expect("\n".join(lines) not in text, f"{folder}/{name} has a solution: {lines[0]}")
    _, log = machine.run(["git", "-C", tree, "log", "--oneline"], f"{tree}.log")
    expect(log.count("\n") == 1, f"the history is {log}")


def packed_is_what_is_graded(tree):
    """make handin: the files that the lab opens, and nothing else."""
    code, output = machine.run(["make", "handin"], f"{tree}.handin", cwd=tree)
    expect(code == 0, f"make handin: {output}")
    with open(f"{tree}/lab.json", encoding="utf-8") as file:
        opened = json.load(file)["files"]
    with tarfile.open(f"{tree}/handin.tar.gz") as tar:
        expect(sorted(tar.getnames()) == opened, f"handin.tar.gz has {tar.getnames()}")


REPLAY = re.compile(r"again, in GDB: (make debug .*)\"-ex '(splat test (\S+) (\S+) (\d+))'\"")


def stops_in_the_right_call(tree, output):
    """What a failed test says to type leads to the last call before its check fails."""
    expect("again, in GDB: make debug " in output, f"nothing says how to see it again:\n{output}")
    found = REPLAY.search(output)
    if not found:
        return                          # it fails without a check, or without such a call
    make, command, test_name, function, _ = found.groups()
    fail = "ktest_fail" if test_name.startswith("k/") else "ktap_fail"
    script = (command, "echo here:", "bt 1", f"tbreak {fail}", "continue", "echo then:", "bt 1")
    words = make + '"-batch ' + " ".join(f"-ex '{line}'" for line in script) + '"'
    _, said = machine.run(["sh", "-c", words], f"{tree}.gdb", cwd=tree, timeout=600)
    where = re.findall(r"^(here|then):#0 +(?:0x\w+ in )?(\w+) ", said, re.M)
    expect(where == [("here", function), ("then", fail)], f"{words}: {where}\n{said[-1500:]}")


def prove(number):
    """Starter, solution and wrong answers of a lab."""
    plan, folder = lab.load(number)
    wrong = list(wrong_answers(folder))
    tree = handed_out(number)
    no_solution_in(tree, number)
    code, output = machine.run(["make", "CI=1", "all"], f"{tree}.build", cwd=tree, timeout=300)
    expect(code == 0, f"the starter does not build without warnings:\n{output[-800:]}")
    packed_is_what_is_graded(tree)
    points, output = grade(number, tree, f"{FOLDER}/{number}-base")
    stops_in_the_right_call(tree, output)
    wanted = {**dict.fromkeys(points, 0), **plan.get("baseline", {})}
    expect(points == wanted, f"the starter has {points}, not {wanted}")
    best, base = full(plan), f"{FOLDER}/{number}-base/tree"
    expect(sum(best.values()) == 100, f"the points are {sum(best.values())} in all")
    texts = solution(number)
    work = f"{FOLDER}/{number}-work"
    shutil.rmtree(work, ignore_errors=True)
    points, output = grade(number, hand_in(f"{number}-solution", texts), work, base)
    expect(points == best, f"the solution has {points}, not {best}:\n{output}")
    with open(f"{work}.json", encoding="utf-8") as file:
        seen = {test: count for test, count in json.load(file)["seen"].items()
                if test in wanted_of(plan)}
    expect(seen == plan["sees"], f"{folder}/lab.json: \"sees\": {json.dumps(seen)}")
    unseen = [test for test, count in seen.items() if not count]
    expect(not unseen, f"no check of these is seen: {unseen}")
    expect(len(wrong) >= 5, f"{len(wrong)} wrong answers are known, not 5")
    trouble = []
    for answer, loses in wrong:
        handed_in = hand_in(f"{number}-wrong", answer.applied(texts))
        points, output = grade(number, handed_in, work, base)
        lost = {step: best[step] - points[step] for step in best if best[step] != points[step]}
        if lost != loses:
            trouble.append(f"{answer.name}: loses {lost}, not {loses}")
    expect(not trouble, "\n".join(trouble))
    for path in (work, f"{FOLDER}/{number}-base"):
        shutil.rmtree(path)


# --- Handouts ---

BLOCK = re.compile(r"^```console( solved)?\n(.*?)^```", re.M | re.S)


def commands(block):
    """[(command, its expected lines)]"""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def missing_line(wanted, got):
    """The first line of @wanted that does not come in @got, after those before it; "" if all do."""
    at = 0
    for line in wanted:
        if line.strip() in ("", "..."):
            continue
        while at < len(got) and not golden.line_matches(line, got[at]):
            at += 1
        if at == len(got):
            return line
        at += 1
    return ""


def handout(number):
    """What it says to type is typed, and what it says to come comes, in order."""
    _, folder = lab.load(number)
    with open(f"{folder}/handout.md", encoding="utf-8") as file:
        blocks = BLOCK.findall(file.read())
    if not blocks:
        raise Skip("it is not written yet")
    tree, trouble = handed_out(number, f"{number}-handout"), []
    for solved in ("", " solved"):
        if solved:
            for name, text in solution(number).items():
                with open(f"{tree}/{name}", "w", encoding="utf-8") as file:
                    file.write(text)
        for kind, block in blocks:
            for command, wanted in commands(block) if kind == solved else []:
                _, output = machine.run(["sh", "-c", command], f"{tree}.out", machine.REPEATABLE,
                                        cwd=tree, timeout=300)
                got = [line.rstrip() for line in output.splitlines()]
                if line := missing_line(wanted, got):
                    trouble.append(f"$ {command}\ndoes not print: {line}\nbut: " +
                                   "\n".join(got[-12:]))
    expect(not trouble, "\n".join(trouble))


def for_each_lab(suffix, function, text):
    for number in lab.numbers():
        def proof(number=number):
            function(number)
        proof.__doc__ = f"Lab {number}: {text}"
        test(f"labs-{number}{suffix}", long=True)(proof)


for_each_lab("", prove, "starter, solution, wrong answers.")
for_each_lab("-handout", handout, "its handout's commands.")


@test("labs-hunt", long=True)
def labs_hunt():
    """
    The seed chooses the bug: two seeds, two bugs. Each tree has it, does not say which it is, and
    is right without it: the maker tries that, and refuses what it cannot prove.
    """
    shown = set()
    for seed in "spring", "autumn":
        tree = f"{FOLDER}/hunt-{seed}"
        shutil.rmtree(tree, ignore_errors=True)
        code, output = machine.run(["make", "-s", "hunt", f"SEED={seed}", f"TO={tree}"],
                                   f"{tree}.log", timeout=1200)
        expect(code == 0, f"{seed}: {output}")
        fault, _ = hunt.chosen(seed)
        starters = fault.applied(edits.tree_texts(fault))
        for path, text in starters.items():
            with open(f"{tree}/{path}", encoding="utf-8") as file:
                expect(file.read() == text, f"{seed}: {path} has not the bug {fault.name}")
        for top, _, names in os.walk(tree):
            for path in (os.path.join(top, name) for name in names):
                with open(path, encoding="utf-8", errors="replace") as file:
                    expect(fault.name not in file.read(), f"{path} names {fault.name}")
        code, output = machine.run(["python3", "labs/tools/hunt.py", "--show", seed],
                                   f"{tree}.log")
        expect(fault.name in output, output)
        shown.add(fault.name)
    expect(len(shown) == 2, f"both have {shown}")
    with mock.patch.object(hunt, "chosen", lambda _: (ONLY_A_COMMENT, "arch/x86/fpu/")):
        try:
            hunt.make("any", f"{FOLDER}/hunt-none")
            expect(False, "a bug that nothing sees is handed out")
        except lab.Wrong as reason:
            expect("with the bug it has 100 points" in str(reason), str(reason))
    code, output = machine.run(["make", "hunt"], machine.LOGS + "/hunt.log")
    expect(code == 2 and "which bug? SEED=word" in output, output)


ONLY_A_COMMENT = edits.parse("""edit: no-bug
test: k/fpu_owner/another_owner_makes_us_load
@@ arch/x86/fpu/core/regs.c: fpregs_restore_userregs @@
-		fpregs_activate(fpu);
+		/* as ever */ fpregs_activate(fpu);
""", "here")[0]


# --- The holes ---

HOLE = "edit: step 1, f\nsays: what is it.\n@@ f.c: f @@\n-\treturn 1;\n+\treturn 0;\n"


@test("labs-holes")
def labs_holes():
    """A hole that is not right, or does not belong to a step, is named with its line."""
    folder = f"{FOLDER}/holes"
    os.makedirs(folder, exist_ok=True)
    for old, new, why in (
            ("", "", ""), ("step 1, f", "f", "starter.edits:1: a hole is called"),
            ("says: what is it.\n", "", "starter.edits:1: a hole is called"),
            ("-\treturn 1;\n", " {\n-\treturn 1;\n", "starter.edits:1: a starter stands below"),
            ("-\treturn 1;\n+\treturn 0;", "+\treturn 0;\n-\treturn 1;",
             "starter.edits:1: a starter stands below"),
            ("return 0;", "/* no */", "starter.edits:1: a starter stands below"),
            ("step 1", "step 2", "lab 1, step 1: no hole in"),
            ("\treturn 1", "\treturn 2", "starter.edits:3: in f.c, f, this stands 0 times"),
            (": f @@", ": g @@", 'starter.edits:3: f.c has no definition of "g"')):
        with open(f"{folder}/starter.edits", "w", encoding="utf-8") as file:
            file.write(HOLE.replace(old, new, 1))
        with mock.patch.object(lab, "load", lambda _: ({"steps": [{}]}, folder)):
            try:
                got = lab.holes(1)[0].applied({"f.c": "int f(void)\n{\n\treturn 1;\n}\n"})["f.c"]
            except (lab.Wrong, edits.Drifted) as error:
                got = str(error).replace(folder + "/", "")
        opened = "int f(void)\n{\n\t/* Lab 1, step 1: what is it. From here ... */\n\treturn 0;\n" \
                 "\t/* ... to here. */\n}\n"
        expect(got.startswith(why or opened), f"{why}: {got}")
    for number in lab.numbers():
        plan, folder = lab.load(number)
        _, texts = lab.opened_texts(number)
        for answer, loses in wrong_answers(folder):
            answer.applied(texts)
            expect(loses and all(points <= full(plan).get(step, 0)
                                 for step, points in loses.items()),
                   f"{answer.where}: {answer.name}: step {loses} is not worth that")
    for words, text in ((["lab"], "which lab?"), (["lab", "LAB=99"], "there is no lab 99"),
                        (["lab", "LAB=1", "TO=scripts"], "scripts is not empty")):
        code, output = machine.run(["make", *words], machine.LOGS + "/labs-holes.log")
        expect(code == 2 and text in output, f"make {words}: {code}: {output}")
