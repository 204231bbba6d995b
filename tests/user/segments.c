/* SPDX-License-Identifier: MIT */
/*
 * DS, ES, FS and GS, and the bases of FS and GS. A program changes them without a system call, so
 * what is switched, inherited and read back has to be what the registers hold, not what the kernel
 * was last told.
 */
#include "user/lib/ktap.h"

#define ARCH_SET_GS	0x1001
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004

/* Flat segments of ring 3, in Linux as here. Code that may be read may be loaded, too. */
#define DATA	0x2b
#define CODE	0x33

#define ROUNDS	20

struct segments {
	u16 ds, es, fs, gs;
};

static struct segments get(void)
{
	struct segments s;

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=m"(s.ds), "=m"(s.es), "=m"(s.fs), "=m"(s.gs));
	return s;
}

static void put(u16 selector)
{
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" :: "r"(selector));
}

static void expect_all(u16 selector)
{
	struct segments s = get();

	EXPECT_EQ(s.ds, selector);
	EXPECT_EQ(s.es, selector);
	EXPECT_EQ(s.fs, selector);
	EXPECT_EQ(s.gs, selector);
}

static u64 read_fs(unsigned long at)
{
	u64 value;

	__asm__ volatile("mov %%fs:(%1), %0" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static u64 read_gs(unsigned long at)
{
	u64 value;

	__asm__ volatile("mov %%gs:(%1), %0" : "=r"(value) : "r"(at) : "memory");
	return value;
}

static u64 base_of(int option)
{
	u64 base = 1;

	EXPECT_EQ(syscall(SYS_arch_prctl, option, &base), 0);
	return base;
}

/* Words to point at: by a base, or by their addresses where the base is 0. */
static u64 words[] = { 0x1111, 0x2222, 0x3333, 0x4444 };

static void set_bases(u64 *fs, u64 *gs)
{
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, fs), 0);
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, gs), 0);
}

static void expect_bases(u64 *fs, u64 *gs)
{
	EXPECT_EQ(read_fs((u64)words - (u64)fs), words[0]);
	EXPECT_EQ(read_gs((u64)words - (u64)gs), words[0]);
	EXPECT_EQ(base_of(ARCH_GET_FS), fs);
	EXPECT_EQ(base_of(ARCH_GET_GS), gs);
}

/* Several processes, all on one CPU, so that they follow each other there. */
static void run_together(void (*fn)(void *), int count)
{
	u64 cpus = sched_getaffinity(0);
	pid_t pids[4];

	sched_setaffinity(0, BIT(getcpu()));
	for (int i = 0; i < count; i++)
		pids[i] = start_child(fn, (void *)(long)i);
	for (int i = 0; i < count; i++)
		EXPECT_EQ(wait_child(pids[i]), EXITED(0));
	sched_setaffinity(0, cpus);
}

/* ---- the switch ---- */

static void keep_selectors(void *number)
{
	static const u16 selectors[] = { 0, DATA, CODE, 0 };
	u16 own = selectors[(long)number];

	put(own);
	for (int i = 0; i < ROUNDS; i++) {
		sched_yield();
		expect_all(own);
	}
}

/* fails with: fault/selectors-not-switched */
TEST(selectors_are_the_tasks_own)
{
	run_together(keep_selectors, 4);
}

static void keep_bases(void *number)
{
	u64 *fs = words + (long)number, *gs = words + 3 - (long)number;

	set_bases(fs, gs);
	for (int i = 0; i < ROUNDS; i++) {
		sched_yield();
		expect_bases(fs, gs);
	}
}

/* fails with: fault/gs-base-not-switched */
TEST(bases_are_the_tasks_own)
{
	run_together(keep_bases, 4);
}

/* Even ones load a selector, which makes the base 0, and the kernel is not told. */
static void keep_live_bases(void *number)
{
	u64 *fs = words + 1, *gs = words + 2;

	set_bases(fs, gs);
	sched_yield();
	if (!((long)number & 1)) {
		put(DATA);
		fs = gs = NULL;
	}
	for (int i = 0; i < ROUNDS; i++) {
		sched_yield();
		expect_bases(fs, gs);
	}
}

/* fails with: fault/fs-base-of-an-earlier-switch */
TEST(a_base_made_0_by_a_selector_stays_0)
{
	run_together(keep_live_bases, 4);
}

/* ---- arch_prctl() ---- */

