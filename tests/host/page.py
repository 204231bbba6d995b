# SPDX-License-Identifier: MIT
"""
Tests of the timeline that `make trace` draws, in a real browser: what it shows against the rings,
read here once more and by other code; keyboard, mouse, and how it looks.
"""
import functools
import itertools
import os
import random
import re
import shutil
import struct
import subprocess
import threading

import machine
from chromium import Browser
from host import Skip, expect, expect_code, test

FOLDER = machine.LOGS + "/page"
PAGE = FOLDER + "/index.html"
RUNS = ("buggy", "fixed")
TSC_PER_INSTRUCTION = 8                 # -icount shift=3
BEFORE = 4000                           # instructions, before the first fork
SYS_FORK, SYS_WAIT4 = 57, 61
CONTRAST = 4.5                          # WCAG 2, level AA
RECORD = struct.Struct("<QQQiIHBBxxxx")

made = threading.Lock()


@functools.cache
def make_page():
    code, output = machine.run(["make", "trace", "TRACE_DIR=" + FOLDER, "KEEP_RAM=1"],
                               machine.LOGS + "/page.log")
    expect_code(code, 0, output)


def browser(**size):
    """The page, in a browser."""
    if not shutil.which("chromium"):
        raise Skip("no Chromium; 'scripts/deps.sh chromium' installs it")
    with made:
        make_page()
    return Browser(**size)


def expect_silence(page):
    """Nothing in red on its console, and nothing fetched but the page itself."""
    asked = [event["params"]["request"]["url"] for event in page.events
             if event["method"] == "Network.requestWillBeSent"]
    expect(not page.complaints, f"the page complains: {page.complaints}")
    expect(len(asked) == 1 and asked[0].endswith("/index.html"), f"the page asks for {asked}")


# --- The rings, read without scripts/ ---

class Event:
    """One record of a ring, at an instruction since the first fork."""

    def __init__(self, names, record):
        (self.tsc, self.a, self.b, self.pid, self.count, kind, self.cpu,
         self.irqs_off) = RECORD.unpack(record)
        self.name, self.at = names[kind], None


def address_of(symbol):
    lines = subprocess.run(["nm", "build/splat.elf"], capture_output=True, text=True, check=True)
    return int(re.search(rf"^(\w+) . {symbol}$", lines.stdout, re.M).group(1), 16)


def read_events(run):
    """The window's events, and all of them."""
    with open("kernel/report/trace.h", encoding="utf-8") as file:
        names = re.findall(r"^\tEVENT\((\w+)", file.read(), re.M)
    rings = address_of("trace_rings") - 0xffffffff80000000
    found = []
    with open(f"{FOLDER}/{run}.ram", "rb") as ram:
        for cpu in range(2):
            ram.seek(rings + 24 * cpu)
            where, size, head = struct.unpack("<QQQ", ram.read(24))
            expect(0 < head <= size, f"{run}: CPU {cpu}'s ring: {head} of {size} events")
            ram.seek(where - 0xffff888000000000)
            found += [Event(names, ram.read(RECORD.size)) for _ in range(head)]
    found.sort(key=lambda event: event.tsc)
    fork = next(e for e in found if e.name == "sys_enter" and e.a == SYS_FORK)
    for event in found:
        event.at = (event.tsc - fork.tsc) // TSC_PER_INSTRUCTION
    last = [e for e in found if e.name == "sys_exit" and e.a == SYS_WAIT4][-1]
    return [e for e in found if -BEFORE <= e.at and e.tsc <= last.tsc], found


def stretches(events, says_off):
    """From the first of some events that say so to the first that does not."""
    start = None
    for off, group in itertools.groupby(events, says_off):
        first = next(group).at
        if off:
            start = first
        elif start is not None:
            yield start, first


def pairs(events, begins, ends, key):
    """Each event named in @begins, with the next in @ends of the same key."""
    open_since = {}
    for event in events:
        if event.name in ends and key(event) in open_since:
            yield *key(event), open_since.pop(key(event)), event.at
        if event.name in begins:
            open_since[key(event)] = event.at


