# SPDX-License-Identifier: MIT
"""
A headless Chromium, driven over the pipe of its DevTools protocol: JSON messages that end with a
zero byte, ours to its file descriptor 3, its own from 4. What a page says on its console, and what
it throws, is kept.

chromium.py PAGE PICTURE: the timeline in PAGE, as a PNG file.
"""
import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile

import machine

TIMEOUT_S = 120                         # of its own, for an answer
BECOME = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execvp(sys.argv[3], sys.argv[3:])"""


class Browser:
    """One page in a browser of its own."""

    def __init__(self, width=1400, height=1000):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        its_read_end, self.write_end = os.pipe()
        self.read_end, its_write_end = os.pipe()
        # Out of the way of 3 and 4, which they become in the child.
        passed = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
                  for end in (its_read_end, its_write_end)]
        # A sandbox needs another user than root, or namespaces: this page is our own.
        self.process = machine.start(
            [sys.executable, "-c", BECOME, *map(str, passed), "chromium", "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile}", f"--window-size={width},{height}", "about:blank"],
            pass_fds=passed, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        for end in its_read_end, its_write_end, *passed:
            os.close(end)
        self.unread, self.number, self.session = b"", 0, None
        self.events, self.complaints = [], []
        try:
            self.attach(width, height)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def attach(self, width, height):
        page = next(target for target in self.call("Target.getTargets")["targetInfos"]
                    if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"],
                                 flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.session = None
            if not error[0]:
                self.call("Browser.close")
        finally:
            os.close(self.write_end)
            os.close(self.read_end)
            machine.finish(self.process, 20)
            shutil.rmtree(self.profile, ignore_errors=True)

    def read_message(self):
        while b"\0" not in self.unread:
            ready = machine.has_input(self.read_end, TIMEOUT_S, self.process)
            data = os.read(self.read_end, 1 << 20) if ready else b""
            if not data:
                raise OSError("Chromium does not answer" if not ready else "Chromium has ended")
            self.unread += data
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def note(self, message):
        """Keeps an event; what a person would see in red goes to the complaints."""
        self.events.append(message)
        what, details = message["method"], message["params"]
        if what == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.complaints.append(thrown.get("exception", {}).get("description",
                                                                   thrown["text"]))
        elif what == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning"):
            self.complaints.append(f"console: {details['args']}")
        elif what == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"log: {details['entry']['text']}")

    def call(self, method, **params):
        """Calls a method of the protocol and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        while True:
            answer = self.read_message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise ValueError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if "method" in answer:
                self.note(answer)

    def open(self, path):
        """Loads a file and waits for its end."""
        self.events.clear()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            message = self.read_message()
            if "method" in message:
                self.note(message)

    def evaluate(self, expression):
        """The value of a JavaScript expression, in the page. A promise is waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise ValueError(f"{expression}: {result['exceptionDetails']['text']}")
        return result["result"].get("value")

    def settle(self):
        """Waits until the page has been drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => "
                      "requestAnimationFrame(done)))")

    def key(self, key, code=0, text=""):
        """A key, pressed and let go, as from a keyboard."""
        for kind in "keyDown", "keyUp":
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, path=None, **more):
        """The page as PNG: its bytes, written to @path besides."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"])
        if path:
            with open(path, "wb") as file:
                file.write(data)
        return data


def main():
    with Browser(width=1100) as page:
        page.open(sys.argv[1])
        page.settle()
        box = page.evaluate("document.getElementById('chart-box').getBoundingClientRect().toJSON()")
        clip = {name: box[name] for name in ("x", "y", "width", "height")}
        page.screenshot(sys.argv[2], clip={**clip, "scale": 1.5}, captureBeyondViewport=True)


if __name__ == "__main__":
    main()