/* As Linux has it: a base of one's own comes with a null selector. */
static void set_after_selectors(void *arg __unused)
{
	struct segments s;

	put(DATA);
	set_bases(words + 1, words + 2);
	s = get();
	EXPECT_EQ(s.fs, 0);
	EXPECT_EQ(s.gs, 0);
	EXPECT_EQ(s.ds, DATA);
	expect_bases(words + 1, words + 2);
	put(CODE);
	expect_bases(NULL, NULL);
}

/* fails with: fault/set-gs-keeps-the-selector */
TEST(setting_a_base_clears_the_selector)
{
	EXPECT_EQ(run_child(set_after_selectors, NULL), EXITED(0));
}

static void try_bad_addresses(void *arg __unused)
{
	static const u64 bad[] = { 0x7ffffffff000, 0x800000000000, 0xffff800000000000, -8UL };

	set_bases(words, words);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, bad[i]), -EPERM);
		EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, bad[i]), -EPERM);
		EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_GET_GS, bad[i]), -EFAULT);
		EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_GET_FS, bad[i]), -EFAULT);
		EXPECT_EQ(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, bad[i]), -EPERM);
	}
	expect_bases(words, words);
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7fffffffefff), 0);
	EXPECT_EQ(base_of(ARCH_GET_GS), 0x7fffffffefff);
}

/* fails with: fault/settls-unchecked, fault/gs-base-anywhere */
TEST(bad_addresses_are_refused)
{
	EXPECT_EQ(run_child(try_bad_addresses, NULL), EXITED(0));
}

/* ---- fork, clone, exec ---- */

static u64 *inherited_fs, *inherited_gs;

static void expect_inherited(void *selector)
{
	expect_all((long)selector);
	expect_bases(inherited_fs, inherited_gs);
	sched_yield();
	expect_all((long)selector);
	expect_bases(inherited_fs, inherited_gs);
}

/* By fork(), vfork() and as a thread. */
static void expect_all_inherit(long selector)
{
	static struct thread t;
	pid_t pid;

	EXPECT_EQ(run_child(expect_inherited, (void *)selector), EXITED(0));
	flush();
	pid = vfork();
	if (!pid) {
		int before = ktap_failures;

		expect_inherited((void *)selector);
		_exit(ktap_failures != before);
	}
	EXPECT_EQ(wait_child(pid), EXITED(0));
	ASSERT_EQ(thread_create(&t, expect_inherited, (void *)selector, 16384), 0);
	thread_join(&t);
	expect_inherited((void *)selector);
}

static void make_all_kinds(void *arg __unused)
{
	inherited_fs = words + 1;
	inherited_gs = words + 2;
	set_bases(inherited_fs, inherited_gs);
	put(0);
	set_bases(inherited_fs, inherited_gs);
	expect_all_inherit(0);		/* many switches */
	inherited_fs = inherited_gs = NULL;
	put(DATA);
	expect_all_inherit(DATA);
}

/* fails with: fault/fork-inherits-what-was-switched */
TEST(a_child_inherits_what_is_live)
{
	EXPECT_EQ(run_child(make_all_kinds, NULL), EXITED(0));
}

static void make_a_child_with_tls(void *arg __unused)
{
	struct segments s;
	pid_t pid;

	put(DATA);
	flush();
	pid = syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, words + 1);
	if (!pid) {
		s = get();
		EXPECT_EQ(s.fs, 0);
		EXPECT_EQ(s.gs, DATA);
		expect_bases(words + 1, NULL);
		exit(ktap_failures ? 1 : 0);
	}
	EXPECT_EQ(wait_child(pid), EXITED(0));
	expect_all(DATA);
	expect_bases(NULL, NULL);
}

/* fails with: fault/settls-keeps-the-selector */
TEST(clone_settls_is_a_base_with_a_null_selector)
{
	EXPECT_EQ(run_child(make_a_child_with_tls, NULL), EXITED(0));
}

/* "--new": what a program finds when it starts. */
int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--new"))
		return -1;
	for (int i = 0; i < 3; i++) {
		expect_all(0);
		expect_bases(NULL, NULL);
		sched_yield();
	}
	return ktap_failures ? 1 : 0;
}

static void exec_self(void *selector)
{
	char *argv[] = { (char *)ktap_self, "--new", NULL }, *envp[] = { NULL };

	set_bases(words + 1, words + 2);
	if (selector)
		put((long)selector);
	if (!ktap_failures)
		execve(ktap_self, argv, envp);
	_exit(7);
}

