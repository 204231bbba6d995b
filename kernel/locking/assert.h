/* SPDX-License-Identifier: MIT */
/* Like preempt/assert.h, but for the locks that sleep: current must hold them. */
#pragma once

#include "kernel/locking/spinlock.h"
#include "kernel/preempt/assert.h"

static inline bool spin_is_held(const spinlock_t *lock)
{
	return spinlock_sleeps(lock) ? rt_mutex_owner(&lock->lock) == current :
				       raw_spin_is_held(&lock->rlock);
}

#define assert_spin_held(lock)	assert_that(spin_is_held(lock))
#define assert_mutex_held(lock)	assert_that(rt_mutex_owner(&(lock)->rtmutex) == current)
