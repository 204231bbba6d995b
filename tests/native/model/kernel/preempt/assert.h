/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: there is one thread, and nothing interrupts it. */
#pragma once

#include "arch/x86/cpu/percpu.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"

#define assert_preempt_off()	do { } while (0)
#define assert_irqs_off()	do { } while (0)
