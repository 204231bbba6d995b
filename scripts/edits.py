#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Edits: what is deliberately different from the kernel, as data beside it. edits.py check: does each
edit still fit the tree?

A file of edits has one paragraph for each:

    edit: the-owner-is-forgotten
    test: k/fpu_owner/who_has_been_here
    @@ arch/x86/fpu/regs.c: fpregs_restore_userregs @@
     		restore_fpregs_from_fpstate(fpu->fpstate, XFEATURE_MASK_FPSTATE);
    -		this_cpu_write(fpu_fpregs_owner_ctx, fpu);

Name and other fields; then changes as diff writes them: lines that go, that come and that stay, but
with the place's name where diff has line numbers. A place is named as the book names it
(excerpt.py): a function, struct or macro, or the lines from one text to another; without a name it
is the whole file. There the text before the change must stand once; if not, the edit has Drifted.
Lines with # say something to the reader. An empty line ends the paragraph, so a blank line that
stays cannot stand in a change: it goes and comes.
"""
import glob
import os
import re
import sys

import excerpt

FILES = ("labs/*/*.edits", "tests/faults/*.edits")
FIELD = re.compile(r"(\w+): (.*)")
PLACE = re.compile(r"@@ (\S+?)(?:: (.+))? @@")
OLD, NEW = " -", " +"                   # the first characters of a line that is in each text


class Drifted(Exception):
    """An edit that is not well formed, or does not fit the tree any more: one line."""


class Change:
    """In one place, one text for another. Texts are lists of lines."""

    def __init__(self, path, place, where):
        self.path, self.place, self.where = path, place, where
        self.lines = []                 # as in the file of edits

    def text(self, which):
        return [line[1:] for line in self.lines if line[0] in which]

    def first_missing(self, lines):
        """Of the text before the change, the line that is not in @lines, or else the first one."""
        return next((line for line in self.text(OLD) if line not in lines),
                    self.text(OLD)[0]).strip()

    def applied(self, text):
        """The @text of the file, changed."""
        lines, old = text.split("\n"), self.text(OLD)
        try:
            first, last = excerpt.place(lines, self.path, self.place) if self.place else \
                (0, len(lines) - 1)
        except excerpt.Drifted as error:
            raise Drifted(f"{self.where}: {error}") from None
        found = [i for i in range(first, last + 2 - len(old)) if lines[i:i + len(old)] == old]
        if len(found) != 1:
            line = self.first_missing(lines[first:last + 1])
            raise Drifted(f"{self.where}: in {self.path}, {self.place or 'all of it'}, this stands "
                          f"{len(found)} times, not once: {line}")
        lines[found[0]:found[0] + len(old)] = self.text(NEW)
        return "\n".join(lines)


class Edit:
    """@fields: what else the paragraph says; @changes may be of several files."""

    def __init__(self, name, where):
        self.name, self.where = name, where
        self.fields, self.changes = {}, []

    def applied(self, texts):
        """@texts, path -> text, of which only those that change are needed: a changed copy."""
        texts = dict(texts)
        for change in self.changes:
            if change.path not in texts:
                raise Drifted(f"{change.where}: {change.path} is none of the files for this edit")
            texts[change.path] = change.applied(texts[change.path])
        return texts

    def paths(self):
        return sorted({change.path for change in self.changes})


def parse(text, path):
    """The Edits in @text, which is what the file @path says."""
    edits, edit = [], None
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}"
        field, place = FIELD.fullmatch(line), PLACE.fullmatch(line)
        if not line:
            edit = None
        elif not line.strip():
            raise Drifted(f"{where}: a blank line that stays: write it as one that goes and comes")
        elif line.startswith("#") and not (edit and edit.changes):
            continue
        elif edit is None:
            if not field or field[1] != "edit":
                raise Drifted(f"{where}: a paragraph begins with its edit's name: {line}")
            if any(other.name == field[2] for other in edits):
                raise Drifted(f"{where}: a second edit of the name {field[2]}")
            edit = Edit(field[2], where)
            edits.append(edit)
        elif place:
            edit.changes.append(Change(place[1], place[2], where))
        elif edit.changes and line[0] in " +-":
            edit.changes[-1].lines.append(line)
        elif field and not edit.changes and field[1] not in edit.fields:
            edit.fields[field[1]] = field[2]
        else:
            raise Drifted(f"{where}: neither a field nor a line of a change: {line}")
    for edit in edits:
        if not all(change.text(OLD) and change.text(OLD) != change.text(NEW)
                   for change in edit.changes or [Change("", "", "")]):
            raise Drifted(f"{edit.where}: {edit.name}: a change names nothing, or changes nothing")
    return edits


def load(path):
    with open(path, encoding="utf-8") as file:
        return parse(file.read(), path)


def tree_texts(edit):
    """The files that @edit changes, as they stand here."""
    texts = {}
    for path in edit.paths():
        try:
            with open(path, encoding="utf-8") as file:
                texts[path] = file.read()
        except OSError:
            raise Drifted(f"{edit.where}: {edit.name}: there is no file {path}") from None
    return texts


def check():
    """Returns how many edits there are. Or Drifted, with a line for each that does not fit."""
    count, wrong = 0, []
    for path in sorted(path for pattern in FILES for path in glob.glob(pattern)):
        for edit in load(path):
            count += 1
            try:
                edit.applied(tree_texts(edit))
            except Drifted as error:
                wrong.append(str(error))
    if wrong:
        raise Drifted("\n".join(wrong))
    return count


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if sys.argv[1:] != ["check"]:
        sys.exit("splat: edits.py check")
    try:
        print(f"splat: {check()} edits fit")
    except Drifted as error:
        sys.exit(f"splat: {error}")
