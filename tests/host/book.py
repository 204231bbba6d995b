# SPDX-License-Identifier: MIT
"""
The book: it builds, stands alone, and says what is true: its excerpts are the sources' lines, its
commands print what it shows, and the names that it uses are there. What drifts ends its build.
"""
import functools
import glob
import html.parser
import os
import re
import shutil
import subprocess
import sys
import threading

import builds
import faults
import golden
import ktap
import machine
import worlds
from host import TESTS, Skip, expect, run_deps, test

sys.path.insert(0, "labs/tools")

import lab                              # noqa: E402 (labs/tools/lab.py)

OUT = "build/book"
PAGES = sorted(glob.glob("docs/*.md"))
CHAPTERS = [path for path in PAGES if re.match(r"docs/\d\d-", path)]
VOID = {"meta", "link", "img", "br", "hr", "input", "rect", "polyline", "polygon"}
LINKS_OUT = 5                           # few: the book needs no network
lock = threading.Lock()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Site(html.parser.HTMLParser):
    """What a page has: ids, links, what it loads, figures, and the text of its excerpts."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.tags = set(), [], [], []
        self.pictures, self.excerpts, self.heading, self.exercises = [], [], "", 0
        self.open, self.line, self.caption = [], None, None
        self.feed(text)
        self.close()
        expect(not self.open, f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.tags.append(tag)
        expect(attrs.get("id") not in self.ids or "id" not in attrs, f"id {attrs.get('id')} twice")
        self.ids.add(attrs.get("id"))
        if tag == "a":
            self.links.append(attrs["href"])
        self.loads += [attrs[name] for name in ("src", "srcset", "poster", "data") if name in attrs]
        self.loads += [attrs["href"]] if tag in ("link", "use") else []
        if tag == "img" or tag == "svg":
            self.pictures.append(attrs.get("alt") or attrs.get("aria-label"))
        if tag == "h2":
            self.heading = attrs.get("id", "")
        self.exercises += tag == "li" and self.heading == "exercises"
        if "data-n" in attrs:
            self.line = [int(attrs["data-n"]), ""]
        if tag == "figcaption":
            self.caption = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        expect(self.open and self.open.pop() == tag, f"</{tag}> closes nothing")
        if tag == "span" and self.line:
            self.excerpts[-1][1].append(tuple(self.line))
            self.line = None
        if tag == "figcaption":
            if found := re.fullmatch(r"(\S+), lines? .*", self.caption or ""):
                self.excerpts.append((found[1], []))
            self.caption = None

    def handle_data(self, data):
        if self.line:
            self.line[1] += data
        if self.caption is not None:
            self.caption += data


def need_tool():
    if not shutil.which("markdown_py"):
        raise Skip("no markdown_py; 'scripts/deps.sh book' installs it")


@functools.lru_cache(None)
def built():
    """(exit code, output) of `make book`."""
    return machine.run(["make", "book"], machine.LOGS + "/book.log")


def site():
    """Page -> its Site."""
    need_tool()
    with lock:
        code, output = built()
    expect(code == 0, output)
    return {os.path.basename(path): Site(read(path)) for path in sorted(glob.glob(OUT + "/*.html"))}


# --- What it is ---

@test("book-builds", check=False)
def book_builds():
    """Without a word but where it is; a page for each file of docs/."""
    pages = site()
    expect(built() == (0, OUT + "/index.html\n"), f"make book says: {built()[1]}")
    names = {os.path.basename(path)[:-3] + ".html" for path in PAGES}
    expect(set(pages) == names and len(CHAPTERS) == 10, f"pages: {sorted(set(pages) ^ names)}")


@test("book-offline", check=False)
def offline():
    """Nothing comes from elsewhere: no script, no font, no picture; few links lead out."""
    out = []
    for name, page in site().items():
        expect("script" not in page.tags and "iframe" not in page.tags, f"{name} has a script")
        out += [link for link in page.links if re.match(r"[a-z]+:|//", link)]
        for load in page.loads:
            expect(os.path.isfile(f"{OUT}/{load}"), f"{name} loads {load}")
    css = read(OUT + "/book.css")
    expect("url(" not in css and "@import" not in css, "the style sheet loads something")
    expect(len(out) <= LINKS_OUT, f"{len(out)} links lead out of the book: {out}")


@test("book-links", check=False)
def links():
    """Each link leads to a page and a place that are there; Next leads through all pages."""
    pages = site()
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"https?:", link):
                continue
            file, _, anchor = link.partition("#")
            expect((file or name) in pages, f"{name}: {link}: no such page")
            expect(not anchor or anchor in pages[file or name].ids, f"{name}: {link}: no such id")
    walked, name = [], "index.html"
    while name:
        walked.append(name)
        expect(len(walked) <= len(pages), f"Next goes in a circle: {walked}")
        found = re.search(r'rel="next" href="([^"]+)"', read(f"{OUT}/{name}"))
        name = found and found[1]
    expect(set(walked) == set(pages), f"Next leaves out {sorted(set(pages) - set(walked))}")


@test("book-chapters", check=False)
def chapters():
    """Each has a picture with a text, excerpts, exercises, and a length that one can read."""
    pages = site()
    for path in CHAPTERS:
        name = os.path.basename(path)[:-3]
        page, lines = pages[name + ".html"], read(path).count("\n")
        expect(page.pictures and all(page.pictures), f"{name}: a picture, with its text")
        expect(len(page.excerpts) >= 3, f"{name}: {len(page.excerpts)} excerpts")
        expect(3 <= page.exercises <= 6, f"{name}: {page.exercises} exercises")
        expect(100 <= lines <= 230, f"{name}: {lines} lines")


@test("book-excerpts", check=False)
def excerpts():
    """What stands beside a number is that line of the file."""
    count = 0
    for name, page in site().items():
        for path, lines in page.excerpts:
            text = read(path).split("\n")
            for number, line in lines:
                expect(text[number - 1] == line.removesuffix("\n"),
                       f"{name}: {path}:{number} is not: {line}")
            count += len(lines)
    expect(count > 500, f"only {count} lines of code")


# --- What drifts ---

def tree_with(name, edits):
    """A copy of what the book is made of, changed: path -> (old, new)."""
    tree = os.path.abspath(f"{machine.LOGS}/book-{name}")
    shutil.rmtree(tree, ignore_errors=True)
    for path in lab.tracked():
        if path.startswith(("arch/", "boot/", "kernel/", "scripts/", "docs/", "labs/",
                            "tests/kernel/")) or path == "linker.ld":
            os.makedirs(os.path.dirname(f"{tree}/{path}"), exist_ok=True)
            shutil.copy(path, f"{tree}/{path}")
    for path, (old, new) in edits.items():
        text = read(f"{tree}/{path}")
        expect(old in text, f"{path} has no '{old}'")
        with open(f"{tree}/{path}", "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
    return tree


def book_of(tree):
    done = subprocess.run([sys.executable, "scripts/book/book.py", "build/book"], cwd=tree,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


DRIFTS = {
    "function-renamed": ({"arch/x86/fpu/core/regs.c": ("switch_fpu_finish(", "switch_fpu_end(")},
                         r'docs/05-\S+md:\d+: .*no definition of "switch_fpu_finish"'),
    "struct-renamed": ({"kernel/locking/rtmutex.h": ("struct rt_mutex_waiter {",
                                                     "struct waiter {")},
                       r'docs/07-\S+md:\d+: .*no definition of "rt_mutex_waiter"'),
    "text-changed": ({"boot/entry32.S": ("enter_long_mode:", "enter_64_bit_mode:")},
                     r'docs/01-\S+md:\d+: .*"enter_long_mode:" stands 0 times'),
    "text-doubled": ({"kernel/fork.c": ("/* --- Flags --- */",
                                        "/* In this order; the first error ends it. */")},
                     r"docs/08-\S+md:\d+: .*stands 2 times"),
    "file-gone": ({"docs/05-ownership.md": ("arch/x86/entry/common.c:", "arch/x86/entry/gone.c:")},
                  r"docs/05-\S+md:\d+: .*no file arch/x86/entry/gone.c"),
    "picture-of-another-table": ({"arch/x86/fpu/core/regs.h": ("yes    in both", "yes    in each")},
                                 r"docs/05-\S+md:\d+: .*picture: ownership.*in both"),
    "link-to-nothing": ({"docs/08-fork.md": ("](03-tasks.md)", "](03-tasks.md#nowhere)")},
                        r"docs/08-\S+md: a link to 03-tasks.html#nowhere"),
    "page-not-listed": ({"docs/index.md": ("[Glossary](glossary.md)", "Glossary")},
                        r"docs/glossary.md is not listed"),
    "no-text-for-a-picture": ({"docs/03-tasks.md": ("new-stack |", "new-stack")},
                              r"docs/03-\S+md:\d+: .*the picture's text is missing"),
}


@test("book-drift", long=True)
def drift():
    """Each kind of drift ends the build, with one line that names the page and what it misses."""
    need_tool()
    code, output = book_of(tree_with("as-it-is", {}))
    expect(code == 0 and not output, f"the copy as it is: {output}")
    for name, (edits, line) in DRIFTS.items():
        code, output = book_of(tree_with(name, edits))
        expect(code == 1 and re.fullmatch(f"splat: {line}.*\n", output),
               f"{name}: exit status {code}: {output}")


def text_of(folder):
    """All that the book's pages show, as text."""
    pages = [re.sub(r"<[^>]*>", "", read(path)) for path in glob.glob(folder + "/*.html")]
    return html.parser.unescape("\n".join(pages)) if pages else ""


