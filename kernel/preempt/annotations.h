/* SPDX-License-Identifier: MIT */
/*
 * A function's type says what the function does to a lock or a context. clang's -Wthread-safety
 * checks it; gcc sees nothing. The locks that sleep, and what takes them in fork, are
 * __must_not_hold(preempt_off); other places that may sleep are checked at run time
 * (might_sleep.h). Annotate only the outer functions, because clang takes a nested
 * preempt_disable() for a mistake.
 *
 * __no_lock_analysis stands at code that is itself a lock or a context. Anywhere else the comment
 * says why clang cannot follow.
 */
#pragma once

#ifdef __clang__
#define __capability(name)	__attribute__((capability(name)))
#define __acquires(c)		__attribute__((acquire_capability(c)))
#define __acquires_if_0(c)	__attribute__((try_acquire_capability(0, c)))
#define __acquires_if_1(c)	__attribute__((try_acquire_capability(1, c)))
#define __releases(c)		__attribute__((release_capability(c)))
#define __must_hold(c)		__attribute__((requires_capability(c)))
#define __must_not_hold(c)	__attribute__((locks_excluded(c)))
#define __no_lock_analysis	__attribute__((no_thread_safety_analysis))
#else
#define __capability(name)
#define __acquires(c)
#define __acquires_if_0(c)
#define __acquires_if_1(c)
#define __releases(c)
#define __must_hold(c)
#define __must_not_hold(c)
#define __no_lock_analysis
#endif

/* Held iff preemption is off. There is no such object; only the name matters. */
struct __capability("context") context_token {
	char unused;
};
extern struct context_token preempt_off;
