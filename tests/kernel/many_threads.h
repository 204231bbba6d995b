/* SPDX-License-Identifier: MIT */
/*
 * A file's own eight threads, for tests that need nothing but several of them: made and ended
 * together, with the marks a, b, ...
 */
#pragma once

#include "tests/kernel/threads.h"

#define THREADS	8

static struct thread threads[THREADS];

/* What a thread does that has nothing to do. */
static inline void mark(struct thread *self)
{
	log_mark(self->mark);
}

static inline void make_many(struct ktest_run *kt, int count, void (*fn)(struct thread *self))
{
	for (int i = 0; i < count; i++)
		thread_make(kt, &threads[i], fn, NULL, (char[2]){ 'a' + i });
	log_clear();
}

static inline void end_many(int count)
{
	for (int i = 0; i < count; i++)
		thread_end(&threads[i]);
}
