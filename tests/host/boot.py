# SPDX-License-Identifier: MIT
"""
Tests of the whole machine, made from outside: boots by UEFI, the text screen, off and reset.

QEMU's console and its QMP monitor are sockets held by the test, so that it types, reads the guest's
memory, and learns why a machine ended.
"""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import golden
import host
import ktap
import machine
from host import expect, expect_code, test

START_S = 20                            # of QEMU's own time, to start or to answer
NO_DEBUG_EXIT = {"DEBUG_EXIT": ""}      # for scripts/qemu.sh


class Machine(host.Terminal):
    """
    QEMU with its console and its monitor. It connects to us: no waiting for its sockets. Who does
    not read the console stops the guest at its next few hundred bytes.
    """

    def __init__(self, *arguments, **world):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            listeners = []
            for name in ("console", "qmp"):
                listener = stack.enter_context(socket.socket(socket.AF_UNIX))
                listener.bind(f"{folder}/{name}")
                listener.listen()
                listeners.append(listener)
            self.process = machine.start(
                ["scripts/qemu.sh", "-S", "-qmp", f"unix:{folder}/qmp", *arguments],
                {"SERIAL": f"unix:{folder}/console", **world},
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for listener in listeners:
                expect(machine.has_input(listener, START_S, self.process), "QEMU does not start")
            console, self.qmp = (listener.accept()[0] for listener in listeners)
        self.master, self.said = console.detach(), b""
        self.output = self.unread = ""
        self.command("qmp_capabilities")
        self.command("cont")            # from here on: no event may be missed

    def command(self, name, **arguments):
        """A QMP command; returns its answer."""
        self.qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while "return" not in (answer := self.answer()):
            expect("error" not in answer, f"{name}: {answer}")
        return answer["return"]

    def answer(self):
        """The next thing that the monitor says."""
        while b"\n" not in self.said:
            data = machine.has_input(self.qmp, START_S, self.process) and self.qmp.recv(4096)
            expect(data, "the monitor does not answer, or has ended")
            self.said += data
        line, _, self.said = self.said.partition(b"\n")
        return json.loads(line)

    def shutdown_reason(self):
        """Why QEMU ends: the reason in its event SHUTDOWN."""
        while (answer := self.answer()).get("event") != "SHUTDOWN":
            pass
        return answer["data"]["reason"]

    def memory(self, start, size):
        """Physical memory."""
        path = f"{machine.LOGS}/memory.{self.process.pid}"
        os.makedirs(machine.LOGS, exist_ok=True)
        self.command("pmemsave", val=start, size=size, filename=os.path.abspath(path))
        with open(path, "rb") as file:
            data = file.read()
        os.remove(path)
        return data


@contextlib.contextmanager
def booted(*arguments, **world):
    guest = Machine(*arguments, **world)
    try:
        yield guest
    finally:
        machine.end(guest.process, signal.SIGTERM)
        guest.end()


# --- UEFI ---

def demo_table(boot):
    """The demonstration's table and verdicts, through this way to boot."""
    code, output = machine.boot(f"demo-table-{boot}", "init=/bin/demo", boot=boot)
    expect_code(code, machine.PASS, output)
    lines = ktap.clean(output)
    start = next((n for n, line in enumerate(lines) if line.startswith("  order  dynamic")), None)
    expect(start is not None, f"BOOT={boot}: there is no table")
    return [line for line in lines[start:] if not line.startswith("[")]


@test("uefi-demo", long=True)
def uefi_demo():
    """The demonstration comes out as it does by BIOS."""
    tables = [demo_table(boot) for boot in ("uefi", "grub")]
    expect(tables[0] == tables[1], f"UEFI and BIOS differ:\n{tables[0]}\n{tables[1]}")
    wrong = golden.compare(golden.read("tests/golden/demo.txt"),
                           [line for line in tables[0] if line.startswith("demo: ")])
    expect(not wrong, f"lines differ from tests/golden/demo.txt: {wrong}")


@test("uefi-run", check=False)
def uefi_run():
    """The menu of `make iso` and the shell, typed at by `make run BOOT=uefi`."""
    host.typed_session("BOOT=uefi", menu=True)


@test("uefi-poweroff", check=False)
def uefi_poweroff():
    with booted(BOOT="uefi", **NO_DEBUG_EXIT) as guest:
        run_command(guest, "poweroff")
        expect_reason(guest, "guest-shutdown")


@test("uefi-debug", long=True)
def uefi_debug():
    host.debug_session("uefi", "boot_entry32")


def grub_without_kernel(boot):
    """A test that GRUB says so in one line, and ends, if it cannot load the kernel."""
    def refuse():
        code, output = machine.boot(f"no-kernel-{boot}", boot=boot, ICOUNT="",
                                    KERNEL="build/initramfs.cpio")
        lines = [line for line in output.splitlines() if "splat: GRUB could not load" in line]
        expect(code == 0 and len(lines) == 1, f"exit code {code}, {len(lines)} lines say it")
    test(f"no-kernel-{boot}", check=boot == "grub")(refuse)


grub_without_kernel("grub")
grub_without_kernel("uefi")


@test("all-pids", check=False)
def all_pids():
    """As many tasks as there are numbers for, and one more."""
    code, output = machine.boot("all-pids", "init=/tests/testrun -- u/limits", MEM="1G")
    expect_code(code, machine.PASS, output)
    expect(re.search(r"^ +ok \d+ as_many_tasks_as_numbers$", output, re.M), "it was skipped")


# --- Machines on which it cannot run, or hardly: one line, and never silence ---

NO_ROOM = r"^splat: the kernel and its initramfs do not fit in memory"
# QEMU's PVH neither asks whether there is memory, nor what it puts on top of what.
host.boot_says("memory-8", NO_ROOM, MEM="8M")
host.boot_says("memory-16", NO_ROOM, MEM="16M")
host.boot_says("memory-20", NO_ROOM, MEM="20M")
host.boot_says("cmdline-over-modules", r"Kernel panic.*boot: the command line is too long",
               append="x" * 4100)
host.boot_says("cmdline-over-all", r"Kernel panic.*boot: PVH's start info .* is damaged",
               append="x" * 6000)
host.boot_says("cmdline-grub", r"options: the command line is cut after 1023 bytes", machine.PASS,
               boot="grub", append="init=/bin/echo " + "x" * 6000)
WORDS = "init=/bin/echo -- " + " ".join(f"w{i}" for i in range(1, 17))
host.boot_says("init-16-words", r"^w1 .* w15 w16$", machine.PASS, append=WORDS)
host.boot_says("init-17-words", r'options: more than 16 words for init; "w17" is dropped$',
               machine.PASS, append=WORDS + " w17")
host.boot_says("no-syscall", r"Kernel panic.*has no SYSCALL", cpu="max,-syscall")
host.boot_says("no-fxsave", r"Kernel panic.*has no FXSAVE", cpu="max,-fxsr")
host.boot_says("no-cmov", r"^splat: this CPU has no CMOV", cpu="max,-cmov")
host.boot_says("osxsave-stands-still", r"cpu: quirk: QEMU stands still at CR4.OSXSAVE",
               machine.PASS, cpu="qemu64,+xsave", append="init=/bin/echo")
host.boot_says("quiet-panic", r"Kernel panic.*init=/bin/nothing cannot be run",
               append="loglevel=0 init=/bin/nothing")


@test("cpu-models", long=True)
def cpu_models():
    """Every CPU model of this QEMU boots, or has no long mode."""
    _, text = machine.run(["qemu-system-x86_64", "-cpu", "help"], f"{machine.LOGS}/models.log")
    models = [line.split()[1] for line in text.splitlines() if line.startswith("x86 ")]
    expect(len(models) > 20, f"QEMU lists {len(models)} CPU models")
    for model in models:
        if re.search(r"-v\d+$", model) or model in ("base", "host"):
            continue
        code, output = machine.boot("cpu-models", "init=/bin/echo", cpu=model)
        expect(code == machine.PASS or "has no long mode" in output,
               f"{model}: {machine.why(code)}\n{output[-300:]}")


@test("boot-without-memory", long=True)
def boot_without_memory():
    """Whichever allocation of the boot fails: it is the only one missed, or it is said."""
    for number in range(1, 1000):
        code, output = machine.boot("boot-without-memory",
                                    f"fail_alloc={number} trace=on init=/bin/echo", SMP="2")
        if code == machine.PASS:
            break
        expect(code == machine.PANIC and "Oops" not in output and "WARNING" not in output,
               f"allocation {number}: {machine.why(code)}\n{output[-400:]}")
    expect(number > 40, f"the boot gets along without allocation {number}")


# --- The text screen ---

ROWS, COLUMNS = 25, 80


def screen_of(text):
    """What a terminal of this size shows after @text."""
    rows, column = [""], 0
    for char in text:
        if char == "\n" or (char >= " " and column == COLUMNS):
            rows.append("")
            column = 0
        if char == "\r":
            column = 0
        elif char == "\b":
            column = max(column - 1, 0)
        elif char == "\t":
            column = min(column // 8 * 8 + 8, COLUMNS)
        elif char >= " ":
            rows[-1] = rows[-1].ljust(column)[:column] + char + rows[-1][column + 1:]
            column += 1
    rows = [row.rstrip() for row in rows[-ROWS:]]
    return rows + [""] * (ROWS - len(rows))


def expect_screen(guest):
    """The text in video memory must become what the serial port said, in plain colours."""
    wanted = screen_of(guest.output)
    for _ in range(50):                 # the screen comes after the serial port
        cells = guest.memory(0xb8000, 2 * ROWS * COLUMNS)
        text = cells[0::2].decode("cp437")
        shown = [text[at:at + COLUMNS].rstrip() for at in range(0, len(text), COLUMNS)]
        if shown == wanted:
            break
        time.sleep(0.1)
    wrong = [f"row {n}: {got!r}, not {want!r}"
             for n, (got, want) in enumerate(zip(shown, wanted)) if got != want]
    expect(not wrong, "the screen differs from the serial port:\n" + "\n".join(wrong))
    expect(set(cells[1::2]) == {0x07}, "a cell is not grey on black")


def screen(boot):
    def compare():
        with booted(BOOT=boot) as guest:
            guest.read_until("$ ")
            expect_screen(guest)                                    # not yet full
            for command in ("echo " + "x" * COLUMNS, "echo " + "y" * (COLUMNS + 1), "help", "ls"):
                run_command(guest, command)
                guest.read_until("$ ")
                expect_screen(guest)
            run_command(guest, "cat")
            guest.type("one\ttwo\b\b\bTWO\rO\n" + "\b" + "z" * 75 + "\t\tend\n")
            guest.read_until("end\n")
            expect_screen(guest)
    test(f"screen-{boot}")(compare)


screen("pvh")
screen("grub")


def no_screen(boot):
    """A test that without an adapter nothing is written: in QEMU there is RAM in its place."""
    def boots():
        with booted("-vga", "none", BOOT=boot) as guest:
            guest.read_until("$ ")
            cells = guest.memory(0xb8000, 2 * ROWS * COLUMNS)
            expect("Splat".encode("utf-16le").replace(b"\0", b"\7") not in cells,
                   "there is text where no screen is")
            run_command(guest, "exit")
            expect(machine.finish(guest.process, 20) == machine.PASS, "the shell did not end well")
    test(f"no-screen-{boot}", check=boot != "uefi")(boots)


no_screen("pvh")
no_screen("uefi")


# --- Off and reset ---

def run_command(guest, command):
    """Types a command at the prompt, which may have been read already."""
    if "$ " not in guest.output:
        guest.read_until("$ ")
    guest.type(command + "\r")
    guest.read_until(command + "\n")


def expect_reason(guest, wanted):
    reason = guest.shutdown_reason()
    expect(reason == wanted, f"QEMU ended by {reason}, not {wanted}")
    code = machine.finish(guest.process, 20)
    expect(code == 0, f"QEMU's exit code is {code}")


@test("poweroff")
def poweroff():
    """Off by ACPI where there is no debug-exit device, on both of QEMU's PCs."""
    for arguments in ((), ("-M", "pc")):
        with booted(*arguments, **NO_DEBUG_EXIT) as guest:
            run_command(guest, "poweroff")
            expect_reason(guest, "guest-shutdown")


@test("poweroff-at-inits-end")
def poweroff_at_inits_end():
    with booted(APPEND="init=/bin/echo", **NO_DEBUG_EXIT) as guest:
        guest.read_until("init exited with status 0\n")
        expect_reason(guest, "guest-shutdown")


@test("poweroff-verdict")
def poweroff_verdict():
    """With the device, its exit code comes first."""
    with booted() as guest:
        run_command(guest, "poweroff")
        code = machine.finish(guest.process, 20)
        expect(code == machine.PASS, f"exit code {code}, not {machine.PASS}")


def halts(name, start, *arguments, **world):
    """A test that the machine says in one line that it halts, and does not end by itself."""
    def halt():
        with booted(*arguments, **world, **NO_DEBUG_EXIT) as guest:
            start(guest)
            guest.read_until("System halted; power off by hand\n")
            status = guest.command("query-status")["status"]
            expect(status == "running", f"the machine is not halted but {status}")
    test(name)(halt)


# A panic must stay on the screen.
halts("panic-halts", lambda guest: None, APPEND="init=/bin/nothing")
halts("poweroff-without-acpi", lambda guest: run_command(guest, "poweroff"), "-M", "q35,acpi=off")


@test("reboot")
def reboot():
    """
    Each machine has fewer ways to reset than the one before: no register that ACPI names, then
    nothing but the triple fault. And the machine comes up again.
    """
    for arguments in ((), ("-M", "q35,acpi=off"), ("-M", "microvm,acpi=off")):
        with booted(*arguments) as guest:
            run_command(guest, "reboot")
            expect_reason(guest, "guest-reset")
    with booted("-action", "reboot=reset") as guest:
        for _ in range(2):
            guest.read_until("Splat ")
            guest.read_until("$ ")
            guest.type("reboot\r")


# --- The other CPUs ---

@test("silent-cpu")
def silent_cpu():
    """A CPU that does not answer is named and left out; the boot goes on."""
    commands = ["tbreak apic_send", "continue", "set ap_call.apic_id = 99", "continue"]
    args = "-batch " + " ".join(f"-ex '{command}'" for command in commands)
    console = f"{machine.LOGS}/silent-cpu.console"
    machine.run(["make", "debug", "SMP=3", "APPEND=init=/bin/echo", f"GDBARGS={args}"],
                f"{machine.LOGS}/silent-cpu.log", {"DEBUG_LOG": console})
    with open(console, encoding="utf-8", errors="replace") as file:
        output = file.read()
    for text in ("smp: the CPU with APIC number 1 does not answer; it is left out",
                 "smp: 2 CPUs", "init exited with status 0"):
        expect(text in output, f'no line says "{text}": {console}')


@test("maxcpus")
def maxcpus():
    """maxcpus= limits how many are started; eight are no problem."""
    for append, cpus in (("maxcpus=3", 3), ("", 8)):
        code, output = machine.boot("maxcpus", append + " init=/bin/echo", SMP="8")
        expect_code(code, machine.PASS, output)
        expect(f"smp: {cpus} CPUs" in output, f"{append}: not {cpus} CPUs")


@test("kvm")
def kvm():
    """ACCEL=kvm: one line where KVM is not there, not permitted, or gives up; else QEMU with it."""
    with tempfile.TemporaryDirectory() as folder:
        qemu, closed = os.path.join(folder, "qemu"), os.path.join(folder, "closed")
        with open(closed, "w", encoding="utf-8"):
            pass
        os.chmod(closed, 0)
        for says, world, code, wanted in (
                ("exit 33", {"KVM": folder + "/none"}, 1, "there is no KVM here"),
                ("exit 33", {"KVM": closed}, 1, "may not use"),
                ("echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600", {}, 1,
                 "does not run Splat here: KVM internal error"),
                ("echo 'qemu: no such MSR' >&2; exit 134", {}, 1, "Splat here: qemu: no such MSR"),
                ("exit 35", {}, 1, "exit status 35"),
                ("exit 33", {"RR": "record"}, 1, "only TCG records"),
                ("exit 33", {"ACCEL": "xen"}, 1, "ACCEL=xen is unknown"),
                ("case \"$*\" in *init=/bin/echo*) ;; *) echo \"$*\" ;; esac; exit 33",
                 {"ICOUNT": "1"}, machine.PASS, "-cpu host ")):
            if wanted == "may not use" and os.geteuid() == 0:
                continue                        # root may
            with open(qemu, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{says}\n")
            os.chmod(qemu, 0o755)
            got, output = machine.run(["scripts/qemu.sh"], machine.LOGS + "/kvm.log", {
                "ACCEL": "kvm", "QEMU": qemu, "KVM": "/dev/null", **world})
            expect(got == code and wanted in output and output.count("\n") == 1
                   and (got == machine.PASS or output.startswith("splat: ")),
                   f"{says}: exit status {got}: {output}")
            expect("icount" not in output, f"KVM counts no instructions: {output}")
