# SPDX-License-Identifier: MIT
"""
Limits on time: they are of a program's own time, so no load on the machine makes a verdict
(scripts/run/patience.py). What a busy machine is, these tests make: programs that want the
processors all the time, or a wall's limit of nothing.
"""
import contextlib
import os
import signal
import subprocess
import sys
import time

import ktap
import machine
import patience
import run
from host import Skip, expect, test

PATIENCE = ["python3", "scripts/run/patience.py"]
LOOP = [sys.executable, "-c", "while True: pass"]
# Half a second of work in a child, which its parent waits for.
WORK = [sys.executable, "-c", "import os, time\nif os.fork() == 0:\n"
        "    while time.process_time() < .5: pass\n    os._exit(3)\n"
        "sys = os.wait()\nraise SystemExit(os.waitstatus_to_exitcode(sys[1]))"]


@contextlib.contextmanager
def busy(count):
    """@count loops beside the test, more urgent than it is."""
    loops = [machine.start(LOOP, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            machine.end(loop, signal.SIGKILL)
            machine.finish(loop)


@test("patience")
def own_time():
    """Loops end, and so do sleepers, with all their children; the exit status comes through."""
    for command, limit, wanted in (
            (["sh", "-c", "exit 7"], "9", 7),
            (["sh", "-c", "kill -TERM $$"], "9", 128 + signal.SIGTERM),
            (WORK, "9", 3),
            (LOOP, "0.5", 124),
            (["sh", "-c", "sh -c 'while :; do :; done'; :"], "0.5", 124),
            (["setsid", "--wait", "sh", "-c", "while :; do :; done"], "0.5", 124),
            (["sh", "-c", "sleep 1000 & wait"], "1", 124)):
        code, output = machine.run([*PATIENCE, limit, *command], machine.LOGS + "/patience.log")
        expect(code == wanted and not output, f"{command}: exit status {code}: {output}")
    left = [one for one, (state, *_) in patience.family((os.getpid(),)).items()
            if state != "Z" and b"sleep\x001000" in open(f"/proc/{one}/cmdline", "rb").read()]
    expect(not left, f"left behind: {left}")


@test("patience-busy")
def not_of_the_wall():
    """
    Who does not get a processor is given time: half a second of work takes more than the second
    that is allowed, and is done.
    """
    with busy(3 * (os.cpu_count() or 1)):
        began = time.monotonic()
        code, output = machine.run(["nice", "-n", "19", *PATIENCE, "1", *WORK],
                                   machine.LOGS + "/patience-busy.log")
        took = time.monotonic() - began
    expect(code == 3, f"exit status {code} after {took:.1f} s: {output}")
    if took < 1:
        raise Skip(f"so many loops did not keep the machine busy: it took {took:.1f} s")


@test("patience-far")
def too_busy():
    """The wall's limit gives no verdict: not well, not wrong, and said in the last line."""
    done = subprocess.run([*PATIENCE, "9", "sleep", "1000"], env={**os.environ, "FAR_S": "0.1"},
                          check=False)
    expect(done.returncode == 75, f"exit status {done.returncode}")

    def not_judged():
        machine.run([*PATIENCE, "9", "sleep", "1000"], machine.LOGS + "/patience-far.log",
                    {"FAR_S": "0.1"})

    job = run.single_job("host/none", not_judged)
    run.do(job)
    expect([result.status for result in job.results] == [ktap.NOT_JUDGED], f"{job.results}")
    well, wrong = ktap.Result("host/a", ktap.OK), ktap.Result("host/b", ktap.FAILED)
    for results, code, line in (([well], 0, "1 passed, 0 failed, 0 skipped"),
                                ([well, *job.results], 75,
                                 "1 passed, 0 failed, 0 skipped, 1 not judged"),
                                (job.results, 75, "0 passed, 0 failed, 0 skipped, 1 not judged"),
                                ([well, wrong, *job.results], 1,
                                 "1 passed, 1 failed, 0 skipped, 1 not judged")):
        expect(run.verdict(results) == (line, code), f"{results}: {run.verdict(results)}")
