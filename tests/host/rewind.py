# SPDX-License-Identifier: MIT
"""
Running backwards: a recording is replayed to the letter, GDB gets back in it to the same
instruction each time, the tour tells what happened in that very run, and what goes wrong is said.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import host
import machine
from host import Skip, expect, test
from host.gdb import gdb, number, says

REWIND = "scripts/gdb/rewind.sh"


def folder(name):
    """An empty one, for a recording."""
    path = f"{machine.LOGS}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def record(name, path, command=("make", "record"), **world):
    return machine.run(list(command), f"{machine.LOGS}/{name}.log", {"RRDIR": path, **world})


def rewind(name, path, commands, **env):
    """As gdb(), at the end of the recording in @path; the console must be the same."""
    said = gdb(name, [("same", f"shell cmp {path}/console.txt {path}/replay.txt && echo same"),
                      ("end", "monitor info replay"), *commands], script=REWIND, RRDIR=path, **env)
    says(said["same"], "^same$")
    return said


def count(text):
    """Of "monitor info replay"."""
    found = re.search(r"instruction count = (\d+)", text)
    expect(found, f"no count of instructions: {text}")
    return int(found[1])


# --- There and back ---

# From the end to the first instruction of the last fork in the buggy order, a step further, and on
# again.
BACK = ["tbreak *fpu_clone_buggy", "reverse-continue", ("at", "p $pc == fpu_clone_buggy"),
        ("there", "monitor info replay"), "bt",
        "reverse-stepi", ("before", "monitor info replay"), "stepi",
        ("again", "monitor info replay")]


def back_in(name, boot, **world):
    """Record, replay, and go back: three times in a row; in the last recording twice."""
    for turn in range(3):
        path = folder(f"{name}-{turn}")
        code, output = record(f"{name}-record", path, BOOT=boot, MEM="48M", **world)
        expect(code == 0, f"make record: exit status {code}\n{output[-500:]}")
        says(output, r"^splat: recording one CPU", rf"^splat: recorded in {path}$",
             r"every world came out as it must")
        commands = ["splat end", ("end again", "monitor info replay"), *BACK[:2],
                    ("there again", "monitor info replay")] if turn == 2 else []
        said = rewind(f"{name}-{turn}", path, BACK + commands)
        there = count(said["there"])
        expect(number(said["at"]) == 1, f"not at fpu_clone_buggy: {said['reverse-continue']}")
        says(said["bt"], r"^#\d+ .*\bkernel_clone \(", r"^#\d+ .*\bfork_and_verify \(.*user/demo.c")
        expect(0 < there < count(said["end"]), "back is not between start and end")
        expect(count(said["before"]) == there - 1 and count(said["again"]) == there,
               f"a step back and one on from {there}: {said['before']}{said['again']}")
        for place in ("end", "there") if commands else ():
            expect(count(said[f"{place} again"]) == count(said[place]),
                   f"{place} is elsewhere: {said[place]}{said[place + ' again']}")


@test("rewind-pvh", check=False)
def rewind_pvh():
    back_in("rewind-pvh", "pvh")


@test("rewind-grub", long=True)
def rewind_grub():
    back_in("rewind-grub", "grub", SMP="4")
    with open(f"{machine.LOGS}/rewind-grub-record.log", encoding="utf-8") as file:
        says(file.read(), r"^splat: .*one CPU.*, so not SMP=4;")


ENDS = r"^splat: the recording ends here, after (\d+) instructions\."
# What stops GDB on the way and is no breakpoint of the user's, as Ctrl-C would.
STOP_ON_THE_WAY = "python hidden = gdb.Breakpoint('wake_up_new_task', internal=True)"


@test("rewind-end", long=True)
def rewind_end():
    """
    "splat end" goes to the end whatever breakpoints there are, and keeps them; says that it is the
    end there only; and there it stays, however often it is asked.
    """
    path = folder("rewind-end")
    code, output = record("rewind-end-record", path)
    expect(code == 0, f"make record: exit status {code}\n{output[-500:]}")
    said = rewind("rewind-end", path, [
        ("again", "splat end"), ("third", "splat end"), ("still", "monitor info replay"),
        *BACK[:2], "break copy_thread", "watch -l cpus[0].preempt_count", "disable 2",
        ("past a breakpoint", "splat end"), ("at", "monitor info replay"), "info breakpoints",
        "delete", *BACK[:2], STOP_ON_THE_WAY, ("stopped", "splat end"),
        ("where", "monitor info replay"), "python hidden.delete()", ("then", "splat end"),
        "stepi", "stepi", ("behind", "splat end"), ("alive", "monitor info replay")])
    end = count(said["end"])
    for again in "again", "third", "past a breakpoint", "then":
        says(said[again], ENDS)
        expect(count(said[again].replace("after", "instruction count =")) == end,
               f"{again}: it ends after {end}, told is {said[again]}")
    expect(count(said["still"]) == count(said["at"]) == end, "it is elsewhere")
    says(said["info breakpoints"], r"^2 +breakpoint +keep n .*copy_thread",
         r"^3 +hw watchpoint +keep y ")
    expect(not re.search(ENDS, said["stopped"], re.M) and count(said["where"]) < end,
           f"it stops on the way, and says: {said['stopped']}")
    says(said["stopped"], rf"^splat: this is not the end: .*{count(said['where'])} instructions")
    expect(count(said["alive"]) >= end, f"behind the end: {said['behind']}{said['alive']}")
    says(said["behind"], ENDS)


@test("rewind-typed", check=False)
def typed():
    """What was typed comes again, and a run that was quit ends where it was quit."""
    path = folder("rewind-typed")
    terminal = host.Terminal(["env", f"RRDIR={path}", "APPEND=init=/bin/sh", REWIND, "record"])
    try:
        terminal.read_until("$ ")
        for char in "echo one two | cat":
            terminal.type(char)         # as slowly as people do: more than 16 would be lost
            terminal.read_until(char)
        terminal.type("\r")
        terminal.read_until("one two\n$ ")
    finally:
        machine.end(terminal.process, signal.SIGINT)
    terminal.read_until("splat: recorded in")
    code = terminal.end()
    expect(code == 0, f"exit status {code}")
    said = rewind("rewind-typed", path, [
        "bt", "reverse-stepi", "tbreak sys_pipe", "reverse-continue", "splat tasks", "splat end",
        ("end again", "monitor info replay"), ("third", "splat end"),
        ("third end", "monitor info replay")])
    says(said["third"], ENDS)
    expect(count(said["end"]) == count(said["third end"]), "asked again, it goes elsewhere")
    says(said["bt"], r"\bcpu_idle \(")
    says(said["reverse-continue"], r"\bsys_pipe \(")
    says(said["splat tasks"], r"^\* +1 sh ")
    expect(count(said["end"]) == count(said["end again"]), "the end is elsewhere")


# --- The tour ---

def tour(name, **world):
    return record(name, folder(name), ("make", "tour-rewind"), **world)


def check_tour(output, path):
    """The transcript says what happened in the run that is recorded in @path."""
    text = " ".join(output.split())
    with open(f"{path}/console.txt", encoding="utf-8") as file:
        console = file.read()
    # 1. The report names the address to which preempt_disable() was to return.
    noted = re.search(r"Preemption disabled at:\s+\[[ \d.]+\] \[<(\w+)>\] (\S+)/", console)
    says(output, rf"^#\d+ +0x{noted[1]} in preempt_disable \(|^#\d+ +0x{noted[1]} in fpu_clone",
         r"^#\d+ .*fpregs_lock \(.*", r"^\d+\s+fpregs_lock\(\);$")
    expect(f'"Preemption disabled at:", {noted[2]}.' in text, f"the text does not say {noted[2]}")
    # 2. The value that scribble() writes, where the child found it and where it was written.
    with open("tests/museum/scribble.edits", encoding="utf-8") as file:
        wrong = re.search(r"#define SCRIBBLE\s+0x(\w+)", file.read())[1]
    rows = re.findall(r"^0x\w+ <(want|got)\S*>:\s+0x(\w+)", output, re.M)
    expect([row[0] for row in rows] == ["want", "got"] and rows[1][1] == wrong,
           f"want and got: {rows}")
    want = rows[0][1]
    says(output, rf"^=> .*<scribble\+\d+>:\s+movl +\$0x{wrong},",
         rf"^\$\d+ = 0x0*{want.lstrip('0')}$")
    expect(f"of xmm3 to be {int(wrong, 16) & 255:#x}, where its parent had "
           f"{int(want, 16) & 255:#x}." in text, "the text has other values")
    # 3. Who: the child found it, the parent was interrupted, the image is the child's.
    child = re.search(r"The child, (demo/\d+), was forked", text)[1]
    says(output, r"^#0 +scribble \(", r"^#\d+ .*scribble_tick \(", r"^#\d+ .*\bvec_spin \(",
         r"^#\d .*\bsave_fpregs_to_fpstate \(", r"^#\d .*fpu_clone \(")
    for who in ("ring 3 of demo/1,", f"into the image of {child}, whose last_cpu is -1"):
        expect(who in text, f"the text does not say: {who}")
    # 4. In this order.
    report, saved, at = (int(re.search(pattern, text)[1].replace(",", "")) for pattern in (
        r"After ([\d,]+) instructions the kernel", r"fork itself, ([\d,]+) instructions earlier",
        r"right until instruction ([\d,]+)\."))
    expect(at - saved < report < at, f"report {report}, save {saved} before {at}")


@test("rewind-tour", long=True)
def rewind_tour():
    """Through, when nobody is there to press Enter; and page by page, when somebody is."""
    for boot in ("pvh", "grub"):
        name = f"rewind-tour-{boot}"
        code, output = tour(name, BOOT=boot)
        expect(code == 0, f"{boot}: exit status {code}\n{output[-500:]}")
        check_tour(output, f"{machine.LOGS}/{name}")
    path = folder("rewind-tour-pages")
    terminal = host.Terminal(["make", "tour-rewind", f"RRDIR={path}"])
    for number_ in range(1, 6):
        before = terminal.read_until(f"--- {number_}. ")
        expect(before.count("\n--- ") == 0, f"page {number_} comes before its turn")
        if number_ < 5:
            terminal.read_until("q: leave] ")
            terminal.type("\r")
    terminal.read_until("opens it.")
    code = terminal.end_in_gdb()
    expect(code == 0, f"on a terminal: exit status {code}")


@test("rewind-tour-no-bug", long=True)
def tour_without_a_bug():
    """A run in which there is nothing to see: a line says so, and the exit status."""
    name = "rewind-tour-no-bug"
    for append, text in (("", "no process ends with a failing status in this run"),
                         ("rt=off", "the first report of this run is not might_sleep")):
        path = folder(name)
        code, output = record(f"{name}-record", path, APPEND=append)
        expect(code == 0, f"make record: exit status {code}\n{output[-500:]}")
        code, output = record(name, path, (REWIND, "tour"))
        expect(code and output.count(f"splat: the tour ends here: {text}") == 1,
               f"{append}: exit status {code}\n{output[-500:]}")


# --- A QEMU that hangs ---

STOP_QEMU = """python
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{pid}/stat") as file:
            name, _, rest = file.read().partition(") ")
    except OSError:
        continue
    if "(qemu-system" in name and int(rest.split()[1]) == os.getppid():
        os.kill(int(pid), signal.SIGSTOP)
