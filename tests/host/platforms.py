# SPDX-License-Identifier: MIT
"""
What platforms get, and do with it: each bundle is used as the platform's documents say, and what
comes of it is read by the format that they publish.
"""
import base64
import json
import os
import re
import shutil
import tarfile
import time
import zipfile

import machine
import report
from host import Skip, Terminal, expect, labs, test
from host.cheats import FILE, LAB, starter
from host.handins import needs_sandbox, tarred
from host.labs import FOLDER, hand_in, handed_out, solution

GRADE_S = 300                           # of its own time
GUIDE = "docs/instructors-guide.md"
# Gradescope, "Autograder Specifications": what may be in results.json, and of which type.
GRADESCOPE = {"score": (int, float), "execution_time": (int, float), "output": str,
              "output_format": str, "test_output_format": str, "test_name_format": str,
              "visibility": str, "stdout_visibility": str, "extra_data": dict, "tests": list,
              "leaderboard": list}
GRADESCOPE_TEST = {"score": (int, float), "max_score": (int, float), "status": str, "name": str,
                   "name_format": str, "number": str, "output": str, "output_format": str,
                   "tags": list, "visibility": str, "extra_data": dict}
VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}


def typed(data, form, what):
    """Has @data only what @form has, each of its type?"""
    for key, value in data.items():
        expect(isinstance(value, form.get(key, ())), f"{what}: {key} is {value!r}")
    for key in data.keys() & {"visibility", "stdout_visibility"}:
        expect(data[key] in VISIBILITIES, f"{what}: {key} is {data[key]}")


def bundle(platform):
    folder = f"{FOLDER}/for-{platform}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(FOLDER, exist_ok=True)
    code, output = machine.run(["make", "-s", "lab", f"LAB={LAB}", f"FOR={platform}",
                                f"TO={folder}"], folder + ".log")
    expect(code == 0 and os.path.isdir(folder), f"{platform}: {code}: {output}")
    return folder


def hand_ins(folder):
    """Name -> (a packed hand-in, its points)."""
    found = {}
    for name, texts, points in (("right", solution(LAB), 100), ("starter", starter(), 0),
                                ("refused", {FILE: 'asm("");\n' + starter()[FILE]}, None)):
        source = hand_in(f"{folder}/{name}-files", texts)
        tarred("gz")(source, f"{FOLDER}/{folder}/{name}")
        found[name] = f"{FOLDER}/{folder}/{name}.tar.gz", points
    return found


def run(words, log, cwd, env=None):
    return machine.run(words, f"{FOLDER}/{log}", env, cwd=cwd, timeout=900)


@test("labs-gradescope", check=False)
def gradescope():
    """Its harness: the zip in /autograder/source, run_autograder beside it, results.json."""
    top = f"{FOLDER}/autograder"
    shutil.rmtree(top, ignore_errors=True)
    with zipfile.ZipFile(bundle("gradescope") + "/autograder.zip") as archive:
        for info in archive.infolist():
            path = archive.extract(info, f"{top}/source")
            os.chmod(path, info.external_attr >> 16)
    shutil.copy(f"{top}/source/run_autograder", top)
    code, output = run(["bash", f"{top}/source/setup.sh"], "setup.log", top)
    expect(code == 0, f"setup.sh: {code}: {output}")
    for name, (path, points) in hand_ins("gradescope").items():
        for folder in "submission", "results":
            shutil.rmtree(f"{top}/{folder}", ignore_errors=True)
            os.mkdir(f"{top}/{folder}")
        with tarfile.open(path) as archive:             # the platform unpacks
            archive.extractall(f"{top}/submission")
        code, output = run([f"{top}/run_autograder"], "autograder.log", top,
                           {"AUTOGRADER": top, "VISIBILITY": "after_published"})
        expect(code == 0, f"{name}: {code}: {output}")
        with open(f"{top}/results/results.json", encoding="utf-8") as file:
            data = json.load(file)
        typed(data, GRADESCOPE, name)
        for one in data["tests"]:
            typed(one, GRADESCOPE_TEST, name)
            expect(one["status"] in ("passed", "failed") and one["score"] <= one["max_score"], one)
        expect(data["score"] == (points or 0) == sum(one["score"] for one in data["tests"]) and
               data["visibility"] == "after_published", f"{name}: {data}")
        expect(points is not None or "no point is lost" in data["output"] and
               f"{FILE}:1: assembly" in data["output"], f"{name}: {data['output']}")
    shutil.rmtree(f"{top}/results")
    shutil.rmtree(f"{top}/submission")
    shutil.copytree(hand_in("gradescope/again", starter()), f"{top}/submission")
    _, output = run(["sh", "-c", f"{top}/run_autograder; echo exit status $?"], "autograder.log",
                    top, {"AUTOGRADER": top, "FAR_S": "0.1"})
    expect("exit status 75" in output and not os.listdir(f"{top}/results"), f"not judged: {output}")


