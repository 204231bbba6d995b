#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
lab.py make N FOLDER: the starter tree of lab N. lab.py check: are all marks right?

Solution and starter stand side by side in the sources, between marks:

    /* lab 2.1: solution */
    ...
    /* lab 2.1: starter: what is to be done here, in a sentence
    ...
    lab 2.1: end */

So the kernel that everybody builds is the solution, and the compiler never sees a starter. In the
tree of lab 2 the starter stands instead, with its sentence as a comment; of other labs' marks only
the solutions stay. Nothing of lab 2's solutions is in it: neither in its history, nor in tests.
"""
import fnmatch
import io
import json
import os
import re
import subprocess
import sys
import tarfile

LABS = "labs"
MARK = re.compile(r"\blab (\d+)\.(\d+):")
SOLUTION = re.compile(r"(\s*)/\* lab (\d+)\.(\d+): solution \*/")
STARTER = re.compile(r"\s*/\* lab (\d+)\.(\d+): starter: (\S.*)")
ASKED = re.compile(r"^<!-- lab (\d+) asks for this: (.+?) -->\n.*?^<!-- end -->\n", re.M | re.S)
END = re.compile(r"\s*lab (\d+)\.(\d+): end \*/")
# Not for students: other labs, what tests the labs, and what quotes code (planted faults do).
LEFT_OUT = ("labs/*", ".ci/*", "tests/[!u]*.py", "tests/*.json", "tests/golden/*", "tests/native/*",
            "scripts/lab.py", "scripts/dev.mk", "scripts/stat.py", "scripts/floors.json",
            "scripts/bochs3.sh", "scripts/grade-all", "README.md", "docs/instructors-guide.md")


class Wrong(Exception):
    """A mark, a lab or a folder is not as it must be: one line."""


class Hole:
    """A marked place: step @step of lab @lab."""

    def __init__(self, lab, step, indent, line):
        self.lab, self.step, self.indent, self.line = lab, step, indent, line
        self.solution, self.starter, self.text = [], None, ""

    def in_starter_tree(self):
        return [f"{self.indent}/* Lab {self.lab}, step {self.step}: {self.text} From here ... */",
                *self.starter, f"{self.indent}/* ... to here. */"]


def parse(text, path):
    """The text as a list of lines and Holes. Marks that are unbalanced or nested are Wrong."""
    parts, hole = [], None
    for number, line in enumerate(text.split("\n"), 1):
        def wrong(why, line=line, number=number):
            return Wrong(f"{path}:{number}: {why}: {line.strip()}")

        solution, starter, end = (form.fullmatch(line) for form in (SOLUTION, STARTER, END))
        if MARK.search(line) and not (solution or starter or end):
            raise wrong("this is no mark of a lab")
        if solution:
            if hole:
                raise wrong(f"the mark of line {hole.line} has no end")
            hole = Hole(int(solution[2]), int(solution[3]), solution[1], number)
        elif starter or end:
            mark = starter or end
            if not hole or (hole.lab, hole.step) != (int(mark[1]), int(mark[2])):
                raise wrong("no such mark was begun")
            if starter and hole.starter is not None or end and hole.starter is None:
                raise wrong("solution, starter and end do not follow each other")
            if starter:
                hole.starter, hole.text = [], re.sub(r"(?<![.?])$", ".", starter[3])
            else:
                parts.append(hole)
                hole = None
        elif hole and hole.starter is not None:
            if "*/" in line:
                raise wrong("a starter has no comments")
            hole.starter.append(line)
        elif hole:
            hole.solution.append(line)
        else:
            parts.append(line)
    if hole:
        raise Wrong(f"{path}:{hole.line}: the mark of lab {hole.lab}.{hole.step} has no end")
    return parts


def rendered(parts, lab):
    """The text in the tree of @lab; 0: the solution of all."""
    lines = []
    for part in parts:
        if isinstance(part, str):
            lines.append(part)
        else:
            lines += part.in_starter_tree() if part.lab == lab else part.solution
    return "\n".join(lines)


def without_answers(text, lab):
    """A chapter without what this lab asks for: a sentence stands there instead."""
    if text.count("<!-- lab ") != len(ASKED.findall(text)):
        raise Wrong("a chapter has a mark <!-- lab N asks for this: ... --> without its end")
    return ASKED.sub(lambda found: found[2] + "\n" if int(found[1]) == lab else found[0], text)


def tracked():
    """The files of this tree that are text of ours, as git knows them."""
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [name for name in names.stdout.split("\0") if name and os.path.isfile(name)]


def holes(names):
    """Path -> its Holes, for those that have any."""
    found = {}
    for name in names:
        if name.endswith((".c", ".h", ".S")):
            with open(name, encoding="utf-8") as file:
                here = [part for part in parse(file.read(), name) if isinstance(part, Hole)]
            if here:
                found[name] = here
    return found


def load(lab):
    """What labs/N-name/lab.json says, and its folder."""
    for folder in sorted(os.listdir(LABS)) if os.path.isdir(LABS) else []:
        if folder.split("-")[0] == str(lab):
            with open(f"{LABS}/{folder}/lab.json", encoding="utf-8") as file:
                return json.load(file), f"{LABS}/{folder}"
    raise Wrong(f"there is no lab {lab}; labs are {', '.join(map(str, numbers())) or 'not there'}")


def numbers():
    folders = os.listdir(LABS) if os.path.isdir(LABS) else []
    return sorted(int(name.split("-")[0]) for name in folders if re.match(r"\d+-", name))


def check():
    """Every mark belongs to a step of a lab, and every step has a mark or says why not."""
    marked = {(hole.lab, hole.step) for here in holes(tracked()).values() for hole in here}
    known = set()
    for lab in numbers():
        steps = load(lab)[0]["steps"]
        known |= {(lab, number) for number, step in enumerate(steps, 1) if "mark" not in step}
    for lab, step in sorted(marked ^ known):
        raise Wrong(f"lab {lab}, step {step}: " + ("no lab.json has it" if (lab, step) in marked
                                                   else "no source is marked with it"))


def handout(folder):
    """What a student reads: the lab's own text, and before its first steps what all labs need."""
    texts = []
    for path in (f"{folder}/handout.md", f"{LABS}/before.md"):
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    if "## Read first" not in texts[0]:
        raise Wrong(f"{folder}/handout.md has no place for what comes before: ## Read first")
    return texts[0].replace("## Read first", texts[1] + "## Read first", 1)


