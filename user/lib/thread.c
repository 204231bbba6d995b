/* SPDX-License-Identifier: MIT */
/*
 * Threads: clone() with everything shared, on a stack from mmap(). No TLS, no mutexes.
 */
#include "user/lib/libc.h"

int thread_create(struct thread *t, void (*fn)(void *), void *arg, size_t stack_size)
{
	long ret;

	t->stack_size = ALIGN_UP(stack_size, PAGE_SIZE);
	t->stack = mmap_anon(t->stack_size);
	if (IS_ERR(t->stack))
		return PTR_ERR(t->stack);
	t->tid = 0;
	ret = clone_call(CLONE_AS_THREAD, (char *)t->stack + t->stack_size, &t->tid, &t->tid, fn,
			 arg);
	if (ret < 0) {
		munmap(t->stack, t->stack_size);
		return ret;
	}
	return 0;
}

/*
 * The kernel clears the word after the thread's last instruction in ring 3, so from then on nobody
 * uses the thread's stack. Sleeping until then would take a futex, which Splat does not have yet,
 * so this yields. One limit follows: a caller with a SCHED_FIFO priority above the thread's would
 * yield to nobody, and must not call this.
 */
void thread_join(struct thread *t)
{
	while (__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	munmap(t->stack, t->stack_size);
}