@test("labs-autolab", check=False)
def autolab():
    """Its machine: the tar, the Makefile and the hand-in in one folder; the last line counts."""
    folder = bundle("autolab")
    handed_in = hand_ins("autolab")
    for name in "right", "refused":
        path, points = handed_in[name]
        place = f"{FOLDER}/autolab-machine"
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        shutil.copy(f"{folder}/autograde.tar", place)
        shutil.copy(f"{folder}/autograde-Makefile", f"{place}/Makefile")
        shutil.copy(path, f"{place}/handin.tar.gz")
        code, output = run(["make"], "autolab.log", place)
        last = output.rstrip().splitlines()[-1]
        expect(code == 0, f"{name}: {code}: {output}")
        if points is None:
            expect("scores" not in last and "assembly" in output, f"{name}: {output}")
            continue
        scores = json.loads(last)
        expect(set(scores) == {"scores"} and sum(scores["scores"].values()) == points and
               list(scores["scores"]) == [f"step {n}" for n in range(1, 6)], f"{name}: {last}")


@test("labs-classroom", check=False)
def classroom():
    """GitHub: the workflow's own commands, with the files that a step is given."""
    tree = bundle("github")
    with open(f"{tree}/.github/workflows/classroom.yml", encoding="utf-8") as file:
        commands = re.findall(r"run: (.*)", file.read())
    expect(len(commands) == 2, f"the workflow runs {commands}")
    _, status = run(["git", "-C", tree, "status", "--short"], "status.log", tree)
    expect(not status, f"not committed: {status}")
    given = {"GITHUB_STEP_SUMMARY": f"{FOLDER}/summary.md", "GITHUB_OUTPUT": f"{FOLDER}/output.txt"}
    for texts, points in ((solution(LAB), 100), (starter(), 0), ({FILE: 'asm("");\n'}, None)):
        for path in given.values():
            if os.path.exists(path):
                os.remove(path)
        for name, text in texts.items():
            with open(f"{tree}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        for command in commands:
            code, output = run(["bash", "-e", "-c", command], "classroom.log", tree, given)
        expect(code == {100: 0, 0: 1, None: 3}[points], f"{points}: {code}: {output}")
        with open(given["GITHUB_STEP_SUMMARY"], encoding="utf-8") as file:
            summary = file.read()
        expect(f"## Lab {LAB}: " + ("not graded" if points is None else f"{points} of 100") in
               summary, summary)
        with open(given["GITHUB_OUTPUT"], encoding="utf-8") as file:
            name, _, value = file.read().rstrip("\n").partition("=")
        data = json.loads(base64.b64decode(value))
        expect(name == "result" and data["version"] == 1 and data["max_score"] == 100 and
               data["status"] == {100: "pass", 0: "fail", None: "error"}[points] and
               sum(one["score"] for one in data["tests"]) == (points or 0), str(data)[:800])


@test("labs-anywhere", check=False)
def anywhere():
    """The guide's forms for GNU parallel and for a CI's matrix; results of both make one table."""
    needs_sandbox()
    if not shutil.which("parallel"):
        raise Skip("GNU parallel is not here: scripts/deps.sh parallel")
    place = f"{FOLDER}/anywhere"
    shutil.rmtree(place, ignore_errors=True)
    names = [os.path.basename(path) for path, _ in hand_ins("anywhere/handins").values()]
    for name in os.listdir(f"{place}/handins"):
        if not name.endswith(".tar.gz"):
            shutil.rmtree(f"{place}/handins/{name}")
    shutil.move(handed_out(LAB, "anywhere-lab"), f"{place}/lab-{LAB}")
    with open(GUIDE, encoding="utf-8") as file:
        guide = file.read()
    blocks = re.findall(r"^```(?:sh|yaml) anywhere\n(.*?)^```", guide, re.M | re.S)
    expect(len(blocks) == 2, f"{GUIDE} has {len(blocks)} forms, not 2")
    parallel, matrix = blocks
    code, output = run(["bash", "-e", "-c", parallel], "anywhere.log", place)
    expect(code == 0, f"parallel: {code}: {output}")
    points = {name: report.read(f"{place}/results/{name}.json") for name in names}
    expect([one and one["points"] for one in points.values()] == [100, 0, None], str(points))
    shutil.rmtree(f"{place}/results")
    step = re.search(r"run: \|\n((?: {10,}.*\n)+)", matrix)[1]
    for name in names:
        code, output = run(["bash", "-e", "-c", step.replace("${{ matrix.handin }}", name)],
                           "anywhere.log", place)
        expect(code == 0, f"the matrix's {name}: {code}: {output}")
    expect(points == {name: report.read(f"{place}/results/{name}.json") for name in names},
           "parallel and matrix differ")
    code, output = run(["scripts/grade-all", "--table", f"{place}/results"], "anywhere.log", ".")
    with open(f"{place}/results/grades.csv", encoding="utf-8") as file:
        table = file.read()
    expect(code == 0 and table.splitlines()[1:] == [
        "refused.tar.gz,", "right.tar.gz,100,20,20,10,30,20", "starter.tar.gz,0,0,0,0,0,0"], table)


@test("labs-table")
def table():
    """Any file's name has its row, and none is a formula; what is no result has none."""
    folder = os.fsencode(f"{FOLDER}/table")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    result = {"points": 40, "key": "", "steps": [{"points": 40}, {"points": 0}]}
    for name, text in ((b"bob\xff", json.dumps(result)), (b"=1+1", json.dumps(result)),
                       (b"refused", json.dumps({**result, "points": None, "steps": []})),
                       (b"cut", json.dumps(result)[:20]), (b"other", "[]")):
        with open(os.path.join(folder, name + b".json"), "w", encoding="utf-8") as file:
            file.write(text)
    code, output = machine.run(["scripts/grade-all", "--table", f"{FOLDER}/table"],
                               f"{FOLDER}/table.log")
    with open(os.path.join(folder, b"grades.csv"), encoding="utf-8") as file:
        rows = file.read().splitlines()
    expect(code == 0 and rows == ["name,score,steps", "'=1+1,40,40,0", "bob\\udcff,40,40,0",
                                  "refused,"], f"{code}: {output}: {rows}")
    said = report.printable("\x1b[2J100 of 100\x07\ttab\nline \udcff é")
    expect(said == "?[2J100 of 100?\ttab\nline ? é", repr(said))


@test("labs-for-whom")
def for_whom():
    code, output = machine.run(["make", "lab", f"LAB={LAB}", "FOR=moodle"],
                               machine.LOGS + "/for.log")
    expect(code == 2 and "FOR=moodle is unknown; it is gradescope, autolab, github" in output,
           f"{code}: {output}")
    code, output = machine.run(["scripts/grade-all"], machine.LOGS + "/for.log")
    expect(code == 2 and "which lab, and where are the hand-ins?" in output, f"{code}: {output}")


@test("labs-texts", check=False)
def texts():
    """What a student sees: how far it is, one error of a build, where it fails; and soon."""
    tree = handed_out(LAB, "texts")
    code, output = machine.run(["make", "-s", "all"], f"{tree}.log", cwd=tree, timeout=600)
    expect(code == 0, output)
    began = time.time()
    terminal = Terminal(["make", "-C", tree, "grade"])
    terminal.read_until("of 100\n", GRADE_S)
    terminal.end()
    said = terminal.output.replace("\r\n", "\n")
    for line in "building ...", "boot 1 of 4: plain, values splat-0 ...", "boot 4 of 4: smp":
        expect(line in said, f"nothing says {line}: {said}")
    objects = {path: os.stat(path).st_mtime for top, _, names in os.walk(f"{tree}/build/grade/tree")
               for path in (os.path.join(top, name) for name in names) if path.endswith(".c.o")}
    late = [path for path, when in objects.items() if when > began]
    expect(len(objects) > 100 and not late, f"{len(objects)} objects, built again: {late}")
    labs.stops_in_the_right_call(tree, said)
    with open(f"{tree}/{FILE}", encoding="utf-8") as file:
        lines = file.read().count("\n")
    with open(f"{tree}/{FILE}", "a", encoding="utf-8") as file:
        file.write("int f(void) { return missing; }\nint g(void) { return absent; }\n")
    for more in [], ["ALL=1"]:
        code, output = machine.run(["make", "grade", *more], f"{tree}.log", cwd=tree)
        expect(code == 0 and output.count("error: ") == 1 and
               f"{FILE}:{lines + 1}:" in output and "missing" in output and
               "make:" not in output, f"{code}: {output}")
