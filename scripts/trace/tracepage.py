#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
tracepage.py ELF FOLDER NAME...: one page, FOLDER/index.html, that shows the runs one above the
other.

FOLDER/NAME.ram is a guest's memory with the trace of a run of the demo, FOLDER/NAME.log its
console. The page stands alone: it has the data in it, and the files in scripts/trace/page. What
the data means is found here (tracemodel.py); the page only draws.

The runs share an axis: instructions since they entered fork. They are counted by the TSC, under
ICOUNT=1 (scripts/qemu.sh).
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import trace                            # noqa: E402 (scripts/trace/trace.py, not Python's own)
import tracemodel                       # noqa: E402

BEFORE = 4000                           # instructions that the page shows before the first fork
TITLES = {
    "buggy": ("Buggy", "fpu_clone=buggy"),
    "fixed": ("Fixed", "fpu_clone=fixed"),
}


def read_log(path):
    """The console's lines, without their times."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return [re.sub(r"^\[ *\d+\.\d+\] ", "", line.rstrip()) for line in file]


def reports(lines):
    """The reports that the kernel printed, in order, each with its call trace."""
    found, inside = [], False
    for line in lines:
        if not inside and re.match("BUG: |WARNING: ", line):
            found.append([])
            inside = True
        if inside:
            found[-1].append(line)
            inside = line.strip() != "</TASK>"
    return found


class Run:
    """What the page needs of one run."""

    def __init__(self, elf, folder, name):
        self.name = name
        self.trace = trace.load(elf, f"{folder}/{name}.ram")
        self.log = read_log(f"{folder}/{name}.log")
        self.model = tracemodel.Model(self.trace, spins=any("(rt=off)" in line
                                                            for line in self.log))
        self.shift = trace.icount_shift()
        forks = self.named("sys_enter", tracemodel.NR_FORK)
        if not forks:
            sys.exit(f"splat: {name}: nobody forks in it")
        self.pid = forks[0].pid
        self.origin = forks[0].tsc
        self.first = self.origin - (BEFORE << self.shift)
        self.last = self.named("sys_exit", tracemodel.NR_WAIT4)[-1].tsc
        self.forks = [self.fork(event, number) for number, event in enumerate(forks)]

    def named(self, name, a):
        return [event for event in self.trace.events
                if self.trace.name(event) == name and event.a == a]

    def time(self, tsc):
        """Instructions since the first fork."""
        return (tsc - self.origin) >> self.shift

    def fork(self, enter, number):
        """One fork: when it begins and ends, and when its steps under study do."""
        items = [item for item in self.model.items if item.lane == f"task{self.pid}"]
        call = next(item for item in items if item.row == "call" and item.start == enter.tsc)
        clone = next((item for item in items
                      if item.label == "fpu_clone" and item.start > call.start), call)
        lock = next((item for item in items if item.label == "siglock" and item.kind == "held" and
                     item.end > clone.start), call)
        worlds = [line for line in self.log if line.startswith("--- ")]
        told = re.search(r"siglock \w+", worlds[number]) if number < len(worlds) else None
        return {"label": told.group() if told else "", "at": self.time(enter.tsc),
                "clone": self.time(clone.start), "locked": self.time(lock.end),
                "end": self.time(call.end)}

    def items(self):
        """What is in the window, as the page wants it. The n-th report goes to the n-th splat."""
        told, splats, shown = reports(self.log), 0, []
        kinds = {item.kind for item in self.model.items}
        complete = "splat" in kinds and len(told) == sum(
            item.kind == "splat" for item in self.model.items)
        for item in self.model.items:
            end = item.start if item.end is None else item.end
            entry = {"lane": item.lane, "row": item.row, "kind": item.kind,
                     "start": self.time(item.start), "label": item.label, "text": item.text}
            if item.end is not None:
                entry["end"] = self.time(item.end)
            if item.kind == "splat":
                splats += 1
                entry["number"] = splats
                entry["report"] = told[splats - 1] if complete else ["(not printed)"]
            if end >= self.first and item.start <= self.last:
                shown.append(entry)
        return shown

    def events(self):
        """The table: the same events as text."""
        return [[self.time(event.tsc), event.cpu, self.model.task(event.pid),
                 f"{event.preempt_count:#x}", "off" if event.irqs_off else "on",
                 self.trace.name(event), self.trace.values(event)]
                for event in self.trace.events if self.first <= event.tsc <= self.last]

    def page(self):
        title, note = TITLES.get(self.name, (self.name, ""))
        return {"name": self.name, "title": title, "note": note, "pid": self.pid,
                "lost": self.trace.lost, "first": self.time(self.first),
                "last": self.time(self.last), "forks": self.forks, "items": self.items(),
                "events": self.events()}


def lanes(runs, pages):
    """The CPUs, then the tasks; each with the rows that have something in any of the runs."""
    used = {(item["lane"], item["row"]) for page in pages for item in page["items"]}
    result = []
    for kind, number in sorted({(kind, int(number)) for lane, _ in used
                                for kind, number in re.findall(r"(\D+)(\d+)", lane)}):
        lane, title, note, rows = f"{kind}{number}", f"CPU {number}", "", tracemodel.CPU_ROWS
        if kind == "task":
            rows = tracemodel.TASK_ROWS
            title, note = next((run.model.task(number), run.model.kin(number)) for run in runs
                               if number in run.model.comms)
        result.append({"id": lane, "title": title, "note": note,
                       "rows": [{"id": row, "title": text} for row, text in rows.items()
                                if (lane, row) in used]})
    return result


def views(pages):
    """What the buttons show: of each fork the steps under study, and all of it; then everything."""
    found = []
    for number, forks in enumerate(zip(*(page["forks"] for page in pages))):
        start = min(fork["clone"] - fork["at"] for fork in forks)
        width = min(fork["locked"] - fork["at"] for fork in forks) - start
        length = max(fork["end"] - fork["at"] for fork in forks)
        group = f"Fork {number + 1}, {forks[0]['label']}"
        found.append({"label": "the order of the locks", "group": group, "fork": number,
                      "from": start - width // 8, "to": start + width * 5 // 4})
        found.append({"label": "the whole fork", "group": group, "fork": number,
                      "from": -length // 40, "to": length * 41 // 40})
    found.append({"label": "everything", "group": "", "fork": 0,
                  "from": min(page["first"] for page in pages),
                  "to": max(page["last"] for page in pages)})
    return found


def write_page(path, data):
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")

    def part(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()

    page = part("index.html")
    # "</" would end the script element.
    page = page.replace("/*data*/", json.dumps(data, separators=(",", ":")).replace("</", "<\\/"))
    for name in re.findall(r"/\*(\w+\.\w+)\*/", page):
        page = page.replace(f"/*{name}*/", part(name))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def main():
    elf, folder, *names = sys.argv[1:]
    runs = [Run(elf, folder, name) for name in names]
    pages = [run.page() for run in runs]
    write_page(f"{folder}/index.html", {"runs": pages, "lanes": lanes(runs, pages),
                                        "views": views(pages)})


if __name__ == "__main__":
    main()
