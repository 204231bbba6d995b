#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Edits: what is deliberately different from the kernel, as data beside it.

    edits.py check                  does each edit still fit the tree?
    edits.py museum                 the bugs of the museum, and how to see them
    edits.py plant NAME FOLDER      what one of these changes, in FOLDER/src (scripts/build/bug.mk)

A file of edits has one paragraph for each:

    edit: the-owner-is-forgotten
    test: k/fpu_owner/who_has_been_here
    @@ arch/x86/fpu/core/regs.c: fpregs_restore_userregs @@
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
import shutil
import sys

import excerpt

MUSEUM = "tests/museum"                 # a file for each bug
FILES = ("labs/*/*.edits", "tests/faults/*.edits", MUSEUM + "/*.edits")
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


# --- The museum: BUG=name is a build with the edit of tests/museum/name.edits ---

def museum():
    """Its Edits."""
    pieces = []
    for path in sorted(glob.glob(MUSEUM + "/*.edits")):
        name = os.path.basename(path).removesuffix(".edits")
        loaded = load(path)
        if [edit.name for edit in loaded] != [name] or not {"says", "test", "see"} <= set(
                loaded[0].fields):
            raise Drifted(f"{path}: it is to have one edit, {name}, that says what is wrong, which "
                          "test fails, and how to see it")
        pieces += loaded
    return pieces


def print_museum():
    for edit in museum():
        print(f"{edit.name:14} {edit.fields['says']}\n{'':14} {edit.fields['see']}; seen by "
              f"{edit.fields['test']}\n")


def replace(path, text):
    """Writes @text, if the file says something else: what is made from it stays as it is."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except OSError:
        pass
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def plant(name, folder):
    """
    The changed files of @folder/src, and @folder/edited.mk, which names them for make. If they are
    not those of the last time, the folder is emptied: make does not see that a file is gone.
    """
    edit = next(edit for edit in museum() if edit.name == name)
    texts = edit.applied(tree_texts(edit))
    paths = " ".join(texts)
    rules = f"EDITED := {paths}\n{folder}/edited.mk: {paths}\n{paths}:\n"
    if os.path.exists(f"{folder}/edited.mk"):
        with open(f"{folder}/edited.mk", encoding="utf-8") as file:
            if file.read() != rules:
                shutil.rmtree(folder)
    for path, text in texts.items():
        replace(f"{folder}/src/{path}", text)
    with open(f"{folder}/edited.mk", "w", encoding="utf-8") as file:
        file.write(rules)


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    try:
        if sys.argv[1:] == ["check"]:
            print(f"splat: {check()} edits fit")
        elif sys.argv[1:] == ["museum"]:
            print_museum()
        elif sys.argv[1:2] == ["plant"] and len(sys.argv) == 4:
            plant(*sys.argv[2:])
        else:
            sys.exit("splat: edits.py check | museum | plant NAME FOLDER")
    except Drifted as error:
        sys.exit(f"splat: {error}")
