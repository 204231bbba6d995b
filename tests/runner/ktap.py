# SPDX-License-Identifier: MIT
"""
Reading KTAP: what a test boot printed, as results; strictly, for a run that lost a line must not
look well.

Two levels: suites ("k/rbtree", "u/vec"), and the tests in them, two blanks in. Whatever else the
console shows is skipped. What is wrong with the report itself (no plan, wrong numbers, a cut end)
is a problem, and so a failure.
"""
import dataclasses
import re

# Not judged: nobody can say; see machine.NotJudged.
STATUSES = OK, FAILED, SKIPPED, NOT_JUDGED = "passed", "failed", "skipped", "not judged"

VERSION = re.compile(r"( *)KTAP version 1$")
PLAN = re.compile(r"( *)1\.\.(\d+)$")
RESULT = re.compile(r"( *)(not ok|ok) (\d+) ([^#]*?)(?: *# *(\w+) ?(.*))?$")
SUBTEST = re.compile(r" +# Subtest: (\S+)$")
COMMENT = re.compile(r" *# ")
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|\r")


@dataclasses.dataclass
class Result:
    """One test's verdict. @text: why it failed or was skipped."""
    name: str
    status: str
    text: str = ""
    seconds: float = 0.0


class Level:
    """The plan and the count of one level of the report."""

    def __init__(self, name):
        self.name, self.planned, self.seen = name, None, 0

    def count(self, number):
        """Note one more result; says what is wrong with its number."""
        self.seen += 1
        if number != self.seen:
            return [f"{self.name}: result {number} stands where {self.seen} is due"]
        return []

    def end(self):
        if self.planned is None:
            return [f"{self.name}: no plan"]
        if self.planned != self.seen:
            return [f"{self.name}: {self.seen} of {self.planned} planned results"]
        return []


class Parser:
    def __init__(self):
        self.results, self.problems, self.suites = [], [], []
        self.top = None             # the Level of the suites
        self.sub = None             # the Level of the suite that is running
        self.tests = []             # its results so far, without its name
        self.comments = []          # since the last result

    def version(self, indent):
        if not indent:
            if self.top:
                self.problems.append("KTAP begins twice")
            self.top = Level("the run")
            return
        if self.sub:
            self.problems.append(f"{self.sub.name}: did not end")
        self.sub = Level("a suite without a name")

    def plan(self, indent, count):
        level = self.sub if indent else self.top
        if not level or level.planned is not None:
            self.problems.append(f"a plan of {count} where none is due")
        else:
            level.planned = count

    def test(self, good, number, name, directive, reason):
        if not self.sub:
            self.problems.append(f"{name}: a result outside of a suite")
            return
        self.problems += self.sub.count(number)
        status = FAILED if not good else SKIPPED if directive == "SKIP" else OK
        text = reason if status == SKIPPED else "\n".join(self.comments) if status == FAILED else ""
        self.tests.append(Result(name, status, text or ""))
        self.comments = []

    def suite(self, good, number, name, directive, reason):
        self.problems += self.top.count(number)
        self.suites.append(name)
        if not self.sub and directive == "SKIP":
            self.results.append(Result(name, SKIPPED, reason or ""))
            return
        wrong = self.sub.end() if self.sub else ["it reported no tests"]
        if good and any(test.status == FAILED for test in self.tests):
            wrong.append("says ok, but a test failed")
        if not good and not any(test.status == FAILED for test in self.tests):
            wrong.append("says not ok, but no test failed")
        self.finish_suite(name, wrong)

    def finish_suite(self, name, wrong):
        for test in self.tests:
            test.name = f"{name}/{test.name}"
        self.results += self.tests
        if wrong:
            self.results.append(Result(name, FAILED, "\n".join(wrong + self.comments)))
        self.sub, self.tests, self.comments = None, [], []

    def line(self, line):
        if match := VERSION.match(line):
            self.version(match[1])
        elif not self.top:
            return                      # before the report
        elif match := PLAN.match(line):
            self.plan(match[1], int(match[2]))
        elif match := RESULT.match(line):
            what = (match[2] == "ok", int(match[3]), match[4].strip(), match[5], match[6])
            if match[1]:
                self.test(*what)
            else:
                self.suite(*what)
        elif (match := SUBTEST.match(line)) and self.sub:
            self.sub.name = match[1]
        elif COMMENT.match(line):
            self.comments.append(line.strip())

    def end(self):
        if self.sub:
            self.finish_suite(self.sub.name, ["the run ended inside this suite"] + self.sub.end())
        if not self.top:
            self.problems.append("no KTAP report")
            return
        self.problems += self.top.end()
        if self.top.planned == 0:
            self.problems.append("the run: nothing was planned")


def clean(text):
    """Console output as lines, without what a terminal is told."""
    return TERMINAL_CODES.sub("", text).split("\n")


def parse(text):
    """Reads a console log. Returns the Parser: .results (leaves first), .suites and .problems."""
    parser = Parser()
    for line in clean(text):
        parser.line(line)
    parser.end()
    return parser
