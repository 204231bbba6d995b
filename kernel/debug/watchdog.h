/* SPDX-License-Identifier: MIT */
/*
 * Watchdogs: what will not end by itself is reported, not passed over in silence. Options:
 *
 * watchdog_thresh=SECONDS (10; 0: off; "50ms" works, too), the unit of all limits:
 *   a CPU does not get to schedule()                      2 units   "soft lockup"
 *   a CPU takes no interrupts, seen by its neighbour      2 units   "hard LOCKUP"
 *   a CPU waits for a raw lock                            1 unit    "spinlock lockup"
 *   real-time tasks let nothing less urgent run           2 units   "kept all others out"
 *   a task waits, uninterruptible (hung_task.c)          12 units   "blocked for more than"
 * watchdog=report|panic: what follows the report. With panic a test fails at once.
 *
 * Each report is counted, and shows the stacks of all CPUs and the lock's holder.
 */
#pragma once

#include "arch/x86/thread.h"
#include "kernel/preempt/raw_spinlock.h"

#define HUNG_TASK_UNITS	12

extern u64 watchdog_ns;			/* the unit; 0: off */

/* The report is complete: go on, or panic. */
void watchdog_barked(void);
