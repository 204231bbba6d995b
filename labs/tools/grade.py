#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
grade.py [OPTIONS] [FOLDER]: points for a lab. "grade.py --help" lists the options.

FOLDER (default: here) is a student's tree. Only the files that the lab opens are taken from it;
everything else, the tests and this lab's plan too, comes from the pristine archive. They are built
and booted in a folder of their own. What the kernel prints is shown, but not believed: a test
counts if its result comes once, with the signature that this run's secret gives, from every boot.

Exit status 0: all points; 1: fewer; 2: it could not be graded; 75: nor could anybody say, the
machine was too busy. No clock on the wall takes a point: limits are a program's own time
(patience.py).
"""
import argparse
import json
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
for scripts in "run", "../../scripts/run":      # in a lab's folder; and where labs are made
    sys.path.insert(0, os.path.join(HERE, scripts))

import patience                         # noqa: E402

FILE_MAX = 256 * 1024                   # of a student's file
LOG_MAX = 8 << 20                       # of a boot's console: a flood ends there
DISK_MAX = 512 << 20                    # of any one file that a build writes
MEMORY_MAX = 4 << 30                    # of any one process
BUILD_S, BOOT_S = 300, 60               # of their own time: the last resort, see Boot.wait()
CPU_S = 12                              # that a boot may use of the host's processor; most use 1
AFTER_A_HANG_S = 4                      # the same, of the next boot of a world that did not end
GUEST_S = 20                            # of the guest's own time, 125 million instructions each
PASS, FAIL, PANIC = 33, 35, 37          # kernel/report/panic.h
# How a boot ended, for the student. 0: QEMU ends so when the machine is reset.
ENDS = {PASS: "", FAIL: "", PANIC: "the kernel panicked",
        0: "the machine was reset (a triple fault?)",
        -signal.SIGXCPU: "it used too much of the processor (an endless loop?)",
        -signal.SIGXFSZ: "the log is full"}
SECRET_PHYS = 0x2000000                 # kernel/splat/verdict.c
SAID = (("first difference", re.compile(r"^\S+\.[ch]:\d+: ")),
        ("the kernel's report", re.compile(r"^(\[.*\] )?(WARNING|BUG): ")))
MORE = "(what is missing: make grade ALL=1)"
SEEDS = 2                               # boots of each world, with different values
VERDICT = re.compile(rb"^  # verdict ([0-9a-f]{16}) (\S+) (\S+) (ok|failed|skipped)\r?$", re.M)


# What a build says when the machine has run out of something.
HOSTS_TROUBLE = re.compile("No space left on device|Cannot allocate memory|"
                           "Resource temporarily unavailable|Read-only file system")


class Ungradable(Exception):
    """The tree or the plan cannot be graded: one line."""


class TooBusy(Exception):
    """Nobody can say what it would have done."""


def judged(verdict):
    """What patience.py says: a time-out is for the caller."""
    if verdict == patience.TOO_BUSY:
        raise TooBusy(patience.NOT_JUDGED)
    return verdict


# --- The signature: SipHash-2-4, as in kernel/splat/verdict.c ---

def siphash(key, data):
    mask = (1 << 64) - 1
    words = [int(key[:16], 16), int(key[16:], 16)]
    v = [words[0] ^ 0x736f6d6570736575, words[1] ^ 0x646f72616e646f6d,
         words[0] ^ 0x6c7967656e657261, words[1] ^ 0x7465646279746573]

    def rotate(x, by):
        return (x << by | x >> (64 - by)) & mask

    def sip_round():
        v[0] = v[0] + v[1] & mask
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = v[2] + v[3] & mask
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & mask
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & mask
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    data += bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at:at + 8], "little")
        v[3] ^= word
        sip_round()
        sip_round()
        v[0] ^= word
    v[2] ^= 0xff
    for _ in range(4):
        sip_round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


# --- Processes, confined ---

def confine(file_max, cpu_s=BUILD_S):
    """Before a program of the student's, or one that reads what it wrote, begins."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_max, file_max))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


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


