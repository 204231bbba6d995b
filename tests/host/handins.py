# SPDX-License-Identifier: MIT
"""
Many hand-ins, packed as people do: what they get, and that no result is lost.
"""
import csv
import io
import lzma
import os
import re
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
import report
from host import Skip, expect, test
from host.cheats import FILE, LAB, cheat, patched, starter
from host.labs import FOLDER, hand_in, handed_out, solution

GRADE_ALL_S = 2400                      # of its own time
DYING_S = 20


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


def piped(program, end):
    def pack(source, target):
        with open(f"{target}.tar.{end}", "wb") as file:
            with subprocess.Popen(["tar", "c", "-C", source, "."], stdout=subprocess.PIPE) as tar:
                subprocess.run([program, "-c"], stdin=tar.stdout, stdout=file, check=True)
    return pack


def lzma_alone(source, target):
    tarred("")(source, target)
    with open(f"{target}.tar", "rb") as tar, lzma.open(f"{target}.tar.lzma", "wb",
                                                       format=lzma.FORMAT_ALONE) as file:
        file.write(tar.read())
    os.remove(f"{target}.tar")


PACKINGS = (copied, tarred("gz"), zipped, tarred("xz"), tarred("bz2"), tarred(""),
            downloaded)
RARE = (lzma_alone, *(piped(*one) for one in (("zstd", "zst"), ("lz4", "lz4"), ("lzip", "lz"),
                                              ("compress", "Z")) if shutil.which(one[0])))


