#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
grade.py [OPTIONS] [HANDIN]: points for a lab. "grade.py --help" lists the options.

HANDIN is a student's tree (default: this folder), or with --result whatever is handed in, packed as
people do (unpack.py). Only the files that the lab opens are taken from it; everything else, the
tests and this lab's plan too, comes from the pristine archive. Each file must keep the rules and is
compiled in a sandbox (handin.py), and boots in a folder of its own. What the kernel says is shown,
but not believed: whether a test is right is seen from outside (boots.py, watch.py), in every boot.

With --result it is one command for one hand-in, with one file that comes of it (report.py) and
nothing shared with others, so any number can run anywhere. A result that is there already, of the
same hand-in, lab, seed and grader, is not made again.

Exit status 0: all points, or with --result any result; 1: fewer; 2: it could not be graded; 3: a
file breaks a rule, which costs no point: it is to be mended; 75: nobody could say, the machine was
too busy; 130: stopped. No clock on the wall takes a point: limits are a program's own time
(patience.py).
"""
import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for scripts in "run", "../../scripts/run":      # in a lab's folder; and where labs are made
    sys.path.insert(0, os.path.join(HERE, scripts))

import boots                            # noqa: E402
import confine                          # noqa: E402
import handin                           # noqa: E402
import patience                         # noqa: E402
import report                           # noqa: E402
import watch                            # noqa: E402
from boots import STATUS, TooBusy, Ungradable  # noqa: E402

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
MORE = "(what is missing: make grade ALL=1)"
SEEDS = 2                               # boots of each world, with different values
TO_MEND = "not graded, and no point is lost: mend this, and try again"


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
    results, done = {}, 0
    suites = {name: sorted({test.rpartition("/")[0] for step in plan["steps"]
                            for check in step["checks"] for where, test in wanted(check)
                            if where == name}) for name in plan["worlds"]}
    total = sum(map(bool, suites.values())) * len(seeds)
    for name, world in plan["worlds"].items():
        results[name], hung = [], None
        for seed in seeds if suites[name] else []:
            done += 1
            progress(f"boot {done} of {total}: {name}, values {seed}")
            boot = boots.Boot(tree, folder, name, world, suites[name], seed)
            results[name].append(boot.run(sandbox, hung))
            if boot.why:
                handin.expect_room(folder)
                hung = hung or boot
    return results


class Replays:
    """
    What to type to see a test fail. The first time it is tried, with that suite alone: how often is
    the function called before the check fails?
    """

    def __init__(self, plan, sandbox, tree, folder):
        self.plan, self.sandbox, self.tree, self.folder = plan, sandbox, tree, folder
        self.tried = False

    def lines(self, world, boot, test, stop_at):
        suite, calls = test.rpartition("/")[0], 0
        if stop_at and boot.status(test, 0) == STATUS["failed"] and not self.tried:
            self.tried = True
            progress("looking for the call that goes wrong")
            again = boots.Boot(self.tree, self.folder, "replay", self.plan["worlds"][world],
                               [suite], boot.values, stop_at).run(self.sandbox)
            found = again.tests.get(test)
            calls = found.calls if found and found.failures else 0
        found = boot.tests.get(test)
        if found and found.entered:
            append = boot.append.split(" --")[0] + f" -- {suite}"
            commands = [" ".join(filter(None, ("splat test", test, stop_at, str(calls or ""))))]
        else:                           # it did not come so far: what was in its way?
            append, commands = boot.append, ["splat stops", "continue"]
        commands = " ".join(f"-ex '{command}'" for command in commands)
        smp = f" SMP={boot.env['SMP']}" if boot.env["SMP"] != "1" else ""
        cpu = f" CPU={boot.env['CPU']}" if boot.env["CPU"] != "max" else ""
        return [f"log: build/grade/logs/{os.path.basename(boot.log)}",
                f"again, in GDB: make debug ICOUNT=1 MEM={boot.env['MEM']}{cpu}{smp} "
                f'APPEND="{append}" GDBARGS="{commands}"']


def judge(check, results, stop_at, sees, replays):
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
            return False, lines + replays.lines(world, boot, test, stop_at)
    return True, []


def grade(plan, results, trouble, replays):
    """[{name, points, of, text}] for each step."""
    report = []
    for number, step in enumerate(plan["steps"], 1):
        got, of, lines = 0, 0, []
        for check in step["checks"]:
            passed, said = (False, [trouble]) if trouble else judge(
                check, results, step.get("break"), plan["sees"], replays)
            of += check["points"]
            got += check["points"] if passed else 0
            lines += said if said not in ([trouble],) or not lines else []
        report.append({"name": f"{number}. {step['name']}", "points": got, "of": of,
                       "text": lines})
    return report


def show(plan, steps, notes, everything):
    """The first step that is not done, in full; of later ones the points, or all if @everything."""
    print(f"Lab {plan['lab']}: {plan['title']}\n")
    shown = None
    for note in notes:
        print(f"  note: {note}")
    for step in steps:
        print(f"{step['name']:58} {step['points']:3} of {step['of']:3}")
        if step["text"] and step["text"] != shown:      # a build's error is all steps', once
            lines = [MORE] if shown and not everything else step["text"]
            print(*(f"    {line}" for line in lines), sep="\n")
            shown = shown or step["text"]
    got, of = (sum(step[key] for step in steps) for key in ("points", "of"))
    print(f"\n{'points':58} {got:3} of {of:3}")


def progress(what):
    """For who waits at a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}{' ...' if what else ''}", end="", file=sys.stderr, flush=True)


