# SPDX-License-Identifier: MIT
"""
What editors are told: clangd, VS Code, its containers. No editor runs here; what their files name
must be there, and what they would do is done in their place.
"""
import json
import os
import re
import shutil
import signal
import subprocess

import machine
from host import Skip, Terminal, expect, test

FOLDER = "${workspaceFolder}/"
SOCKET = "build/gdb.sock"
MI_S = 60                               # of GDB's and QEMU's own time, for an answer


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def makefiles():
    text = ""
    for path in ("Makefile", "scripts/build/targets.mk", "scripts/build/dev.mk"):
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return text


@test("editors-names")
def names():
    """Each make target, variable, file, task and tool that the files name."""
    make, tasks = makefiles(), load(".vscode/tasks.json")["tasks"]
    with open("scripts/qemu.sh", encoding="utf-8") as file:
        known = set(re.findall(r"\b[A-Z]+\b", file.read()))
    for task in tasks:
        program, *words = task["command"].split()
        expect(program == "make", f"{task['label']} is no make")
        for word in words:
            name = word.split("=")[0]
            expect(name in known if "=" in word else re.search(rf"^{word}:", make, re.M),
                   f"{task['label']}: make {word}")
    paths = []
    for launch in load(".vscode/launch.json")["configurations"]:
        expect(launch["preLaunchTask"] in [task["label"] for task in tasks], launch["name"])
        paths += re.findall(r"\$\{workspaceFolder\}/([\w./-]+)", json.dumps(launch))
    missing = [path for path in paths if path != SOCKET and not os.path.exists(path)]
    expect(len(paths) > 5 and not missing, f"not there: {missing}")
    tools = re.search(r"^TEST_DEPS := ((?:.*\\\n)*.*)$", make, re.M)[1]
    tools = " ".join(tools.replace("\\\n", " ").split())
    container = load(".devcontainer/devcontainer.json")
    expect(container["onCreateCommand"].endswith(f"&& scripts/deps.sh {tools}"),
           f"the container lacks some of {tools}")
    strange = set(container) - {"name", "image", "onCreateCommand", "customizations"}
    expect(not strange, f"a container needs no more than that: {strange}")
    for path in (".vscode/settings.json", ".vscode/extensions.json"):
        load(path)


class Machine:
    """The task that runs before the debugger, up to the line at which VS Code goes on."""

    def __enter__(self):
        task, = (task for task in load(".vscode/tasks.json")["tasks"] if task.get("isBackground"))
        background = task["problemMatcher"]["background"]
        self.terminal = Terminal(task["command"].split())
        self.terminal.read_until(background["endsPattern"].lstrip("^"))
        return self

    def __exit__(self, *_):
        self.terminal.type("\x01x")     # QEMU's end
        self.terminal.end()


def expand(text):
    return text.replace(FOLDER, os.getcwd() + "/")


