/* SPDX-License-Identifier: MIT */
/*
 * State on demand, as a program sees it: asking, the first use, and what fork, threads and exec
 * make of the permission and of the state. All that touches the state does so in children: a test
 * without permission ends its process, and the others start as they were born.
 */
#include "user/lib/dynstate.h"
#include "user/lib/ktap.h"

#define SIGILL		4
#define STACK_SIZE	65536
#define SEED		0x5eed
#define NEEDS_DYNAMIC								\
	do {									\
		if (!dyn_number())						\
			SKIP("nothing is dynamic here");			\
	} while (0)

/* Values over a switch: for a CPU that can save and load them, or some of them. */
#define NEEDS_SAVING								\
	do {									\
		NEEDS_DYNAMIC;							\
		if (run_child(check_saving, NULL) != EXITED(0))			\
			dyn_use_small_tiles();					\
	} while (0)

static void check_saving(void *arg __unused)
{
	if (dyn_request(dyn_number()) || !dyn_can_be_saved())
		_exit(9);
}

static u64 permitted(void)
{
	u64 mask = 0;

	EXPECT_EQ(dyn_permitted(&mask), 0);
	return mask;
}

static bool is_permitted(void)
{
	return permitted() & BIT(dyn_number());
}

static void use(void *seed)
{
	EXPECT(dyn_holds(0));
	dyn_put((long)seed);
	EXPECT(dyn_holds((long)seed));
}

static void just_use(void *seed)
{
	dyn_put((long)seed);
}

static void ask_and_use(void *seed)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	EXPECT(is_permitted());
	use(seed);
}

/* "--use": what a program may do after exec. Exit status 9: the state was not initial. */
int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--use"))
		return -1;
	if (is_permitted())
		return 8;
	dyn_put(SEED);
	return dyn_holds(SEED) ? 0 : 9;
}

/* ---- asking ---- */

#define SUPERVISOR	(BIT(8) | BIT(10) | BIT(11) | BIT(12))	/* PASID among them: xsave=soft */

static void ask_for_what_is_not_there(void *arg __unused)
{
	unsigned long number;
	u64 mask = 0;

	EXPECT_EQ(dyn_supported(&mask), 0);
	EXPECT((mask & 3) == 3);
	EXPECT_EQ(mask & SUPERVISOR, 0);
	EXPECT_EQ(permitted() & ~mask, 0);
	EXPECT_EQ(dyn_supported((u64 *)8), -EFAULT);
	EXPECT_EQ(dyn_permitted((u64 *)-4096), -EFAULT);
	for (number = 0; number < 20; number++)
		if ((int)number != dyn_number())
			EXPECT_EQ(dyn_request(number), -EOPNOTSUPP);
	EXPECT_EQ(dyn_request(20), -EINVAL);
	EXPECT_EQ(dyn_request(64), -EINVAL);
	EXPECT_EQ(dyn_request(-1UL), -EINVAL);
	EXPECT_EQ(syscall(SYS_arch_prctl, 0x10ff, 0), -EINVAL);
}

/* fails with: fault/request-any-number */
TEST(errors_are_linuxs)
{
	EXPECT_EQ(run_child(ask_for_what_is_not_there, NULL), EXITED(0));
}

static void ask_twice(void *arg __unused)
{
	u64 before = permitted(), after;

	EXPECT(!is_permitted());
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	after = permitted();
	EXPECT((after & ~before) & BIT(dyn_number()));
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	EXPECT_EQ(permitted(), after);
}

TEST(asking_gives_permission_and_twice_is_no_error)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(ask_twice, NULL), EXITED(0));
	EXPECT(!is_permitted());		/* the child's, not ours */
}

/* ---- first use ---- */

/* fails with: fault/first-use-without-permission */
TEST(without_permission_it_is_an_illegal_instruction)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(just_use, (void *)SEED), KILLED(SIGILL));
}

TEST(with_permission_it_works_and_starts_initial)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(ask_and_use, (void *)SEED), EXITED(0));
}

static void illegal(void *arg __unused)
{
	ask_and_use((void *)SEED);
	__asm__ volatile("ud2");
}

static void illegal_before_use(void *arg __unused)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	__asm__ volatile("ud2");
}

/* fails with: faulting_features() saying the group with the gate open, too: runs for ever */
TEST(an_illegal_instruction_stays_one)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(illegal, NULL), KILLED(SIGILL));
	EXPECT_EQ(run_child(illegal_before_use, NULL), KILLED(SIGILL));
}

