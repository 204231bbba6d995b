/* SPDX-License-Identifier: MIT */
/*
 * What all reports have in common: each is counted by its kind, before any rate limit; one CPU
 * prints at a time; and each taints the kernel. Context: any. None sleeps, none touches
 * preempt_count.
 */
#pragma once

#include "kernel/splat/uapi.h"
#include "lib/types.h"

#define TAINT_WARN	9
/*
 * The first notes that the kernel has complained (taint W); the second is the text that says so:
 * "Not tainted" or "Tainted: G ...".
 */
void add_taint(unsigned int bit);
const char *print_tainted(void);

/* Reports by kind since boot; each is counted before any rate limit. */
extern u64 splat_counts[SPLAT_KINDS];
void splat_count(enum splat_kind kind);

/**
 * report_begin(), report_end() - one CPU at a time prints a report of several lines, so that each
 * line belongs to the one before. Interrupts are off in between; nests, and an NMI in between may
 * print. Begin returns the flags for end. Not around code that waits for another CPU.
 * Context: any; waits for the CPU that prints, but not on the CPU that panics.
 */
unsigned long report_begin(void);
void report_end(unsigned long flags);

extern unsigned int panic_cpu;		/* the first to panic; NR_CPUS: none */
