# SPDX-License-Identifier: MIT
"""
Boots and other commands, with their output in a log and a limit on their time.

scripts/qemu.sh and bochs.sh know how Splat is run; this file only tells them the world. A time-out
is the last resort, and a failure: no test waits for one. It is of a program's own time, so a busy
machine makes none (scripts/run/patience.py); if it is too busy for a verdict, there is none:
NotJudged.
"""
import os
import select
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/run"))

import patience                         # noqa: E402

LOGS = "build/test"
TIMEOUT_S = 300
PASS, FAIL, PANIC = 33, 35, 37          # kernel/report/panic.h
GENTLY_S = 5                            # from SIGTERM to SIGKILL
TIMED_OUT = patience.TIMED_OUT


class NotJudged(Exception):
    """There is no verdict, for a reason that is none of the tested."""


running = set()                         # processes to end when the runner is interrupted
running_lock = threading.Lock()

# What a make above us would pass on: -Werror or -B are not meant for the makes that tests start.
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CI", "T", "V", "BOOT", "CPU", "MEM", "SMP",
                 "RAM", "APPEND", "MTTCG", "ICOUNT", "EMU", "TIMEOUT", "GDBSTUB", "GDBWAIT",
                 "REMOTE", "ACCEL", "CORE", "RRDIR", "HUNG_AFTER_S", "FAR_S")

# What is quoted, or compared with other runs, must not depend on when the host's time runs a tick.
REPEATABLE = {"ICOUNT": "1"}

# What `make` brings by the emulator's name.
BROUGHT = {emu: os.path.abspath(f"build/{emu}/bochs") for emu in ("bochs3", "bochs-xfd")}


def environment(extra=None):
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    env.update(extra or {})
    return env


def end(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def end_all():
    with running_lock:
        for process in running:
            end(process, signal.SIGKILL)


def start(command, env=None, **options):
    """Popen in a session of its own, so that its children can be ended with it."""
    process = subprocess.Popen(command, env=environment(env), start_new_session=True, **options)
    with running_lock:
        running.add(process)
    return process


def judged(verdict):
    """What patience says: TIMED_OUT is for the caller."""
    if verdict == patience.TOO_BUSY:
        raise NotJudged(patience.NOT_JUDGED)
    return verdict


def finish(process, timeout=TIMEOUT_S):
    """Waits. Returns the exit code, or TIMED_OUT."""
    code = patience.wait(process, timeout)
    if code in patience.EXIT:
        end(process, signal.SIGTERM)
        if patience.wait(process, GENTLY_S) in patience.EXIT:
            patience.end(process.pid)
            process.wait()
    with running_lock:
        running.discard(process)
    return judged(code)


def has_input(stream, timeout, *processes):
    """Waits until @stream can be read. False: @processes, who should write, have had their time."""
    limit = patience.Patience(timeout, *(process.pid for process in processes))
    while not select.select([stream], [], [], patience.LOOK_S)[0]:
        if judged(limit.look()):
            return False
    return True


def run(command, log, env=None, cwd=".", timeout=TIMEOUT_S, typed=""):
    """Runs a command, with the input @typed, its output in the file @log: (exit code, output)."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as out:
        process = start(command, env, cwd=cwd, stdin=subprocess.PIPE if typed else
                        subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        if typed:
            process.stdin.write(typed.encode())
            process.stdin.close()
        code = finish(process, timeout)
    if code == patience.EXIT[patience.TOO_BUSY]:        # a script of ours has found that
        judged(patience.TOO_BUSY)
    with open(log, encoding="utf-8", errors="replace") as file:
        return code, file.read()


def missing(emu):
    """Why the emulator @emu cannot be had here, or "". Without QEMU there are no tests at all."""
    if emu in BROUGHT and not os.path.exists(BROUGHT[emu]):
        return f"no Bochs in build/{emu}; 'make {emu}' brings it"
    if emu != "qemu" and not (shutil.which("bochs") and shutil.which("script")):
        return "no Bochs, or no script(1); 'scripts/deps.sh bochs' installs them"
    return ""


def boot(name, append="", boot="pvh", cpu="max", cwd=".", timeout=TIMEOUT_S, emu="qemu", **more):
    """
    Boots one world, in QEMU under icount. @more: other variables of scripts/qemu.sh or bochs.sh.

    Returns (exit code, console output). The log is build/test/NAME.log; NAME.cmd beside it has the
    command that repeats the boot.
    """
    world = {"BOOT": boot, "CPU": cpu, "APPEND": append, "ICOUNT": "1", "EMU": emu,
             **({"BOCHS": BROUGHT[emu]} if emu in BROUGHT else {}), **more}
    base = os.path.join(LOGS, name)
    script = ["scripts/qemu.sh" if emu == "qemu" else "scripts/bochs.sh"]
    result = run(script, base + ".log", world, cwd, timeout)
    command = subprocess.run(script, env=environment({**world, "DRYRUN": "1"}),
                             cwd=cwd, capture_output=True, text=True, check=False)
    with open(base + ".cmd", "w", encoding="utf-8") as file:
        file.write(command.stdout)
    return result


def why(code):
    """An exit code in words."""
    return {
        PASS: "passed",
        FAIL: "init ended with a failing status",
        PANIC: "the kernel panicked",
        0: "the machine was reset (a triple fault?)",
        TIMED_OUT: "still running when its time was over",
    }.get(code, "the emulator failed") + ("" if code == TIMED_OUT else f" (exit code {code})")
