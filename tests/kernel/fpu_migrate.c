/* SPDX-License-Identifier: MIT */
/*
 * The rows of the ownership table (arch/x86/fpu/core/regs.h) under migration: current leaves its
 * registers on CPU "here", something happens on CPU "there", and it comes back. The owner pointer
 * here still names it then, rightly or not: only last_cpu can tell.
 *
 * No step depends on time: each move is over when move_to() returns.
 */
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "kernel/debug/scrub.h"
#include "kernel/locking/wait.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(fpu_migrate);

/* --- Moving --- */

struct cpu_pair {
	unsigned int here, there;
	u64 cpus_mask;
};

static struct cpu_pair two_cpus(void)
{
	unsigned int cpu = smp_processor_id();

	return (struct cpu_pair){ cpu, (cpu + 1) % nr_cpus, current->cpus_mask };
}

static void move_back(struct cpu_pair *pair)
{
	set_cpus_allowed(current, pair->cpus_mask);
}

/*
 * The scrubber takes the registers of any CPU at any tick. Off, and a few ticks on nothing of it is
 * left: the test is not a real-time task yet, which could hold it up.
 */
static bool stop_scrubber(void)
{
	bool on = scrub_is_on();

	if (on) {
		option_set_runtime("scrub=off");
		sleep_ns(20000000);
	}
	return on;
}

static void restart_scrubber(bool *on)
{
	if (*on)
		option_set_runtime("scrub=on");
}

/*
 * For the rest of this block the test may move, and nobody takes registers but itself. Things end
 * in the opposite order: KEEP_USER_FPU must end where it began.
 */
#define TWO_CPUS										\
	if (nr_cpus < 2)									\
		KSKIP("there is one CPU");							\
	bool __scrubber __unused __attribute__((cleanup(restart_scrubber))) = stop_scrubber();	\
	RUN_ON(BIT(0));			/* each run is like the one in lab 2's handout */	\
	KEEP_USER_FPU;										\
	struct cpu_pair cpu __attribute__((cleanup(move_back))) = two_cpus()

#define move_to(cpu)										\
	do {											\
		KEXPECT_EQ(set_cpus_allowed(current, BIT(cpu)), 0);				\
		KEXPECT_EQ(smp_processor_id(), cpu);						\
	} while (0)

/* What a kernel thread does on another CPU while the test sleeps. */
struct errand {
	void (*fn)(struct task_struct *intruder);
	struct task_struct *intruder;
	struct completion go, done;
};

static int errand_main(void *arg)
{
	struct errand *errand = arg;

	wait_for_completion(&errand->go);
	errand->fn(errand->intruder);
	complete(&errand->done);
	return 0;
}

static void run_on(struct ktest_run *kt, unsigned int cpu, void (*fn)(struct task_struct *intruder),
		   struct task_struct *intruder)
{
	static struct errand errand;
	struct task_struct *thread;

	errand = (struct errand){ .fn = fn, .intruder = intruder };
	init_completion(&errand.go);
	init_completion(&errand.done);
	thread = kthread_create(errand_main, &errand, "fpu_errand");
	if (IS_ERR(thread)) {
		KFAIL("no thread: %ld", PTR_ERR(thread));
		return;
	}
	KEXPECT_EQ(set_cpus_allowed(thread, BIT(cpu)), 0);
	complete(&errand.go);
	wait_for_completion(&errand.done);
	put_task_struct(thread);
}

static void do_nothing(struct task_struct *unused)
{
}

static void use_the_fpu(struct task_struct *unused)
{
	kernel_fpu_begin();
	load_regs(INTRUDER);
	kernel_fpu_end();
}

static void load_intruder(struct task_struct *intruder)
{
	fpregs_lock();
	load_regs(INTRUDER);
	this_cpu_write(fpu_fpregs_owner_ctx, &intruder->thread.fpu);
	intruder->thread.fpu.last_cpu = smp_processor_id();
	fpregs_unlock();
}

/* --- Rows --- */

enum row { LIVE, BOTH, MEMORY, NR_ROWS };
static const char *const row_names[] = { "registers", "both", "memory" };

static void start_in(enum row row, struct task_struct *intruder)
{
	if (row == LIVE)
		own_in_registers();
	else if (row == BOTH)
		own_in_both(OWN);
	else
		own_in_memory(intruder);
}

#define FOR_EACH_ROW(row, intruder)								\
	for (enum row row = LIVE; row < NR_ROWS && (start_in(row, intruder), true); row++)