def mi_session(arguments, commands, guest):
    """GDB as a front end runs it: the next command comes when the last one is done, or stopped."""
    gdb = machine.start(["gdb", "-q", "--interpreter=mi", *arguments],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = ""
    try:
        for command in commands:
            gdb.stdin.write(command.encode() + b"\n")
            gdb.stdin.flush()
            wanted = r"\*stopped" if "continue" in command else r"\^(done|connected|error)"
            answer = ""
            while not re.search(rf"^({wanted}|\^error).*\n", answer, re.M):
                data = machine.has_input(gdb.stdout, MI_S, gdb, guest) and \
                    os.read(gdb.stdout.fileno(), 4096).decode(errors="replace")
                expect(data, f"{command}: no answer: {(said + answer)[-800:]}")
                answer += data
            said += answer
    finally:
        machine.end(gdb, signal.SIGKILL)
        machine.finish(gdb)
        gdb.stdin.close()
        gdb.stdout.close()
    return said


STEPS = ["-break-insert fpu_clone", "-exec-continue", "-stack-list-frames",
         '-interpreter-exec console "splat tasks"', '-interpreter-exec console "splat fpu"']


@test("editors-debug", check=False)
def debug():
    """Both debug configurations, by the commands that their extensions send to GDB."""
    cpp, native = load(".vscode/launch.json")["configurations"]
    kernel = expand(cpp["program"])
    for name, arguments, commands in (
            ("cppdbg", [cpp["miDebuggerArgs"]],
             [*(expand(command["text"]) for command in cpp["setupCommands"]),
              f"-file-exec-and-symbols {kernel}",
              f"-target-select remote {expand(cpp['miDebuggerServerAddress'])}"]),
            ("gdb", ["-nx"],
             [f"-file-exec-and-symbols {expand(native['executable'])}",
              *(expand(command) for command in native["autorun"]),
              f"-target-select remote {expand(native['target'])}"])):
        with Machine() as guest:
            said = mi_session(arguments, [*commands, *STEPS], guest.terminal.process)
        expect("^error" not in said, f"{name}: {said[-800:]}")
        for text in ('reason="breakpoint-hit"', 'func="fpu_clone"', 'func="copy_thread"',
                     "swapper/0", "the truth is "):
            expect(text in said, f"{name}: no {text}: {said[-800:]}")


@test("editors-clangd", check=False)
def clangd():
    """clangd finds each kind of file in compile_commands.json, and nothing wrong in it."""
    if not shutil.which("clangd"):
        raise Skip("no clangd; 'apt-get install clangd' installs it")
    for path in ("arch/x86/fpu/clone.c", "arch/x86/fpu/core/regs.h", "user/demo.c",
                 "tests/kernel/kernel_fpu.c"):
        code, output = machine.run(["clangd", f"--check={path}"], machine.LOGS + "/clangd.log")
        expect(code == 0 and "All checks completed, 0 errors" in output,
               f"{path}: " + "".join(re.findall(r"^E\[.*\n", output, re.M)[:3]))


# Maps drawn in comments: the file, what each of their lines is like, and how many there are.
MAPS = {"arch/x86/mm/address_space.h": (r"^ \* ([0-9a-f]{16})  \S.*$", 8),
        "kernel/preempt/preempt.h": (r"^ \* bits? +(\d+(?:-\d+)?) +\S.*$", 5),
        "kernel/debug/watchdog.h": (r"^ \*   a (?:CPU|task) .* (\d+ units? +\".*\")$", 4),
        "arch/x86/fpu/core/regs.h": (r"^ \* +([01] +(?:yes|no)) +\S.*$", 4)}


def address(text, name):
    return int(re.search(rf"#define {name}\s+UL\((0x\w+)\)", text)[1], 16)


@test("editors-maps")
def maps():
    """A map in a comment has a line for each thing, the right ones; no formatter touches a word."""
    for path, (line, count) in MAPS.items():
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = re.findall(line, text, re.M)
        expect(len(found) == len(set(found)) == count, f"{path}: the map has the lines {found}")
        if "layout" in path:
            rows = [int(row, 16) for row in found]
            known = {address(text, name) for name in (
                "LAPIC_VIRT", "STACK_AREA", "DIRECT_MAP", "TASK_SIZE_MAX")}
            expect(rows == sorted(rows, reverse=True) and known < set(rows) and
                   {1 << 47, (1 << 64) - (1 << 47)} < set(rows), f"{path}: the map is {found}")
        if "preempt" in path:
            bits = [int(bit) for row in found for bit in row.split("-")]
            masks = dict(re.findall(r"#define (\w+)_MASK\s+(0x\w+)", text))
            due = [end for mask in ("PREEMPT", "SOFTIRQ", "HARDIRQ", "NMI") for end in (
                (int(masks[mask], 16) & -int(masks[mask], 16)).bit_length() - 1,
                int(masks[mask], 16).bit_length() - 1)]
            expect(bits == [*due, 31], f"{path}: the map's bits are {bits}, the masks' {due}")
    if not shutil.which("clang-format"):
        raise Skip("no clang-format; the maps themselves are right")
    for path in MAPS:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        _, formatted = machine.run(["clang-format", path], machine.LOGS + "/maps.log")
        before, after = ([line.strip() for comment in re.findall(r"/\*.*?\*/", code, re.S)
                          for line in comment.split("\n")] for code in (text, formatted))
        wrong = [(a, b) for a, b in zip(before, after) if a != b]
        expect(before == after, f"{path}: clang-format changes comments: {wrong[:1]}")