def in_registers(events):
    """(pid, start, end): from the cleared flag on, until the task or its registers are replaced."""
    for number, event in enumerate(events):
        if event.name == "fpu_flag" and event.b == 0:
            pid = event.a
            yield pid, event.at, next(
                e.at for e in events[number + 1:]
                if (e.name == "sched_switch" and e.a == pid) or
                (e.name == "fpu_owner" and e.cpu == event.cpu) or
                (e.name == "fpu_flag" and e.a == pid))


def in_memory(events):
    """
    (pid, start, end): from its birth, or when another's are loaded where its registers were, until
    they are loaded again.
    """
    since, where = {}, {}
    for event in events:
        if event.name == "fork_step" and event.a == address_of("link_child"):
            since[event.b] = event.at
        elif event.name == "fpu_owner" and event.a:
            for pid, cpu in where.items():
                if cpu == event.cpu and pid != event.a:
                    since.setdefault(pid, event.at)
            if event.a in since:
                yield event.a, since.pop(event.a), event.at
            where[event.a] = event.cpu


def intervals(events):
    """(lane, row, kind, start, end) of all kinds that are compared."""
    for cpu in range(2):
        mine, lane = [e for e in events if e.cpu == cpu], f"cpu{cpu}"
        for start, end in stretches(mine, lambda e: bool(e.irqs_off) and e.name != "irq_enable"):
            yield lane, "irqs", "irqs", start, end
        for start, end in stretches(mine, lambda e: e.count > 0 and e.pid != 0 and
                                    e.name != "preempt_enable"):
            yield lane, "preempt", "preempt", start, end
        switches = [e for e in mine if e.name == "sched_switch"]
        for come, go in zip(switches, switches[1:]):
            if come.b:
                yield lane, "runs", "runs", come.at, go.at
                yield f"task{come.b}", "oncpu", "runs", come.at, go.at
    for pid, start, end in pairs(events, ["fpregs_lock"], ["fpregs_unlock"], lambda e: (e.pid,)):
        yield f"task{pid}", "fpregs", "fpregs", start, end
    for kind, begins, ends in (("held", "lock_acquired", "lock_released"),
                               ("wait", "lock_contended", "lock_acquired")):
        for pid, _, start, end in pairs(events, [begins], [ends], lambda e: (e.pid, e.a)):
            yield f"task{pid}", "lock", kind, start, end
    for pid, start, end in in_registers(events):
        yield f"task{pid}", "fpu", "registers", start, end
    for pid, start, end in in_memory(events):
        yield f"task{pid}", "fpu", "memory", start, end


READ_BARS = """[...document.querySelectorAll("#chart .item[data-end]")].map(({dataset: d}) =>
    [d.run, d.lane, d.row.replace("lock2", "lock"), d.kind, Number(d.start), Number(d.end)])"""


def expect_reports(page, run, window):
    """A mark for each report, with the text of its kind; only the buggy run has any."""
    kinds = [("BUG: sleeping function", "BUG: scheduling while atomic", "WARNING: ")[event.a]
             for event in window if event.name == "splat"]
    told = page.evaluate(f"data.runs.find(r => r.name === '{run}').items"
                         ".filter(i => i.kind === 'splat').map(i => i.report[0])")
    marks = page.evaluate(f"document.querySelectorAll('.item.splat[data-run={run}]').length")
    expect(marks == len(kinds) == len(told) and bool(kinds) == (run == "buggy") and
           all(text.startswith(kind) for text, kind in zip(told, kinds)),
           f"{run}: {marks} marks; {kinds} are due, told is {told}")


def expect_sense(run, bars, window):
    """What must be so, whatever the rings say: they could be wrong, too."""
    of = {kind: [bar for bar in bars if bar[3] == kind] for kind in ("irqs", "registers", "both")}
    expect(all(bar[4] <= bar[5] for bar in bars), f"{run}: something ends before it begins")
    longest = max(of["irqs"], key=lambda bar: bar[5] - bar[4])
    # A PAUSE in the tick gives the turn to the other CPU, at most until the next tick is due.
    tick = 1250000
    expect(longest[5] - longest[4] < tick, f"{run}: interrupts are off for long: {longest}")
    clone = next(e for e in window if e.name == "fpregs_lock" and e.at > 0)
    expect(any(bar[1] == f"task{clone.pid}" and bar[4] < 0 and bar[5] > clone.at
               for bar in of["registers"]), f"{run}: the parent loses its registers in fork")
    expect(bool(of["both"]) == (run == "buggy"), f"{run}: locks in fpregs_lock: {of['both']}")


