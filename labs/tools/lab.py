#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
lab.py make N FOLDER [PLATFORM]: the starter tree of lab N, or what a platform wants (platforms.py).

The tree that everybody builds is the solution. labs/N-name/starter.edits has the holes (edits.py):
in lab N's tree those lines stand there instead, below a sentence that says what is to be done.
Nothing of lab N's solutions is in it: neither in its history, nor in tests, nor in bugs of the
museum that are planted in the same files.
"""
import fnmatch
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts/build")]

import edits                            # noqa: E402 (scripts/build/edits.py)
import image                            # noqa: E402 (labs/tools/image.py)
import platforms                        # noqa: E402 (labs/tools/platforms.py)
import rules                            # noqa: E402 (labs/tools/rules.py)

LABS = "labs"
STEP = re.compile(r"step (\d+), .*")
GRADER = ("grade.py", "handin.py", "unpack.py", "rules.py", "confine.py", "boots.py", "watch.py",
          "image.py", "report.py")
ASKED = re.compile(r"^<!-- lab (\d+) asks for this: (.+?) -->\n.*?^<!-- end -->\n", re.M | re.S)
# Not for students: other labs, what tests the labs, and what quotes code (planted faults do).
LEFT_OUT = ("labs/*", ".ci/*", "tests/[!u]*.py", "tests/*.json", "tests/golden/*",
            "tests/native/*", "tests/faults/*", "scripts/build/dev.mk", "scripts/stat/*",
            "scripts/build/bochs*", "scripts/build/debian.sh", "scripts/build/insert.py",
            "scripts/grade-all", "README.md", "docs/instructors-guide.md")


class Wrong(Exception):
    """A hole, a lab or a folder is not as it must be: one line."""


def without_answers(text, lab):
    """A chapter without what this lab asks for: a sentence stands there instead."""
    if text.count("<!-- lab ") != len(ASKED.findall(text)):
        raise Wrong("a chapter has a mark <!-- lab N asks for this: ... --> without its end")
    return ASKED.sub(lambda found: found[2] + "\n" if int(found[1]) == lab else found[0], text)


def tracked():
    """The files of this tree that are text of ours, as git knows them."""
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [name for name in names.stdout.split("\0") if name and os.path.isfile(name)]


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


def holes(lab):
    """
    The Edits that open lab @lab, each with its @step. What they put in stands between two comments,
    of which the first has the sentence.
    """
    plan, folder = load(lab)
    opened = edits.load(f"{folder}/starter.edits")
    for hole in opened:
        step = STEP.fullmatch(hole.name)
        if not step or len(hole.changes) != 1 or set(hole.fields) != {"says"}:
            raise Wrong(f"{hole.where}: a hole is called \"step N, place\", says what is to be "
                        f"done, and has one place: {hole.name}")
        hole.step, lines = int(step[1]), hole.changes[0].lines
        if not re.fullmatch("-+\\+*", "".join(line[0] for line in lines)) or \
                any(line[0] == "+" and ("/*" in line or "*/" in line) for line in lines):
            raise Wrong(f"{hole.where}: a starter stands below what it replaces, with no line of "
                        "that left, and has no comments")
        hole.solution = [line[1:] for line in lines if line[0] == "-"]
        indent = re.match(r"\s*", hole.solution[0])[0]
        lines.insert(len(hole.solution), f"+{indent}/* Lab {lab}, step {hole.step}: "
                                         f"{hole.fields['says']} From here ... */")
        lines.append(f"+{indent}/* ... to here. */")
    steps = {number for number, step in enumerate(plan["steps"], 1) if "mark" not in step}
    for step in sorted(steps ^ {hole.step for hole in opened}):
        raise Wrong(f"lab {lab}, step {step}: " + (f"no hole in {folder}/starter.edits"
                                                   if step in steps else "lab.json has none"))
    return opened


def opened_texts(lab):
    """The files that lab @lab opens, path -> text: (as they are handed out, as they are here)."""
    texts, opened = {}, holes(lab)
    for hole in opened:
        texts.update(edits.tree_texts(hole))
    starters = texts
    for hole in opened:
        starters = hole.applied(starters)
    return starters, texts


def handout(folder):
    """What a student reads: the lab's own text, and before its first steps what all labs need."""
    texts = []
    for path in (f"{folder}/handout.md", f"{LABS}/before.md"):
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    if "## Read first" not in texts[0]:
        raise Wrong(f"{folder}/handout.md has no place for what comes before: ## Read first")
    return texts[0].replace("## Read first", texts[1] + "## Read first", 1)


