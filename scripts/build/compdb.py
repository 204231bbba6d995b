#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
compdb.py COMPILER_CALL SOURCE... [-- COMPILER_CALL SOURCE...]: prints compile_commands.json, for
clangd and other tools.

One entry a C file; a group of sources for each way of compiling (the kernel's, ring 3's).
"""
import json
import os
import sys


def main():
    entries, call = [], None
    for word in sys.argv[1:]:
        if word == "--":
            call = None
        elif call is None:
            call = word
        elif word.endswith(".c"):
            entries.append({"directory": os.getcwd(), "file": word, "command": f"{call} -c {word}"})
    json.dump(entries, sys.stdout, indent=1)
    print()


main()
