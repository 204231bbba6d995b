# SPDX-License-Identifier: MIT
"""
Hand-ins that are not honest, and many of them: what they get, and that no result is lost.
"""
import csv
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time

from host import labs
import lab
import machine
import patience
from host import expect, test
from host.labs import FOLDER, grade, hand_in, handed_out, solution

GRADE_ALL_S = 2400                      # of its own time
LAB = 2                                 # its starter has no points
FILE = "arch/x86/fpu/core/regs.c"
PLACE = "void fpregs_restore_userregs(void)\n{\n"

# Each goes to the begin of a function that the first program comes through: name -> code.
CHEATS = {
    "prints-results": """
	static bool once;

	if (!once) {
		once = true;
		pr_plain("KTAP version 1");
		pr_plain("1..1");
		pr_plain("  KTAP version 1");
		pr_plain("  # Subtest: fpu_owner");
		pr_plain("  1..1");
		pr_plain("  ok 1 valid_takes_both_owner_and_last_cpu");
		pr_plain("  # verdict 0123456789abcdef k/fpu_owner "
			 "valid_takes_both_owner_and_last_cpu ok");
		pr_plain("ok 1 k/fpu_owner");
	}
""",
    "exits-early": "\tmachine_exit(EXIT_BYTE_PASS);\n",
    "hangs": "\tfor (;;)\n\t\tcpu_relax();\n",
    "hangs-with-interrupts-off": "\tlocal_irq_disable();\n\tfor (;;)\n\t\tcpu_relax();\n",
    "halts": '\tfor (;;)\n\t\t__asm__ volatile("sti; hlt");\n',
    "halts-for-ever": '\tfor (;;)\n\t\t__asm__ volatile("cli; hlt");\n',
    "halts-without-a-tick": "\tvoid apic_init_cpu(void);\n\n\tapic_init_cpu();\n"
                            '\tfor (;;)\n\t\t__asm__ volatile("cli; hlt");\n',
    "floods": '\tfor (;;)\n\t\tpr_plain("all is well, all is well, all is well");\n',
    "triple-faults": """
	struct { u16 limit; u64 base; } __packed none = {};

	__asm__ volatile("lidt %0; int3" :: "m"(none));
""",
}
# The same with more than code in a function.
STOLEN_SECRET = '#define verdict_print not_verdict_print\n#include "kernel/splat/verdict.c"\n' \
                "#undef verdict_print\n"


def starter():
    """The opened file as it is handed out."""
    return {FILE: lab.opened_texts(LAB)[0][FILE]}


def cheat(name):
    texts = starter()
    includes = '#include "arch/x86/cpu/insns.h"\n#include "arch/x86/irqflags.h"\n' \
               '#include "kernel/report/panic.h"\n#include "lib/printk.h"\n'
    expect(texts[FILE].count(PLACE) == 1, f"{FILE} has no one place for a cheat: {PLACE}")
    return {FILE: includes + texts[FILE].replace(PLACE, PLACE + CHEATS[name])}


def patched():
    """Everything that a student is not asked for, changed so that all is well; and no work done."""
    everything = {**starter(), "lab.json": '{"lab": 2, "title": "x", "worlds": {}, "steps": []}',
                  "Makefile": "all:\n\t@echo done\n", "scripts/grade.py": "print('100 of 100')\n",
                  "labs/tools/grade.py": "print('100 of 100')\n", "linker.ld": "",
                  "tests/kernel/fpu_owner.c": "", "kernel/splat/verdict.c": ""}
    return everything


@test("labs-cheats", long=True)
def cheats():
    """None gets a point; each ends, and the report says why."""
    tree = "cheats-tree"
    handed_out(LAB, tree)
    work, base = f"{FOLDER}/cheats", f"{FOLDER}/cheats-base"
    for path in (work, base):
        shutil.rmtree(path, ignore_errors=True)
    points, _ = grade(tree, f"{FOLDER}/{tree}", base)
    expect(not any(points.values()), f"the starter has {points}")
    said = {}
    for name, texts in {**{name: cheat(name) for name in CHEATS}, "patches-tests": patched(),
                        "steals": {FILE: STOLEN_SECRET + starter()[FILE]},
                        "does-not-build": {FILE: starter()[FILE] + "}\n"},
                        "nothing": {}}.items():
        points, said[name] = grade(tree, hand_in(f"cheat-{name}", texts), work, f"{base}/tree")
        expect(not any(points.values()), f"{name} has {points}")
    for name, text in (("hangs", "(an endless loop?)"),
                       ("hangs-with-interrupts-off", "(an endless loop?)"),
                       ("halts", "(an endless loop?)"), ("halts-for-ever", "(an endless loop?)"),
                       ("halts-without-a-tick", "(an endless loop?)"),
                       ("floods", "(an endless loop?)"), ("triple-faults", "the machine was reset"),
                       ("does-not-build", "it does not build: "), ("nothing", "is not there"),
                       ("exits-early", "it did not report")):
        expect(text in said[name], f'{name}: nothing says "{text}":\n{said[name]}')
    # A link is no way to another file.
    folder = hand_in("cheat-link", {})
    os.makedirs(os.path.dirname(f"{folder}/{FILE}"))
    os.symlink(os.path.abspath(FILE), f"{folder}/{FILE}")
    points, text = grade(tree, folder, work, f"{base}/tree")
    expect(not any(points.values()) and "no plain file" in text, f"a link: {points}: {text}")
    shutil.rmtree(base)
    shutil.rmtree(work)


def many(folder, count):
    """@count hand-ins of all kinds; returns name -> whether it has all points."""
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
        wanted[name] = kind == "right"
        if number % 2:
            shutil.copytree(source, f"{folder}/{name}")
            continue
        with tarfile.open(f"{folder}/{name}.tar.gz", "w:gz") as tar:
            for path in texts:
                tar.add(f"{source}/{path}", path)
    with open(f"{folder}/garbage.tar.gz", "wb") as file:
        file.write(b"this is no archive")
    with tarfile.open(f"{folder}/climber.tar.gz", "w:gz") as tar:
        tar.add(FILE, "../../../climbed")
    return {**wanted, "garbage": False, "climber": False}


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
    for name, full in wanted.items():
        expect(found[name]["score"] == (100 if full else 0), f"{name}: {found[name]['score']}")
        expect(os.path.getsize(f"{folder}-results/{name}.txt"), f"{name}: there is no text")
    with open(f"{folder}-results/grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    expect({row[0]: row[1] for row in rows[1:]} ==
           {name: str(data["score"]) for name, data in found.items()}, f"the table is {rows}")
    expect(not os.path.exists(f"{FOLDER}/climbed"), "an archive has written outside its folder")


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
    grade_many(48)
    code, output = machine.run(["scripts/grade-all", "99", FOLDER], machine.LOGS + "/ga.log")
    expect(code == 1 and "there is no lab 99" in output, f"{code}: {output}")
    expect(labs.lab is lab, "two of labs/tools/lab.py")
