# SPDX-License-Identifier: MIT
"""
Boots and other commands, with their output in a log and a limit on their time.

scripts/qemu.sh knows how Splat is run; this file only tells it the world. A time-out is the last
resort, and a failure: no test waits for one.
"""
import os
import signal
import subprocess
import threading

LOGS = "build/test"
TIMEOUT_S = 120
PASS, FAIL, PANIC = 33, 35, 37          # kernel/panic.h
TIMED_OUT = "timed out"

running = set()                         # processes to end when the runner is interrupted
running_lock = threading.Lock()

# What a make above us would pass on: -Werror or -B are not meant for the makes that tests start.
NOT_INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CI", "T", "V", "BOOT", "CPU", "MEM", "SMP",
                 "APPEND", "MTTCG", "ICOUNT")


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


def finish(process, timeout=TIMEOUT_S):
    """Waits. Returns the exit code, or TIMED_OUT."""
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        code = TIMED_OUT
        end(process, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            end(process, signal.SIGKILL)
            process.wait()
    with running_lock:
        running.discard(process)
    return code


def run(command, log, env=None, cwd=".", timeout=TIMEOUT_S):
    """Runs a command without input, its output in the file @log. Returns (exit code, output)."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as out:
        process = start(command, env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                        stderr=subprocess.STDOUT)
        code = finish(process, timeout)
    with open(log, encoding="utf-8", errors="replace") as file:
        return code, file.read()


def boot(name, append="", boot="pvh", cpu="max", cwd=".", timeout=TIMEOUT_S, **more):
    """
    Boots one world under icount. @more: other variables of scripts/qemu.sh.

    Returns (exit code, console output). The log is build/test/NAME.log; NAME.cmd beside it has the
    command that repeats the boot.
    """
    world = {"BOOT": boot, "CPU": cpu, "APPEND": append, "ICOUNT": "1", **more}
    base = os.path.join(LOGS, name)
    result = run(["scripts/qemu.sh"], base + ".log", world, cwd, timeout)
    command = subprocess.run(["scripts/qemu.sh"], env=environment({**world, "DRYRUN": "1"}),
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
    }.get(code, "QEMU failed") + ("" if code == TIMED_OUT else f" (exit code {code})")
