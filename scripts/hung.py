#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
hung.py SOCKET PID SECONDS: ends the QEMU with this pid when it has hung for so long.

It is asked at its QMP socket each second. It answers whether its machine runs or is stopped, so
whoever sits in the debugger may think as long as they like. But when its threads wait for each
other, as happens in replay, it does not answer any more; or it says that it runs, and the count of
instructions stands still. GDB would wait for ever.
"""
import json
import os
import signal
import socket
import sys
import time

PAUSE_S = 1


class Gone(Exception):
    """QEMU has closed the socket."""


def ask(qmp, lines, command):
    """The answer to @command, past events."""
    qmp.sendall(json.dumps({"execute": command}).encode())
    for line in lines:
        answer = json.loads(line)
        if "return" in answer:
            return answer["return"]
    raise Gone


def watch(path, limit):
    """Until QEMU has ended: Gone, or OSError; TimeoutError if it hangs."""
    with socket.socket(socket.AF_UNIX) as qmp:
        qmp.settimeout(limit)
        qmp.connect(path)
        lines = qmp.makefile(encoding="utf-8")
        ask(qmp, lines, "qmp_capabilities")
        last, since = None, 0
        while True:
            now = (ask(qmp, lines, "query-status")["running"],
                   ask(qmp, lines, "query-replay")["icount"])
            if not now[0] or now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > limit:
                raise TimeoutError
            time.sleep(PAUSE_S)


def main():
    path, pid, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    try:
        watch(path, limit)
    except TimeoutError:
        print(f"\nsplat: the emulator has hung for {limit:g} s. QEMU has such bugs in replay; "
              "it is ended, start again", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    except (OSError, Gone):
        pass                            # it has ended


if __name__ == "__main__":
    main()