def seen_of(results):
    """Test -> the fewest checks that a boot saw of it, of those that no boot found wrong."""
    counts, wrong = {}, set()
    for boot in (boot for done in results.values() for boot in done):
        for name, found in boot.tests.items():
            status = found.status(0)
            if status == "ok":
                counts[name] = min(len(found.seen), counts.get(name, len(found.seen)))
            elif status not in ("none", "skipped"):     # a world may not have, or not want it
                wrong.add(name)
    return {name: count for name, count in counts.items() if name not in wrong}


# --- One hand-in ---

def graded(options, sandbox, pristine, student, work):
    """The result, which may be that it was refused."""
    tree, logs, plan = os.path.join(work, "tree"), os.path.join(work, "logs"), pristine.plan
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    progress("building")
    pristine.begin(tree, student, options.base)
    notes = handin.take(student, tree, pristine.opened) + handin.answered(student, tree)
    trouble = handin.build_by_rules(sandbox, tree, pristine.opened,
                                    None if options.without_rules else plan, logs)
    if trouble:
        trouble = f"it does not build: {trouble} (log: build/grade/logs/build.log)"
    seeds = [f"{options.seed}-{number}" for number in range(SEEDS)]
    results = {} if trouble else boot_all(plan, sandbox, tree, logs, seeds)
    steps = grade(plan, results, trouble, Replays(plan, sandbox, tree, logs))
    for step in steps:
        step["text"] = [report.printable(line) for line in step["text"]]
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        show(plan, steps, notes, options.all)
    return {"points": sum(step["points"] for step in steps), "steps": steps, "notes": notes,
            "text": report.printable(text.getvalue()), "seen": seen_of(results)}


