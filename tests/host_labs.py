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

import golden
import machine
from host import Failure, Skip, expect, test

sys.path.insert(0, "scripts")

import lab                              # noqa: E402 (scripts/lab.py)

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
    """The opened files, path -> text, as they stand in the kernel, without marks."""
    texts = {}
    for name, here in lab.holes(lab.tracked()).items():
        if any(hole.lab == number for hole in here):
            with open(name, encoding="utf-8") as file:
                texts[name] = lab.rendered(lab.parse(file.read(), name), 0)
    return texts


def hand_in(name, texts):
    """A folder with these files."""
    folder = f"{FOLDER}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for path, text in texts.items():
        os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
        with open(f"{folder}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def edited(texts, edits):
    """@texts with each edit made; what it replaces must be there once."""
    texts = dict(texts)
    for edit in edits:
        text = texts[edit["file"]]
        expect(text.count(edit["old"]) == 1,
               f"{edit['file']}: {text.count(edit['old'])} times, not once: {edit['old']}")
        texts[edit["file"]] = text.replace(edit["old"], edit["new"])
    return texts


# --- Points ---

def grade(number, folder, work, base=None):
    """Points by step, and what was printed."""
    report = f"{work}.json"
    words = ["python3", "labs/grade.py", "--pristine", f"{FOLDER}/{number}/.lab/pristine.tar.gz",
             "--work", work, "--json", report, *(["--base", base] if base else []), folder]
    code, output = machine.run(words, work + ".txt", timeout=600)
    expect(code in (0, 1), f"exit code {code}: {output}")
    with open(report, encoding="utf-8") as file:
        data = json.load(file)
    points = {str(n): step["points"] for n, step in enumerate(data["steps"], 1)}
    expect((code == 0) == all(step["points"] == step["of"] for step in data["steps"]),
           f"exit code {code} with {points}")
    return points, output


def full(plan):
    return {str(n): sum(check["points"] for check in step["checks"])
            for n, step in enumerate(plan["steps"], 1)}


def no_solution_in(tree, number):
    """Not in any file, and there is no history."""
    secrets = [hole.solution for here in lab.holes(lab.tracked()).values() for hole in here
               if hole.lab == number and len(hole.solution) > 1]
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            with open(f"{folder}/{name}", encoding="utf-8", errors="replace") as file:
                text = file.read()
            expect(not lab.MARK.search(text) or name == "lab.py", f"{folder}/{name} has a mark")
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


def prove(number):
    """Starter, solution and wrong answers of a lab."""
    plan, folder = lab.load(number)
    if not os.path.exists(f"{folder}/wrong.json"):
        raise Skip("its wrong answers are not written yet")
    tree = handed_out(number)
    no_solution_in(tree, number)
    code, output = machine.run(["make", "CI=1", "all"], f"{tree}.build", cwd=tree, timeout=300)
    expect(code == 0, f"the starter does not build without warnings:\n{output[-800:]}")
    packed_is_what_is_graded(tree)
    points, _ = grade(number, tree, f"{FOLDER}/{number}-base")
    wanted = {**dict.fromkeys(points, 0), **plan.get("baseline", {})}
    expect(points == wanted, f"the starter has {points}, not {wanted}")
    best, base = full(plan), f"{FOLDER}/{number}-base/tree"
    expect(sum(best.values()) == 100, f"the points are {sum(best.values())} in all")
    texts = solution(number)
    work = f"{FOLDER}/{number}-work"
    shutil.rmtree(work, ignore_errors=True)
    points, output = grade(number, hand_in(f"{number}-solution", texts), work, base)
    expect(points == best, f"the solution has {points}, not {best}:\n{output}")
    with open(f"{folder}/wrong.json", encoding="utf-8") as file:
        wrong = json.load(file)
    expect(len(wrong) >= 5, f"{len(wrong)} wrong answers are known, not 5")
    trouble = []
    for answer in wrong:
        handed_in = hand_in(f"{number}-wrong", edited(texts, answer["edits"]))
        points, output = grade(number, handed_in, work, base)
        lost = {step: best[step] - points[step] for step in best if best[step] != points[step]}
        if lost != answer["loses"]:
            trouble.append(f"{answer['name']}: loses {lost}, not {answer['loses']}")
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


# --- Marks ---

GOOD = "int f(void)\n{\n\t/* lab 1.1: solution */\n\treturn 1;\n" \
       "\t/* lab 1.1: starter: what is it\n\treturn 0;\n\tlab 1.1: end */\n}\n"


@test("labs-marks")
def marks():
    """The tool opens one lab and closes the others; marks that are not right are named, by line."""
    parts = lab.parse(GOOD, "f.c")
    expect(lab.rendered(parts, 0) == "int f(void)\n{\n\treturn 1;\n}\n" ==
           lab.rendered(parts, 2), "the solution is not what stands between its marks")
    expect(lab.rendered(parts, 1) == "int f(void)\n{\n\t/* Lab 1, step 1: what is it. From here "
           "... */\n\treturn 0;\n\t/* ... to here. */\n}\n", "the starter is not as in its marks")
    for old, new, why in (
            ("\tlab 1.1: end */\n", "", "f.c:3: the mark of lab 1.1 has no end"),
            ("\t/* lab 1.1: solution */\n", "", "f.c:4: no such mark was begun"),
            ("return 1;", "/* lab 1.2: solution */", "f.c:4: the mark of line 3 has no end"),
            ("1.1: end", "1.2: end", "f.c:7: no such mark was begun"),
            ("1.1: solution", "1.1: begin", "f.c:3: this is no mark of a lab"),
            ("return 0;", "/* no */", "f.c:6: a starter has no comments"),
            ("\treturn 0;\n", "\t/* lab 1.1: starter: x\n", "f.c:6: solution, starter and end"),
            ("\t/* lab 1.1: starter: what is it\n\treturn 0;\n", "",
             "f.c:5: solution, starter and end")):
        try:
            lab.parse(GOOD.replace(old, new, 1), "f.c")
        except lab.Wrong as error:
            expect(str(error).startswith(why), f"{error}, not {why}")
        else:
            raise Failure(f"not seen: {why}")
    lab.check()
    for words, text in ((["lab"], "which lab?"), (["lab", "LAB=99"], "there is no lab 99"),
                        (["lab", "LAB=1", "TO=scripts"], "scripts is not empty")):
        code, output = machine.run(["make", *words], machine.LOGS + "/labs-marks.log")
        expect(code == 2 and text in output, f"make {words}: {code}: {output}")
