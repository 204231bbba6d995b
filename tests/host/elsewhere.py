# SPDX-License-Identifier: MIT
"""
Machines that are not like ours: without a tool, with another git, folders that nobody may write to,
names and words that a shell or make would take for something else. One line of ours says it.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import builds
import host
import machine
from host import Skip, expect, test


def ran(command, env=None):
    """(exit code, output). Each test's log has its name: they run side by side."""
    return machine.run(command, f"{machine.LOGS}/{sys._getframe(1).f_code.co_name}.log", env)


def path_without(folder, *names):
    """A PATH with every program of this machine but @names."""
    for place in os.environ["PATH"].split(":"):
        for name in os.listdir(place) if os.path.isdir(place) else []:
            if name not in names and not os.path.lexists(f"{folder}/{name}"):
                os.symlink(os.path.abspath(f"{place}/{name}"), f"{folder}/{name}")
    return folder


@test("no-clang")
def no_clang():
    """make LLVM=1 without clang: the line that installs it comes first, and nothing is tried."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as build:
        for goal in ("all", "build/none/splat.elf", "build/none/user/bin/sh"):
            code, output = ran(
                ["make", "-j2", "LLVM=1", f"B={build}", f"BASE={build}",
                 goal.replace("build/none", build)],
                {"PATH": path_without(folder, "clang"), "NO_INSTALL": "1"})
            lines = [line for line in output.splitlines() if not line.startswith("make")]
            # A machine without clang may have nothing of LLVM.
            wanted = r"splat: missing: clang( [\w.-]+)*; to install \(as root\):"
            expect(code == 2 and len(lines) == 2 and re.fullmatch(wanted, lines[0]),
                   f"{goal}: exit status {code}: {output}")


@test("gdb-without-python")
def gdb_without_python():
    """It is told from one that can run the scripts."""
    for answer, wanted in (("echo 42", 0), ("echo Scripting in the Python language is not "
                                            "supported in this copy of GDB. >&2; exit 1", 1)):
        code, output = host.run_deps({"gdb": answer, "apt-get": ":"}, "gdb", NO_INSTALL="1")
        expect(code == wanted, f"{answer}: exit status {code}: {output}")
    expect("missing: gdb-with-Python" in output and output.endswith(" gdb\n"), output)


@test("no-carriage-returns")
def no_carriage_returns():
    """A checkout by a git that makes CR LF of line ends has none."""
    if not os.path.exists(".git"):
        raise Skip("this is no git repository")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(".gitattributes", folder)
        for name in ("run.sh", "main.c", "linker.ld", "grade-all", "picture.png"):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(b"\x89PNG\r\n\0\n" if name.endswith("png") else b"one\ntwo\n")
        git = ["git", "-C", folder, "-c", "core.autocrlf=true", "-c", "user.name=a",
               "-c", "user.email=a@invalid"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"],
                      ["rm", "-q", "-r", "--cached", "."], ["reset", "-q", "--hard"]):
            subprocess.run([*git, *words], check=True, stderr=subprocess.DEVNULL)
        for name in os.listdir(folder):
            if os.path.isfile(f"{folder}/{name}"):
                with open(f"{folder}/{name}", "rb") as file:
                    data = file.read()
                expect(data.count(b"\r") == name.endswith("png"), f"{name} is now {data}")
    done = subprocess.run(["git", "ls-files", "--eol"], capture_output=True, text=True, check=True)
    wrong = [line for line in done.stdout.splitlines() if "crlf" in line.split("\t")[0]]
    expect(not wrong, f"with carriage returns: {wrong}")


@test("cannot-write")
def cannot_write():
    """A folder that cannot be made or written to, or is in use: one line, with its name."""
    for words in (["make"], ["make", "-j4", "run"], ["make", "demo"]):
        code, output = ran([*words, "B=/proc/nothing"])
        ours = [line for line in output.splitlines() if not line.startswith("make")]
        expect(code == 2 and ours == ["splat: cannot write to /proc/nothing: whose is it?"],
               f"{words}: exit status {code}: {output}")
    script = "import sys; sys.path.insert(0, 'tests/runner'); import machine, run; " \
             "machine.LOGS = sys.argv.pop(1); sys.exit(run.main())"
    code, output = ran(["python3", "-c", script, "/proc/nothing", "host/help"])
    expect(code == 1 and output == "splat: cannot write to /proc/nothing: whose is it?\n", output)
    code, output = ran(["python3", "-c", script, machine.LOGS, "host/help"])
    expect(code == 1 and "splat: tests run in this tree already" in output, output)


@test("odd-words")
def odd_words():
    """What make and the shell must leave alone: dollars, quotes, blanks."""
    for words, wanted in (
            (["debug", "GDBARGS=-ex 'p $pc'"], "scripts/gdb/debug.sh -ex 'p $pc'"),
            (["debug", "GDBARGS=-ex 'p $$pc'"], "scripts/gdb/debug.sh -ex 'p $pc'"),
            (["gdb", "GDBARGS=-ex 'p $_'"], "scripts/gdb/attach.sh -ex 'p $_'"),
            (["rewind", "GDBARGS=-ex 'p $rip'"], "scripts/gdb/rewind.sh -ex 'p $rip'")):
        _, output = ran(["make", "-n", *words])
        expect(wanted in output, f"make {words}: {output}")
    for words, wanted in ((["check", "T=it's \"$HOME\" `ls`"], "--check\nit's \"$HOME\" `ls`\n"),
                          (["lab", "LAB=$1\"'"], "make\n$1\"'\nlab-$1\"'\n"),
                          (["lab", "LAB=1", "TO=$(HOME)/\"' x"], "make\n1\n$(HOME)/\"' x\n")):
        with tempfile.TemporaryDirectory() as folder:
            host.fake_machine(folder, {"python3": 'printf "%s\\n" "$@"'})
            _, output = ran(["make", *words],
                                    {"PATH": f"{folder}:{os.environ['PATH']}"})
        expect(output.endswith(wanted), f"make {words}: {output}")
    code, output = ran(["make", "run", "APPEND=init=/bin/echo -- a$b $(HOME) $$c"])
    expect(code == 0 and re.search(r"^a\$b \$\(HOME\) \$c\r?$", output, re.M), output)
    code, output = ran(["make", "run", "BOOT=grub", "APPEND=init=/bin/echo -- it's $b *"])
    expect(code == 0 and re.search(r"^it\\'s \$b \*\r?$", output, re.M), output)


def link_command():
    """How make links the kernel with CI=1."""
    _, output = ran(["make", "-n", "-W", "linker.ld", "V=1", "CI=1", "all"])
    return re.findall(r"^\S*ld -nostdlib .*", output, re.M)[-1].split()


@test("orphans")
def orphans():
    """A section that linker.ld does not name ends the build in CI; one for unwinding goes."""
    wrong = builds.ready("gcc")
    expect(not wrong, wrong)
    with tempfile.TemporaryDirectory() as folder:
        command, out = link_command(), folder + "/splat.elf"
        command[command.index("-o") + 1] = out
        for section, flags, wanted in ((".sframe", "a", 0), (".eh_frame", "a", 0),
                                       (".new", "a", 1), (".got", "aw", 1)):
            subprocess.run(["gcc", "-c", "-x", "assembler", "-", "-o", folder + "/x.o"], check=True,
                           text=True, input=f'.section {section}, "{flags}"\n.quad 0\n')
            code, output = ran([*command, folder + "/x.o"])
            expect(bool(code) == bool(wanted), f"{section}: exit status {code}: {output}")


@test("defaults")
def defaults():
    """What make exports to its scripts has its default there, and where it is set to nothing."""
    for folder, name, value in (("scripts/build/targets.mk", "TRACE_DIR", "build/trace"),
                                ("labs/tools/lab.mk", "HANDIN", "handin.tar.gz")):
        command = ["make", "-s", "-f", "Makefile", "-f", folder, "--eval",
                   f"show: ; @echo is $${name}", "show"]
        _, unset = machine.run(["env", "-u", name, *command], f"{machine.LOGS}/defaults.log")
        _, empty = machine.run(command, f"{machine.LOGS}/defaults.log", env={name: ""})
        for output in (unset, empty):
            expect(f"is {value}\n" in output, f"{name} is not {value}: {output}")