#define NAME_ROW(row, before)									\
	do {											\
		if (kt->complaints != (before))							\
			KFAIL("... starting in row \"%s\"", row_names[row]);			\
	} while (0)

static unsigned int sum_of_saves(void)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < nr_cpus; i++)
		sum += READ_ONCE(cpus[i].fpu_saves);
	return sum;
}

/* On its way to ring 3 current needs @loads loads, and then has @who in its registers. */
#define EXPECT_USER(loads, who)									\
	do {											\
		KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));					\
		KEXPECT_EQ(restores_to_user(), loads);						\
		KEXPECT(fpu_valid());								\
		EXPECT_REGS(who);								\
	} while (0)

/*
 * --- Away and back: what happens meanwhile, by whom and where, and what current needs for ring 3
 * when it is here again ---
 */

struct trip {
	void (*thread_there)(struct task_struct *intruder);	/* a kernel thread's, or NULL */
	void (*thread_here)(struct task_struct *intruder);
	void (*own_there)(struct ktest_run *kt);	/* current's own, or NULL */
	enum { SELF, INTRUDERS, NOBODYS } owner;	/* whose the registers here are then */
	unsigned int loads[NR_ROWS];			/* for ring 3, by the row at the start */
	bool execs;					/* the old values are not wanted */
};

static void take_trip(struct ktest_run *kt, const struct trip *trip)
{
	TWO_CPUS;
	struct task_struct *intruder = fake_task();
	struct fpu *owners[] = { own_fpu(), &intruder->thread.fpu, NULL };

	FOR_EACH_ROW(row, intruder) {
		unsigned int before = kt->complaints, saves = sum_of_saves();

		move_to(cpu.there);
		KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
		KEXPECT(!fpu_valid());
		EXPECT_IMAGE(own_fpu()->fpstate, OWN);
		KEXPECT_EQ(sum_of_saves() - saves, row == LIVE);
		if (trip->thread_there)
			run_on(kt, cpu.there, trip->thread_there, intruder);
		if (trip->thread_here)
			run_on(kt, cpu.here, trip->thread_here, intruder);
		if (trip->own_there)
			trip->own_there(kt);
		move_to(cpu.here);
		if (row != MEMORY || trip->owner != SELF)
			KEXPECT_EQ(fpu_owner(), owners[trip->owner]);
		EXPECT_USER(trip->loads[row], trip->execs ? INIT : OWN);
		NAME_ROW(row, before);
	}
	kfree(intruder);
}

#define TRIP(name, ...)										\
	KTEST(name) { take_trip(kt, &(const struct trip){ __VA_ARGS__ }); }

/*
 * Nobody else loaded here, and nothing was loaded there: what was left is still true.
 * fails with: __switch_to() clearing fpu_fpregs_owner_ctx
 */
TRIP(registers_left_behind_are_found_again, .loads = { [MEMORY] = 1 })

/*
 * A switch there, with a kernel thread in between: it loads nothing, here or there.
 * fails with: switch_fpu_prepare() setting last_cpu whatever the flag says
 */
TRIP(kthreads_on_both_cpus_change_nothing, .thread_there = do_nothing, .thread_here = do_nothing,
     .loads = { [MEMORY] = 1 })

/* fails with: fpregs_state_valid() looking at last_cpu only */
TRIP(another_task_here_makes_us_load, .thread_here = load_intruder, .owner = INTRUDERS,
     .loads = { 1, 1, 1 })

static void exec(struct ktest_run *kt)
{
	fpu_flush_thread();
	KEXPECT_EQ(own_fpu()->last_cpu, -1U);
}

/*
 * Linux 6.1's exec bug (1f69383b203e): exec reset memory and the CPU that it ran on, but the old
 * registers were live on another one, and the new program got them there.
 * fails with: fpu_flush_thread() with __cpu_invalidate_fpregs_state() in place of the task's
 */
TRIP(exec_there_starts_clean_here, .own_there = exec, .loads = { 1, 1, 1 }, .execs = true)

static void exec_and_go_to_ring_3(struct ktest_run *kt)
{
	exec(kt);
	EXPECT_USER(1, INIT);
}

/* The new program has been in ring 3 there before it comes here. */
TRIP(exec_and_ring_3_there_stay_clean_here, .own_there = exec_and_go_to_ring_3,
     .loads = { 1, 1, 1 }, .execs = true)

static void compute_in_the_kernel(struct ktest_run *kt)
{
	use_the_fpu(NULL);
	KEXPECT_EQ(fpu_owner(), NULL);
}

