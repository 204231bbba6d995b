#!/bin/sh
# SPDX-License-Identifier: MIT
# Gradescope runs this once, when it makes the image: what the grader needs, and the lab, built.
set -eu
cd "$(dirname "$0")/lab"
scripts/deps.sh cc cpio python3 qemu libclang sandbox
make -s all
