# SPDX-License-Identifier: MIT
"""
Tests on the host's side: boots that must fail with one clear line, `make run`, `make debug`, and
the scripts. Each is a function; what it raises with expect() is its failure.
"""
import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile

import builds
import ktap
import machine

TESTS = []                              # (name, function, when)
CHECK, TEST, ALL = range(3)             # from which command on: make check, test, test-all


class Failure(Exception):
    """The test's verdict, with its reason."""


class Skip(Exception):
    """The test cannot be made here, with its reason."""


def test(name, check=True, long=False):
    """@long: `make test-all`, or asked for by name."""
    def note(function):
        TESTS.append((name, function, ALL if long else CHECK if check else TEST))
        return function
    return note


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_code(code, wanted, output):
    tail = "\n".join(line for line in ktap.clean(output)[-6:] if line)
    expect(code == wanted, f"exit code {wanted} is due; {machine.why(code)}\n{tail}")


# --- Boots that cannot succeed, or that warn: one clear line each, and never a hang ---

def boot_says(name, text, code=machine.PANIC, **world):
    """A test that boots @world and wants the exit code and exactly one line with @text."""
    def boot():
        got, output = machine.boot(name, **world)
        expect_code(got, code, output)
        lines = [line for line in ktap.clean(output)
                 if re.search(text, line) and "[ end Kernel panic" not in line]
        expect(len(lines) == 1, f'{len(lines)} lines say "{text}", not one')
    test(name)(boot)


boot_says("no-initramfs", r"Kernel panic.*no initramfs", INITRD="")
boot_says("no-init", r"Kernel panic.*init=/bin/nothing cannot be run", append="init=/bin/nothing")
boot_says("unknown-option", r'options: "frobnicate=1" is unknown', machine.PASS,
          append="frobnicate=1 init=/bin/echo")
boot_says("bad-option-value", r'options: fpu_clone="sideways" is not one of', machine.PASS,
          append="fpu_clone=sideways init=/bin/echo")
boot_says("no-long-mode", r"splat: this CPU has no long mode", cpu="qemu32")
boot_says("no-long-mode-grub", r"splat: this CPU has no long mode", cpu="qemu32", boot="grub")


def damaged_initramfs(name, damage):
    """A test that boots with the initramfs' bytes changed by @damage."""
    def boot():
        os.makedirs(machine.LOGS, exist_ok=True)
        path = os.path.join(machine.LOGS, name + ".cpio")
        with open(builds.folder(None) + "/initramfs.cpio", "rb") as file:
            data = damage(file.read())
        with open(path, "wb") as file:
            file.write(data)
        code, output = machine.boot(name, INITRD=path)
        expect_code(code, machine.PANIC, output)
        expect(re.search(r"Kernel panic.*initramfs", output), "no line names the initramfs")
    test(name)(boot)


damaged_initramfs("garbage-initramfs",
                  lambda data: bytes(i * i * 31 >> 5 & 255 for i in range(100000)))