@test("book-in-a-lab", long=True)
def in_a_lab():
    """In a lab's tree the book builds, shows the places to be filled in, and no solution."""
    need_tool()
    shown = 0
    for number in lab.numbers():
        tree = os.path.abspath(f"{machine.LOGS}/book-lab-{number}")
        shutil.rmtree(tree, ignore_errors=True)
        lab.make(number, tree)
        code, output = machine.run(["make", "book"], f"{tree}.log", cwd=tree)
        expect(code == 0, f"lab {number}: {output}")
        text = text_of(f"{tree}/build/book")
        sources = "\n".join(read(path) for path in glob.glob(f"{tree}/**/*.[chS]", recursive=True))
        for hole in lab.holes(number):
            shown += f"step {hole.step}: {hole.fields['says']}" in text
            for line in map(str.strip, hole.solution):
                expect(len(line) < 25 or line in sources or line not in text,
                       f"lab {number}, step {hole.step}: in the book is: {line}")
    expect(shown >= 10, f"only {shown} of the labs' places are shown")


@test("deps-book")
def deps_book():
    """The program and its package have different names."""
    programs = {"python3": ":", "apt-get": ":"}
    code, output = run_deps(programs, "book", NO_INSTALL="1")
    expect(code == 1 and "missing: markdown_py;" in output and " python3-markdown\n" in output,
           output)


