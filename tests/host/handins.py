# SPDX-License-Identifier: MIT
"""
Many hand-ins, packed as people do: what they get, and that no result is lost.
"""
import csv
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

from host import labs
import confine
import lab
import machine
import patience
from host import Skip, expect, test
from host.cheats import FILE, LAB, cheat, patched, starter
from host.labs import FOLDER, hand_in, handed_out, solution

GRADE_ALL_S = 2400                      # of its own time


def tarred(kind):
    def pack(source, target):
        with tarfile.open(f"{target}.tar{'.' if kind else ''}{kind}", f"w:{kind}") as tar:
            tar.add(source, ".")
    return pack


def copied(source, target):
    shutil.copytree(source, target, symlinks=True)


def zipped(source, target):
    """As a desktop makes them: one folder around."""
    with zipfile.ZipFile(f"{target}.zip", "w") as archive:
        for top, _, names in os.walk(source):
            for path in (os.path.join(top, name) for name in names):
                if not os.path.islink(path):
                    archive.write(path, os.path.relpath(path, os.path.dirname(source)))


def downloaded(source, target):
    """As a course's site gives them out: the student's archive, in a folder, in a zip."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/Doe Jane_4711_file_")
        tarred("gz")(source, f"{folder}/Doe Jane_4711_file_/handin")
        shutil.make_archive(target, "zip", folder)


PACKINGS = (copied, tarred("gz"), zipped, tarred("xz"), tarred("bz2"), tarred(""),
            downloaded)


@test("labs-unpack", check=False)
def labs_unpack():
    """Each packing gives the lab's files, and nothing else; what would do harm gives a line."""
    folder, text = f"{FOLDER}/unpack", "int f(void);\n"
    shutil.rmtree(folder, ignore_errors=True)
    source = hand_in("unpack/source", {FILE: text, "Makefile": "all:\n", "a/b/" + FILE: "wrong"})
    os.symlink("/etc/passwd", f"{source}/answers.md")
    for number, pack in enumerate(PACKINGS):
        pack(source, f"{folder}/{number}")
    for name in sorted(os.listdir(folder)):
        if name[0].isdigit():
            code, said, found = unpacked(f"{folder}/{name}")
            expect(code == 0 and found == {FILE: text}, f"{name}: {code}: {said}: {found}")
    zeros = b"\0" * (1 << 20)
    for name, harm in {
            "bomb.tar.gz": lambda: bomb("gz", zeros), "bomb.tar.bz2": lambda: bomb("bz2", zeros),
            "bomb.tar.xz": lambda: bomb("xz", zeros), "bomb.zip": lambda: bomb_zip(zeros),
            "many.zip": lambda: many_members(3000), "garbage.zip": lambda: b"PK\3\4 and no more",
            "cut.tar.gz": lambda: bomb("gz", zeros)[:500], "empty.tar": lambda: b"",
            "large.zip": lambda: zip_of({FILE: zeros}), "text.txt": lambda: b"no archive"}.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(harm())
        code, said, found = unpacked(f"{folder}/{name}")
        expect(code == 1 and said.startswith("it cannot be read: ") and said.count("\n") == 1 and
               not found, f"{name}: {code}: {said}: {list(found)}")
    for odd in ("../" * 9 + FILE, "/" + FILE, "\\".join(FILE.split("/")), "é/" + FILE,
                "/".join("d" * 200 for _ in range(30)) + "/" + FILE):
        with open(f"{folder}/odd.zip", "wb") as file:
            file.write(zip_of({odd: text.encode()}))
        code, said, found = unpacked(f"{folder}/odd.zip")
        expect(code == 0 and found == {FILE: text}, f"{odd[:40]}: {code}: {said}: {found}")


def unpacked(path):
    """(exit code, what was said, file -> text) of labs/tools/unpack.py."""
    with tempfile.TemporaryDirectory() as folder:
        code, said = machine.run(["python3", "labs/tools/unpack.py", path, folder, FILE,
                                  "answers.md"], machine.LOGS + "/unpack.log")
        found = {}
        for top, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(top, name), encoding="utf-8") as file:
                    found[os.path.relpath(os.path.join(top, name), folder)] = file.read()
        return code, said, found


def bomb(kind, piece):
    """A tar of a file of 200 of @piece, which packs to little."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 200 * len(piece)
        tar.addfile(info, io.BufferedReader(Endless(piece)))
    return packed.getvalue()


class Endless(io.RawIOBase):
    def __init__(self, piece):
        super().__init__()
        self.piece = piece

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), len(self.piece))
        buffer[:size] = self.piece[:size]
        return size


def zip_of(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def bomb_zip(piece):
    return zip_of({"inner.zip": zip_of({"inner.tar": bomb("", piece)})})


def many_members(count):
    return zip_of({f"f{number}": b"" for number in range(count)})


# --- Many of them ---

def many(folder, count):
    """@count hand-ins of all kinds, in all packings; returns name -> its score, None: refused."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    right = solution(LAB)
    kinds = [("right", right), ("starter", starter()), ("cheat", cheat("prints-results")),
             ("patched", patched()), ("broken", {FILE: "int f(;\n"}), ("empty", {})]
    wanted = {}
    for number in range(count):
        kind, texts = kinds[number % len(kinds)]
        name = f"{number:02}-{kind}"
        source = hand_in(f"grade-all/{name}", texts)
        wanted[name] = {"right": 100, "cheat": None}.get(kind, 0)
        PACKINGS[number % 7 % len(PACKINGS)](source, f"{folder}/{name}")
    with open(f"{folder}/garbage.tar.gz", "wb") as file:
        file.write(b"this is no archive")
    with tarfile.open(f"{folder}/climber.tar.gz", "w:gz") as tar:
        tar.add(FILE, "../../../climbed")
    return {**wanted, "garbage": 0, "climber": 0}