@test("page-intervals", check=False)
def page_intervals():
    """
    Every interval of eight kinds, read from the page, is in the rings, and the other way round;
    so are the forks and the reports. Five intervals, of kinds chosen by chance, are what the page
    says when asked.
    """
    with browser() as page:
        page.open(PAGE)
        bars = [tuple(bar) for bar in page.evaluate(READ_BARS)]
        for run in RUNS:
            window, events = read_events(run)
            first, last = window[0].at, window[-1].at
            due = {i for i in intervals(events) if i[4] >= -BEFORE and i[3] <= last}
            kinds = {kind for _, _, kind, _, _ in due}
            expect(len(kinds) == 8, f"{run}: the rings have only {kinds}")
            got = {bar[1:] for bar in bars if bar[0] == run and bar[3] in kinds}
            for what, odd in (("only in the page", got - due), ("not in the page", due - got)):
                # Before the first switch in the ring, and after the last, only one of us guesses.
                odd = sorted(i for i in odd if i[3] > first and i[4] < last)
                expect(not odd, f"{run}: {len(odd)} {what}: {odd[:3]}")
            expect_reports(page, run, window)
            expect_sense(run, [bar for bar in bars if bar[0] == run], window)
            forks = [e.at for e in window if e.name == "sys_enter" and e.a == SYS_FORK]
            drawn = page.evaluate(f"data.runs.find(r => r.name === '{run}').forks.map(f => f.at)")
            expect(forks == drawn, f"{run}: forks at {forks}, drawn at {drawn}")
            ask_five(page, run, sorted(i for i in due if i[3] > first and i[4] < last))
        expect_silence(page)


def ask_five(page, run, found):
    """Points at five intervals of different kinds, after zooming to each."""
    for kind in random.sample(sorted({i[2] for i in found}), 5):
        lane, row, _, start, end = random.choice([i for i in found if i[2] == kind])
        origin = page.evaluate(f"shift(data.runs.find(r => r.name === '{run}'))")
        margin = max(end - start, 40)
        page.evaluate(f"setView({start - origin - margin}, {end - origin + margin})")
        page.settle()
        point_at(page, f'.item.{kind}[data-run={run}][data-lane={lane}][data-row^={row}]'
                       f'[data-start="{start}"][data-end="{end}"]')
        text = page.evaluate("panel.textContent")
        wanted = f"{start - origin:,} to {end - origin:,}, {end - start:,} instructions"
        expect(wanted.replace("-", "\N{MINUS SIGN}") in text,
               f"{run}, {kind} of {lane}: {wanted} is due, the page says: {text[:200]}")


# --- Mouse and keyboard ---

def place_of(page, selector):
    """The middle of what can be seen of a node, in the window."""
    box = page.evaluate(f"""(() => {{
        const node = document.querySelector(`#chart {selector}`);
        const shape = node && node.querySelector("rect, path");
        if (!shape) return null;
        shape.scrollIntoView({{block: "center"}});
        const box = shape.getBoundingClientRect(), all = chart.getBoundingClientRect();
        const left = Math.max(box.left, all.left + LEFT), right = Math.min(box.right, all.right);
        return [(left + right) / 2, (box.top + box.bottom) / 2];
    }})()""")
    expect(box, f"the page has no {selector}")
    return box


def point_at(page, selector):
    page.mouse("mouseMoved", 1, 1)
    x, y = place_of(page, selector)
    page.mouse("mouseMoved", x, y)
    return x, y


def click(page, x, y):
    for kind in "mousePressed", "mouseReleased":
        page.mouse(kind, x, y, button="left", clickCount=1)


def shown(page):
    """(from, to) of the view, as the page has it in its DOM."""
    return tuple(int(page.evaluate(f"chart.dataset.{end}")) for end in ("from", "to"))