@test("labs-unpack", check=False)
def labs_unpack():
    """Each packing gives the lab's files, and nothing else; what would do harm gives a line."""
    folder, text = f"{FOLDER}/unpack", "int f(void);\n"
    shutil.rmtree(folder, ignore_errors=True)
    source = hand_in("unpack/source", {FILE: text, "Makefile": "all:\n", "a/b/" + FILE: "wrong"})
    os.symlink("/etc/passwd", f"{source}/answers.md")
    for number, pack in enumerate((*PACKINGS, *RARE)):
        pack(source, f"{folder}/{number}")
    for name in sorted(os.listdir(folder)):
        if name[0].isdigit():
            code, said, found = unpacked(f"{folder}/{name}")
            expect(code == 0 and found == {FILE: text}, f"{name}: {code}: {said}: {found}")
    zeros = b"\0" * (1 << 20)
    for name, harm in {
            "bomb.tar.gz": lambda: bomb("gz", zeros), "bomb.tar.bz2": lambda: bomb("bz2", zeros),
            "bomb.tar.xz": lambda: bomb("xz", zeros), "bomb.zip": lambda: bomb_zip(zeros),
            "many.zip": lambda: many_members(30000), "garbage.zip": lambda: b"PK\3\4 and no more",
            "cut.tar.gz": lambda: bomb("gz", zeros)[:500], "empty.tar": lambda: b"",
            "large.zip": lambda: zip_of({FILE: zeros}), "text.txt": lambda: b"no archive"}.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(harm())
        code, said, found = unpacked(f"{folder}/{name}")
        expect(code == 1 and said.startswith("it cannot be read: ") and said.count("\n") == 1 and
               not found, f"{name}: {code}: {said}: {list(found)}")
    # The whole folder, after make grade: what was built there is not looked at.
    with open(f"{folder}/whole.zip", "wb") as file:
        file.write(zip_of({f"lab-2/{name}": text.encode() for name in (
            FILE, *(f"build/grade/{n}/{FILE}" for n in range(50)), ".git/" + FILE)}))
    code, said, found = unpacked(f"{folder}/whole.zip")
    expect(code == 0 and found == {FILE: text}, f"whole.zip: {code}: {said}: {found}")
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
    """A tar of a file of 400 of @piece, which packs to little."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 400 * len(piece)
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
    for pack in tarred("gz"), tarred("xz"):
        pack(f"{FOLDER}/grade-all/00-right", f"{folder}/same")
    return {**wanted, "garbage": None, "climber": 0, "same.tar.gz": 100, "same.tar.xz": 100}


def results(folder):
    """Name -> points of those that are there."""
    return {name.removesuffix(".json"): report.read(f"{folder}/{name}")["points"]
            for name in (os.listdir(folder) if os.path.isdir(folder) else [])
            if name.endswith(".json")}


def stopped_after_one(command, folder, whole_group):
    """
    Ctrl-C as soon as there is a first result; @whole_group: as a terminal gives it, to all that
    were started there. Returns the exit code. (A job in the background may be deaf to SIGINT.)
    """
    process = machine.start(["env", "--default-signal=INT", *command],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = patience.Patience(GRADE_ALL_S, process.pid)
    while not results(folder) and not machine.judged(limit.look()):
        time.sleep(patience.LOOK_S)
    members = patience.family([process.pid])
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    code = machine.finish(process)
    limit = patience.Patience(DYING_S, *members)
    while left := [pid for pid in members if os.path.exists(f"/proc/{pid}")]:
        expect(not machine.judged(limit.look()), f"still there: {left}")
        time.sleep(patience.LOOK_S)
    return code


def grade_many(count):
    folder = f"{FOLDER}/handins"
    wanted = many(folder, count)
    shutil.rmtree(f"{folder}-results", ignore_errors=True)
    command, before = ["scripts/grade-all", str(LAB), folder], {}
    for whole_group in True, False:
        code = stopped_after_one(command, f"{folder}-results", whole_group)
        first = {name: os.stat(f"{folder}-results/{name}.json").st_mtime_ns
                 for name in results(f"{folder}-results")}
        expect(code == 130 and first and len(first) < len(wanted), f"{code}: {len(first)} results")
        expect(before.items() <= first.items(), "what was graded was graded again")
        before = first
    # ... it goes on where it was.
    code, output = machine.run(command, f"{folder}.log", timeout=GRADE_ALL_S)
    expect(code == 0, f"exit code {code}: {output}")
    found = results(f"{folder}-results")
    expect(set(found) == set(wanted), f"missing: {set(wanted) - set(found)}")
    for name, when in first.items():
        expect(os.stat(f"{folder}-results/{name}.json").st_mtime_ns == when,
               f"{name} was graded again")
    for name, score in wanted.items():
        expect(found[name] == score, f"{name}: {found[name]}, not {score}")
        expect(os.path.getsize(f"{folder}-results/{name}.txt"), f"{name}: there is no text")
    with open(f"{folder}-results/grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    expect({row[0]: row[1] for row in rows[1:]} ==
           {name: "" if points is None else str(points) for name, points in found.items()},
           f"the table is {rows}")
    with open(f"{folder}-results/seed.txt", encoding="utf-8") as file:
        seed = file.read().strip()
    keys = {report.read(f"{folder}-results/{name}.json")["key"].split()[0]
            for name, points in found.items() if points is not None}
    expect(re.fullmatch("[0-9a-f]{8}", seed) and keys == {seed}, f"the seed is {seed}, of {keys}")
    expect(not os.path.exists(f"{FOLDER}/climbed"), "an archive has written outside its folder")


def needs_sandbox():
    try:
        confine.Sandbox("need")
    except confine.NoSandbox as reason:
        raise Skip(str(reason)) from None


@test("labs-not-judged", check=False)
def not_judged():
    """A machine that is too busy, or out of something, takes no points: there is no result."""
    needs_sandbox()
    small_room()
    tree, far = handed_out(LAB, "not-judged"), {**machine.environment(), "FAR_S": "0.1"}
    result, results_of = f"{FOLDER}/not-judged.json", f"{FOLDER}/not-judged-results"
    hand_ins = os.path.dirname(hand_in("not-judged-handins/one", solution(LAB)))
    for path in (result, results_of):
        shutil.rmtree(path, ignore_errors=True)
    for command in (["labs/tools/grade.py", "--work", f"{FOLDER}/not-judged-work", "--json", result,
                     tree],
                    ["scripts/grade-all", str(LAB), hand_ins, results_of]):
        done = subprocess.run([sys.executable, *command], env=far, capture_output=True, text=True,
                              check=False)
        expect(done.returncode == 75 and "not judged" in done.stderr and
               "points" not in done.stdout,
               f"{command[0]}: exit status {done.returncode}: {done.stdout}{done.stderr}")
    expect(not os.path.exists(result) and not results(results_of), "there is a result")

    full = f"{FOLDER}/not-judged-full"
    for size in ROOMS:
        shutil.rmtree(results_of)
        _, output = machine.run(
            [*IN_A_SMALL_ROOM, size, "scripts/grade-all", str(LAB), hand_ins, results_of],
            full + ".log", {"HERE": full}, timeout=GRADE_ALL_S)
        without = "exit status 75" in output and "no space left" in output.lower() and \
            not results(results_of)
        expect(output.count("\n") < 5 and (without or size not in ROOMS[:2] and "exit status 0" in
                                           output and results(results_of) == {"one": 100}),
               f"{size} of disk: {output}")


@test("labs-stopped", check=False)
def stopped():
    """Twice each signal that ends a terminal's work: nothing is left, and there is no result."""
    tree, result = handed_out(LAB, "stopped"), f"{FOLDER}/stopped.json"
    beside = f"{FOLDER}/stopped-beside"
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        shutil.rmtree(beside, ignore_errors=True)
        os.mkdir(beside)
        process = machine.start(
            ["env", f"--default-signal={number.name[3:]}", sys.executable, "labs/tools/grade.py",
             "--pristine", f"{tree}/.lab/pristine.tar.gz", "--result", result, tree],
            {"TMPDIR": beside}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = patience.Patience(GRADE_ALL_S, process.pid)
        while not any(os.path.isdir(f"{beside}/{name}/tree") for name in os.listdir(beside)):
            expect(not machine.judged(limit.look()), "nothing is begun")
            time.sleep(patience.LOOK_S)
        for _ in range(2):
            os.kill(process.pid, number)
        code = machine.finish(process)
        expect(code == 130 and not os.listdir(beside) and not os.path.exists(result),
               f"{number.name}: {code}: {os.listdir(beside)}")


@test("labs-broken-tools", check=False)
def broken_tools():
    """An emulator or a compiler that does not work is nobody's zero."""
    tree, work = handed_out(LAB, "broken-tools"), f"{FOLDER}/broken-tools-work"
    shutil.rmtree(work, ignore_errors=True)
    fake = f"{work}/tree/fake"          # the sandbox lets them in
    code, output = machine.run(["make", "-s", "all"], f"{work}.log", cwd=tree, timeout=600)
    expect(code == 0, output)
    shutil.copytree(tree, f"{work}/tree", symlinks=True)
    os.mkdir(fake)
    for program, said in (("qemu-system-x86_64", "no emulator: cannot open libfdt.so.1"),
                          ("gcc", "the lab itself does not build: cannot open libmpc.so.3")):
        with open(f"{tree}/{FILE}", "a", encoding="utf-8") as file:
            file.write("/* It is built again. */\n")
        with open(f"{fake}/{program}", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n[ $1 != -dumpmachine ] || exec echo x86_64-linux-gnu\n"
                       f"echo '{said.partition(': ')[2]}' >&2\nexit 127\n")
        os.chmod(f"{fake}/{program}", 0o755)
        done = subprocess.run(
            [sys.executable, "labs/tools/grade.py", "--work", work, tree], text=True, check=False,
            env=machine.environment({"PATH": f"{fake}:{os.environ['PATH']}"}), capture_output=True)
        expect(done.returncode == 2 and said in done.stderr and "points" not in done.stdout,
               f"{program}: {done.returncode}: {done.stdout}{done.stderr}")


# A disk of a size, which is there for the command only.
IN_A_SMALL_ROOM = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                   'mkdir -p "$HERE" && mount -t tmpfs -o size="$1" none "$HERE" && shift && '
                   'TMPDIR=$HERE "$@"; echo "exit status $?"', "sh"]