def results(folder):
    found = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.endswith(".json"):
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                found[name.removesuffix(".json")] = json.load(file)
    return found


def grade_many(count):
    folder = f"{FOLDER}/handins"
    wanted = many(folder, count)
    shutil.rmtree(f"{folder}-results", ignore_errors=True)
    command = ["scripts/grade-all", str(LAB), folder]
    # Stopped as soon as there is a first result (a job in the background may be deaf to SIGINT) ...
    process = machine.start(["env", "--default-signal=INT", *command],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = patience.Patience(GRADE_ALL_S, process.pid)
    while not results(f"{folder}-results") and not machine.judged(limit.look()):
        time.sleep(patience.LOOK_S)
    os.kill(process.pid, signal.SIGINT)
    code = machine.finish(process)
    first = {name: os.stat(f"{folder}-results/{name}.json").st_mtime_ns
             for name in results(f"{folder}-results")}
    expect(code == 130 and first and len(first) < len(wanted), f"{code}: {len(first)} results")
    # ... it goes on where it was.
    code, output = machine.run(command, f"{folder}.log", timeout=GRADE_ALL_S)
    expect(code == 0, f"exit code {code}: {output}")
    found = results(f"{folder}-results")
    expect(set(found) == set(wanted), f"missing: {set(wanted) - set(found)}")
    for name, when in first.items():
        expect(os.stat(f"{folder}-results/{name}.json").st_mtime_ns == when,
               f"{name} was graded again")
    for name, score in wanted.items():
        expect(found[name]["score"] == score, f"{name}: {found[name]['score']}, not {score}")
        expect(os.path.getsize(f"{folder}-results/{name}.txt"), f"{name}: there is no text")
    with open(f"{folder}-results/grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    expect({row[0]: row[1] for row in rows[1:]} ==
           {name: "" if data["score"] is None else str(data["score"])
            for name, data in found.items()}, f"the table is {rows}")
    expect(not os.path.exists(f"{FOLDER}/climbed"), "an archive has written outside its folder")


def needs_sandbox():
    try:
        confine.Sandbox("need")
    except confine.NoSandbox as reason:
        raise Skip(str(reason)) from None


def load_grade_all():
    """scripts/grade-all, as a module."""
    loader = importlib.machinery.SourceFileLoader("grade_all", "scripts/grade-all")
    spec = importlib.util.spec_from_loader("grade_all", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@test("labs-not-judged", check=False)
def not_judged():
    """A machine that is too busy, or out of something, takes no points: there is no result."""
    needs_sandbox()
    tree, far = handed_out(LAB, "not-judged"), {**machine.environment(), "FAR_S": "0.1"}
    report, results_of = f"{FOLDER}/not-judged.json", f"{FOLDER}/not-judged-results"
    hand_ins = os.path.dirname(hand_in("not-judged-handins/one", starter()))
    for path in (report, results_of):
        shutil.rmtree(path, ignore_errors=True)
    for command in (["labs/tools/grade.py", "--work", f"{FOLDER}/not-judged-work", "--json", report,
                     tree],
                    ["scripts/grade-all", str(LAB), hand_ins, results_of]):
        done = subprocess.run([sys.executable, *command], env=far, capture_output=True, text=True,
                              check=False)
        expect(done.returncode == 75 and "not judged" in done.stderr and
               "points" not in done.stdout,
               f"{command[0]}: exit status {done.returncode}: {done.stdout}{done.stderr}")
    expect(not os.path.exists(report) and not os.listdir(results_of), "there is a result")

    module = load_grade_all()
    grader = module.Grader(LAB, results_of, FOLDER, "seed")
    grader.pristine = "not needed"
    for code, said in ((75, "too busy"), (2, "No space left on device"), (-9, "")):
        module.GRADE = f"{FOLDER}/not-judged-grader"
        with open(module.GRADE, "w", encoding="utf-8") as file:
            file.write(f"import os, sys\nprint({said!r}, file=sys.stderr, flush=True)\n"
                       f"os.kill(os.getpid(), -{code}) if {code} < 0 else sys.exit({code})\n")
        name, text = grader.grade(hand_ins + "/one")
        expect(name == "one" and text.startswith("not judged: ") and said in text,
               f"the grader ends with {code}: {text}")
        expect(not os.listdir(results_of), f"the grader ends with {code}: there is a result")


@test("labs-grade-all", long=True)
def grade_all():
    """50 hand-ins, with dishonest and broken ones among them; stopped, and gone on with."""
    needs_sandbox()
    grade_many(48)
    code, output = machine.run(["scripts/grade-all", "99", FOLDER], machine.LOGS + "/ga.log")
    expect(code == 1 and "there is no lab 99" in output, f"{code}: {output}")
    expect(labs.lab is lab, "two of labs/tools/lab.py")
