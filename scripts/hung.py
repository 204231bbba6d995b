#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
hung.py SOCKET PID SECONDS: ends the QEMU with this pid when it has not answered for so long.

It is asked at its QMP socket each second. It answers whether its machine runs or is stopped, so
whoever sits in the debugger may think as long as they like; but when its threads wait for each
other, as happens in replay, nothing in it answers any more, and GDB would wait for ever.
"""
import os
import signal
import socket
import sys
import time

PAUSE_S = 1
NEGOTIATE, ASK = '{"execute": "qmp_capabilities"}\n', '{"execute": "query-status"}\n'


def answered(lines):
    """Reads up to an answer, past events. False: QEMU has closed the socket."""
    for line in lines:
        if '"return"' in line or '"error"' in line:
            return True
    return False


def watch(path, limit):
    """Returns when QEMU has ended; raises TimeoutError if it hangs."""
    with socket.socket(socket.AF_UNIX) as qmp:
        qmp.settimeout(limit)
        qmp.connect(path)
        lines = qmp.makefile(encoding="utf-8")
        qmp.sendall(NEGOTIATE.encode())
        while answered(lines):
            time.sleep(PAUSE_S)
            qmp.sendall(ASK.encode())


def main():
    path, pid, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    try:
        watch(path, limit)
    except TimeoutError:
        print(f"\nsplat: the emulator hangs: no answer for {limit:g} s. QEMU has such bugs in "
              "replay; it is ended, start again", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass                            # it has ended


if __name__ == "__main__":
    main()