def content(lab):
    """Path -> (bytes, mode) of everything in the starter tree."""
    found = {}
    plan, folder = load(lab)
    left_out = [*LEFT_OUT, *plan.pop("without", [])]    # what would give this lab's answer away
    for name in tracked():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in left_out):
            continue
        with open(name, "rb") as file:
            data = file.read()
        if name.endswith((".c", ".h", ".S")):
            data = rendered(parse(data.decode(), name), lab).encode()
        if name.endswith(".md"):
            data = without_answers(data.decode(), lab).encode()
        found[name] = data, os.stat(name).st_mode & 0o777
    plan["files"] = sorted({name for name, here in holes(tracked()).items()
                            if any(hole.lab == lab for hole in here)} | {"answers.md"})
    with open(f"{folder}/answers.md", "rb") as file:
        found["answers.md"] = file.read(), 0o644
    found["README.md"] = handout(folder).encode(), 0o644
    with open(f"{LABS}/grade.py", "rb") as file:
        found["scripts/grade.py"] = file.read(), 0o755
    with open(f"{LABS}/lab.mk", "rb") as file:
        found["scripts/lab.mk"] = file.read().replace(
            b"LAB_FILES :=", f"LAB_FILES := {' '.join(plan['files'])}".encode(), 1), 0o644
    found["lab.json"] = json.dumps(plan, indent=1).encode() + b"\n", 0o644
    return found


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, (data, mode) in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))


def git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=Splat", "-c", "user.email=splat@invalid",
                    "-c", "commit.gpgsign=false", *words], check=True, stdout=subprocess.DEVNULL)


def make(lab, folder):
    """Writes the tree, and beside it what the grader goes by: the same files, untouched."""
    files = content(lab)
    if os.path.exists(folder) and os.listdir(folder):
        raise Wrong(f"{folder} is not empty: name another one with TO=")
    for name, (data, mode) in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
    os.makedirs(f"{folder}/.lab", exist_ok=True)
    write_tar(f"{folder}/.lab/pristine.tar.gz", files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"Lab {lab}, as handed out")


def main(words):
    try:
        if words == ["check"]:
            return check()
        if len(words) == 3 and words[0] == "make":
            if not words[1].isdigit():
                raise Wrong(f"which lab? LAB=n; there are {', '.join(map(str, numbers()))}")
            make(int(words[1]), words[2])
            print(f"splat: lab {words[1]} is in {words[2]}: begin with {words[2]}/README.md")
            return 0
        raise Wrong("lab.py make N FOLDER, or lab.py check")
    except (Wrong, OSError, subprocess.CalledProcessError, KeyError, ValueError) as error:
        return f"splat: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
