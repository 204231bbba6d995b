/* SPDX-License-Identifier: MIT */
/*
 * "This may sleep": the assertion that catches the bug this kernel is about.
 *
 * A function that may block says so before it knows whether it will have to. So the report comes on
 * every call from the wrong place, not only on the unlucky one that finds the lock taken.
 */
#pragma once

#include "kernel/report/panic.h"

/* What the caller is allowed to hold: preempt_count in bits 0-7, RCU readers in bits 8 and up. */
#define MIGHT_RESCHED_RCU_SHIFT		8
#define MIGHT_RESCHED_PREEMPT_MASK	0xff

/**
 * __might_resched() - report unless the context is exactly @offsets and interrupts are on.
 * @file, @line: the place to name.  Context: any; does not sleep itself.
 */
void __might_resched(const char *file, int line, unsigned int offsets);

/*
 * Also checks that task->state is RUNNING, because blocking would lose any other state. Locks that
 * keep the state skip this check.
 */
void __might_sleep(const char *file, int line);
#define might_sleep() __might_sleep(__FILE__, __LINE__)

/* "BUG: scheduling while atomic" (called by schedule()) */
struct task_struct;
void __schedule_bug(struct task_struct *prev);

void might_sleep_ratelimit_reset(void);

/* RCU here is a nesting counter only: no grace periods. */
void rcu_read_lock(void);
void rcu_read_unlock(void);