@test("page-keyboard", check=False)
def page_keyboard():
    """Tab reaches the timeline; keys zoom, pan, walk through rows and items, pin and unpin."""
    with browser() as page:
        page.open(PAGE)
        for _ in range(30):
            page.key("Tab", 9)
            if page.evaluate("document.activeElement.id") == "chart":
                break
        expect(page.evaluate("document.activeElement.id") == "chart", "Tab does not get there")
        start, end = shown(page)
        page.key("+", 187, "+")
        closer = shown(page)
        expect(start < closer[0] < closer[1] < end, f"+: from {start, end} to {closer}")
        page.key("ArrowRight", 39)
        right = shown(page)
        expect(closer[0] < right[0] and abs(right[1] - right[0] - closer[1] + closer[0]) <= 1,
               f"right: from {closer} to {right}")
        page.key("ArrowLeft", 37)
        expect(shown(page) == closer, f"left: from {right} to {shown(page)}")
        page.key("-", 189, "-")
        expect(all(abs(a - b) <= 1 for a, b in zip(shown(page), (start, end))),
               f"-: from {closer} to {shown(page)}, not {start, end}")
        page.key("ArrowDown", 40)
        texts = [page.evaluate("panel.textContent")]
        for key in "ArrowDown", "ArrowDown":
            page.key(key, 40)
            texts.append(page.evaluate("panel.textContent"))
        page.key("Home", 36)
        everything = shown(page)
        expect(everything[1] - everything[0] > 100 * (end - start), f"Home: {everything}")
        page.key("ArrowDown", 40)
        for _ in range(3):
            page.key("n", 78, "n")
            texts.append(page.evaluate("panel.textContent"))
        expect(len(set(texts)) == len(texts), f"the same is shown twice: {texts}")
        page.key("Enter", 13)
        expect(page.evaluate("panel.className") == "pinned", "Enter does not pin")
        page.key("Escape", 27)
        expect(page.evaluate("panel.className") == "", "Escape does not unpin")
        expect_silence(page)


@test("page-mouse", check=False)
def page_mouse():
    """A report's stack shows under the mouse and stays when it is clicked; wheel and drag move."""
    with browser() as page:
        page.open(PAGE)
        x, y = point_at(page, ".item.fpregs[data-run=buggy]:not([display=none])")
        expect("fpregs_lock held" in page.evaluate("panel.textContent"), "nothing shows")
        x, y = point_at(page, ".item.splat[data-run=buggy]")
        text = page.evaluate("panel.textContent")
        for part in "Report 1", "Call Trace:", "rt_spin_lock+", "fpu_clone_buggy+":
            expect(part in text, f"the first report has no {part}: {text}")
        click(page, x, y)
        point_at(page, ".item.fpregs[data-run=buggy]:not([display=none])")
        expect(page.evaluate("panel.textContent").replace("Unpin", "") == text and
               page.evaluate("panel.className") == "pinned", "it did not stay")
        click(page, *place_of(page, ".item.fpregs[data-run=buggy]:not([display=none])"))
        expect("Call Trace:" not in page.evaluate("panel.textContent"), "it is there for ever")
        before = shown(page)
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120, modifiers=2)
        page.settle()
        closer = shown(page)
        expect(before[0] < closer[0] < closer[1] < before[1], f"wheel: {before} to {closer}")
        page.mouse("mousePressed", x, y, button="left", clickCount=1)
        page.mouse("mouseMoved", x - 100, y, buttons=1)
        page.mouse("mouseReleased", x - 100, y, button="left", clickCount=1)
        dragged = shown(page)
        expect(closer[0] < dragged[0] and closer[1] < dragged[1], f"drag: {closer} to {dragged}")
        for view in range(page.evaluate("document.querySelectorAll('#views [data-view]').length")):
            page.evaluate(f"document.querySelectorAll('#views [data-view]')[{view}].click()")
            expect(page.evaluate("document.querySelectorAll('#views [aria-pressed=true]').length")
                   == 1, f"the button of view {view} is not pressed")
        expect_silence(page)


# --- As text, and how it looks ---

@test("page-table", check=False)
def page_table():
    """The table has every event of the window, and says the same of them as the rings."""
    with browser() as page:
        page.open(PAGE)
        for run in RUNS:
            window, _ = read_events(run)
            page.evaluate(f"document.querySelector('#events [data-run={run}]').open = true")
            page.settle()
            rows = page.evaluate(f"[...document.querySelectorAll('#events [data-run={run}] tbody "
                                 "tr')].map(row => [...row.cells].map(cell => cell.textContent))")
            expect(len(rows) == len(window), f"{run}: {len(rows)} rows, {len(window)} events")
            for row, event in zip(rows, window):
                said = [row[0], row[1], row[3], row[4], row[5]]
                due = [str(event.at), str(event.cpu), hex(event.count),
                       "off" if event.irqs_off else "on", event.name]
                expect(said == due, f"{run}: {due} is due, the table has {row}")
                expect(event.name != "sys_enter" or f"nr={event.a} " in row[6], f"{run}: {row}")
        expect_silence(page)