def build(tree, log):
    """Returns "", or the first error in one line."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "CROSS")
            if name in os.environ}
    with open(log, "wb") as out:
        process = subprocess.Popen(["make", "-j2", "all"], cwd=tree,
                                   env={**keep, "NO_INSTALL": "1"}, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out,
                                   preexec_fn=lambda: confine(DISK_MAX))
        code = patience.wait(process, BUILD_S)
        end(process)
    if code == 0:
        return ""
    judged(code)
    if code == patience.TIMED_OUT:
        return f"it took more than {BUILD_S} s of the processor"
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if trouble := next(filter(HOSTS_TROUBLE.search, lines), ""):
        raise Ungradable(f"not the student's fault: {trouble}")
    return next((line for line in lines if "error:" in line), lines[-1] if lines else str(code))


# --- A boot ---

class Boot:
    """One world with one seed."""

    def __init__(self, tree, folder, name, world, suites, seed):
        self.name, self.seed = f"{name}-{seed}", seed
        self.secret = secrets.token_hex(16)
        self.log = os.path.join(folder, self.name + ".log")
        self.append = " ".join(("init=/tests/testrun watchdog=panic fpu_poison=on", f"seed={seed}",
                                world.get("append", ""), "secret=on --", *suites))
        self.env = {"PATH": os.environ["PATH"], "ICOUNT": "1", "MEM": "64M",
                    "CPU": world.get("cpu", "max"), "SMP": str(world.get("smp", 1)),
                    "APPEND": self.append}
        self.tree, self.why = tree, ""

    def run(self, cpu_s=CPU_S):
        """Boots; self.why says how it ended, if not well. Returns test -> status."""
        with tempfile.TemporaryDirectory() as folder:
            monitor = os.path.join(folder, "qmp")
            with open(self.log, "wb") as out:
                process = subprocess.Popen(
                    ["scripts/qemu.sh", "-qmp", f"unix:{monitor},server=on,wait=off",
                     *self.secret_in_memory()],
                    cwd=self.tree, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    preexec_fn=lambda: confine(LOG_MAX, cpu_s))
                self.wait(process, monitor)
                end(process)
        return self.verdicts()

    def secret_in_memory(self):
        """Where kernel/splat/verdict.c takes it, and takes it away, before other code runs."""
        for word in range(2):
            yield "-device"
            yield f"loader,addr={SECRET_PHYS + 8 * word:#x},data-len=8," \
                  f"data=0x{self.secret[16 * word:16 * word + 16]}"

    def wait(self, process, monitor):
        """
        Until it ends, or has had its time: counted by the guest's clock, which is its instructions,
        and by what it uses of the processor, for a loop with PAUSE has few of them. Its own time is
        for a machine that does nothing at all: it sleeps. None depends on what else the host does.
        """
        limit, asked = patience.Patience(BOOT_S, process.pid), None
        while not judged(limit.look()):
            try:
                code = process.wait(patience.LOOK_S)
            except subprocess.TimeoutExpired:
                asked = asked or Monitor.open(monitor)
                if asked and asked.guest_seconds() > GUEST_S:
                    self.why = f"it ran for more than {GUEST_S} s of its own time (an endless " \
                               "loop?)"
                    return
                continue
            self.expect_no_trouble(code)
            self.why = ENDS.get(code, f"QEMU ended with {code}")
            if code == PANIC:
                self.why += self.panic_line()
            return
        self.why = f"it did not end in {BOOT_S} s of its own time (does it sleep for ever?)"

    def expect_no_trouble(self, code):
        """QEMU was killed, as when memory is short, or could not start."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            said = re.search(r"^(qemu-system-\S+: .*|splat: .*)", file.read(), re.M)
        if code == -signal.SIGKILL or code not in ENDS and said:
            raise Ungradable(f"not the student's fault: QEMU ended with {code}: "
                             f"{said[1] if said else 'it was killed'}")

    def panic_line(self):
        """The kernel's last words, as it prints them, and what led to them."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            text = file.read()
        found = re.search(r"Kernel panic - not syncing: (.*?)\r?$", text, re.M)
        if not found:
            return ""
        # Tests make reports on purpose: only what came after the last result led here.
        since = re.split(r"^ *(?:not )?ok ", text[:found.start()], flags=re.M)[-1]
        causes = re.findall(r"(?:BUG|Oops|RIP): .*?(?=\r?$)", since, re.M)
        return ": " + ", ".join([found[1], *causes[-2:]])

    def verdicts(self):
        """What is signed. A test that reports twice, or a signature that is wrong, is nothing."""
        with open(self.log, "rb") as file:
            data = file.read()
        found = {}
        for mac, suite, test, status in VERDICT.findall(data):
            text = b"%s %s %s" % (suite, test, status)
            if f"{siphash(self.secret, text):016x}".encode() == mac:
                name = f"{suite.decode()}/{test.decode()}"
                found[name] = "twice" if name in found else status.decode()
        return found

    def complaint(self, test):
        """
        What was printed before the test's result, for a reader: the first line of the test's own,
        and the first of a report of the kernel's.
        """
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip() for line in file]
        suite, _, name = test.rpartition("/")
        inside, said = False, []
        for line in lines:
            if line.startswith("  # Subtest: "):
                inside, said = line.endswith(" " + suite.split("/")[1]), []
            elif inside and re.match(rf"  (not )?ok \d+ {name}( |$)", line):
                return [f"{what}: {text}" for what, form in SAID
                        for text in [next(filter(form.search, said), "")] if text]
            elif inside and re.match(r"  (not )?ok ", line):
                said = []
            elif inside and not line.startswith("  # verdict"):
                said.append(line.removeprefix("  # "))
        return []


class Monitor:
    """QEMU's QMP, only to ask what time it is for the guest."""

    def __init__(self, connection):
        self.stream = connection.makefile("rw")
        self.stream.readline()
        self.ask("qmp_capabilities")

    @staticmethod
    def open(path):
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(10)
            connection.connect(path)
            return Monitor(connection)
        except (OSError, ValueError):
            return None

    def ask(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while "return" not in (answer := json.loads(self.stream.readline())):
            if "error" in answer:
                raise ValueError(answer["error"])
        return answer["return"]

    def guest_seconds(self):
        """0 if it does not say."""
        try:
            now = self.ask("qom-get", path="/machine", property="rtc-time")
        except (OSError, ValueError):
            return 0
        days = now["tm_mday"] - 1
        return ((days * 24 + now["tm_hour"]) * 60 + now["tm_min"]) * 60 + now["tm_sec"]


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


def boots_of(plan, tree, folder, seeds):
    """World -> (its boots, done, with what each found)."""
    results = {}
    for name, world in plan["worlds"].items():
        suites = sorted({test.rpartition("/")[0] for step in plan["steps"]
                         for check in step["checks"] for where, test in wanted(check)
                         if where == name})
        results[name], cpu_s = [], CPU_S
        for seed in seeds if suites else []:
            boot = Boot(tree, folder, name, world, suites, seed)
            results[name].append((boot, boot.run(cpu_s)))
            # What came before the hang must be right with each seed, too.
            cpu_s = AFTER_A_HANG_S if boot.why else CPU_S
    return results


def judge(check, results, stop_at):
    """(passed, lines for the student): the worst boot counts."""
    for world, test in wanted(check):
        for boot, found in results[world]:
            status = found.get(test, "none")
            if status == "ok":
                continue
            lines = [f"{test}: " + {
                "failed": "it failed", "skipped": "it was skipped", "twice": "it reported twice",
                "none": "it did not report" + (f": {boot.why}" if boot.why else "")}[status]]
            if test != check["test"]:
                lines.insert(0, f"{check['test']}: it is right, but counts only with the next")
            lines += boot.complaint(test)
            if "hint" in check:
                lines.append(f"hint: {check['hint']}")
            return False, lines + replay(boot, test, stop_at)
    return True, []


def replay(boot, test, stop_at):
    """Where the log is, and what to type to see @test fail."""
    options = boot.append.split(" secret=on")[0]
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
                check, results, step.get("break"))
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