"""


@test("rewind-hung", long=True)
def rewind_hung():
    """While one thinks nothing happens; a QEMU that is stopped is ended, and a line says why."""
    path = folder("rewind-hung")
    code, output = record("rewind-hung-record", path)
    expect(code == 0, f"make record: exit status {code}")
    stop = f"{path}/stop.gdb"
    with open(stop, "w", encoding="utf-8") as file:
        file.write(STOP_QEMU)
    said = rewind("rewind-hung", path, ["shell sleep 6", ("thought", "monitor info replay"),
                                        f"source {stop}", ("hung", "reverse-stepi")],
                  HUNG_AFTER_S="4")
    expect(count(said["thought"]) == count(said["end"]), "it is elsewhere after a while")
    says(said["hung"], r"^splat: the emulator has hung for 4 s\.", "^Remote c")


def fake_qmp(server, answers):
    """Answers with what @answers has; then says nothing more. "end": closes the connection."""
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):      # nobody listens any more
        connection.sendall(b'{"QMP": {}}\n{"event": "STOP"}\n')
        for answer in [{}] + [answer for answer in answers for _ in range(2)]:
            connection.recv(100)
            if answer == "end":
                return
            connection.sendall(f'{{"event": "RESUME"}}\n{{"return": {json.dumps(answer)}}}\n'
                               .encode())
        while connection.recv(100):
            pass


RUNS, STANDS = {"running": True, "icount": 5}, {"running": False, "icount": 5}


@test("rewind-watchdog", long=True)
def watchdog():
    """Silence is QEMU's end, and so is to run on the spot; to stand is not, nor is its own end."""
    for answers, killed in (([], True), ([STANDS] * 2, True), ([RUNS] * 4 + ["end"], True),
                            ([STANDS] * 4 + ["end"], False),
                            ([RUNS | {"icount": n} for n in range(4)] + ["end"], False)):
        with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as server:
            server.bind(place + "/qmp")
            server.listen()
            thread = threading.Thread(target=fake_qmp, args=(server, answers))
            thread.start()
            victim = machine.start(["sleep", "1000"])
            code, output = machine.run(["python3", "scripts/run/hung.py", place + "/qmp",
                                        str(victim.pid), "1"], machine.LOGS + "/watchdog.log")
            thread.join()
            status = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = victim.wait(None if killed and "hung" in output else 0)
            machine.end(victim, signal.SIGKILL)
            machine.finish(victim)
        expect(code == 0 and status == (-signal.SIGKILL if killed else None) and
               output.count("splat: the emulator has hung") == killed,
               f"{answers}: exit status {code}, QEMU's {status}: {output}")


