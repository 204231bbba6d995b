# SPDX-License-Identifier: MIT
"""
A boot of a lab's kernel: QEMU in a sandbox, followed by watch.py from its first instruction, with
limits that do not depend on what else the host does.
"""
import json
import os
import re
import signal
import socket
import tempfile
import time

import confine
import patience
import watch

LOG_MAX = 80 << 20                      # of a boot's console, and of its memory's 64 MiB
BOOT_S = 60                             # of its own time: the last resort, see Boot.follow()
CPU_S = 40                              # that a boot may use of the host's processor; most use 3
GUEST_S = 20                            # of the guest's own time, 125 million instructions each
PASS, FAIL, PANIC = 33, 35, 37          # kernel/report/panic.h
# No device that no lab needs, and no system call of the host's that QEMU does not need.
FEWER = ("-nodefaults", "-no-user-config", "-vga", "none", "-sandbox",
         "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
# How a boot ended, for the student. 0: QEMU ends so when the machine is reset.
ENDS = {PASS: "", FAIL: "", PANIC: "the kernel panicked",
        0: "the machine was reset (a triple fault?)",
        -signal.SIGXCPU: "it used too much of the processor (an endless loop?)",
        -signal.SIGXFSZ: "the log is full"}
# By the host.
KILLED = {-signal.SIGKILL: "QEMU was killed",
          -signal.SIGBUS: "no space left on device for the guest's memory"}
SAID = (("first difference", re.compile(r"^\S+\.[ch]:\d+: ")),
        ("the kernel's report", re.compile(r"^(\[.*\] )?(WARNING|BUG): ")))
STATUS = {"none": "it was not run", "not left": "it did not come to its end",
          "failed": "it failed", "skipped": "it was skipped", "twice": "it ran twice"}


class Ungradable(Exception):
    """The tree or the plan cannot be graded: one line."""


class TooBusy(Exception):
    """Nobody can say what it would have done."""


def judged(verdict):
    """What patience.py says: a time-out is for the caller."""
    if verdict == patience.TOO_BUSY:
        raise TooBusy(patience.NOT_JUDGED)
    return verdict


class Boot:
    """One world with one seed."""

    def __init__(self, tree, folder, name, world, suites, seed, counts=""):
        self.name, self.values, self.suites = f"{name}-{seed}", seed, suites
        self.log = os.path.join(folder, self.name + ".log")
        self.append = " ".join(filter(None, (
            "init=/tests/testrun watchdog=panic fpu_poison=on", f"seed={seed}",
            world.get("append", ""), "--", *suites)))
        self.env = {"ICOUNT": "1", "MEM": "64M",
                    "CPU": world.get("cpu", "max"), "SMP": str(world.get("smp", 1)),
                    "APPEND": self.append}
        self.tree, self.why, self.strange, self.tests, self.counts = tree, "", "", {}, counts
        self.before = None

    def run(self, sandbox, before=None):
        """
        Boots; self.why says how it ended, if not well, and self.tests what was seen. @before: one
        with other values that did not end well; this one ends when it has come as far.
        """
        self.before = before
        with tempfile.TemporaryDirectory() as folder:
            monitor, stub = os.path.join(folder, "qmp"), os.path.join(folder, "gdb")
            env = {**self.env, "GDBSTUB": stub, "RAM": os.path.join(folder, "ram")}
            with open(self.log, "wb") as out:
                process = sandbox.start(
                    ["scripts/qemu.sh", "-S", *FEWER, "-qmp",
                     f"unix:{monitor},server=on,wait=off"],
                    self.tree, out, env, folder, LOG_MAX, CPU_S)
                try:
                    self.follow(process, stub, env["RAM"], monitor)
                finally:
                    confine.end(process)
        return self

    def follow(self, process, stub, ram, monitor):
        """
        Until it ends, or has had its time: counted by the guest's clock, which is its instructions,
        and by what it uses of the processor, for a loop with PAUSE has few of them. Its own time is
        for a machine that does nothing at all: it sleeps. None depends on what else the host does.
        """
        limit, asked, seen = patience.Patience(BOOT_S, process.pid), None, None
        try:
            while not judged(limit.look()):
                if process.poll() is not None:
                    break
                if not seen:
                    asked = asked or Monitor.open(monitor)
                    if not asked or not os.path.exists(stub) or not os.path.exists(ram):
                        time.sleep(patience.LOOK_S / 10)
                        continue
                    seen = watch.Watch(watch.Stub(stub), watch.Memory(ram), self.tree, self.suites,
                                       asked.idt_bases, self.counts)
                    seen.stub.go()
                if thread := seen.stub.stopped(patience.LOOK_S):
                    self.at_places(seen, thread)
                    if not self.far_enough(seen):
                        continue
                if self.far_enough(seen):
                    self.why = self.before.why
                    break
                if asked.guest_seconds() > GUEST_S:
                    self.why = f"it ran for more than {GUEST_S} s of its own time (an endless " \
                               "loop?)"
                    break
            else:
                self.why = f"it did not end in {BOOT_S} s of its own time (does it sleep for ever?)"
        except watch.Gone:
            pass
        if seen:
            seen.end()
            self.tests, self.strange = seen.tests, seen.strange
        elif process.poll() is not None:                # before it let the guest go
            raise Ungradable(f"not the student's fault: no emulator: {self.last_line()}")
        if not self.why:
            self.ended(process)

    def far_enough(self, seen):
        """The rest is lost in the other boot, and so in this one."""
        return self.before and all(seen.tests[name].left
                                   for name, test in self.before.tests.items() if test.left)

    def at_places(self, seen, thread):
        """The guest has stopped, and often does so again soon: no time to look at the clock."""
        while thread:
            seen.stopped(thread)
            if self.far_enough(seen):
                return
            seen.stub.go()
            thread = seen.stub.stopped(0.01)

    def ended(self, process):
        code = confine.exit_code(judged(patience.wait(process, BOOT_S)))
        self.expect_no_trouble(code)
        self.why = ENDS.get(code, f"QEMU ended with {code}")
        if code == PANIC:
            self.why += self.panic_line()

    def status(self, test, sees):
        """"ok", or why not, for the student. @sees: how many checks it must have come by."""
        found = self.tests.get(test)
        status = found.status(sees) if found else "none"
        if self.strange:
            return f"the machine was changed: {self.strange}"
        if status == "cut short":
            return f"only {len(found.seen)} of its {sees} checks were come by"
        return STATUS.get(status, status) + (
            f": {self.why}" if self.why and status in ("none", "not left") else "")

    def expect_no_trouble(self, code):
        """QEMU was killed, as when memory is short, or could not start."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            said = re.search(r"^(qemu-system-\S+: .*|splat: .*)", file.read(), re.M)
        why = KILLED.get(code, said and code not in ENDS and f"QEMU ended with {code}: {said[1]}")
        if why:
            raise Ungradable(f"not the student's fault: {why}")

    def last_line(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return (file.read().strip().splitlines() or ["it says nothing"])[-1]

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
            elif inside:
                said.append(line.removeprefix("  # "))
        return []


class Monitor:
    """QEMU's QMP: what time it is for the guest, and what its stub does not tell."""

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

    def idt_bases(self):
        """Where each CPU's interrupt descriptors are."""
        said = self.ask("human-monitor-command", **{"command-line": "info registers -a"})
        return [int(base, 16) for base in re.findall(r"^IDT= +([0-9a-f]+) ", said, re.M)]

    def guest_seconds(self):
        """0 if it does not say."""
        try:
            now = self.ask("qom-get", path="/machine", property="rtc-time")
        except (OSError, ValueError):
            return 0
        days = now["tm_mday"] - 1
        return ((days * 24 + now["tm_hour"]) * 60 + now["tm_min"]) * 60 + now["tm_sec"]