# --- What it says ---

def source_text():
    return "\n".join(read(path) for path in lab.tracked()
                     if path.endswith((".c", ".h", ".S", ".py", ".c.in")))


def wrong_names(text, sources, suites):
    """Names in @text, of tests, targets, files and functions, that are not there."""
    hosts = {name for name, _, _ in TESTS}
    planted = {fault.name: fault.test for fault in faults.load()}
    makefiles = "".join(read(path) for path in ("Makefile", "labs/tools/lab.mk",
                                                *glob.glob("scripts/build/*.mk")))
    for name in re.findall(r"\b([ku]/\w+(?:/\w+)?)\b", text):
        suite, test_name = "/".join(name.split("/")[:2]), name.split("/")[2:]
        if suite not in suites or test_name and test_name[0] not in suites[suite]:
            yield name
    yield from (f"host/{n}" for n in re.findall(r"`host/([\w-]+)`", text) if n not in hosts)
    yield from (f"fault/{n}" for n in re.findall(r"`fault/([\w-]+)`", text) if n not in planted)
    for name, red in re.findall(r"`fault/([\w-]+)`: `([ku]/[^`]+)`", text):
        if planted.get(name) != red:
            yield f"fault/{name} turns {planted.get(name)} red, not {red}"
    for target in re.findall(r"(?:`|^ {4,}|^\$ )make ([a-z][a-z0-9-]*)", text, re.M):
        if not re.search(rf"^(?:[\w-]+ )*{target}(?: [\w-]+)*:", makefiles, re.M):
            yield f"make {target}"
    for path in re.findall(r"`((?:arch|boot|kernel|lib|user|scripts|tests|docs)/[\w./-]+)`", text):
        if not os.path.exists(path):
            yield path
    for function in re.findall(r"`(\w+)\(", text):
        if not re.search(rf"\b{function}\b", sources) and not (
                function.startswith("sys_") and
                re.search(rf"CALL\(\d+, {function[4:]},", sources)):
            yield function + "()"


