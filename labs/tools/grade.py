#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
grade.py [OPTIONS] [FOLDER]: points for a lab. "grade.py --help" lists the options.

FOLDER (default: here) is a student's tree. Only the files that the lab opens are taken from it;
everything else, the tests and this lab's plan too, comes from the pristine archive. Each file must
keep the rules (rules.py, and below), is compiled in a sandbox (confine.py), and boots in a folder
of its own. What the kernel says is shown, but not believed: whether a test is right is seen from
outside (boots.py, watch.py), in every boot.

Exit status 0: all points; 1: fewer; 2: it could not be graded; 3: a file breaks a rule, which costs
no point: it is to be mended; 75: nobody could say, the machine was too busy. No clock on the wall
takes a point: limits are a program's own time (patience.py).
"""
import argparse
import json
import os
import re
import shutil
import signal
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
for scripts in "run", "../../scripts/run":      # in a lab's folder; and where labs are made
    sys.path.insert(0, os.path.join(HERE, scripts))

import boots                            # noqa: E402
import confine                          # noqa: E402
import patience                         # noqa: E402
import watch                            # noqa: E402
from boots import TooBusy, Ungradable, judged  # noqa: E402

FILE_MAX = 256 * 1024                   # of a student's file
BUILD_S = 300                           # of its own time
MORE = "(what is missing: make grade ALL=1)"
SEEDS = 2                               # boots of each world, with different values
# What a build says when the machine has run out of something.
HOSTS_TROUBLE = re.compile("No space left on device|Cannot allocate memory|"
                           "Resource temporarily unavailable|Read-only file system")


class Refused(Exception):
    """A file of the student's breaks a rule: lines that say which, and where."""


# --- The tree ---

def place(data, path, mode=0o644, age=None):
    """
    Writes @path, if it does not hold @data already: what did not change is not built again. @age: a
    time for a new file, so that it is older than what was built from it elsewhere.
    """
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return
        age = None
    except OSError:
        pass
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    if age is not None:
        os.utime(path, (age, age))


def unpack(archive, tree):
    """The pristine files. Returns the lab's plan."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        for member in members:
            place(tar.extractfile(member).read(), os.path.join(tree, member.name), member.mode, 1)
    with open(os.path.join(tree, "lab.json"), encoding="utf-8") as file:
        return json.load(file)


def take(student, tree, names):
    """The student's files, over the pristine ones. Returns what is wrong with them, in lines."""
    wrong = []
    for name in names:
        path = os.path.join(student, name)
        if os.path.islink(path) or not os.path.isfile(path):
            wrong.append(f"{name} is not there (or no plain file): the untouched one is graded")
        elif os.path.getsize(path) > FILE_MAX:
            wrong.append(f"{name} is larger than {FILE_MAX >> 10} KiB: the untouched one is graded")
        else:
            with open(path, "rb") as file:
                place(file.read(), os.path.join(tree, name))
    return wrong


def answered(student, tree):
    """A note, if the questions have no answers: a person marks them, this only looks."""
    texts = []
    for folder in (student, tree):
        try:
            with open(os.path.join(folder, "answers.md"), "rb") as file:
                texts.append(file.read(FILE_MAX))
        except OSError:
            texts.append(b"")
    return [] if texts[0] and texts[0] != texts[1] else ["answers.md has no answers yet"]


# --- The rules, and the build ---

def first_error(log):
    """What a build says is wrong, in one line."""
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if trouble := next(filter(HOSTS_TROUBLE.search, lines), ""):
        raise Ungradable(f"not the student's fault: {trouble}")
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")


def confined(sandbox, command, tree, log):
    """Runs @command in @tree; its output is in @log. Returns its exit code, or TIMED_OUT."""
    with open(log, "wb") as out:
        process = sandbox.start(command, tree, out)
        code = judged(patience.wait(process, BUILD_S))
        confine.end(process)
    return code


def expect_rules(sandbox, tree, starters, names, log):
    """Raises Refused if one of the files @names is not what a hand-in may be."""
    code = confined(sandbox, [sys.executable, os.path.join(HERE, "rules.py"), "lab.json", starters,
                              ".", *names], tree, log)
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if code == 1:
        raise Refused(lines)
    if code == 2 or code == -signal.SIGKILL:
        raise Ungradable(lines[-1] if lines else f"rules.py ended with {code}")
    if code:
        raise Refused(["it cannot be read: too deep, too large, or too long in the reading"])


def build(sandbox, tree, targets, log):
    """Returns "", or the first error in one line."""
    code = confined(sandbox, ["make", "-j2", *targets], tree, log)
    if code == patience.TIMED_OUT:
        return f"it took more than {BUILD_S} s of the processor"
    return first_error(log) or f"make ended with {code}" if code else ""


