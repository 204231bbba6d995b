#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
patience.py SECONDS COMMAND...: runs a command, and ends it when it has had so much time of its own.

The clock on the wall says nothing about a program on a machine that has other things to do. Its own
time is what it, and all that it has started, used of the processors, and what they slept, all of
them: then they wait for nothing that the machine could give. Time in which one of them is ready to
run, or waits for a disk, is the machine's and does not count. So a loop ends, and so does one that
waits for ever, and whoever is slow because the machine is busy goes on.

The wall's clock is asked only after FAR_S, an hour: then nobody can say what it would have done.
Exit status: COMMAND's; 124: it had its time; 75: the machine was too busy.
"""
import os
import signal
import subprocess
import sys
import time

LOOK_S = 0.25                           # between two looks at what it does
FAR_S = 3600                            # on the wall
TIMED_OUT, TOO_BUSY = "timed out", "too busy"
NOT_JUDGED = "the machine was too busy: not judged"
EXIT = {TIMED_OUT: 124, TOO_BUSY: 75}   # as timeout(1); EX_TEMPFAIL: try again
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ASLEEP = "SITtZX"                       # states of a thread that the machine owes nothing


def stat(path):
    """(state, parent, session, seconds used, its dead children's too) of a process or thread."""
    with open(path + "/stat", encoding="utf-8", errors="replace") as file:
        words = file.read().rpartition(")")[2].split()
    return words[0], int(words[1]), int(words[3]), TICK_S * sum(map(int, words[11:15]))


def processes():
    """Of all that there are: pid -> stat()."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found[int(name)] = stat("/proc/" + name)
        except OSError:
            pass                        # it has ended
    return found


def family(pids):
    """@pids and those that they have started: what of their sessions is left, and descendants."""
    found = processes()
    members = {one for one in found if one in pids or found[one][2] in pids}
    while more := {one for one in found if found[one][1] in members} - members:
        members |= more
    return {one: found[one] for one in members}


def asleep(pid):
    """Does no thread of it run, or want to?"""
    try:
        return all(stat(f"/proc/{pid}/task/{thread}")[0] in ASLEEP
                   for thread in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False                    # it is just ending


class Patience:
    """
    With the processes @pids: @limit seconds of their own time. look() is to be called each LOOK_S;
    what nobody looked at does not count, for then it is we who were kept waiting.
    """

    def __init__(self, limit, *pids):
        self.pids, self.limit, self.own = pids, limit, 0.0
        self.used = sum(used for *_, used in family(pids).values())
        self.far = time.monotonic() + float(os.environ.get("FAR_S") or FAR_S)

    def look(self):
        """None, TIMED_OUT, or TOO_BUSY."""
        members = family(self.pids)
        used = sum(used for *_, used in members.values())
        slept = LOOK_S if all(map(asleep, members)) else 0
        self.own += max(used - self.used, slept)
        self.used = used
        if self.own > self.limit:
            return TIMED_OUT
        return TOO_BUSY if time.monotonic() > self.far else None


def end(*pids):
    """Kills all that they have started, and them."""
    for one in family(pids):
        try:
            os.kill(one, signal.SIGKILL)
        except OSError:
            pass


def wait(process, limit):
    """Until it ends: its exit code, or TIMED_OUT, or TOO_BUSY, and it is the caller's to end it."""
    patience = Patience(limit, process.pid)
    while True:
        try:
            return process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if verdict := patience.look():
                return verdict


def main(limit, *command):
    process = subprocess.Popen(command)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: (end(process.pid), sys.exit(128 + number)))
    code = wait(process, float(limit))
    if code in EXIT:
        end(process.pid)
        return EXIT[code]
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