@test("book-names", check=False)
def names():
    """Tests, planted faults, make's targets, files and functions that the book names are there."""
    sources, suites = source_text(), worlds.suites()
    wrong = []
    for path in PAGES:
        if not path.endswith("linux-side-by-side.md"):
            text = read(path).partition("\n## In Linux\n")[0]
            wrong += [f"{path}: {name}" for name in wrong_names(text, sources, suites)]
    expect(not wrong, "not there:\n" + "\n".join(wrong))


def consoles(path):
    """(line, command, lines that it prints) of each command in the page's console blocks."""
    block = None
    for number, line in enumerate(read(path).split("\n"), 1):
        if line == "```console":
            block = []
        elif line == "```" and block is not None:
            yield from block
            block = None
        elif block is not None and line.startswith("$ "):
            block.append((number, line[2:], []))
        elif block is not None:
            block[-1][2].append(line)


def not_found(wanted, lines):
    """The first of the @wanted lines that does not come where it must; "" if all do."""
    wanted, lines, at = golden.confirmed(wanted), golden.confirmed(lines), 0
    while wanted:
        gap = wanted[0] == "..."
        wanted = wanted[gap:]
        part = wanted[:wanted.index("...")] if "..." in wanted else wanted
        wanted = wanted[len(part):]
        places = range(at, len(lines)) if gap and part else [at]
        if not part and (gap or not wanted):
            continue
        best = 0
        for at in places:
            fits = [golden.line_matches(*pair) for pair in zip(part, lines[at:at + len(part)])]
            best = max(best, (fits + [False]).index(False))
            if len(fits) == len(part) and all(fits):
                break
        else:
            return part[best] if best < len(part) else part[-1]
        at += len(part)
        if not wanted and at != len(lines):
            return f"(nothing more after {part[-1]})"
    return ""


def console_test(path):
    """A test that runs the commands which @path shows."""
    name = os.path.basename(path)[:-3]

    def run_them():
        wrong, lacking = builds.ready("gcc"), ""
        expect(not wrong, wrong)
        for number, command, wanted in consoles(path):
            emu = re.search(r"\bEMU=([\w-]+)", command)
            if emu and machine.missing(emu[1]):
                lacking = machine.missing(emu[1])
                continue
            if " debug " in command and not shutil.which("gdb"):
                raise Skip("no gdb; 'scripts/deps.sh gdb' installs it")
            log = f"{machine.LOGS}/book-{name}-{number}"
            code, output = machine.run(["sh", "-c", command], log + ".log", {
                **builds.environment("gcc"), **machine.REPEATABLE,
                "DEBUG_LOG": log + ".console"})
            expect(code != machine.TIMED_OUT, f"{path}:{number}: {command}: no end")
            missed = not_found(wanted, [line.rstrip() for line in ktap.clean(output)])
            expect(not missed, f"{path}:{number}: {command}\n  does not print: {missed}\n"
                               f"  log: {log}.log")
        if lacking:
            raise Skip(lacking + " (the other commands print what the page says)")

    test(f"book-says-{name}", check=False)(run_them)


for page_path in PAGES:
    if list(consoles(page_path)):
        console_test(page_path)


@test("book-matcher")
def matcher():
    """The comparison itself: gaps, order, both ends, and what stands for changing numbers."""
    lines = ["a", "[    0.123456] b+0x1/0x2", "c", "c", "d"]
    for wanted, missed in ((["...", "c", "..."], ""), (["a", "...", "d"], ""),
                           (["...", "[<TIME>] b+<OFF>", "c", "..."], ""),
                           (["...", "c", "d"], ""), (["...", "c", "c", "d"], ""),
                           (["...", "d", "...", "c", "..."], "c"), (["c", "..."], "c"),
                           (["...", "a", "c", "..."], "c"),
                           (["...", "c", "...", "c", "...", "c", "..."], "c"),
                           (["a"], "(nothing more after a)")):
        expect(not_found(wanted, lines) == missed, f"{wanted}: {not_found(wanted, lines)}")