/* By the XCR0 gate a program sees in XCR0 what it may use now; with XFD there is nothing to see. */
static void look_at_xcr0(void *arg __unused)
{
	u32 before, after, high;

	__asm__ volatile("xgetbv" : "=a"(before), "=d"(high) : "c"(0));
	ask_and_use((void *)SEED);
	__asm__ volatile("xgetbv" : "=a"(after), "=d"(high) : "c"(0));
	EXPECT(!(before & BIT(dyn_number())));
	EXPECT(after & BIT(dyn_number()));
}

TEST(xcr0_shows_the_gate)
{
	struct splat_info info;

	NEEDS_DYNAMIC;
	if (!on_splat(&info) || strcmp(info.fpu_gate, "XCR0"))
		SKIP("the gate is not XCR0");
	EXPECT_EQ(run_child(look_at_xcr0, NULL), EXITED(0));
}

/* ---- fork ---- */

static void fork_before_use(void *arg __unused)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	EXPECT_EQ(run_child(use, (void *)(SEED + 1)), EXITED(0));
	use((void *)SEED);
}

/* fails with: fpu_inherit_perms() doing nothing */
TEST(a_child_inherits_the_permission)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(fork_before_use, NULL), EXITED(0));
}

static void fork_after_use(void *arg __unused)
{
	ask_and_use((void *)SEED);
	/* The state is the caller's to save: a child starts with it initial. */
	EXPECT_EQ(run_child(use, (void *)(SEED + 1)), EXITED(0));
	EXPECT(dyn_holds(SEED));
}

TEST(a_child_inherits_no_state_and_takes_none_away)
{
	NEEDS_SAVING;
	EXPECT_EQ(run_child(fork_after_use, NULL), EXITED(0));
}

static void vfork_after_use(void *arg __unused)
{
	int status = -1;
	pid_t pid;

	ask_and_use((void *)SEED);
	pid = vfork();
	if (!pid) {
		bool initial = dyn_holds(0);

		dyn_put(SEED + 1);
		_exit(!initial || !dyn_holds(SEED + 1));
	}
	EXPECT_EQ(wait4(pid, &status, 0, NULL), pid);
	EXPECT_EQ(status, EXITED(0));
	EXPECT(dyn_holds(SEED));
}

TEST(a_child_of_vfork_has_its_own_state)
{
	NEEDS_SAVING;
	EXPECT_EQ(run_child(vfork_after_use, NULL), EXITED(0));
}

/* ---- threads ---- */

static int thread_ok;

static void thread_asks(void *arg __unused)
{
	thread_ok = dyn_request(dyn_number()) == 0 && dyn_holds(0);
	dyn_put(SEED + 1);
	for (int i = 0; i < 20; i++) {
		thread_ok &= dyn_holds(SEED + 1);
		sched_yield();
	}
}

static void ask_in_a_thread(void *arg __unused)
{
	struct thread t;

	ASSERT_EQ(thread_create(&t, thread_asks, NULL, STACK_SIZE), 0);
	while (t.tid && !is_permitted())
		sched_yield();
	EXPECT(is_permitted());
	if (is_permitted())
		use((void *)SEED);
	thread_join(&t);
	EXPECT(thread_ok);
	EXPECT(dyn_holds(SEED));
}

/* fails with: fault/permission-of-the-thread */
TEST(threads_share_the_permission_not_the_state)
{
	NEEDS_SAVING;
	EXPECT_EQ(run_child(ask_in_a_thread, NULL), EXITED(0));
}

#define THREADS 8
static int ready, went_well;

static void use_at_once(void *number)
{
	u64 seed = SEED + (long)number;
	u64 cpu = BIT(nth_cpu((long)number));
	bool ok;

	sched_setaffinity(0, cpu);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < THREADS)
		sched_yield();
	ok = dyn_holds(0);
	dyn_put(seed);
	for (int i = 0; i < 50; i++) {
		sched_yield();
		ok &= dyn_holds(seed);
		/* From CPU to CPU, also where others of us have been. */
		sched_setaffinity(0, BIT(nth_cpu((long)number + i)));
	}
	if (ok)
		__atomic_add_fetch(&went_well, 1, __ATOMIC_SEQ_CST);
}

static void many_at_once(void *arg __unused)
{
	struct thread t[THREADS];
	long i;

	EXPECT_EQ(dyn_request(dyn_number()), 0);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(thread_create(&t[i], use_at_once, (void *)i, STACK_SIZE), 0);
	for (i = 0; i < THREADS; i++)
		thread_join(&t[i]);
	EXPECT_EQ(went_well, THREADS);
}

/* fails with: fault/gate-stays-wide */
TEST(first_use_on_all_cpus_at_once)
{
	NEEDS_SAVING;
	EXPECT_EQ(run_child(many_at_once, NULL), EXITED(0));
}

static int children;

static void ask_after_some_forks(void *arg __unused)
{
	while (__atomic_load_n(&children, __ATOMIC_ACQUIRE) < 3)
		sched_yield();
	dyn_request(dyn_number());
}

