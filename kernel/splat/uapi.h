/* SPDX-License-Identifier: MIT */
/*
 * What ring 3 and the kernel agree on beyond Linux's own system calls.
 *
 * Numbers above 1000 are Splat's: they choose the world at run time and read what the kernel
 * counted, so that no test has to parse text to know what happened. Included by kernel and user
 * programs alike.
 */
#pragma once

#include <stdint.h>

/*
 * splat_setopt("name=value"): set a boot option at run time. -EINVAL: unknown or bad value; -EPERM:
 * boot only; -EBUSY: an in-kernel test suite runs.
 */
#define SYS_splat_setopt		1001
/* splat_info(struct splat_info *, size): copy min(size, sizeof) bytes. */
#define SYS_splat_info			1002
/* splat_ratelimit_reset(): let the next might_sleep report print at once. */
#define SYS_splat_ratelimit_reset	1003
/*
 * splat_hold_siglock(steps): take the group's siglock, and let go when a task waits for it or, if
 * @steps is not 0, after that many steps of a loop instead. -EBUSY: with rt=off the waiter would
 * need another CPU, and there is none.
 */
#define SYS_splat_hold_siglock		1004
/*
 * splat_await_siglock(): sleep until a thread of the group holds the lock in splat_hold_siglock().
 */
#define SYS_splat_await_siglock		1005
/*
 * splat_ktest(op, index, struct splat_ktest *): the in-kernel test suites. Running one: -EBUSY if
 * another process does; -EINVAL if the caller is not the only thread of its process.
 */
#define SYS_splat_ktest			1006
/*
 * splat_readdir(index, char *name, size): the index-th path of the initramfs; its length, or
 * -ENOENT.
 */
#define SYS_splat_readdir		1007

/* splat_latency(struct splat_latency *): the longest sections since "latency=on" was set. */
#define SYS_splat_latency		1008

/* In steps of the TSC, with "symbol+offset/size" of the place where the section began. */
struct splat_latency {
	uint64_t preempt_off, irqs_off;
	char preempt_owner[64], irqs_owner[64];
};

#define SPLAT_KTEST_COUNT	0	/* returns the number of suites */
#define SPLAT_KTEST_NAME	1	/* fills in name */
#define SPLAT_KTEST_RUN		2	/* runs it (prints KTAP, indented by two), fills in all */

struct splat_ktest {
	char name[32];
	uint32_t run, failed, skipped;
};

/* Kinds of report. Each is counted before any rate limit. */
enum splat_kind {
	SPLAT_MIGHT_SLEEP,	/* sleeping function called from invalid context */
	SPLAT_ATOMIC_SCHED,	/* scheduling while atomic */
	SPLAT_UNDERFLOW,	/* preempt_count would go below zero */
	SPLAT_CORRUPTED,	/* preempt_count changed in a switch, a softirq or a timer */
	SPLAT_STATE,		/* blocking call while task->state is not RUNNING */
	SPLAT_WARN,		/* any other WARN */
	SPLAT_LOCKUP,		/* a CPU is stuck, or waits too long for a raw lock */
	SPLAT_HUNG_TASK,	/* a task waits too long */
	SPLAT_UBSAN,		/* undefined behaviour: kernel/debug/ubsan.c */
	SPLAT_KINDS
};

struct splat_info {
	uint64_t splats[SPLAT_KINDS];
	/* Memory, in pages. */
	uint64_t pages_total, pages_free;
	/* Scheduler and locks. */
	uint64_t switches, preemptions, boosts, lock_waits, forks;
	/* FPU: executions since boot, and the configuration. */
	uint64_t fpu_saves, fpu_restores, fpu_clone_saves;
	uint64_t xfeatures;		/* available: XCR0 and XSS; 3 with FXSAVE */
	uint32_t fpu_kernel_size, fpu_user_size;
	char fpu_save_form[16];		/* "FXSAVE", "XSAVE", ..., "soft XSAVES" */
	char fpu_clone[8], dynamic[8];	/* the options as they stand */
	char cpu_name[52];
	uint32_t cpus;
	uint32_t hz;
	uint32_t rt;			/* 1: PREEMPT_RT */
	/*
	 * The calling group's siglock: how often it was taken, how often not at once, and the
	 * preempt_count when it was last taken, before the lock added its own.
	 */
	uint32_t siglock_acquired, siglock_contended;
	int32_t siglock_preempt_count;
	uint64_t migrations;		/* tasks that continued on another CPU */
	uint64_t xfd;			/* dynamic features: off until asked for, ... */
	char fpu_gate[16];		/* ... by "XCR0" or "IA32_XFD"; "none" */
	uint64_t fpu_gate_writes;
	uint64_t seed;			/* option "seed=": what tests take their values from */
	uint32_t siglock_sleeps;	/* 1: rt=on, and not siglock=raw */
};
