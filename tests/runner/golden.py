# SPDX-License-Identifier: MIT
"""
Golden files: text that must come out exactly so, but for what changes from build to build.

In a golden file <ADDR> stands for hexadecimal digits (an address), <OFF> for an offset and a size
(+0x17/0xb0 without the plus), <TIME> for a time stamp's number, <PID>, <LINE> and <N> for a
decimal number, <TYPE> for a type's name in quotes. All else is literal.

Entries with "? " are no part of the report: they are words that happened to lie on the stack, and
another compiler leaves others. They are left out on both sides. A function that the compiler has
split or specialised goes by its own name: copy_process.part.0 is copy_process.
"""
import re

PATTERNS = {
    "<ADDR>": r"(?:0x)?[0-9a-f]+",
    "<OFF>": r"0x[0-9a-f]+/0x[0-9a-f]+",
    "<TIME>": r" *\d+\.\d{6}",
    "<PID>": r"\d+",
    "<N>": r"\d+",
    "<LINE>": r"\d+",
    "<TYPE>": r"'[^']+'",
}
PLACEHOLDER = re.compile("(" + "|".join(PATTERNS) + ")")


def line_matches(golden, line):
    parts = PLACEHOLDER.split(golden)
    pattern = "".join(PATTERNS.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(pattern, VARIANT.sub("", line)) is not None


VARIANT = re.compile(r"(?:\.(?:part|isra|constprop|cold)(?:\.\d+)?)+(?=\+0x)")
UNCONFIRMED = re.compile(r"\[[^]]*\]  \? ")


def confirmed(lines):
    return [line for line in lines if not UNCONFIRMED.match(line)]


def compare(golden, lines):
    """Compares two lists of lines. Returns what differs first, as text; "" if nothing does."""
    golden, lines = confirmed(golden), confirmed(lines)
    for number in range(max(len(golden), len(lines))):
        want = golden[number] if number < len(golden) else "(nothing more)"
        got = lines[number] if number < len(lines) else "(nothing more)"
        if number >= len(golden) or number >= len(lines) or not line_matches(want, got):
            return f"line {number + 1}:\n  must be: {want}\n  is:      {got}"
    return ""


def block(lines, first):
    """The kernel messages from the one that golden line @first matches up to the last in a row."""
    for start, line in enumerate(lines):
        if line_matches(first, line):
            end = start
            while end < len(lines) and lines[end].startswith("["):
                end += 1
            return lines[start:end]
    return []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()