damaged_initramfs("cut-initramfs", lambda data: data[:len(data) // 2])


@test("wrong-world")
def wrong_world():
    """What the scripts refuse themselves: an unknown way to boot, a file that is not there."""
    for world, text in (({"BOOT": "floppy"}, "BOOT=floppy is unknown"),
                        ({"INITRD": "/nothing"}, "cannot read /nothing"),
                        ({"KERNEL": "/nothing"}, "cannot read /nothing"),
                        ({"BOOT": "grub", "ISO": "/nothing"}, "cannot read /nothing")):
        code, output = machine.run(["scripts/qemu.sh"], machine.LOGS + "/wrong-world.log", world)
        expect(code == 1 and text in output and output.count("\n") == 1,
               f"{world}: exit code {code}: {output}")


# --- make run and make debug ---

class Terminal:
    """A command on a terminal of its own, typed at by the test."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.process = machine.start(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.output = self.unread = ""

    def read_until(self, text, timeout=60):
        """Reads up to @text and returns what came before it."""
        while text not in self.unread:
            ready = machine.has_input(self.master, timeout, self.process)
            try:
                data = os.read(self.master, 4096).decode(errors="replace") if ready else ""
            except OSError:             # the other end is closed
                data = ""
            expect(data, f'"{text}" did not come:\n' + "\n".join(ktap.clean(self.output)[-6:]))
            self.output += data
            self.unread += data.replace("\r", "")
        before, _, self.unread = self.unread.partition(text)
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def end_in_gdb(self):
        """GDB's prompt comes, and works; it is left. Returns the exit status."""
        self.read_until("(gdb) ")
        self.type("p 40 + 2\r")
        self.read_until("= 42")
        self.type("quit\r")
        return self.end()

    def end(self):
        """Waits for the command's end. Returns its exit status."""
        try:
            return machine.finish(self.process, 20)
        finally:
            os.close(self.master)


@contextlib.contextmanager
def session(*choice):
    """`make run` on a terminal; the caller types, and last of all leaves the shell."""
    terminal = Terminal(["make", "run", *choice])
    try:
        yield terminal
        terminal.type("exit\r")
        terminal.read_until("init exited with status 0")
    except BaseException:
        machine.end(terminal.process, signal.SIGTERM)
        terminal.end()
        raise
    code = terminal.end()
    expect(code == 0, f"make run: exit status {code}")


def typed_session(*choice, menu=False):
    """A few commands typed at the shell."""
    with session(*choice) as terminal:
        if menu:
            terminal.read_until("Splat: the demo")
            terminal.type("\r")
        terminal.read_until("switches off.")
        terminal.read_until("$ ")
        for command, answer in (("ls", "bin/demo\n"), ("echo one two | cat", "\none two")):
            terminal.type(command + "\r")
            text = terminal.read_until("\n$ ")
            expect(answer in text, f"{command}: {text}")


@test("run")
def run_pvh():
    typed_session()


@test("nmi")
def nmi():
    """QEMU's monitor sends an NMI into the idle machine: it is reported, and the shell goes on."""
    with session() as terminal:
        terminal.read_until("$ ")
        terminal.type("\x01c")
        terminal.read_until("(qemu) ")
        terminal.type("nmi\r")
        terminal.read_until("NMI received on CPU 0")
        terminal.type("\x01c")
        terminal.type("echo still here\r")
        terminal.read_until("\nstill here")


@test("typed-ahead")
def typed_ahead():
    """What is typed before the kernel has its console must reach the shell."""
    code, output = machine.run(["make", "run"], machine.LOGS + "/typed-ahead.log",
                               typed="echo early\nexit\n")
    expect(re.search("^early\r?$", output, re.M) and code == 0,
           f"exit status {code}\n{output[-300:]}")


@test("run-grub")
def run_grub():
    typed_session("BOOT=grub", "APPEND=rt=on")


@test("run-menu")
def run_menu():
    """The menu of `make iso`, on the serial port."""
    typed_session("BOOT=grub", menu=True)


def debug_session(boot, first):
    """Breakpoints in early boot, the kernel and ring 3; a backtrace from the tick to below it."""
    commands = [f"tbreak {first}", "continue", "boot-disas", "tbreak boot_entry64", "continue",
                "tbreak scheduler_tick", "continue", "bt", "user-symbols bin/demo",
                "tbreak fork_and_verify", "continue", "bt", "break fpu_clone", "continue", "bt"]
    args = "-batch " + " ".join(f"-ex '{command}'" for command in commands)
    log = f"{machine.LOGS}/debug-{boot}"
    code, output = machine.run(["make", "debug", f"BOOT={boot}", "APPEND=init=/bin/demo",
                                f"GDBARGS={args}"], log + ".log",
                               {"DEBUG_LOG": log + ".console"})
    for what, text in (("early boot", rf"breakpoint \d+, {first} \(\) at boot/entry32.S"),
                       ("32-bit code", r"\(%edi\)"),
                       ("64-bit boot code", r"breakpoint \d+, boot_entry64 \(\)"),
                       ("the tick", r"\n#\d+ .*\bscheduler_tick \("),
                       # clang's .debug_frame has no mark for an interrupt's frame.
                       ("a frame below the interrupt",
                        r"\n#\d+ .*(<signal handler called>|common_entry \(\).*)\n#\d+ .*\w"),
                       ("ring 3", r"breakpoint \d+, fork_and_verify \(.* at user/demo.c"),
                       ("ring 3's caller", r"#\d .*\bmain \(.* at user/demo.c"),
                       ("the kernel", r"Breakpoint \d+, fpu_clone \("),
                       ("the system call below it", r"#\d+ .*\bkernel_clone \(")):
        expect(re.search(text, output), f"BOOT={boot}: {what} is not there ({text}): {log}.log")
    expect(code == 0, f"BOOT={boot}: exit status {code}")


@test("debug")
def debug():
    debug_session("pvh", "boot_pvh32")
    debug_session("grub", "boot_entry32")


@test("debug-repeats")
def debug_repeats():
    """A session in GDB is the same each time, tick by tick: what the book quotes of one is true."""
    seen = []
    for number in (1, 2):
        log = f"{machine.LOGS}/debug-repeats-{number}"
        code, output = machine.run(
            ["make", "debug", "APPEND=init=/bin/demo", "GDBARGS=-batch -ex 'break scheduler_tick'"
             " -ex 'ignore 1 20' -ex continue -ex bt -ex 'monitor info registers'"],
            log + ".log", {"DEBUG_LOG": log + ".console"})
        expect(code == 0 and "YMM15" in output, f"exit status {code}: {log}.log")
        seen.append(output.partition("\n")[2])     # without the name of the console's file
    expect(seen[0] == seen[1], f"they differ: {machine.LOGS}/debug-repeats-*")


@test("freed-page")
def freed_page():
    """A byte written to a page after it was freed: the next who gets the page says so."""
    commands = ["tbreak kernel_execve", "continue", "tbreak free_block if order == 0", "continue",
                "set *(char *)(0xffff888000000000 + (pfn << 12) + 1234) = 5", "continue"]
    args = "-batch " + " ".join(f"-ex '{command}'" for command in commands)
    log = f"{machine.LOGS}/freed-page"
    machine.run(["make", "debug", "APPEND=init=/bin/demo", f"GDBARGS={args}"], log + ".log",
                {"DEBUG_LOG": log + ".console"})
    with open(log + ".console", encoding="utf-8", errors="replace") as file:
        output = file.read()
    expect(re.search(r"Kernel panic.*pages: the page at 0x\w+000 was written after free: "
                     r"byte 1234 is 0x5", output), f"no panic names the page: {log}.console")


# --- scripts/deps.sh, on a machine made of a folder with fake programs ---

def fake_machine(folder, programs):
    """Fills @folder with programs: name -> text of a shell script."""
    for name, text in {"uname": "echo x86_64", **programs}.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)


def run_deps(programs, *tools, **env):
    """Runs deps.sh where only @programs exist. Returns (exit status, output)."""
    with tempfile.TemporaryDirectory() as folder:
        fake_machine(folder, programs)
        done = subprocess.run(
            ["scripts/deps.sh", *tools], env={"PATH": folder, "FAKE": folder, **env}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


@test("deps")
def deps():
    """What is missing is named with the line that installs it, and installed if that is wanted."""
    code, output = run_deps({"apt-get": "echo called"}, "qemu", "python3", "gdb", NO_INSTALL="1")
    line = "apt-get install -y --no-install-recommends qemu-system-x86 python3 gdb"
    expect(code == 1 and line in output and "called" not in output, f"NO_INSTALL=1: {output}")

    code, output = run_deps({"clang": ":"}, "llvm", NO_INSTALL="1")
    expect(code == 1 and "missing: ld.lld llvm-objcopy;" in output, f"llvm: {output}")

    code, output = run_deps({}, "qemu", "cpio")
    expect(code == 1 and output.count("\n") == 1 and "missing: qemu-system-x86_64 cpio" in output,
           f"no apt-get: {output}")

    install = 'if [ $1 = install ]; then echo "#!/bin/sh" >$FAKE/cpio; /bin/chmod +x $FAKE/cpio; fi'
    code, output = run_deps({"id": "echo 0", "apt-get": install}, "cpio")
    expect(code == 0 and "+ apt-get install" in output, f"as root: {code}: {output}")

    code, output = run_deps({"id": "echo 0", "apt-get": ":"}, "cpio")
    expect(code == 1 and "installed, and yet missing: cpio" in output,
           f"an install without effect: {output}")

    code, output = run_deps({"id": "echo 1000", "apt-get": install, "sudo": '"$@"'}, "cpio")
    expect(code == 0 and "+ sudo apt-get install" in output, f"with sudo: {code}: {output}")

    code, output = run_deps({"id": "echo 1000", "apt-get": install}, "cpio")
    expect(code == 1 and "type, as root: apt-get install" in output, f"without sudo: {output}")


@test("deps-uefi")
def deps_uefi():
    """Firmware that is not there is named, too."""
    code, output = run_deps({}, "uefi", OVMF_CODE="/nothing", NO_INSTALL="1")
    expect(code == 1 and re.search(r"missing:.* ovmf\b", output), f"no OVMF: {code}: {output}")


@test("deps-old-qemu")
def deps_old_qemu():
    old = "echo 'QEMU emulator version 6.2.0 (Debian 1:6.2)'"
    code, output = run_deps({"qemu-system-x86_64": old}, "qemu")
    expect(code == 1 and output.count("\n") == 1
           and "is version 6.2.0; 7.2 or newer is needed" in output, output)
    for version in ("7.2.22", "10.0.0", "8.0.0-rc1"):
        new = f"echo QEMU emulator version {version}"
        code, output = run_deps({"qemu-system-x86_64": new}, "qemu")
        expect(code == 0, f"{version}: {output}")
    code, output = run_deps({"qemu-system-x86_64": "exit 1"}, "qemu")
    expect(code == 1 and "cannot tell the version" in output, f"no version: {output}")


# --- The build ---

@test("help")
def make_help():
    """One line a target, and no target that is not there."""
    code, output = machine.run(["make", "help"], machine.LOGS + "/help.log")
    for target in ("all", "run", "demo", "debug", "gdb", "record", "rewind", "tour-rewind",
                   "test", "test-all", "check", "iso", "stat", "bochs3", "bochs-xfd", "clean",
                   "help"):
        expect(len(re.findall(rf"^make {target} ", output, re.M)) == 1,
               f"no line, or two, for {target}")
    expect(code == 0, f"exit status {code}")


@test("compile-commands")
def compile_commands():
    """compile_commands.json has every C file, once, with flags that compile it."""
    expect(not builds.ready("gcc"), "the default build, which makes it, fails")
    with open("compile_commands.json", encoding="utf-8") as file:
        entries = json.load(file)
    names = [entry["file"] for entry in entries]
    for path in ("kernel/main.c", "arch/x86/fpu/clone.c", "user/sh.c", "tests/user/vec.c",
                 "tests/kernel/list.c"):
        expect(names.count(path) == 1, f"{path}: {names.count(path)} entries")
    entry = entries[names.index("arch/x86/fpu/clone.c")]
    code, output = machine.run(["sh", "-c", entry["command"] + " -fsyntax-only"],
                               machine.LOGS + "/compdb.log")
    expect(code == 0, output)


@test("variants", check=False)
def variants():
    """What boots is what was asked for: the first line has the compiler, a skip RELEASE."""
    for build, append, text in (("gcc", "init=/bin/echo", r"Splat \S+ \(gcc \d"),
                                ("llvm", "init=/bin/echo", r"Splat \S+ \([^)]*[Cc]lang \d"),
                                ("release", "init=/tests/testrun -- k/kmalloc",
                                 r"ok \d+ fresh\S+ # SKIP built with RELEASE=1")):
        if reason := builds.missing(build):
            raise Skip(reason)
        wrong = builds.ready(build)
        expect(not wrong, wrong)
        code, output = machine.boot(f"variants-{build}", append, **builds.environment(build))
        expect_code(code, machine.PASS, output)
        expect(re.search(text, output), f"{build}: nothing says {text}")


# --- What a compiler can say ---

@test("thread-safety")
def thread_safety():
    """clang's -Wthread-safety refuses the buggy order, and has no other complaint."""
    if not shutil.which("clang"):
        raise Skip("no clang")
    expect(not builds.ready("gcc"), "the default build, whose headers are needed, fails")
    with open("compile_commands.json", encoding="utf-8") as file:
        sources = [entry["file"] for entry in json.load(file)]
    sources = [name for name in sources if name.endswith(".c") and name.startswith(
        ("boot/", "arch/", "kernel/", "lib/"))]
    expect("arch/x86/fpu/clone.c" in sources, "compile_commands.json has no kernel sources")
    done = subprocess.run(
        ["clang", "-fsyntax-only", "-Wall", "-Wextra", "-Wthread-safety", "-Wno-unused-parameter",
         "-std=gnu11", "-ffreestanding", "-mgeneral-regs-only", "-I.", "-Ibuild/include", *sources],
        capture_output=True, text=True, check=False)
    found = [line for line in done.stderr.splitlines() if re.search(r"warning:|error:", line)]
    expect(len(found) == 1 and found[0].startswith("arch/x86/fpu/clone.c") and
           "cannot call function 'fpu_inherit_perms' while context 'preempt_off' is held"
           in found[0], "clang says:\n" + "\n".join(found))
