# SPDX-License-Identifier: MIT
"""
What a grade says, for people and for platforms.

A result is one JSON file: "lab", "title", "points" (null: refused), "of", "steps" ([{"name",
"points", "of", "text"}]), "notes", "text" (what a student reads), "seen" (checks seen of each test)
and "key": what it is the result of (hand-in, lab, seed and grader). All formats come from it:

* Gradescope's results.json: score, output, tests with a visibility.
* Autolab's last line: {"scores": {problem: points}}. The problems are "step 1", "step 2" ...
* GitHub Classroom's: a summary in Markdown ($GITHUB_STEP_SUMMARY), and for its reporter an output
  "result", which is JSON in base64 ($GITHUB_OUTPUT).
* a table, CSV, of many.
"""
import base64
import csv
import json
import os
import re

VISIBILITIES = "visible", "hidden", "after_due_date", "after_published"


def write_json(path, data):
    """Whole or not at all: who reads it may have been waiting for it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
    os.replace(path + ".new", path)


def read(path):
    """A result; None: there is none, or it is no longer whole."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return data if isinstance(data, dict) and "points" in data and "key" in data else None
    except (OSError, ValueError):
        return None


def gradescope(result, visibility):
    """A refusal is no score there: the platform demands a number, and its text says what it is."""
    return {"score": result["points"] or 0, "output": result["text"], "visibility": visibility,
            "stdout_visibility": "hidden",
            "tests": [{"number": str(number), "name": step["name"], "score": step["points"],
                       "max_score": step["of"], "output": "\n".join(step["text"]),
                       "status": "passed" if step["points"] == step["of"] else "failed",
                       "visibility": visibility}
                      for number, step in enumerate(result["steps"], 1)]}


def autolab(result):
    """"" if there is no score: Autolab then shows the text, and leaves the scores alone."""
    if result["points"] is None:
        return ""
    return json.dumps({"scores": {f"step {number}": step["points"]
                                  for number, step in enumerate(result["steps"], 1)}})


def summary(result):
    points = "not graded" if result["points"] is None else f"{result['points']} of {result['of']}"
    rows = [f"| {step['name']} | {step['points']} | {step['of']} |" for step in result["steps"]]
    table = ["| step | points | of |", "|---|---:|---:|", *rows, ""] if rows else []
    text = result["text"].replace("```", "'''")
    return "\n".join([f"## Lab {result['lab']}: {points}", "", *table, "```text", text.rstrip(),
                      "```", ""])


def classroom(result):
    """What GitHub Classroom's reporter reads, version 1 of it."""
    if result["points"] is None:
        status = "error"
    else:
        status = "pass" if result["points"] == result["of"] else "fail"
    tests = [{"name": step["name"], "score": step["points"], "message": "\n".join(step["text"]),
              "status": "pass" if step["points"] == step["of"] else "fail", "test_code": "",
              "filename": "", "line_no": 0, "duration": 0} for step in result["steps"]]
    if not tests:
        tests = [{"name": result["title"], "score": 0, "message": result["text"], "status": status,
                  "test_code": "", "filename": "", "line_no": 0, "duration": 0}]
    data = {"version": 1, "status": status, "max_score": result["of"], "tests": tests}
    return base64.b64encode(json.dumps(data).encode()).decode()


def to_github(result):
    """Appends to the files that a workflow's step is given."""
    for variable, text in (("GITHUB_STEP_SUMMARY", summary(result)),
                           ("GITHUB_OUTPUT", f"result={classroom(result)}\n")):
        if path := os.environ.get(variable):
            with open(path, "a", encoding="utf-8") as file:
                file.write(text)


def in_a_cell(name):
    """A spreadsheet is to take it for text."""
    return "'" + name if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def printable(text):
    """What a kernel or a compiler has said, or a file's name, for a terminal: no control codes."""
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\ud7ff]", "?", text)


def table(folder):
    """grades.csv of all results in @folder, wherever they were made. Returns its rows."""
    rows = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json") and (data := read(os.path.join(folder, name))):
            rows.append([in_a_cell(name.removesuffix(".json")),
                         "" if data["points"] is None else data["points"],
                         *(step["points"] for step in data["steps"])])
    path = os.path.join(folder, "grades.csv")
    with open(path + ".new", "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        csv.writer(file).writerows([["name", "score", "steps"], *rows])
    os.replace(path + ".new", path)
    return rows
