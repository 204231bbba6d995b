# SPDX-License-Identifier: MIT
"""
Tests of scripts/bochs.sh: whose verdict it believes, and what it leaves behind.

Most of them run it with a program of ours as Bochs, which writes what a run would have left: so
each way in which a run can look good and be none is there, and takes a second.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

import golden
import host
from host import reports
import machine
import patience
from host import Skip, expect, expect_code, test

# It finds in its configuration where to write, and on the CD what to say.
FAKE_BOCHS = r"""#!/bin/sh
for word; do [ "${before:-}" = -f ] && rc=$word; before=$word; done
serial=$(sed -n 's/^com1:.*dev=//p' "$rc") log=$(sed -n 's/^log: //p' "$rc")
iso=$(sed -n 's/.*path=\([^,]*\),.*/\1/p' "$rc")
nonce=$(grep -aom 1 'nonce=[0-9a-f]*' "$iso"); nonce=${nonce#nonce=}
reset() { echo '00000000000i[SYS   ] bx_pc_system_c::Reset(HARDWARE) called' >>"$log"; }
says() { printf '[    1.000000] %s\r\n' "$*" >>"$serial"; }
off() { echo "00320139843p[UNMAP ] >>PANIC<< Shutdown port: shutdown requested" >>"$log"; exit 1; }
reset
"""

# What it does, and what bochs.sh must make of it.
RUNS = [
    ("says verdict 0x10, nonce $nonce; off", machine.PASS, ""),
    ("says verdict 0x11, nonce $nonce; off", machine.FAIL, ""),
    ("says verdict 0x12, nonce $nonce; off", machine.PANIC, ""),
    ("says verdict 0x13, nonce $nonce; off", 1, "did not print one verdict"),
    ("says verdict 0x10, nonce 0123456789abcdef; off", 1, "did not print one verdict"),
    ("says verdict 0x10, nonce $nonce, or so; off", 1, "did not print one verdict"),
    ("says A verdict 0x10, nonce $nonce; off", 1, "did not print one verdict"),
    ("says Splat: nonce=$nonce; off", 1, "did not print one verdict"),
    ("says verdict 0x11, nonce $nonce; says verdict 0x10, nonce $nonce; off", 1,
     "did not print one verdict"),
    ("reset; says verdict 0x10, nonce $nonce; off", 1, "the machine was reset"),
    ("reset; exec sleep 60", 1, "the machine was reset"),
    ("says verdict 0x10, nonce $nonce", 1, "ended by itself"),
    ("says verdict 0x10, nonce $nonce; kill -9 $$", 1, "ended by itself"),
    ("says verdict 0x10, nonce $nonce; "
     "echo '00000000001i[BIOS  ] p[UNMAP ] >>PANIC<< Shutdown port: shutdown requested' >>\"$log\"",
     1, "no verdict"),
    ("says verdict 0x10, nonce $nonce; "
     "echo '00000000001p[CPU0  ] >>PANIC<< exception with no resolution' >>\"$log\"", 1,
     "exception with no resolution"),
    ("rm \"$log\"; echo '>>PANIC<< cpu directive malformed'; exit 1", 1, "directive malformed"),
    ("says verdict 0x10, nonce $nonce; exec sleep 60", 1, "still running after 2 s of its own"),
]


class FakeBochs:
    """A folder with a Bochs that does @body, and with the temporary files of bochs.sh."""

    def __init__(self, body):
        if not shutil.which("script"):
            raise Skip("no script(1)")
        self.folder = tempfile.TemporaryDirectory()
        self.program, self.temporary = self.folder.name + "/bochs", self.folder.name + "/tmp"
        os.mkdir(self.temporary)
        # The CD is GRUB's menu and nothing else: that is made in no time.
        for name, text in (("bochs", FAKE_BOCHS + body + "\n"),
                           ("grub-mkrescue", '#!/bin/sh\ncat "$6/boot/grub/grub.cfg" >"$5"\n')):
            path = f"{self.folder.name}/{name}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)
        self.env = {"BOCHS": self.program, "TMPDIR": self.temporary, "TIMEOUT": "2",
                    "PATH": f"{self.folder.name}:{os.environ['PATH']}",
                    "KERNEL": self.program, "INITRD": self.program}

    def left(self):
        """What was not cleaned away: files, and processes that know the folder."""
        ps = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True)
        return os.listdir(self.temporary) + [line for line in ps.stdout.splitlines()
                                             if self.folder.name in line]

    def expect_nothing_left(self):
        """Those who are ending may take the time that they need for that."""
        pids = [int(line.split()[0]) for line in self.left() if line.split()[0].isdigit()]
        limit = patience.Patience(10, *pids)
        while self.left() and not machine.judged(limit.look()):
            time.sleep(patience.LOOK_S)
        expect(not self.left(), f"left behind: {self.left()}")


@test("bochs-verdict", check=False)
def bochs_verdict():
    """Only Bochs' word that it was shut down, and the kernel's with the nonce, make a verdict."""
    for body, wanted, text in RUNS:
        fake = FakeBochs(body)
        with fake.folder:
            code, output = machine.run(["scripts/bochs.sh"], machine.LOGS + "/bochs-verdict.log",
                                       fake.env)
            last = output.splitlines()[-1] if output else ""
            expect(code == wanted, f"{body}: exit status {code}, not {wanted}: {last}")
            expect(not text or text in last and last.startswith("splat: ") and
                   output.count("splat: ") == 1 and "No such file" not in output,
                   f"{body}: the last line is: {last}")
            fake.expect_nothing_left()


@test("bochs-killed", check=False)
def bochs_killed():
    """Whoever ends it ends all of it."""
    fake = FakeBochs('says it runs; exec sleep 60')
    with fake.folder:
        process = machine.start(["scripts/bochs.sh"], {**fake.env, "TIMEOUT": "60"},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        expect(b"it runs" in process.stdout.readline(), "it does not run")
        os.kill(process.pid, signal.SIGTERM)
        code = machine.finish(process, 10)
        process.stdout.close()
        expect(code not in (0, machine.PASS), f"exit status {code}")
        fake.expect_nothing_left()


@test("bochs-wrong-world")
def bochs_wrong_world():
    """What the scripts refuse themselves."""
    for command, world, text in (
            (["scripts/bochs.sh"], {"BOOT": "pvh"}, "through GRUB only"),
            (["scripts/bochs.sh"], {"KERNEL": "/nothing"}, "cannot read /nothing"),
            (["scripts/bochs.sh"], {"INITRD": "/nothing"}, "cannot read /nothing"),
            (["scripts/bochs.sh"], {"SMP": "many"}, "SMP=many"),
            (["scripts/bochs.sh"], {"EMU": "simics"}, "EMU=simics is unknown"),
            (["scripts/bochs.sh"], {"EMU": "bochs3", "BOCHS": "/nothing"}, "'make bochs3' brings"),
            (["make", "run", "EMU=simics"], {}, "EMU=simics is unknown")):
        code, output = machine.run(command, machine.LOGS + "/bochs-wrong-world.log",
                                   {"BOCHS": "sh", **world})
        expect(code != 0 and text in output and output.count("\n") == 1,
               f"{world}: exit status {code}: {output}")


@test("deps-bochs")
def deps_bochs():
    code, output = host.run_deps({"apt-get": ":"}, "bochs", NO_INSTALL="1")
    expect(code == 1 and "missing: bochs script;" in output
           and "bochs bochs-term bochsbios vgabios bsdutils" in output, output)


def expect_refusal(script, programs, path, text):
    """Where only @programs are, and what is in @path, @script says @text, and leaves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        host.fake_machine(folder, programs)
        done = subprocess.run([script], env={"PATH": f"{folder}:{path}"}, cwd=folder, text=True,
                              stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False)
        left = os.listdir(folder + "/build") if os.path.exists(folder + "/build") else []
    expect(done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1,
           f"{text}: exit status {done.returncode}: {done.stderr}")
    expect(not left, f"{text}: left behind: {left}")


@test("bochs3")
def bochs3():
    """Where it cannot be had, one line says so, and nothing half done stays."""
    script = os.path.abspath("scripts/build/bochs3.sh")
    for programs, path, text in (({}, "", "here is no apt-get"),
                                 ({"uname": "echo riscv64"}, "", "this is riscv64"),
                                 ({"apt-get": "exit 100"}, os.environ["PATH"], "packages")):
        expect_refusal(script, programs, path, text)


@test("bochs-xfd")
def bochs_xfd():
    """Where it cannot be built, one line says so, and nothing half done stays."""
    script = os.path.abspath("scripts/build/bochs-xfd.sh")
    fetched = 'case "$*" in *source*) head -c 99 /dev/zero >bochs_3.0+dfsg.orig.tar.xz; esac'
    for programs, path, text in (({}, "", "here is no apt-get"),
                                 ({"apt-get": ":"}, "", "here is no g++"),
                                 ({"apt-get": "exit 100"}, os.environ["PATH"], "packages"),
                                 ({"apt-get": ":"}, os.environ["PATH"], "cannot be had"),
                                 ({"apt-get": fetched}, os.environ["PATH"], "is not the one")):
        expect_refusal(script, programs, path, text)


TREE = """int first(int a)
{
  return a;
}

int second(int b);

int second(int b)
{
  b++;
  return b;
}
"""


@test("insert")
def insert():
    """scripts/build/insert.py finds places by name; one that has drifted is an error by name."""
    for place, wanted in (
            ("a.c: second, begin", TREE.replace("  b++", "  +\n  b++")),
            ("a.c: second, end", TREE.replace("return b;\n", "return b;\n  +\n")),
            ("a.c: second, before 1/1 return", TREE.replace("  return b", "  +\n  return b")),
            ("a.c: second, after 1/2 b", TREE.replace("b++;\n", "b++;\n  +\n")),
            ("a.c: file, after 2/3 second", None), ("a.c: third, begin", None),
            ("a.c: second, before 1/2 return", None), ("b.c: second, begin", None),
            ("a.c: second, somewhere", None)):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.c", TREE), ("additions", f"What it is\n\n@@ {place} @@\n  +\n")):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            code, output = machine.run(["python3", "scripts/build/insert.py", folder,
                                        folder + "/additions"], machine.LOGS + "/insert.log")
            with open(folder + "/a.c", encoding="utf-8") as file:
                got = file.read()
        if wanted:
            expect(code == 0 and got == wanted, f"{place}: exit status {code}: {output}{got}")
        else:
            expect(code == 1 and got == TREE and output.startswith("splat: ") and
                   "additions:3: " in output, f"{place}: exit status {code}: {output}")


