/* SPDX-License-Identifier: MIT */
/*
 * The numbers behind the fix that was not taken: a raw siglock.
 *
 * Forks under both orders, then holds the siglock for a while, as a request for permission does
 * when it looks at each thread of a large process. For each, it prints the longest sections with
 * preemption off and with interrupts off, and where they began: one line a workload, for
 * scripts/stat/stat.py. Boot with rt=on or off, and siglock=raw or not.
 */
#include "user/lib/libc.h"

#define FORKS		20
#define HOLD_STEPS	100000

static void fork_some(void)
{
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		wait4(pid, NULL, 0, NULL);
	}
}

static void hold(void)
{
	splat_hold_siglock(HOLD_STEPS);
}

static void measure(const char *name, const char *order, void (*work)(void))
{
	struct splat_latency worst;

	splat_setopt(order);
	splat_setopt("dynamic=force");
	splat_ratelimit_reset();
	work();				/* once for what happens only once, the report above all */
	splat_setopt("latency=on");
	work();
	splat_latency(&worst);
	splat_setopt("latency=off");
	printf("latency: %s preempt_off=%llu at %s irqs_off=%llu at %s\n", name,
	       (unsigned long long)worst.preempt_off, worst.preempt_owner,
	       (unsigned long long)worst.irqs_off, worst.irqs_owner);
}

int main(void)
{
	measure("fixed", "fpu_clone=fixed", fork_some);
	measure("buggy", "fpu_clone=buggy", fork_some);
	measure("hold", "fpu_clone=fixed", hold);
	return 0;
}
