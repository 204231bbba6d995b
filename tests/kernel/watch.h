/* SPDX-License-Identifier: MIT */
/*
 * Watched memory: what must be true each time that this CPU touches it; which lock is held, mostly.
 * By the CPU's own debug registers (SDM vol. 3, 18.2): #DB comes after the instruction that did it.
 * Up to four places, by one test at a time. Between start and end the task stays on its CPU; all
 * tasks there are watched.
 */
#pragma once

#include "arch/x86/thread.h"
#include "kernel/splat/ktest.h"

struct watch {
	const void *at;			/* 8 bytes, aligned; 4 if @half */
	const char *name;
	bool half, reads;		/* @reads: these, too */
	/* Called where it was touched, by @regs; must not sleep. */
	bool (*rule)(const struct pt_regs *regs);
	unsigned int hits, broken;
	unsigned long broken_by;	/* the first one: the instruction behind it */
};

void watch_start(struct watch *watches, unsigned int count);

/* Each place was touched, and the rule was kept each time. */
void watch_end(struct ktest_run *kt);
