# SPDX-License-Identifier: MIT
"""
Processes that work on what a student has written: no network, none of the host's files but the
system's programs and the folder they work in, a limit for each of processor, memory and output, and
an end with their starter.
"""
import os
import resource
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CPU_S = 300                             # of the processor, each process
FILE_MAX = 512 << 20                    # of any one file that it writes
MEMORY_MAX = 4 << 30                    # of any one process
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/etc/alternatives", sys.base_prefix)


class NoSandbox(Exception):
    """There is none here, and there must be: one line."""


def limit(file_max, cpu_s):
    """Before the program begins."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_max, file_max))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def exit_code(code):
    """Of a process in a sandbox, as without one: -N if signal N ended it."""
    return 128 - code if isinstance(code, int) and code > 128 else code


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Sandbox:
    """bubblewrap's, if it works here. @wanted: "need", or "auto": without one if it must be."""

    def __init__(self, wanted):
        self.words = []
        if shutil.which("bwrap"):
            words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
            for path in SYSTEM:
                words += ["--ro-bind-try", path, path]
            words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
            if subprocess.run([*words, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False).returncode == 0:
                self.words = words
        if wanted == "need" and not self.words:
            raise NoSandbox("no sandbox: bubblewrap is missing, or may not make one here; "
                            "'scripts/deps.sh bubblewrap' installs it")

    def start(self, command, tree, out, env=None, folder=None, file_max=FILE_MAX, cpu_s=CPU_S,
              reads=HERE):
        """
        @command, which sees @tree, where it runs, and @folder, and may read what is in @reads. Its
        output goes to the file @out.
        """
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "CROSS") if name in os.environ}
        words = []
        if self.words:
            words = [*self.words, "--ro-bind", HERE, HERE, "--ro-bind", reads, reads, "--bind",
                     tree, tree, *(["--bind", folder, folder] if folder else []), "--chdir", tree,
                     "--"]
        return subprocess.Popen([*words, *command], cwd=tree, stdin=subprocess.DEVNULL,
                                env={**keep, "NO_INSTALL": "1", **(env or {})}, stdout=out,
                                stderr=out, preexec_fn=lambda: limit(file_max, cpu_s))
