/* SPDX-License-Identifier: MIT */
/*
 * Assertions of what a function's comment demands of its caller. Each place warns once. A release
 * build does not check. What a fast path demands of its own locks is left to clang.
 */
#pragma once

#include "arch/x86/cpu/insns.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/raw_spinlock.h"
#include "kernel/report/panic.h"

#ifdef RELEASE
#define ASSERTIONS	false
#else
#define ASSERTIONS	true
#endif
#define assert_that(cond)	do { if (ASSERTIONS) WARN_ON_ONCE(!(cond)); } while (0)

/* Raw locks, held by this CPU. For the locks that sleep see kernel/locking/assert.h. */
#define assert_held(lock)	assert_that(raw_spin_is_held(lock))
#define assert_not_held(lock)	assert_that(!raw_spin_is_held(lock))

#define assert_irqs_off()	assert_that(irqs_disabled())
/* Nothing can take this CPU from us, because of the count or because no interrupt comes. */
#define assert_preempt_off()	assert_that(in_atomic() || irqs_disabled())
