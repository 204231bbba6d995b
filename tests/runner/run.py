#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The test runner: boots the worlds, runs the host's tests, plants the faults, and says what came of
it.

Each test of each world is one result, named WORLD/SUITE/TEST (max/k/list/add...); host/NAME and
fault/NAME are the others. The last line is "N passed, N failed, N skipped"; the exit status is 0
only if something ran and nothing failed; 75 if nothing failed, but the machine was too busy to
judge all (", N not judged"). Logs, the commands that repeat each boot, and junit.xml
are in build/test.
"""
import argparse
import concurrent.futures
import fcntl
import glob
import importlib
import json
import os
import re
import shutil
import sys
import threading
import time
import xml.etree.ElementTree

sys.dont_write_bytecode = True

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TESTS)

import faults                           # noqa: E402
import host                             # noqa: E402
import ktap                             # noqa: E402
import machine                          # noqa: E402
import patience                         # noqa: E402
import worlds                           # noqa: E402

# Each file of tests/host adds its tests to host.TESTS.
for host_file in sorted(glob.glob(TESTS + "/host/[!_]*.py")):
    importlib.import_module("host." + os.path.basename(host_file)[:-3])

DETAIL_LINES = 12                       # of a failure's text
NOT_JUDGED = patience.EXIT[patience.TOO_BUSY]   # neither well nor wrong: try again
print_lock = threading.Lock()


TIMES = "build/times.json"              # what each job took last


class Job:
    """Something that runs on its own and gives results."""

    def __init__(self, name, run, tests):
        self.name, self.run, self.tests = name, run, tests
        self.results, self.seconds = [], 0.0


def world_jobs(options):
    known = worlds.suites()
    for world in worlds.load():
        name, chosen = world["name"], worlds.choose(world, known, options.wanted)
        if options.check and not world.get("check"):
            continue
        if world.get("all") and not options.all and not options.wanted.startswith(name):
            continue
        everything = len(chosen) == len(worlds.suites_of(world, known))
        if chosen:
            yield Job(name, lambda w=world, c=chosen, e=everything: worlds.run(w, c, e),
                      [f"{name}/{suite}/{test}" for suite in chosen for test in known[suite]])


def single(name, function):
    """
    The result of a test that is a function: a text that it returns or raises is its failure, and so
    is any other mistake in it: the others go on.
    """
    try:
        text = function()
    except host.Skip as reason:
        return [ktap.Result(name, ktap.SKIPPED, str(reason))]
    except machine.NotJudged:
        raise
    except Exception as error:                  # pylint: disable=broad-except
        text = isinstance(error, host.Failure) and str(error) or repr(error)
    return [ktap.Result(name, ktap.FAILED if text else ktap.OK, text or "")]


def single_job(name, function):
    return Job(name, lambda: single(name, function), [name])


def host_jobs(options):
    last = host.CHECK if options.check else \
        host.ALL if options.all or options.wanted else host.TEST
    for name, function, when in host.TESTS:
        name = f"host/{name}"
        if when <= last and worlds.name_matches(options.wanted, name):
            yield single_job(name, function)


def fault_jobs(options):
    """They take long, each a build and a world: with --all, or when asked for."""
    for fault in faults.load() if options.all or options.wanted else []:
        name = f"fault/{fault.name}"
        if worlds.name_matches(options.wanted, name):
            yield single_job(name, lambda f=fault: faults.run(f))


def count(results, status):
    return sum(result.status == status for result in results)


def log_of(job):
    name = job.name.removeprefix("host/").replace("fault/", "fault-")
    path = os.path.join(machine.LOGS, name + ".log")
    return path if os.path.exists(path) else machine.LOGS


def report_job(job):
    """One line, and what failed."""
    failed = [result for result in job.results if result.status == ktap.FAILED]
    counts = ", ".join(f"{count(job.results, s)} {s}" for s in ktap.STATUSES
                       if count(job.results, s))
    with print_lock:
        verdict = "FAIL" if failed else "?" if count(job.results, ktap.NOT_JUDGED) else "ok"
        print(f"{verdict:4}  {job.name:36} {counts:32} {job.seconds:6.1f} s", flush=True)
        for result in failed:
            print(f"      {result.name}")
            lines = result.text.splitlines()
            for line in lines[:DETAIL_LINES]:
                print(f"        {line}")
            if len(lines) > DETAIL_LINES:
                print(f"        ({len(lines) - DETAIL_LINES} more lines)")
        if failed:
            print(f"      log: {log_of(job)}; again: make test T='{failed[0].name}'", flush=True)


def do(job):
    start = time.monotonic()
    try:
        job.results = job.run()
    except machine.NotJudged as reason:
        job.results = [ktap.Result(job.name, ktap.NOT_JUDGED, str(reason))]
    job.seconds = time.monotonic() - start


def run_job(job):
    do(job)
    report_job(job)


def cost(job, world, times):
    """A guess, from last time or from what it is: only the order of the jobs depends on it."""
    if job.name in times:
        return times[job.name]
    if world:
        tests, cpus = len(job.tests), world.get("smp", 1)
        slow = 30 if "emu" in world else 3 if world.get("boot", "pvh") != "pvh" else 1
        return tests * cpus * slow / 10 + (300 if world.get("long") else 0)
    return 30 if job.name.startswith("fault/") else 4


def longest_first(jobs):
    """So that nobody waits at the end for one that began last."""
    table = {world["name"]: world for world in worlds.load()}
    try:
        with open(TIMES, encoding="utf-8") as file:
            times = json.load(file)
    except (OSError, ValueError):
        times = {}
    return sorted(jobs, key=lambda job: -cost(job, table.get(job.name), times))


def note_times(jobs):
    try:
        with open(TIMES, encoding="utf-8") as file:
            times = json.load(file)
    except (OSError, ValueError):
        times = {}
    with open(TIMES, "w", encoding="utf-8") as file:
        json.dump({**times, **{job.name: job.seconds for job in jobs}}, file, indent=0)


def run_all(jobs, workers):
    executor = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        futures = [executor.submit(run_job, job) for job in longest_first(jobs)]
        for done in concurrent.futures.as_completed(futures):
            done.result()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        machine.end_all()
        raise
    executor.shutdown()


# What XML 1.0 has no way to write.
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def write_junit(jobs, path):
    root = xml.etree.ElementTree.Element("testsuites")
    for job in jobs:
        suite = xml.etree.ElementTree.SubElement(
            root, "testsuite", name=job.name, tests=str(len(job.results)),
            failures=str(count(job.results, ktap.FAILED)),
            skipped=str(count(job.results, ktap.SKIPPED) +
                        count(job.results, ktap.NOT_JUDGED)), time=f"{job.seconds:.3f}")
        for result in job.results:
            group, _, name = result.name.rpartition("/")
            case = xml.etree.ElementTree.SubElement(
                suite, "testcase", classname=group.replace("/", "."), name=name)
            text = NOT_IN_XML.sub("?", result.text)
            if result.status == ktap.FAILED:
                failure = xml.etree.ElementTree.SubElement(case, "failure")
                failure.set("message", text.split("\n")[0])
                failure.text = text
            elif result.status in (ktap.SKIPPED, ktap.NOT_JUDGED):
                xml.etree.ElementTree.SubElement(case, "skipped", message=text)
    xml.etree.ElementTree.indent(root)
    xml.etree.ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def report_skips(results):
    """Each reason once for each test, with the worlds that it holds in."""
    skips = {}
    for result in results:
        if result.status == ktap.SKIPPED:
            world, _, name = result.name.partition("/")
            skips.setdefault((name, result.text), []).append(world)
    for (name, reason), where in skips.items():
        print(f"skipped: {name}: {reason or 'no reason given'} ({', '.join(where)})")


def verdict(results):
    """(the last line, the exit status)"""
    passed, failed, skipped, not_judged = (count(results, status) for status in ktap.STATUSES)
    return (f"{passed} passed, {failed} failed, {skipped} skipped" +
            (f", {not_judged} not judged" if not_judged else ""),
            1 if failed else NOT_JUDGED if not_judged else 0 if passed else 1)


def parse_options():
    parser = argparse.ArgumentParser(description="Splat's tests")
    parser.add_argument("wanted", nargs="?", default="",
                        help="a part of a name, or a pattern: max/k/list/*")
    parser.add_argument("--check", action="store_true",
                        help="only what takes less than a minute together")
    parser.add_argument("--all", action="store_true",
                        help="the long ones, too; else only if WANTED begins with their world")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the tests, run nothing")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="boots at a time")
    return parser.parse_args()


def the_only_run():
    """Empty logs; and a file that is locked: a second run in this tree would take them away."""
    try:
        os.makedirs(machine.LOGS, exist_ok=True)
        lock = open(f"{machine.LOGS}.lock", "w", encoding="utf-8")
    except OSError:
        raise OSError(f"splat: cannot write to {machine.LOGS}: whose is it?") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise OSError(f"splat: tests run in this tree already: {lock.name}") from None
    shutil.rmtree(machine.LOGS)
    os.makedirs(machine.LOGS)
    return lock


def main():
    os.chdir(os.path.dirname(TESTS))
    options = parse_options()
    jobs = [*world_jobs(options), *host_jobs(options), *fault_jobs(options)]
    if options.list:
        names = [name for job in jobs for name in job.tests]
        print("\n".join(name for name in names if worlds.name_matches(options.wanted, name)))
        return 0
    try:
        lock = the_only_run()
    except OSError as error:
        print(error)
        return 1
    try:
        run_all(jobs, options.j)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    results = [result for job in jobs for result in job.results]
    if not options.wanted:
        note_times(jobs)
    write_junit(jobs, os.path.join(machine.LOGS, "junit.xml"))
    lock.close()
    report_skips(results)
    if not results:
        print(f"no test is named {options.wanted}; 'python3 tests/runner/run.py --list' prints the "
              "names")
    for result in results:
        if result.status == ktap.NOT_JUDGED:
            print(f"not judged: {result.name}: {result.text}; make test T='{result.name}'")
    # Again, since the lines above may be too many to be kept.
    for result in results:
        if result.status == ktap.FAILED:
            print(f"failed: {result.name}: {result.text.strip().split(chr(10))[0]}")
    line, code = verdict(results)
    print(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
