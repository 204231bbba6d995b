/* SPDX-License-Identifier: MIT */
/*
 * Watchdogs: what will not end by itself gets a report instead of silence. Options:
 *
 * watchdog_thresh=SECONDS (10; 0: off; "50ms" works, too), the unit of all limits:
 *   a CPU does not get to schedule()                      2 units   "soft lockup"
 *   a CPU takes no interrupts, seen by its neighbour      2 units   "hard LOCKUP"
 *   a CPU waits for a raw lock                            1 unit    "spinlock lockup"
 *   real-time tasks let nothing less urgent run           2 units   "kept all others out"
 *   a task waits, uninterruptible (hung_task.c)          12 units   "blocked for more than"
 * watchdog=report|panic: what follows the report. With panic a test fails at once.
 *
 * Each report shows the stacks of all CPUs, and who holds the lock. Each is counted.
 */
#pragma once

#include "arch/x86/thread.h"
#include "kernel/locking/raw_spinlock.h"

#define HUNG_TASK_UNITS	12

extern u64 watchdog_ns;			/* the unit; 0: off */

/* The tick, on each CPU. @regs: what it interrupted. */
void watchdog_tick(struct pt_regs *regs);

/* Who waits for @lock calls this now and then. *@since: 0 at first, then ours. */
void watchdog_spinning(raw_spinlock_t *lock, u64 *since);

/* The report is complete: go on, or panic. */
void watchdog_barked(void);

/* Starts the thread that looks for hung tasks. Once, when tasks can be made. */
void hung_task_init(void);