static void look(void *permitted_before)
{
	/* What was permitted before the fork is; and what is, can be used. */
	EXPECT(is_permitted() || !permitted_before);
	if (is_permitted())
		use((void *)SEED);
}

/* Children before the request, at the same time, and after it. */
static void fork_while_asking(void *arg __unused)
{
	struct thread t;
	long before, after = 0;

	ASSERT_EQ(thread_create(&t, ask_after_some_forks, NULL, STACK_SIZE), 0);
	while (after < 3 && children < 1000) {
		before = is_permitted();
		EXPECT_EQ(run_child(look, (void *)before), EXITED(0));
		EXPECT(children || !before);
		__atomic_add_fetch(&children, 1, __ATOMIC_SEQ_CST);
		after += before;
	}
	thread_join(&t);
	EXPECT_EQ(after, 3);
}

/* fails with: fpu_inherit_perms() doing nothing */
TEST(one_thread_asks_while_another_forks)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(fork_while_asking, NULL), EXITED(0));
}

static int leader_gone;

static void outlives_the_leader(void *arg __unused)
{
	/* Until the leader is a zombie. */
	while (!__atomic_load_n(&leader_gone, __ATOMIC_ACQUIRE))
		sched_yield();
	for (int i = 0; i < 200; i++)
		sched_yield();
	if (!is_permitted())
		syscall(SYS_exit_group, 7);
	dyn_put(SEED);
	syscall(SYS_exit_group, dyn_holds(SEED) ? 5 : 6);
}

static void leader_dies(void *arg __unused)
{
	static struct thread t;

	EXPECT_EQ(dyn_request(dyn_number()), 0);
	ASSERT_EQ(thread_create(&t, outlives_the_leader, NULL, STACK_SIZE), 0);
	__atomic_store_n(&leader_gone, 1, __ATOMIC_RELEASE);
	syscall(SYS_exit, 0);
}

/* fails with: fault/exit-takes-the-permission */
TEST(permission_outlives_the_leader)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(leader_dies, NULL), EXITED(5));
}

/* ---- exec ---- */

static void exec_self(void *arg __unused)
{
	char *argv[] = { (char *)ktap_self, "--use", NULL }, *envp[] = { NULL };

	ask_and_use((void *)SEED);
	EXPECT_EQ(execve(ktap_self, argv, envp), 0);
}

/* fails with: fault/exec-keeps-the-permission */
TEST(exec_takes_the_permission_away)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(exec_self, NULL), KILLED(SIGILL));
}

static void thread_execs(void *arg __unused)
{
	exec_self(NULL);
}

static void exec_by_thread(void *arg __unused)
{
	static struct thread t;

	EXPECT_EQ(dyn_request(dyn_number()), 0);
	dyn_put(SEED);
	ASSERT_EQ(thread_create(&t, thread_execs, NULL, STACK_SIZE), 0);
	for (;;)
		sched_yield();
}

/* fails with: fault/exec-keeps-the-permission */
TEST(exec_by_a_thread_takes_it_away_too)
{
	NEEDS_DYNAMIC;
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(run_child(exec_by_thread, NULL), KILLED(SIGILL));
}

/* ---- cost ---- */

/* Several of each: four small buffers share a page. */
static void live_and_die(void)
{
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(run_child(ask_and_use, (void *)SEED), EXITED(0));
		EXPECT_EQ(run_child(exec_self, NULL), KILLED(SIGILL));
	}
	EXPECT_EQ(run_child(ask_in_a_thread, NULL), EXITED(0));
}

/* fails with: fault/exit-keeps-the-buffer, fault/exec-keeps-the-buffer */
TEST(exit_and_exec_give_the_buffer_back)
{
	struct splat_info info;

	NEEDS_SAVING;
	if (!on_splat(&info))
		SKIP("Linux does not tell");
	EXPECT(costs_no_page(live_and_die));
}

static void no_gate_writes(void *arg __unused)
{
	struct splat_info before, after;

	ask_and_use((void *)SEED);
	sched_yield();
	on_splat(&before);
	for (int i = 0; i < 100; i++)
		getpid();
	on_splat(&after);
	EXPECT_EQ(after.fpu_gate_writes - before.fpu_gate_writes, 0);
	EXPECT(after.fpu_restores - before.fpu_restores <= 1);
}

/* fails with: xfd_update_state() on each exit to ring 3 */
TEST(a_system_call_does_not_touch_the_gate)
{
	struct splat_info info;

	NEEDS_DYNAMIC;
	if (!on_splat(&info) || info.cpus > 1)
		SKIP("the counters are Splat's, and of all CPUs");
	EXPECT_EQ(run_child(no_gate_writes, NULL), EXITED(0));
}
