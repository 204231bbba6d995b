#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Puts text of our own into a source tree of somebody else's, at places that are found by name.

An additions file consists of parts, each a line "@@ FILE: FUNCTION, PLACE @@" and the text for it.
FUNCTION is as the source spells it, up to its "("; or "file". PLACE is one of

    begin               behind the function's first brace
    end                 before its last one (of a file: at its end)
    before N/M WORD     before or after the Nth of the M lines that have WORD
    after N/M WORD

Nothing of the other tree is repeated here but those names. If a file or a function is not there, or
WORD stands M' times, the tree is not the one that the additions were written for: an error that
names the place.
"""
import os
import re
import sys

PLACE = re.compile(r"@@ (\S+): (\S+), (begin|end|(before|after) (\d+)/(\d+) (\S+)) @@$")


class Drifted(Exception):
    """A place that is not there."""


def parts(path):
    """[(where it stands, file, function, place, text)]"""
    found = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if match := PLACE.match(line):
                found.append([f"{path}:{number}", *match.groups(), ""])
            elif line.startswith("@@"):
                raise Drifted(f"{path}:{number}: not a place: {line.strip()}")
            elif found:
                found[-1][-1] += line
    return found


def function_lines(lines, name):
    """The numbers of the lines with a function's first brace and its last one."""
    head = re.compile(r"^\S.*(?<!\w)" + re.escape(name) + r"\(")
    for number, line in enumerate(lines):
        if head.match(line) and not line.rstrip().endswith(";"):
            first = next(n for n in range(number, len(lines)) if lines[n].startswith("{"))
            return first, next(n for n in range(first, len(lines)) if lines[n].startswith("}"))
    raise Drifted(f"no function {name}")


def place_of(lines, function, place, side, nth, count, word):
    """The number of the line before which the text belongs."""
    first, last = (-1, len(lines)) if function == "file" else function_lines(lines, function)
    if place == "begin":
        return first + 1
    if place == "end":
        return last
    word_at = re.compile(r"(?<!\w)" + re.escape(word) + r"(?!\w)")
    found = [n for n in range(first + 1, last) if word_at.search(lines[n])]
    if len(found) != int(count):
        raise Drifted(f"{word} stands in {len(found)} lines of {function}, not in {count}")
    return found[int(nth) - 1] + (side == "after")


def main():
    tree, *additions = sys.argv[1:]
    insertions = {}                     # all places are those of the tree as it was
    for where, name, *place, text in (part for path in additions for part in parts(path)):
        try:
            with open(os.path.join(tree, name), encoding="latin-1") as file:
                lines = file.read().splitlines(keepends=True)
            insertions.setdefault(name, []).append((place_of(lines, *place), text))
        except (OSError, Drifted) as error:
            raise Drifted(f"{where}: {name}: {error}") from None
    for name, places in insertions.items():
        with open(os.path.join(tree, name), "r+", encoding="latin-1") as file:
            lines = file.read().splitlines(keepends=True)
            for at, text in sorted(places, reverse=True):
                lines.insert(at, text.strip("\n") + "\n")
            file.seek(0)
            file.writelines(lines)


if __name__ == "__main__":
    try:
        main()
    except Drifted as error:
        sys.exit(f"splat: {error}")
