#!/bin/sh
# SPDX-License-Identifier: MIT
#
# verdict.sh CODE: what QEMU's exit code says about the kernel, in one line. Exit status 0 only for
# 33.
#
# The kernel writes a byte to QEMU's debug-exit port; QEMU exits with twice that plus one
# (kernel/report/panic.h). So 0 never comes from the kernel: the machine was reset, or somebody quit
# QEMU.
case $1 in
33) exit 0 ;;
35) text="init ended with a failing exit status" ;;
37) text="the kernel panicked" ;;
0) text="QEMU was quit, or the machine was reset (reboot, triple fault): no verdict" ;;
1 | 75) exit "$1" ;;		# QEMU, or our own script, has said why
*) text="QEMU ended unexpectedly" ;;
esac
echo "splat: $text (exit code $1)" >&2
# Who quits an interactive QEMU (Ctrl-A X) knows.
[ "$1" = 0 ] && [ -t 0 ] && exit 0
exit 1