# Each text in the page, or a bar's label, on what it lies on: (text, contrast). A label on a
# hatched bar has a border of the page's colour.
READ_CONTRASTS = """(() => {
    const rgb = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255);
    const light = colour => rgb(colour).map(v => v <= 0.04045 ? v / 12.92 :
        ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) =>
            sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) /
        (Math.min(light(a), light(b)) + 0.05);
    const page = getComputedStyle(document.body).backgroundColor, found = [];
    for (const node of document.querySelectorAll("h1, p, li, summary, td, kbd, button")) {
        const style = getComputedStyle(node), own = style.backgroundColor;
        if (node.getClientRects().length)
            found.push([node.tagName + " " + node.textContent.slice(0, 30), contrast(style.color,
                        own === "rgba(0, 0, 0, 0)" ? page : own)]);
    }
    for (const node of document.querySelectorAll("#chart text")) {
        const bar = node.parentNode.querySelector("rect"), style = getComputedStyle(node);
        const under = bar && !bar.closest("#grid, #labels") ? getComputedStyle(bar).fill : page;
        const mark = node.classList.contains("bang") ?
            getComputedStyle(node.parentNode.querySelector("path")).fill : under;
        if (node.textContent && node.getClientRects().length)
            found.push([node.parentNode.getAttribute("class") + " " + node.textContent,
                        contrast(style.fill, mark.startsWith("url") ? style.stroke : mark)]);
    }
    return [light(page), found];
})()"""


def look(page, name, dark, blank):
    """One look: not blank, as dark as it should be, and every text can be read."""
    page.settle()
    picture = page.screenshot(f"{FOLDER}/{name}.png")
    expect(len(picture) > 8 * len(blank), f"{name}: the picture has {len(picture)} bytes")
    brightness, contrasts = page.evaluate(READ_CONTRASTS)
    expect(brightness < 0.1 if dark else brightness > 0.9, f"{name}: the page's is {brightness}")
    expect(len(contrasts) > 80, f"{name}: only {len(contrasts)} texts can be seen")
    bad = [(text, round(value, 2)) for text, value in contrasts if value < CONTRAST]
    expect(not bad, f"{name}: hard to read: {bad[:5]}")


@test("page-looks", check=False)
def page_looks():
    """Light, dark, narrow and printed, in two views."""
    with browser() as page:
        blank = page.screenshot()
        page.open(PAGE)
        for view in 0, 3:
            page.evaluate(f"choose(data.views[{view}])")
            for scheme in "light", "dark":
                prefers = [{"name": "prefers-color-scheme", "value": scheme}]
                page.call("Emulation.setEmulatedMedia", media="screen", features=prefers)
                look(page, f"{scheme}-{view}", scheme == "dark", blank)
            # Still with a preference for dark: paper is white.
            page.call("Emulation.setEmulatedMedia", media="print", features=prefers)
            look(page, f"print-{view}", False, blank)
        page.call("Emulation.setEmulatedMedia", media="screen", features=[])
        page.call("Emulation.setDeviceMetricsOverride", width=600, height=900,
                  deviceScaleFactor=1, mobile=False)
        page.settle()
        look(page, "narrow", False, blank)
        expect(page.evaluate("document.documentElement.scrollWidth") <= 600,
               "it does not fit in 600 pixels")
        pdf = page.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        expect(len(pdf) > 40000, f"the PDF has {len(pdf)} characters")
        expect(page.evaluate("document.querySelectorAll('#reports details[open]').length") == 4,
               "the reports are not printed")
        expect_silence(page)


@test("page-picture", check=False)
def page_picture():
    """The README has a picture of it, which `make trace-picture` made."""
    with open("README.md", encoding="utf-8") as file:
        shown_in = re.search(r"!\[[^\]]+\]\((docs/\S+\.png)\)", file.read())
    expect(shown_in, "README.md shows no picture")
    size = os.path.getsize(shown_in.group(1))
    expect(20000 < size < 200000, f"{shown_in.group(1)} has {size} bytes")