@test("xsave-rules", long=True)
def xsave_rules():
    """What the manual says of XSAVE and tiles: the host's CPU, and the Bochs that claims it."""
    code, output = machine.run(["build/user/tests/xsave_rules"], machine.LOGS + "/xsave-rules.log",
                               {"RULES": "1"})
    expect(code == 0, f"on this machine's CPU: exit status {code}:\n{output}")
    if reason := machine.missing("bochs-xfd"):
        raise Skip(reason + " (the host's CPU is as it must)")
    code, output = machine.boot("xsave-rules-xfd", "init=/tests/testrun -- u/xsave_rules RULES=1",
                                boot="grub", cpu="", emu="bochs-xfd")
    expect(code == machine.PASS and "SKIP" not in output.split("# Subtest: testrun")[0],
           f"exit status {code}:\n{output[-2000:]}")


# --- With Bochs itself ---

def boot_in_bochs(name, append, **world):
    if reason := machine.missing("bochs"):
        raise Skip(reason)
    return machine.boot(name, append, boot="grub", cpu="", emu="bochs", **world)


@test("bochs-demo", long=True)
def bochs_demo():
    """The demonstration comes out as it does in QEMU."""
    for world, path in (("rt=on", "demo"), ("rt=off", "demo-rt-off"),
                        ("rt=on dynamic=zmm", "demo-dynamic")):
        code, output = boot_in_bochs(f"bochs-demo-{world}", world, SMP="2")
        expect_code(code, machine.PASS, output)
        want = [line.replace("dynamic=ymm", "dynamic=zmm")
                for line in golden.read(f"tests/golden/{path}.txt")]
        wrong = golden.compare(want, reports.demo_lines(output))
        expect(not wrong, f"{world}: lines differ from tests/golden/{path}.txt: {wrong}")


@test("bochs-old-nonce", check=False)
def bochs_old_nonce():
    """A kernel that was told another nonce gives a verdict, but not this run's."""
    code, output = boot_in_bochs("bochs-old-nonce", "init=/bin/echo nonce=old")
    expect("verdict 0x10, nonce old" in output, "there is no verdict at all")
    expect(code == 1 and "did not print one verdict" in output, f"exit status {code}")
