# SPDX-License-Identifier: MIT
"""
Worlds: boots of the test program in the machines and with the options that tests/worlds.json lists.

A world's verdict needs the exit code 33 and a complete report. The suites are known from the
sources, so that a name chooses what to boot, and a suite that was linked but did not run is
noticed.
"""
import fnmatch
import glob
import json
import os
import random
import re

import builds
import ktap
import machine

# The kernel takes this many words for init.
INIT_ARGS_MAX = 16
# Random values differ from run to run; a failure's .cmd file has the seed.
SEED = os.environ.get("SEED") or f"{random.SystemRandom().getrandbits(32):08x}"
# "kvm": the worlds of QEMU run on this machine's own CPU.
ACCEL = os.environ.get("ACCEL", "")
LONG_TIMEOUT_S, RACE_TIMEOUT_S = 3600, 1200
WORLD_KEYS = {"name", "emu", "boot", "cpu", "smp", "race", "append", "suites", "check", "all",
              "build", "long"}


def load():
    with open("tests/worlds.json", encoding="utf-8") as file:
        worlds = json.load(file)["worlds"]
    for world in worlds:
        if unknown := set(world) - WORLD_KEYS:
            raise SystemExit(f"tests/worlds.json: {world.get('name')}: unknown: {sorted(unknown)}")
    return worlds


# What a line of a suite makes: a test, one of a table of trips (tests/kernel/fpu_migrate.c), or one
# for each kind of lock (tests/kernel/any_lock.h, lock_scenario.h).
BOTH_KINDS = ["mutex_", "spinlock_"]
ALL_KINDS = [*BOTH_KINDS, "mixed_"]
KINDS = {"KTEST": [""], "TRIP": [""], "PLAY": [""],
         "FOR_BOTH_KINDS": BOTH_KINDS, "PLAY_FOR_BOTH_KINDS": BOTH_KINDS,
         "FOR_ALL_KINDS": ALL_KINDS, "PLAY_FOR_ALL_KINDS": ALL_KINDS}


def suites():
    """What the sources hold: {"k/list": [test, ...], "u/vec": [...]}."""
    found = {}
    for path in sorted(glob.glob("tests/kernel/*.c") + glob.glob("tests/user/*.c")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if name := re.search(r"^KTEST_SUITE\((\w+)\)", text, re.M):
            found["k/" + name[1]] = [
                kind + test for macro, test in re.findall(r"^(\w+)\((\w+)[,)]", text, re.M)
                for kind in KINDS.get(macro, [])]
        elif tests := re.findall(r"^TEST\((\w+)\)", text, re.M):
            found["u/" + os.path.basename(path)[:-2]] = tests
    return found


def suites_of(world, known):
    """The suites that @world runs: all, or those that its patterns name."""
    patterns = world.get("suites", ["*"])
    return {name: tests for name, tests in known.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def name_matches(wanted, name):
    """
    Is @name, such as "max/k/list/add", what somebody asked for by @wanted? That is a part of a
    name, or a pattern for one or more of the parts between its slashes.
    """
    if not wanted:
        return True
    if not any(c in wanted for c in "*?["):
        return wanted in name
    parts = name.split("/")
    return any(fnmatch.fnmatchcase("/".join(parts[i:j]), wanted)
               for i in range(len(parts)) for j in range(i + 1, len(parts) + 1))


def choose(world, known, wanted):
    """The suites of @world that have a test asked for by @wanted."""
    return [name for name, tests in suites_of(world, known).items()
            if any(name_matches(wanted, f"{world['name']}/{name}/{test}")
                   for test in tests or [""])]


def judge(world, code, output, expected):
    """The results of a boot, named WORLD/SUITE/TEST, and WORLD if the boot as a whole failed."""
    report = ktap.parse(output)
    results, problems = report.results, report.problems
    problems += [f"{name} did not run" for name in expected if name not in report.suites]
    if "Kernel panic" in output and code != machine.PANIC:
        problems.append("Kernel panic")
    explained = code == machine.FAIL and any(r.status == ktap.FAILED for r in results)
    if code != machine.PASS and not explained:
        problems.insert(0, machine.why(code))
        problems += last_words(output)
    for result in results:
        result.name = f"{world['name']}/{result.name}"
    if problems:
        results.append(ktap.Result(world["name"], ktap.FAILED, "\n".join(problems)))
    return results


def last_words(output):
    """The lines that say best what happened: the panic, or else the end."""
    lines = [line for line in ktap.clean(output) if line.strip()]
    for number, line in enumerate(lines):
        if "Kernel panic" in line:
            return lines[max(0, number - 2):number + 8]
    return lines[-6:]


def timeout_of(world):
    """Of its own time: several CPUs that race use as many of the host's. Bochs only interprets."""
    return (LONG_TIMEOUT_S if world.get("long") else
            RACE_TIMEOUT_S if world.get("race") or "emu" in world else machine.TIMEOUT_S)


def missing(world):
    """Why @world cannot be had here, or ""."""
    return machine.missing(world.get("emu", "qemu")) or builds.missing(world.get("build"))


def run(world, chosen, everything, name=None, cwd="."):
    """Boots @world with the suites @chosen; @everything: these are all. Returns the results."""
    build, emu = world.get("build"), world.get("emu", "qemu")
    if reason := missing(world):
        return [ktap.Result(f"{world['name']}/build", ktap.SKIPPED, reason)]
    if wrong := builds.ready(build):
        return [ktap.Result(world["name"], ktap.FAILED, wrong)]
    args = world.get("suites", []) if everything else chosen
    variables = ["LONG=1"] * bool(world.get("long"))
    args = [*(args if len(args) + len(variables) <= INIT_ARGS_MAX else []), *variables]
    words = ["init=/tests/testrun watchdog=panic fpu_poison=on", f"seed={SEED}",
             world.get("append"), "--" if args else "", *args]
    race = {"ICOUNT": "", "MTTCG": "1"} if world.get("race") else {}
    if ACCEL and emu == "qemu":
        race["ACCEL"] = ACCEL
    code, output = machine.boot(name or world["name"], " ".join(filter(None, words)),
                                world.get("boot", "pvh"), world.get("cpu", "max"), cwd,
                                timeout_of(world), emu,
                                SMP=str(world.get("smp", 1)), **race,
                                **builds.environment(build))
    return judge(world, code, output, chosen)