# --- What cannot be ---

def refused(what, result, text, lines=1):
    code, output = result
    expect(code and text in output and output.count("splat: ") == lines,
           f"{what}: exit status {code}: {output}")


@test("rewind-refused")
def rewind_refused():
    """One line for each: no recording, another build's, what cannot be recorded, old tools."""
    if not shutil.which("qemu-img"):
        raise Skip("no qemu-img; 'scripts/deps.sh qemu-img' installs it")
    path = folder("rewind-refused")
    kernel = f"{path}/splat.elf"
    shutil.copy(os.environ.get("KERNEL", "build/splat.elf"), kernel)

    def script(*words, **env):
        return record("rewind-refused", path, (REWIND, *words),
                      **{"KERNEL": kernel, "APPEND": "init=/bin/echo", **env})

    refused("nothing", script("-batch"), f"there is no recording in {path}; 'make record'")
    refused("uefi", script("record", BOOT="uefi"), "BOOT=uefi is not recorded", 2)
    code, output = script("record")
    expect(code == 0, f"record: {output}")
    with open(kernel, "ab") as file:
        file.write(b"more")
    refused("another build", script("-batch"), f"the recording in {path} is another build's")
    refused("a QEMU that fails", script("record", CPU="frobnicate"), "there is no recording", 2)
    refused("what it leaves", script("-batch"), f"there is no recording in {path}; 'make record'")
    refused("no qemu-img", script("record", PATH=only(path, "sh", "dirname", "mkdir", "rm")),
            "is qemu-img here (qemu-utils)?", 2)
    code, output = host.run_deps({"apt-get": ":"}, "qemu-img", NO_INSTALL="1")
    expect(code == 1 and "recommends qemu-utils" in output, f"deps: {output}")
    old = f"{path}/old"
    with open(old, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho QEMU emulator version 7.1.0\n")
    os.chmod(old, 0o755)
    for target in ("record", "rewind", "tour-rewind"):
        refused(target, record("rewind-refused", path, ("make", target), QEMU=old),
                "is version 7.1.0; 7.2 or newer is needed")


def only(path, *programs):
    """A folder that has these programs and no others."""
    place = f"{path}/bin"
    os.makedirs(place, exist_ok=True)
    for program in programs:
        os.symlink(shutil.which(program), f"{place}/{program}")
    return place
