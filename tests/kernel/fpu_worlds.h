/* SPDX-License-Identifier: MIT */
/*
 * Children for the tests of fork's half of the FPU: made in every world of the options that
 * fpu_clone() goes by, in every way there is to make one.
 *
 * fpu_clone() is called on a child that never runs. What it does with a real one is in
 * tests/user/vec.c.
 */
#pragma once

#include "arch/x86/irqflags.h"
#include "kernel/fork.h"
#include "lib/options.h"
#include "tests/kernel/fpu_regs.h"

/* --- Worlds --- */

struct world {
	const char *order, *dynamic;
};
static const struct world worlds[] = {
	{ "fixed", "off" },
	{ "buggy", "off" },
	{ "fixed", "force" },
	{ "fixed", "auto" },
};

static inline void set_world(const char *order, const char *dynamic)
{
	char text[32];

	snprintf(text, sizeof(text), "fpu_clone=%s", order);
	BUG_ON(option_set_runtime(text));
	snprintf(text, sizeof(text), "dynamic=%s", dynamic);
	BUG_ON(option_set_runtime(text));
}

static inline void put_back_world(struct world *old)
{
	set_world(old->order, old->dynamic);
}

/* The options come back at the end of this block, by any way. The names are constants. */
#define KEEP_WORLD										\
	struct world __world __unused __attribute__((cleanup(put_back_world))) =		\
		{ fpu_clone_order_name(), fpu_dynamic_name() }

/* --- Ways to make a child --- */

struct kind {
	const char *name;
	unsigned long flags;
	bool minimal;
};
static const struct kind kinds[] = {
	{ "fork", 0, false },
	{ "vfork", CLONE_VM | CLONE_VFORK, false },
	{ "thread", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, false },
	{ "kernel function", 0, true },
	{ "kernel function, shared memory", CLONE_VM, true },
	{ "process that shares signal handlers", CLONE_VM | CLONE_SIGHAND, false },
};
#define KIND_FORK	(&kinds[0])
#define KIND_THREAD	(&kinds[2])
#define KIND_MINIMAL	(&kinds[3])

/* What nothing may be written to, behind a child's image: as much as a header would take. */
#define BEHIND		(XSAVE_MIN_SIZE - XSAVE_HDR_OFFSET)

/* As dup_task_struct() makes it: a copy of current up to the FPU part, flag included, and zeros. */
static inline struct task_struct *new_child(void)
{
	struct task_struct *child = kzalloc(task_struct_size() + BEHIND, GFP_KERNEL);

	BUG_ON(!child);
	memcpy(child, current, offsetof(struct task_struct, thread.fpu));
	return child;
}

static inline struct task_struct *clone_child(const struct kind *kind)
{
	struct task_struct *child = new_child();

	fpu_clone(child, kind->flags, kind->minimal);
	return child;
}

/*
 * Run the statement in each world, and in each for every @kind. In buggy order with dynamic=force,
 * the world of the seed, all is the same but for the report: that has its own test.
 */
#define FOR_EACH_WORLD_AND_KIND(kind)								\
	for (const struct world *__w = worlds; __w < worlds + ARRAY_SIZE(worlds); __w++)	\
		for (const struct kind *kind = (set_world(__w->order, __w->dynamic), kinds);	\
		     kind < kinds + ARRAY_SIZE(kinds); kind++)

/* Name the combination once, after what failed in it. */
#define NAME_FAILURES(kind, before)								\
	do {											\
		if (kt->complaints != (before))							\
			KFAIL("... kind %s, fpu_clone=%s, dynamic=%s", (kind)->name,		\
			      fpu_clone_order_name(), fpu_dynamic_name());			\
	} while (0)

/* A parent whose registers were copied: they are live and its own, and no lock is held. */
static inline void expect_parent_intact(struct ktest_run *kt)
{
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(fpu_valid());
	EXPECT_REGS(OWN);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
}
