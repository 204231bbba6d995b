# SPDX-License-Identifier: MIT
"""
Builds that a world may ask for: "gcc", or words such as "llvm", "release" and "llvm-ubsan"; last
may stand a bug of the museum, "bug-skip-save", "llvm-bug-skip-save".

A world that asks for none gets what make was called for. Each build has its folder (Makefile).
"""
import os
import shutil
import threading

import machine

TIMEOUT_S = 600
WORDS = ("llvm", "release", "ubsan")


def folder(build):
    """None: wherever the kernel is that make was called for."""
    if build is None:
        return os.path.dirname(os.environ.get("KERNEL", "build/"))
    return "build" if build == "gcc" else "build/" + build


def environment(build):
    """What make and scripts/qemu.sh need to know of @build; None: what they have been told."""
    if build is None:
        return {}
    base, _, bug = build.partition("bug-")
    base = base.removesuffix("-") or "gcc"
    words = base.split("-")
    if base != "gcc" and words != [word for word in WORDS if word in words]:
        raise SystemExit(f"tests/worlds.json: build {build}: is not gcc, nor of {'-'.join(WORDS)}")
    return {"KERNEL": folder(build) + "/splat.elf", "INITRD": folder(base) + "/initramfs.cpio",
            "BUG": bug, **{word.upper(): "1" if word in words else "" for word in WORDS}}


def missing(build):
    """Why @build cannot be had here, or ""."""
    wanted = ("clang", "ld.lld", "llvm-objcopy") if "llvm" in (build or "") else ()
    return ", ".join(f"no {program}" for program in wanted if not shutil.which(program))


def make(build, log, cwd=".", jobs=1):
    """Returns what went wrong, or ""."""
    # A planted fault may leave a variable unused: only the tree itself is built with -Werror.
    env = {**environment(build), "CI": os.environ.get("CI", "") if cwd == "." else ""}
    code, output = machine.run(["make", f"-j{jobs}", "all"], log, env, cwd, TIMEOUT_S)
    tail = "\n".join(output.splitlines()[-5:])
    return f"it does not build (log: {log}):\n{tail}" if code else ""


lock = threading.Lock()
tried = {None: ""}                      # build -> what went wrong


def ready(build):
    """Builds when it is asked for first; make has seen to None. Returns what went wrong, or ""."""
    with lock:
        if build not in tried:
            log = f"{machine.LOGS}/build-{build}.log"
            tried[build] = make(build, log, jobs=os.cpu_count() or 1)
        return tried[build]