def run(options):
    student = os.path.abspath(options.folder)
    pristine = options.pristine or os.path.join(student, ".lab/pristine.tar.gz")
    if not os.path.isfile(pristine):
        raise Ungradable(f"{pristine} is not there: the files as handed out")
    work = os.path.abspath(options.work or os.path.join(student, "build/grade"))
    tree, logs = os.path.join(work, "tree"), os.path.join(work, "logs")
    if options.base and not os.path.isdir(tree):
        shutil.copytree(options.base, tree, symlinks=True)
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    plan = unpack(pristine, tree)
    notes = take(student, tree, [name for name in plan["files"] if name != "answers.md"])
    notes += answered(student, tree)
    trouble = build(tree, os.path.join(logs, "build.log"))
    if trouble:
        trouble = f"it does not build: {trouble} (log: build/grade/logs/build.log)"
    seeds = [f"{options.seed}-{number}" for number in range(SEEDS)]
    results = {} if trouble else boots_of(plan, tree, logs, seeds)
    report = grade(plan, results, trouble)
    full = show(plan, report, notes, options.all)
    if options.json:
        write_json(options.json, {"lab": plan["lab"], "title": plan["title"], "steps": report,
                                  "notes": notes})
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
    parser.add_argument("--pristine", help="the files as handed out (default: the tree's own)")
    try:
        return run(parser.parse_args())
    except TooBusy as reason:
        print(f"splat: {reason}; try again", file=sys.stderr)
        return patience.EXIT[patience.TOO_BUSY]
    except (Ungradable, OSError, tarfile.TarError, KeyError, ValueError) as error:
        print(f"splat: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
