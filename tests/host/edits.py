# SPDX-License-Identifier: MIT
"""Edits (scripts/build/edits.py): each fits the tree; one that does not is named, with its line."""
import glob
import re
import sys

import faults
from host import expect, test

sys.path.insert(0, "scripts/build")

import edits                            # noqa: E402 (scripts/build/edits.py)

TEXT = {"f.c": "int f(void)\n{\n\tone();\n\ttwo();\n}\n\nint g(void)\n{\n\tone();\n}\n"}
EDIT = "# Why.\n\nedit: other\nwhy: so\n@@ f.c: f @@\n-\tone();\n+\tthree();\n \ttwo();\n"


@test("edits-fit")
def edits_fit():
    """Those of labs, planted faults and museum, in the tree as it stands."""
    try:
        count = edits.check()
    except edits.Drifted as error:
        count = str(error)
    expect(isinstance(count, int) and count > 400, f"edits: {count}")


@test("edits-drift")
def edits_drift():
    """What an edit changes must stand once in the place that it names."""
    for old, new, wanted in (
            ("", "", "int f(void)\n{\n\tthree();\n\ttwo();\n}\n\nint g(void)\n{\n\tone();\n}\n"),
            (": f @@\n-\tone();\n+\tthree();\n \ttwo();", ": g @@\n-\tone();",
             "int f(void)\n{\n\tone();\n\ttwo();\n}\n\nint g(void)\n{\n}\n"),
            ("-\tone();", "-\tfour();", "e:5: in f.c, f, this stands 0 times, not once: four();"),
            (": f @@\n-\tone();\n+\tthree();\n \ttwo();", " @@\n-\tone();",
             "e:5: in f.c, all of it, this stands 2 times, not once: one();"),
            (": f @@", ": h @@", 'e:5: f.c has no definition of "h"'),
            (": f @@", ": f() @@", 'e:5: "f()" is neither a name nor /text/ .. /text/'),
            ("edit: other", "name: other", "e:3: a paragraph begins with its edit's name"),
            ("why: so", "why so", "e:4: neither a field nor a line of a change: why so"),
            ("+\tthree", "\tthree", "e:7: neither a field nor a line of a change"),
            ("-\tone", " \tone", ""), ("+\tthree();", "+\tone();", "e:3: other: a change names"),
            ("-\tone();\n+\tthree();\n \ttwo();", "+\tthree();", "e:3: other: a change names"),
            ("@@ f.c: f @@\n-\tone();\n+\tthree();\n \ttwo();", "of: nothing",
             "e:3: other: a change names"),
            ("# Why.", EDIT.partition("\n\n")[2], "e:9: a second edit of the name other"),
            ("why: so", "why: so\nwhy: not", "e:5: neither a field nor a line of a change"),
            ("+\tthree();\n", "+\tthree();\n \n", "e:8: a blank line that stays"),
            (" \ttwo();", "-\tfive();", "e:5: in f.c, f, this stands 0 times, not once: five();"),
            ("@@ f.c", "@@ g.c", "e:5: g.c is none of the files for this edit")):
        try:
            got = edits.parse(EDIT.replace(old, new, 1), "e")[0].applied(TEXT)["f.c"]
        except edits.Drifted as error:
            got = str(error)
        expect(got.startswith(wanted) and (wanted != "" or "three" in got),
               f"{old} -> {new}: {got}, not {wanted}")


@test("edits-named")
def edits_named():
    """The planted faults and bugs of the museum that tests say they fail with are there."""
    planted = {f"fault/{fault.name}" for fault in faults.load()}
    planted |= {f"museum/{piece.name}" for piece in edits.museum()}
    gone = []
    for path in glob.glob("tests/[ku]*/*.[ch]"):
        with open(path, encoding="utf-8") as file:
            gone += [f"{path}: {name}" for name in re.findall(r"\b(?:fault|museum)/[\w-]+",
                                                             file.read()) if name not in planted]
    expect(not gone, f"no such fault: {gone}")