def build_by_rules(sandbox, tree, names, plan, logs):
    """
    Returns "", or why it does not build, in one line. What breaks a rule and would build is
    Refused; without a @plan there are no rules.
    """
    log, objects = os.path.join(logs, "build.log"), [f"build/{name}.o" for name in names]
    try:
        if plan:
            expect_rules(sandbox, tree, "build/starters", names, os.path.join(logs, "rules.log"))
    except Refused:
        if trouble := build(sandbox, tree, objects, log):
            return trouble
        raise
    if trouble := build(sandbox, tree, objects, log):
        return trouble
    if plan:
        expect_objects(tree, names, plan)
    return build(sandbox, tree, ["all"], log)


USUAL = re.compile(r"\.(text|rodata|data|bss|rela?|debug|symtab|strtab|shstrtab|comment|note|"
                   r"llvm_addrsig|eh_frame)($|[._])")
# What a compiler calls of itself; and what COMMON (rules.py) comes to.
ALWAYS = set("memcpy memset memcmp memmove strlen strcmp memchr_inv printk warn_slowpath panic "
             "dump_stack splat_count __might_sleep preempt_schedule preempt_count_add "
             "preempt_count_sub raw_spin_is_held hooks_on trace_record nr_cpus jiffies "
             "raw_local_irq_restore irqs_went_off irqs_go_on preempt_rt_on".split())


def expect_objects(tree, names, plan):
    """The objects hold what the lab's do: sections, what they define, what they name."""
    wrong = []
    for name in names:
        made, known = watch.Object(f"{tree}/build/{name}.o"), plan["objects"][name]
        for what, found, allowed in (
                ("section", {s for s in made.sections if s and not USUAL.match(s)},
                 known["sections"]),
                ("global definition", made.defined, known["defines"]),
                ("name", made.undefined - ALWAYS, known["names"])):
            wrong += [f"{name}: its object has a {what} that the lab's has not: {one}"
                      for one in sorted(found - set(allowed))]
    if wrong:
        raise Refused(wrong)


# --- Points ---

def wanted(check):
    """
    (world, test) that must be right for @check's points: its own test, and those that it needs,
    since what can be right by doing nothing counts only with what cannot. "needs" may name another
    world: "soft:k/suite/test".
    """
    world = check.get("world", "plain")
    yield world, check["test"]
    for need in check.get("needs", []):
        yield (need.split(":") if ":" in need else (world, need))


def boot_all(plan, sandbox, tree, folder, seeds):
    """World -> its boots, done."""
    results = {}
    for name, world in plan["worlds"].items():
        suites = sorted({test.rpartition("/")[0] for step in plan["steps"]
                         for check in step["checks"] for where, test in wanted(check)
                         if where == name})
        results[name], cpu_s = [], boots.CPU_S
        for seed in seeds if suites else []:
            progress(f"booting {name}, values {seed}")
            boot = boots.Boot(tree, folder, name, world, suites, seed)
            results[name].append(boot.run(sandbox, cpu_s))
            # What came before the hang must be right with each seed, too.
            cpu_s = boots.AFTER_A_HANG_S if boot.why else boots.CPU_S
    return results


def judge(check, results, stop_at, sees):
    """(passed, lines for the student): the worst boot counts."""
    for world, test in wanted(check):
        for boot in results[world]:
            status = boot.status(test, sees.get(test, 0))
            if status == "ok":
                continue
            lines = [f"{test}: {status}"]
            if test != check["test"]:
                lines.insert(0, f"{check['test']}: it is right, but counts only with the next")
            lines += boot.complaint(test)
            if "hint" in check:
                lines.append(f"hint: {check['hint']}")
            return False, lines + replay(boot, test, stop_at)
    return True, []


def replay(boot, test, stop_at):
    """Where the log is, and what to type to see @test fail."""
    options = boot.append.split(" --")[0]
    smp = f" SMP={boot.env['SMP']}" if boot.env["SMP"] != "1" else ""
    cpu = f" CPU={boot.env['CPU']}" if boot.env["CPU"] != "max" else ""
    stop = f" GDBARGS=\"-ex 'break {stop_at}'\"" if stop_at else ""
    suite = test.rpartition("/")[0]
    return [f"log: build/grade/logs/{os.path.basename(boot.log)}",
            f"again, in GDB: make debug ICOUNT=1 MEM={boot.env['MEM']}{cpu}{smp} "
            f'APPEND="{options} -- {suite}"{stop}']


