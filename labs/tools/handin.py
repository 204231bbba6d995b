# SPDX-License-Identifier: MIT
"""
A hand-in's files: taken out of what it is packed in, laid over the pristine ones, held against the
rules (rules.py, and the object's below), and built in a sandbox.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tarfile
import tempfile

import boots
import confine
import image
import patience

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_MAX = 256 * 1024                   # of a student's file
BUILD_S = 150                           # of its own time; most take 5
UNPACK_S = 30                           # the same
LONG_AGO = 400_000_000                  # 1982: zip knows no time before 1980
ROOM = 16 << 20                         # a disk with less is full
# What a build says when the machine has run out of something; not when the compiler met its limit.
HOSTS_TROUBLE = re.compile("No space left on device|^(?!.*virtual memory).*Cannot allocate memory|"
                           "Killed signal terminated program|Resource temporarily unavailable|"
                           "Read-only file system")


class Refused(Exception):
    """No point is lost, the student is to mend it: lines that say what, and where."""


def content_of(paths, top="/"):
    """A number for what the files @paths hold, and for their names below @top."""
    total = hashlib.sha256()
    for path in sorted(paths):
        with open(path, "rb") as file:
            data = file.read()
        total.update(f"{os.path.relpath(path, top)} {len(data)}\n".encode() + data)
    return total.hexdigest()[:32]


def files_in(folder):
    return [os.path.join(top, name) for top, _, names in os.walk(folder) for name in names]


def expect_room(*folders):
    """A verdict that may be a full disk's is none."""
    for folder in (*folders, tempfile.gettempdir()):
        disk = os.statvfs(folder)
        if disk.f_bavail * disk.f_frsize < ROOM or disk.f_files and not disk.f_favail:
            raise boots.Ungradable(f"not the student's fault: no space left in {folder}")


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


def copy_tree(source, target, *but):
    try:
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*but))
    except shutil.Error as error:                       # of all files: (from, to, why)
        raise boots.Ungradable(error.args[0][0][2]) from error


class Pristine:
    """The files as handed out, and the lab's plan, which is one of them."""

    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            self.files = {member.name: (tar.extractfile(member).read(), member.mode)
                          for member in tar.getmembers() if member.isfile()}
        self.plan = json.loads(self.files["lab.json"][0])
        self.opened = [name for name in self.plan["files"] if name != "answers.md"]

    def lay_out(self, tree):
        for name, (data, mode) in self.files.items():
            place(data, os.path.join(tree, name), mode, LONG_AGO)
        for name in self.opened:
            place(self.files[name][0], os.path.join(tree, "build/starters", name))

    def is_in(self, folder):
        """Is all that is not for the student to change as it was handed out?"""
        for name, (data, _) in self.files.items():
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    if name not in self.plan["files"] and file.read() != data:
                        return False
            except OSError:
                return False
        return True

    def begin(self, tree, folder, base):
        """
        The pristine tree, with what has been built of it already: in @base, or by the student in
        @folder, if nothing else was changed there.
        """
        if not os.path.isdir(tree):
            if base:
                copy_tree(base, tree)
            elif os.path.isfile(f"{folder}/build/splat.elf") and self.is_in(folder):
                copy_tree(f"{folder}/build", f"{tree}/build", "grade", "iso", "*.log", "*.ram")
        self.lay_out(tree)


def unpack(sandbox, path, folder, names):
    """The files @names of the hand-in @path, however it is packed, into @folder."""
    os.makedirs(folder)
    with tempfile.TemporaryFile() as out:
        process = sandbox.start([sys.executable, os.path.join(HERE, "unpack.py"), path, folder,
                                 *names], folder, out, reads=path, cpu_s=UNPACK_S)
        code = ended(process, UNPACK_S)
        out.seek(0)
        said = (out.read().decode(errors="replace").strip().splitlines() or [""])[-1]
    if code == 2:
        raise boots.Ungradable(f"the hand-in cannot be unpacked: {said}")
    if code:
        expect_room(folder)
        raise Refused([said or "it cannot be read: it takes too much time or memory"])


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

def ended(process, seconds):
    """Its exit code, or TIMED_OUT; nothing of it is left, whatever comes."""
    try:
        return confine.exit_code(boots.judged(patience.wait(process, seconds)))
    finally:
        confine.end(process)


def first_error(log):
    """What a build says is wrong, in one line, which is not make's if it can be helped."""
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if trouble := next(filter(HOSTS_TROUBLE.search, lines), ""):
        raise boots.Ungradable(f"not the student's fault: {trouble}")
    lines = [line for line in lines if not line.startswith("make")] or lines
    return next((line for line in lines if "error:" in line), lines[0] if lines else "")


def confined(sandbox, command, tree, log):
    """Runs @command in @tree; its output is in @log. Returns its exit code, or TIMED_OUT."""
    with open(log, "wb") as out:
        return ended(sandbox.start(command, tree, out), BUILD_S)


def expect_rules(sandbox, tree, names, log):
    """Raises Refused if one of the files @names is not what a hand-in may be."""
    code = confined(sandbox, [sys.executable, os.path.join(HERE, "rules.py"), "lab.json",
                              "build/starters", ".", *names], tree, log)
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if code == 1:
        raise Refused(lines)
    if code == 2 or code == -signal.SIGKILL:
        raise boots.Ungradable(lines[-1] if lines else f"rules.py ended with {code}")
    if code:
        expect_room(tree)
        raise Refused(["it cannot be read: too deep, too large, or too long in the reading"])


def build(sandbox, tree, targets, log):
    """Returns "", or the first error in one line."""
    code = confined(sandbox, ["make", "-j2", *targets], tree, log)
    if code == patience.TIMED_OUT:
        return f"it took more than {BUILD_S} s of the processor"
    if not code:
        return ""
    expect_room(tree)
    return first_error(log) or f"make ended with {code}"


def expect_base(sandbox, tree, names, log):
    """Does the lab as handed out build here? If not, that a hand-in does not is no verdict."""
    for name in names:
        shutil.copy(os.path.join(tree, "build/starters", name), os.path.join(tree, name))
    if trouble := build(sandbox, tree, ["all"], log):
        raise boots.Ungradable(f"not the student's fault: the lab itself does not build: {trouble}")


def build_by_rules(sandbox, tree, names, plan, logs):
    """
    Returns "", or why it does not build, in one line. What breaks a rule and would build is
    Refused; without a @plan there are no rules.
    """
    trouble = try_to_build(sandbox, tree, names, plan, logs)
    if trouble:
        expect_base(sandbox, tree, names, os.path.join(logs, "base.log"))
    return trouble


def try_to_build(sandbox, tree, names, plan, logs):
    log, objects = os.path.join(logs, "build.log"), [f"build/{name}.o" for name in names]
    try:
        if plan:
            expect_rules(sandbox, tree, names, os.path.join(logs, "rules.log"))
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
    """The objects hold what the lab's do: sections, what they define, and what they may name."""
    wrong = []
    for name in names:
        made, known = image.Object(f"{tree}/build/{name}.o"), plan["objects"][name]
        for what, found, allowed in (
                ("section", {s for s in made.sections if s and not USUAL.match(s)},
                 known["sections"]),
                ("global definition", made.defined, known["defines"]),
                ("name", made.undefined - ALWAYS, known["names"] + plan["names"])):
            wrong += [f"{name}: its object has a {what} that the lab's has not: {one}"
                      for one in sorted(found - set(allowed))]
    if wrong:
        raise Refused(wrong)
