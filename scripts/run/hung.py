#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
hung.py SOCKET PID SECONDS: ends the QEMU with this pid when it has hung for so long.

It is asked at its QMP socket each second. It answers whether its machine runs or is stopped, so
whoever sits in the debugger may think as long as they like. But when its threads wait for each
other, as happens in replay, it does not answer any more; or it says that it runs, and the count of
instructions stands still. GDB would wait for ever. The seconds are QEMU's own (patience.py), so one
that only waits for a processor has not hung.
"""
import json
import os
import select
import signal
import socket
import sys
import time

import patience

LOOKS = 4                               # from one question to the next


class Gone(Exception):
    """QEMU has closed the socket."""


class Watch:
    """On QEMU: Gone, or OSError, when it has ended; TimeoutError if it hangs."""

    def __init__(self, path, pid, limit):
        self.pid, self.limit, self.said = pid, limit, b""
        self.progress()
        self.qmp = socket.socket(socket.AF_UNIX)
        self.qmp.connect(path)
        self.ask("qmp_capabilities")

    def progress(self):
        self.quiet = patience.Patience(self.limit, self.pid)

    def look(self):
        if self.quiet.look() == patience.TIMED_OUT:
            raise TimeoutError

    def line(self):
        while b"\n" not in self.said:
            if not select.select([self.qmp], [], [], patience.LOOK_S)[0]:
                self.look()
                continue
            data = self.qmp.recv(4096)
            if not data:
                raise Gone
            self.said += data
        line, _, self.said = self.said.partition(b"\n")
        return json.loads(line)

    def ask(self, command):
        """The answer to @command, past events."""
        self.qmp.sendall(json.dumps({"execute": command}).encode())
        while "return" not in (answer := self.line()):
            pass
        return answer["return"]

    def watch(self):
        last = None
        while True:
            now = (self.ask("query-status")["running"], self.ask("query-replay")["icount"])
            if not now[0] or now != last:
                self.progress()
            last = now
            for _ in range(LOOKS):
                time.sleep(patience.LOOK_S)
                self.look()


def main():
    path, pid, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    try:
        Watch(path, pid, limit).watch()
    except TimeoutError:
        print(f"\nsplat: the emulator has hung for {limit:g} s. QEMU has such bugs in replay; "
              "it is ended, start again", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    except (OSError, Gone):
        pass                            # it has ended


if __name__ == "__main__":
    main()