/* fails with: fault/exec-keeps-the-base, fault/exec-keeps-a-selector */
TEST(a_new_program_starts_with_none)
{
	EXPECT_EQ(run_child(exec_self, NULL), EXITED(0));
	EXPECT_EQ(run_child(exec_self, (void *)DATA), EXITED(0));
}

/* ---- WRFSBASE and WRGSBASE ---- */

#define NEEDS_FSGSBASE							\
	do {									\
		if (run_child(use_fsgsbase, NULL) != EXITED(0))			\
			SKIP("RDFSBASE is no instruction of this CPU, or not switched on");	\
	} while (0)

#define RDFSBASE(v)	__asm__ volatile("rdfsbase %0" : "=r"(v))
#define RDGSBASE(v)	__asm__ volatile("rdgsbase %0" : "=r"(v))
#define WRFSBASE(v)	__asm__ volatile("wrfsbase %0" :: "r"(v))
#define WRGSBASE(v)	__asm__ volatile("wrgsbase %0" :: "r"(v))

static void use_fsgsbase(void *arg __unused)
{
	u64 base;

	RDFSBASE(base);
	(void)base;
}

/* Upper-half ones look like the kernel's own; they are as good as any. */
static const u64 bases[] = { 0x1000, 0xffff888000000000, 0xffffffff81000000, 0x7fffffffe000 };

static void expect_written(u64 fs, u64 gs)
{
	u64 got;

	RDFSBASE(got);
	EXPECT_EQ(got, fs);
	RDGSBASE(got);
	EXPECT_EQ(got, gs);
}

static void keep_written(void *number)
{
	u64 fs = bases[(long)number] + 8, gs = bases[(long)number] + 16;

	WRFSBASE(fs);
	WRGSBASE(gs);
	for (int i = 0; i < ROUNDS; i++) {
		sched_yield();
		expect_written(fs, gs);
		EXPECT_EQ(base_of(ARCH_GET_FS), fs);
		EXPECT_EQ(base_of(ARCH_GET_GS), gs);
	}
}

/* fails with: fault/gs-base-not-switched */
TEST(written_bases_are_the_tasks_own)
{
	NEEDS_FSGSBASE;
	run_together(keep_written, 4);
}

static void expect_first(void *arg __unused)
{
	expect_written(bases[1], bases[2]);
	sched_yield();
	expect_written(bases[1], bases[2]);
}

static void fork_with_written(void *arg __unused)
{
	WRFSBASE(bases[1]);
	WRGSBASE(bases[2]);
	EXPECT_EQ(run_child(expect_first, NULL), EXITED(0));
	expect_first(NULL);
}

/* fails with: copy_thread() taking what the last switch has put aside */
TEST(a_child_inherits_written_bases)
{
	NEEDS_FSGSBASE;
	EXPECT_EQ(run_child(fork_with_written, NULL), EXITED(0));
}

static void exec_with_written(void *arg __unused)
{
	WRFSBASE(bases[1]);
	WRGSBASE(bases[2]);
	exec_self((void *)DATA);
}

TEST(exec_takes_written_bases_away)
{
	NEEDS_FSGSBASE;
	EXPECT_EQ(run_child(exec_with_written, NULL), EXITED(0));
}

static volatile bool other_ran;

static void other(void *arg __unused)
{
	other_ran = true;
}

/* All ways into the kernel: calls, page faults, the timer, a fault that ends the process. */
static void enter_with_own_base(void *number)
{
	u64 gs = bases[(long)number], now;
	static struct thread t;
	char *page;

	sched_setaffinity(0, BIT(getcpu()));
	WRGSBASE(gs);
	for (int i = 0; i < ROUNDS; i++) {
		page = mmap_anon(PAGE_SIZE);
		page[i] = 1;
		EXPECT_EQ(munmap(page, PAGE_SIZE), 0);
	}
	ASSERT_EQ(thread_create(&t, other, NULL, 16384), 0);
	while (!other_ran)
		;			/* the timer lets it run: on one CPU nothing else can */
	RDGSBASE(now);
	EXPECT_EQ(now, gs);
	if (!ktap_failures)
		__asm__ volatile("ud2");
}

TEST(the_kernel_is_entered_with_any_gs_base)
{
	NEEDS_FSGSBASE;
	for (long i = 0; i < (long)ARRAY_SIZE(bases); i++)
		EXPECT_EQ(run_child(enter_with_own_base, (void *)i), KILLED(SIGILL));
}