def result_of(options, sandbox, work):
    """The result of options.handin, made, or as it was."""
    student = os.path.abspath(options.handin)
    if not os.path.exists(student):
        raise Ungradable(f"there is no hand-in {student}")
    if options.result and not os.path.isdir(os.path.dirname(os.path.abspath(options.result))):
        raise Ungradable(f"there is no folder for {options.result}")
    archive = options.pristine or os.path.join(
        os.path.dirname(HERE) if options.result else student, ".lab/pristine.tar.gz")
    if not os.path.isfile(archive):
        raise Ungradable(f"{archive} is not there: the files as handed out")
    pristine = handin.Pristine(archive)
    result = {"lab": pristine.plan["lab"], "title": pristine.plan["title"], "of": sum(
        check["points"] for step in pristine.plan["steps"] for check in step["checks"]), "key": ""}
    version = handin.content_of([os.path.join(HERE, name) for name in os.listdir(HERE)
                                 if name.endswith(".py")], HERE) + handin.content_of([archive])
    try:
        if options.result:
            folder = os.path.join(work, "handin")
            handin.unpack(sandbox, student, folder, pristine.plan["files"])
            student = folder
        how = " all" * options.all + " without-rules" * options.without_rules
        result["key"] = f"{options.seed}{how} {version} " + handin.content_of(
            filter(os.path.isfile, (os.path.join(student, name) for name in
                                    pristine.plan["files"])), student)
        old = report.read(options.result) if options.result else None
        if old and old["key"] == result["key"]:
            return old
        return {**result, **graded(options, sandbox, pristine, student, work)}
    except handin.Refused as reason:
        return {**result, "points": None, "steps": [], "notes": [], "seen": {},
                "text": report.printable("\n  ".join([f"Lab {result['lab']}: {TO_MEND}",
                                                      *reason.args[0]]) + "\n")}


def stop(*_):
    """Once: what is under way is ended, and tidied up after, in peace."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(options):
    sandbox = confine.Sandbox(options.sandbox)
    with tempfile.TemporaryDirectory(prefix="grade-") as folder:
        work = options.work or (folder if options.result else
                                os.path.join(options.handin, "build/grade"))
        result = result_of(options, sandbox, os.path.abspath(work))
    progress("")
    print(result["text"], end="", file=sys.stderr if result["points"] is None else sys.stdout)
    for path, data in ((options.result, result), (options.json, result),
                       (options.gradescope, report.gradescope(result, options.visibility))):
        if path:
            report.write_json(path, data)
    if options.github:
        report.to_github(result)
    if options.autolab:
        print(report.autolab(result), flush=True)
    if options.result:
        return 0
    return 3 if result["points"] is None else int(result["points"] < result["of"])


def main():
    parser = argparse.ArgumentParser(description="Points for a lab.")
    parser.add_argument("handin", nargs="?", default=".", help="the tree (default: this folder)")
    parser.add_argument("--all", action="store_true", help="say all of every step")
    parser.add_argument("--result", metavar="FILE", help="HANDIN is packed as people do; its "
                        "result goes here")
    parser.add_argument("--json", metavar="FILE", help="the result of a tree, too")
    parser.add_argument("--gradescope", metavar="FILE", help="results.json, as it wants it")
    parser.add_argument("--visibility", choices=report.VISIBILITIES, default="visible",
                        help="of it, to the student")
    parser.add_argument("--autolab", action="store_true", help="its line of scores, at the end")
    parser.add_argument("--github", action="store_true", help="GitHub Classroom's, to where a "
                        "workflow's step is told to")
    parser.add_argument("--seed", default="splat", help="what the values in the tests come from")
    parser.add_argument("--work", help="where it is built (default: build/grade in the tree)")
    parser.add_argument("--base", help="a pristine tree that is built already, to begin with")
    parser.add_argument("--sandbox", choices=("need", "auto"), default="auto",
                        help="need: no grade without one; auto: if it can be had")
    parser.add_argument("--without-rules", action="store_true", help="grade what the rules refuse, "
                        "too: for tests of the second net")
    parser.add_argument("--pristine", help="the files as handed out (default: the tree's own)")
    try:
        for number in SIGNALS:
            signal.signal(number, stop)
        return run(parser.parse_args())
    except KeyboardInterrupt:
        print("splat: stopped: not graded", file=sys.stderr)
        return 130
    except TooBusy as reason:
        print(f"splat: {reason}; try again", file=sys.stderr)
        return patience.EXIT[patience.TOO_BUSY]
    except (Ungradable, confine.NoSandbox, watch.Strange, OSError, tarfile.TarError, KeyError,
            ValueError, EOFError) as error:
        print(f"splat: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