def grade(plan, results, trouble):
    """[{name, points, of, text}] for each step."""
    report = []
    for number, step in enumerate(plan["steps"], 1):
        got, of, lines = 0, 0, []
        for check in step["checks"]:
            passed, said = (False, [trouble]) if trouble else judge(
                check, results, step.get("break"), plan["sees"])
            of += check["points"]
            got += check["points"] if passed else 0
            lines += said if said not in ([trouble],) or not lines else []
        report.append({"name": f"{number}. {step['name']}", "points": got, "of": of,
                       "text": lines})
    return report


def show(plan, report, notes, everything):
    """The first step that is not done, in full; of later ones the points, or all if @everything."""
    print(f"Lab {plan['lab']}: {plan['title']}\n")
    shown = None
    for note in notes:
        print(f"  note: {note}")
    for step in report:
        print(f"{step['name']:58} {step['points']:3} of {step['of']:3}")
        if step["text"]:
            lines = [MORE] if shown and not everything and step["text"] != shown else step["text"]
            print(*(f"    {line}" for line in lines), sep="\n")
            shown = shown or step["text"]
    got, of = (sum(step[key] for step in report) for key in ("points", "of"))
    print(f"\n{'points':58} {got:3} of {of:3}")
    return got == of


def progress(what):
    """For who waits at a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what} ...", end="", file=sys.stderr, flush=True)


def seen_of(results):
    """Test -> the fewest checks that a boot saw of it."""
    counts = {}
    for boot in (boot for done in results.values() for boot in done):
        for name, found in boot.tests.items():
            counts[name] = min(len(found.seen), counts.get(name, len(found.seen)))
    return counts


def run(options):
    student = os.path.abspath(options.folder)
    pristine = options.pristine or os.path.join(student, ".lab/pristine.tar.gz")
    if not os.path.isfile(pristine):
        raise Ungradable(f"{pristine} is not there: the files as handed out")
    sandbox = confine.Sandbox(options.sandbox)
    work = os.path.abspath(options.work or os.path.join(student, "build/grade"))
    tree, logs = os.path.join(work, "tree"), os.path.join(work, "logs")
    if options.base and not os.path.isdir(tree):
        shutil.copytree(options.base, tree, symlinks=True)
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    plan = unpack(pristine, tree)
    names = [name for name in plan["files"] if name != "answers.md"]
    for name in names:
        with open(os.path.join(tree, name), "rb") as file:
            place(file.read(), os.path.join(tree, "build/starters", name))
    notes = take(student, tree, names)
    notes += answered(student, tree)
    progress("building")
    trouble = build_by_rules(sandbox, tree, names, None if options.without_rules else plan, logs)
    if trouble:
        trouble = f"it does not build: {trouble} (log: build/grade/logs/build.log)"
    seeds = [f"{options.seed}-{number}" for number in range(SEEDS)]
    results = {} if trouble else boot_all(plan, sandbox, tree, logs, seeds)
    report = grade(plan, results, trouble)
    progress("")
    full = show(plan, report, notes, options.all)
    if options.json:
        write_json(options.json, {"lab": plan["lab"], "title": plan["title"], "steps": report,
                                  "notes": notes, "seen": seen_of(results)})
    return 0 if full else 1


def write_json(path, data):
    """Whole or not at all: who reads it may have been waiting for it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description="Points for a lab.")
    parser.add_argument("folder", nargs="?", default=".", help="the tree (default: this folder)")
    parser.add_argument("--all", action="store_true", help="say all of every step")
    parser.add_argument("--json", help="the report as JSON, too")
    parser.add_argument("--seed", default="splat", help="what the values in the tests come from")
    parser.add_argument("--work", help="where it is built (default: build/grade in the tree)")
    parser.add_argument("--base", help="a pristine tree that is built already, to begin with")
    parser.add_argument("--sandbox", choices=("need", "auto"), default="auto",
                        help="need: no grade without one; auto: if it can be had")
    parser.add_argument("--without-rules", action="store_true", help="grade what the rules refuse, "
                        "too: for tests of the second net")
    parser.add_argument("--pristine", help="the files as handed out (default: the tree's own)")
    try:
        return run(parser.parse_args())
    except Refused as reason:
        print("splat: not graded, and no point is lost: mend this, and try again", file=sys.stderr)
        print(*(f"  {line}" for line in reason.args[0]), sep="\n", file=sys.stderr)
        return 3
    except TooBusy as reason:
        print(f"splat: {reason}; try again", file=sys.stderr)
        return patience.EXIT[patience.TOO_BUSY]
    except (Ungradable, confine.NoSandbox, watch.Strange, OSError, tarfile.TarError, KeyError,
            ValueError) as error:
        print(f"splat: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