ROOMS = "8m", "40m", "65m", "85m"       # full when the lab is laid out, copied; perhaps later


def small_room():
    _, said = machine.run([*IN_A_SMALL_ROOM, "1m", "true"], machine.LOGS + "/room.log",
                          {"HERE": f"{FOLDER}/room"})
    if said != "exit status 0\n":
        raise Skip("no file system can be mounted here, not even by unshare")


@test("labs-beside-others", long=True)
def beside_others():
    """Eight busy loops beside it: the same points, the same texts."""
    needs_sandbox()
    folder, said = f"{FOLDER}/beside", {}
    shutil.rmtree(folder, ignore_errors=True)
    for name, texts in {"right": solution(LAB), "starter": starter(),
                        "hangs": cheat("hangs")}.items():
        hand_in(f"beside/{name}", texts)
    for loops in 0, 8:
        busy = [machine.start([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
        try:
            shutil.rmtree(folder + "-results", ignore_errors=True)
            code, output = machine.run(["scripts/grade-all", str(LAB), folder], folder + ".log",
                                       timeout=GRADE_ALL_S)
        finally:
            for one in busy:
                machine.end(one, signal.SIGKILL)
                machine.finish(one)
        expect(code == 0, f"{loops} loops: {code}: {output}")
        said[loops] = {name: report.read(f"{folder}-results/{name}.json")
                       for name in ("right", "starter", "hangs")}
    expect(said[0] == said[8], f"alone {said[0]}, and beside others {said[8]}")
    expect([said[0][name]["points"] for name in said[0]] == [100, 0, None], str(said[0]))


@test("labs-grade-all", long=True)
def grade_all():
    """50 hand-ins, with dishonest and broken ones among them; stopped, and gone on with."""
    needs_sandbox()
    grade_many(48)
    code, output = machine.run(["scripts/grade-all", "99", FOLDER], machine.LOGS + "/ga.log")
    expect(code == 1 and "there is no lab 99" in output, f"{code}: {output}")
    expect(labs.lab is lab, "two of labs/tools/lab.py")
