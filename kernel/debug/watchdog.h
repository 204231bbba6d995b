/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernel/locking/raw_spinlock.h"

static inline void watchdog_spinning(raw_spinlock_t *lock, bool first) { }
