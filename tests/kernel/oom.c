/* SPDX-License-Identifier: MIT */
/*
 * Out of memory in fork, exec and the memory calls: each allocation on the way fails once, and each
 * time the caller gets -ENOMEM, nothing is left behind and nothing of the parent's is lost.
 */
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/mm/pages.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/ktest.h"
#include "kernel/vm/mm.h"
#include "lib/errno.h"

KTEST_SUITE(oom);

#define MANY	1000

static int just_exit(void *unused)
{
	do_exit(0);
}

/* In the child: which allocation of exec fails? */
static int exec_with_failure(void *arg)
{
	static const char *const argv[] = { "/bin/false", NULL };
	int ret;

	fail_nth_alloc((long)arg);
	ret = kernel_execve("/bin/echo", argv, argv + 1);
	fail_nth_alloc(0);
	if (ret)
		do_exit((ret == -ENOMEM ? 12 : 1) << 8);
	return 0;
}

/* Fork a task that starts in @fn, wait for it. Its status, or the error of fork. */
static int run_child(struct ktest_run *kt, int (*fn)(void *arg), long arg)
{
	int status = -1;
	pid_t pid = kernel_clone(&(struct kernel_clone_args){
		.fn = fn, .fn_arg = (void *)arg, .name = "oom" });

	fail_nth_alloc(0);
	if (pid < 0)
		return pid;
	KEXPECT_EQ(do_wait(pid, &status, 0), pid);
	do_sched_yield();			/* it leaves its stack, and the memory comes back */
	return status;
}

/* fails with: copy_process() forgetting mmput() when a later step fails */
KTEST(fork_fails_cleanly_at_each_allocation)
{
	u64 before;
	int n, ret = -ENOMEM;

	KEXPECT_EQ(run_child(kt, just_exit, 0), 0);
	before = nr_free_pages();
	for (n = 1; n < MANY && ret == -ENOMEM; n++) {
		fail_nth_alloc(n);
		ret = run_child(kt, just_exit, 0);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT_EQ(ret, 0);
	KEXPECT_GE(n, 10);			/* we did get somewhere */
}

/* fails with: kernel_execve() forgetting mmput() when a later step fails */
KTEST(exec_fails_cleanly_at_each_allocation)
{
	u64 before;
	int n, ret = 12 << 8;

	KEXPECT_EQ(run_child(kt, exec_with_failure, 0), 0);
	before = nr_free_pages();
	for (n = 1; n < MANY && ret == 12 << 8; n++) {
		ret = run_child(kt, exec_with_failure, n);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT_EQ(ret, 0);
	KEXPECT_GE(n, 10);
}

/* --- Memory calls, on an address space that nobody runs in --- */

#define AT		0x10000000UL
#define FAR		0x20000000000UL		/* no table of AT's helps there */
#define PAGES		5
#define MIDDLE		(AT + 2 * PAGE_SIZE)
#define RW		(VM_READ | VM_WRITE)

static struct mm_struct *other;			/* shares the pages, once something forked */

static long op_munmap(struct mm_struct *mm)
{
	return mm_munmap(mm, MIDDLE, PAGE_SIZE);
}

static long op_mprotect(struct mm_struct *mm)
{
	return mm_mprotect(mm, MIDDLE, PAGE_SIZE, VM_READ);
}

static long op_mmap(struct mm_struct *mm)
{
	long addr = mm_mmap(mm, 0, PAGE_SIZE, RW, false);

	return addr < 0 ? addr : 0;
}

static long op_mmap_fixed(struct mm_struct *mm)
{
	return mm_mmap(mm, MIDDLE, PAGE_SIZE, VM_READ, true) == (long)MIDDLE ? 0 : -ENOMEM;
}

static long op_brk(struct mm_struct *mm)
{
	return mm_brk(mm, FAR + 3 * PAGE_SIZE) == FAR + 3 * PAGE_SIZE ? 0 : -ENOMEM;
}

static long op_touch(struct mm_struct *mm)
{
	return handle_mm_fault(mm, FAR, VM_WRITE);
}

static long op_copy(struct mm_struct *mm)
{
	if (!other)
		other = mm_dup(mm);
	if (IS_ERR(other)) {
		long ret = PTR_ERR(other);

		other = NULL;
		return ret;
	}
	return handle_mm_fault(mm, AT, VM_WRITE);
}

static const struct memory_op {
	const char *name;
	long (*call)(struct mm_struct *mm);
	bool adds_tables;			/* they stay as long as the address space */
	int allocations;			/* at least */
} ops[] = {
	{ "munmap", op_munmap, false, 1 }, { "mprotect", op_mprotect, false, 2 },
	{ "mmap", op_mmap, false, 1 }, { "mmap, fixed", op_mmap_fixed, false, 2 },
	{ "brk", op_brk, false, 1 }, { "a first touch", op_touch, true, 4 },
	{ "fork and copy-on-write", op_copy, true, 6 },
};

static struct mm_struct *make_mm(struct ktest_run *kt)
{
	struct mm_struct *mm = mm_alloc();

	KEXPECT(mm);
	mm->start_brk = mm->brk = FAR + PAGE_SIZE;
	KEXPECT_EQ(mm_mmap(mm, AT, PAGES * PAGE_SIZE, RW, true), (long)AT);
	KEXPECT_EQ(mm_mmap(mm, FAR, PAGE_SIZE, VM_READ | VM_WRITE | VM_EXEC, true), (long)FAR);
	for (int i = 0; i < PAGES; i++)
		KEXPECT_EQ(handle_mm_fault(mm, AT + i * PAGE_SIZE, VM_WRITE), 0);
	return mm;
}

/* The @n-th allocation of @op fails. Returns what it returned. */
static long fail_one(struct ktest_run *kt, const struct memory_op *op, int n)
{
	struct mm_struct *mm = make_mm(kt);
	u64 before = nr_free_pages();
	unsigned int areas = mm->nr_areas;
	long ret;

	fail_nth_alloc(n);
	ret = op->call(mm);
	fail_nth_alloc(0);
	if (ret) {
		KEXPECT_EQ(ret, -ENOMEM);
		KEXPECT_EQ(mm->nr_areas, areas);
		if (!op->adds_tables)
			KEXPECT_EQ(nr_free_pages(), before);
		KEXPECT_EQ(op->call(mm), 0);		/* nothing was half done */
	}
	mmput(other);
	other = NULL;
	mmput(mm);
	return ret;
}

/* fails with: mm_mprotect() not joining what it split in vain; map_range() keeping its new area */
KTEST(memory_calls_fail_cleanly_at_each_allocation)
{
	for (const struct memory_op *op = ops; op < ops + ARRAY_SIZE(ops); op++) {
		u64 before = nr_free_pages();
		long ret = -ENOMEM;
		int n;

		for (n = 1; n < MANY && ret; n++) {
			ret = fail_one(kt, op, n);
			KEXPECT_EQ(nr_free_pages(), before);
		}
		if (ret || n - 2 < op->allocations)
			KFAIL("%s: %ld after %d failures", op->name, ret, n - 2);
	}
}