def wrong_texts(folder, solutions):
    """The files of all known wrong answers."""
    return [text for answer in edits.load(f"{folder}/wrong.edits")
            for text in answer.applied(solutions).values()]


def what_the_grader_knows(plan, starters, solutions, wrong=()):
    """
    Adds to @plan what a hand-in may name, as the solution and the known @wrong answers do, and what
    its objects may hold, as the solution's.
    """
    plan["files"] = sorted({*starters, "answers.md"})
    texts = [*solutions.values(), *wrong]
    offered = set().union(*map(rules.offered, starters))
    plan["names"] = sorted(offered.union(*map(rules.words_in, texts)) -
                           set().union(*map(rules.words_in, starters.values())))
    plan["casts"] = sorted(set().union(*map(rules.casts_in, texts)))
    paths = [f"build/{path}.o" for path in sorted(solutions)]
    subprocess.run(["make", "-s", *paths], check=True, stdout=subprocess.DEVNULL)
    plan["objects"] = {}
    for path in sorted(solutions):
        made = image.Object(f"build/{path}.o")
        plan["objects"][path] = {"sections": sorted(made.sections), "defines": sorted(made.defined),
                                 "names": sorted(made.undefined)}


def content(lab):
    """Path -> (bytes, mode) of everything in the starter tree."""
    plan, folder = load(lab)
    starters, solutions = opened_texts(lab)
    what_the_grader_knows(plan, starters, solutions, wrong_texts(folder, solutions))
    return whole_tree(plan, folder, starters)


def whole_tree(plan, folder, starters):
    """The same, of a @plan that says all, with texts for the student from @folder."""
    found, lab = {}, plan["lab"]
    left_out = [*LEFT_OUT, *plan.pop("without", [])]    # what would give this lab's answer away
    for name in tracked():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in left_out) or \
                name.startswith(edits.MUSEUM) and set(edits.load(name)[0].paths()) & set(starters):
            continue
        with open(name, "rb") as file:
            data = file.read()
        data = starters[name].encode() if name in starters else data
        if name.endswith(".md"):
            data = without_answers(data.decode(), lab).encode()
        found[name] = data, os.stat(name).st_mode & 0o777
    with open(f"{folder}/answers.md", "rb") as file:
        found["answers.md"] = file.read(), 0o644
    found["README.md"] = handout(folder).encode(), 0o644
    for name in GRADER:
        with open(f"{LABS}/tools/{name}", "rb") as file:
            found["scripts/" + name] = file.read(), 0o755
    with open(f"{LABS}/tools/lab.mk", "rb") as file:
        found["scripts/lab.mk"] = file.read().replace(
            b"LAB_FILES :=", f"LAB_FILES := {' '.join(plan['files'])}".encode(), 1), 0o644
    found["lab.json"] = json.dumps(plan, indent=1).encode() + b"\n", 0o644
    return found


def write_tar(path, files):
    """The same bytes for the same files: without the time."""
    with gzip.GzipFile(path, "wb", mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w") as tar:
        for name, (data, mode) in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))


def git(folder, *words):
    subprocess.run(["git", "-C", folder, "-c", "user.name=Splat", "-c", "user.email=splat@invalid",
                    "-c", "commit.gpgsign=false", *words], check=True, stdout=subprocess.DEVNULL)


def make(lab, folder):
    """Writes the tree, and beside it what the grader goes by: the same files, untouched."""
    write(content(lab), folder, f"Lab {lab}")


def write(files, folder, title):
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
    git(folder, "commit", "-q", "-m", f"{title}, as handed out")


def make_for(platform, lab, folder):
    def commit(tree):
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "--amend", "--no-edit")

    if platform not in platforms.NAMES:
        raise Wrong(f"FOR={platform} is unknown; it is {', '.join(platforms.NAMES)}")
    if os.path.exists(folder):
        raise Wrong(f"{folder} is there already: name another one with TO=")
    platforms.make(platform, folder, lambda tree: make(lab, tree), commit)


def main(words):
    try:
        if len(words) in (3, 4) and words[0] == "make":
            if not words[1].isdigit():
                raise Wrong(f"which lab? LAB=n; there are {', '.join(map(str, numbers()))}")
            if words[3:]:
                make_for(words[3], int(words[1]), words[2])
                print(f"splat: lab {words[1]} is in {words[2]}, for {words[3]}")
                return 0
            make(int(words[1]), words[2])
            print(f"splat: lab {words[1]} is in {words[2]}: begin with {words[2]}/README.md")
            return 0
        raise Wrong("lab.py make N FOLDER [PLATFORM]")
    except (Wrong, edits.Drifted, OSError, subprocess.CalledProcessError, KeyError,
            ValueError) as error:
        return f"splat: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