/* fails with: kernel_fpu_begin() invalidating the task */
TRIP(kernel_fpu_there_leaves_here_alone, .own_there = compute_in_the_kernel,
     .loads = { [MEMORY] = 1 })

/* fails with: kernel_fpu_begin() without __cpu_invalidate_fpregs_state() */
TRIP(kernel_fpu_here_makes_us_load, .thread_here = use_the_fpu, .owner = NOBODYS,
     .loads = { 1, 1, 1 })

/* --- Newer values elsewhere --- */

/*
 * The Go bug's kind: the task was in ring 3 there and has newer values; the owner here still names
 * it, but its registers here are old. Then the same the other way round.
 * fails with: fault/last-cpu-any
 */
KTEST(a_stale_owner_is_not_believed)
{
	TWO_CPUS;

	own_in_both(STALE);
	restores_to_user();
	move_to(cpu.there);
	EXPECT_USER(1, STALE);
	KEXPECT_EQ(own_fpu()->last_cpu, cpu.there);
	load_regs(OWN);					/* ring 3 computes */

	move_to(cpu.here);
	KEXPECT_EQ(fpu_owner(), own_fpu());
	EXPECT_REGS(STALE);				/* as they were left */
	KEXPECT(!fpu_valid());
	EXPECT_USER(1, OWN);
	load_regs(INTRUDER);

	move_to(cpu.there);
	KEXPECT_EQ(fpu_owner(), own_fpu());
	EXPECT_REGS(OWN);
	EXPECT_USER(1, INTRUDER);
}

/* --- fork, exit --- */

/*
 * The parent's registers are on another CPU than fork: they come from memory, for both.
 * fails with: save_parent_regs() not looking at the flag
 */
KTEST(fork_there_copies_what_is_true)
{
	TWO_CPUS;
	KEEP_WORLD;
	struct task_struct *intruder = fake_task();

	set_world("fixed", "off");
	FOR_EACH_ROW(row, intruder) {
		unsigned int before = kt->complaints;
		struct task_struct *child;

		move_to(cpu.there);
		child = clone_child(KIND_FORK);
		EXPECT_IMAGE(child->thread.fpu.fpstate, OWN);
		KEXPECT_EQ(child->thread.fpu.last_cpu, -1U);
		expect_parent_intact(kt);
		KEXPECT_EQ(own_fpu()->last_cpu, cpu.there);
		move_to(cpu.here);
		EXPECT_USER(1, OWN);
		NAME_ROW(row, before);
		kfree(child);
	}
	kfree(intruder);
}

/*
 * A task dies there while the owner here still names it. A child gets its memory, and must not get
 * its registers.
 * fails with: fpu_clone() without __fpu_invalidate_fpregs_state()
 */
KTEST(recycled_memory_owns_nothing)
{
	TWO_CPUS;
	KEEP_WORLD;
	struct task_struct *task = fake_task();
	struct fpu *fpu = &task->thread.fpu;

	set_world("fixed", "off");
	load_intruder(task);
	move_to(cpu.there);
	fpu__drop(fpu);			/* the owner there is none of its business */
	KEXPECT_EQ(fpu->last_cpu, cpu.here);
	own_in_registers();
	fpu_clone(task, 0, false);
	move_to(cpu.here);
	fpregs_lock();
	KEXPECT_EQ(fpu_owner(), fpu);			/* stale */
	KEXPECT(!fpregs_state_valid(fpu, cpu.here));
	fpregs_unlock();
	EXPECT_IMAGE(fpu->fpstate, OWN);
	kfree(task);
}

/* fails with: fpu__drop() clearing the owner whoever it is */
KTEST(exit_there_takes_nothing_from_others)
{
	TWO_CPUS;
	struct task_struct *task = fake_task();

	load_intruder(task);
	move_to(cpu.there);
	own_in_registers();
	fpu__drop(&task->thread.fpu);
	KEXPECT_EQ(fpu_owner(), own_fpu());
	EXPECT_REGS(OWN);
	kfree(task);
}

/* --- The kernel's own use --- */

/* Ring 3 there, then the kernel there: saved once, and loaded from memory here. */
KTEST(kernel_fpu_saves_live_registers_there)
{
	TWO_CPUS;
	unsigned int saves;

	own_in_both(STALE);
	restores_to_user();
	move_to(cpu.there);
	restores_to_user();
	load_regs(OWN);
	saves = sum_of_saves();
	use_the_fpu(NULL);
	move_to(cpu.here);
	KEXPECT_EQ(sum_of_saves() - saves, 1);
	EXPECT_USER(1, OWN);
}
