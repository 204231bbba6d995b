/* SPDX-License-Identifier: MIT */
/*
 * The out-of-memory killer: whom it chooses, what comes back, and that it waits for nobody.
 *
 * Victims are children of this process (init's: never chosen) that make some pages of their own and
 * sleep. The test raises what counts as short, and calls the killer.
 */
#include "arch/x86/mm/pgtable.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/mm/pages.h"
#include "kernel/pid.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/vm/mm.h"
#include "lib/errno.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(oom_kill);

#define RW	(VM_READ | VM_WRITE)
#define PAGES	(2 * OOM_RESERVE)		/* of a victim of ordinary size */

static struct wait_queue_head all_go = WAIT_QUEUE_HEAD_INIT(all_go);
static bool may_go;

struct victim {
	int pages;				/* that it makes */
	unsigned int state;			/* in which it sleeps */
	unsigned long flags;			/* of its clone */
	pid_t pid;
	struct task_struct *task;		/* with a reference */
	long at;				/* of its pages */
	int fault;				/* what a fault there says, once it may go on */
	bool ready;
};

static int live_as_victim(void *arg)
{
	struct victim *v = arg;

	v->at = mm_mmap(current->mm, 0, v->pages * PAGE_SIZE + 1, RW, false);
	for (int i = 0; v->at > 0 && i < v->pages; i++)
		handle_mm_fault(current->mm, v->at + i * PAGE_SIZE, VM_WRITE);
	WRITE_ONCE(v->ready, true);
	wait_event_state(&all_go, v->state, READ_ONCE(may_go));
	v->fault = handle_mm_fault(current->mm, v->at, VM_READ);
	do_group_exit(0);
}

static void make_victims(struct ktest_run *kt, struct victim *victims, int count)
{
	may_go = false;
	for (struct victim *v = victims; v < victims + count; v++) {
		v->pid = kernel_clone(&(struct kernel_clone_args){
			.flags = v->flags, .fn = live_as_victim, .fn_arg = v, .name = "victim" });
		KEXPECT(v->pid > 0);
		while (v->pid > 0 && !READ_ONCE(v->ready))
			do_sched_yield();
		spin_lock(&tasklist_lock);
		v->task = find_task_by_pid(v->pid);
		if (v->task)
			get_task_struct(v->task);
		spin_unlock(&tasklist_lock);
	}
}

/* Their exit status goes to @status, by their place. */
static void end_victims(struct ktest_run *kt, struct victim *victims, int count, int *status)
{
	WRITE_ONCE(may_go, true);
	wake_up_all(&all_go);
	for (int i = 0; i < count; i++) {
		KEXPECT_EQ(do_wait(victims[i].pid, &status[i], 0), victims[i].pid);
		if (victims[i].task)
			put_task_struct(victims[i].task);
	}
}

/* By half of what a victim has. */
static void make_memory_short(void)
{
	WRITE_ONCE(oom_reserve, nr_free_pages() + PAGES / 2);
}

/* Makes memory short, and calls the killer @times. Returns what it said last. */
static bool kill_when_short(struct ktest_run *kt, int times, u64 *came_back)
{
	bool ret = false;
	u64 before;

	for (int i = 0; i < times; i++) {
		make_memory_short();
		KEXPECT(memory_is_short());
		before = nr_free_pages();
		ret = out_of_memory();
		*came_back = nr_free_pages() - before;
	}
	WRITE_ONCE(oom_reserve, OOM_RESERVE);
	return ret;
}

static bool told_to_end(const struct victim *v)
{
	return v->task && signal_pending(v->task);
}

/* fails with: fault/oom-takes-the-first */
KTEST(the_largest_ends_and_its_pages_are_back_at_once)
{
	struct victim v[] = {
		{ .pages = 10, .state = TASK_KILLABLE },
		{ .pages = PAGES, .state = TASK_UNINTERRUPTIBLE },
		{ .pages = 20, .state = TASK_KILLABLE },
	};
	int status[3];
	u64 back = 0;

	make_victims(kt, v, 3);
	KEXPECT(kill_when_short(kt, 1, &back));
	/* It sleeps, and nobody can wake it: we do not wait for it. */
	KEXPECT_GE(back, PAGES);
	KEXPECT(told_to_end(&v[1]));
	KEXPECT(!told_to_end(&v[0]) && !told_to_end(&v[2]));
	if (v[1].task)
		KEXPECT_EQ(task_state(v[1].task), TASK_UNINTERRUPTIBLE);
	end_victims(kt, v, 3, status);
	KEXPECT_EQ(status[0], 0);
	KEXPECT_EQ(status[1], SIGKILL);
	KEXPECT_EQ(status[2], 0);
	KEXPECT_EQ(v[0].fault, 0);
	KEXPECT_EQ(v[1].fault, -EFAULT);	/* it must not see zeros where its data was */
}

/* fails with: fault/oom-takes-the-first */
KTEST(one_victim_after_the_other)
{
	struct victim v[] = {
		{ .pages = PAGES, .state = TASK_UNINTERRUPTIBLE },
		{ .pages = 3 * PAGES, .state = TASK_UNINTERRUPTIBLE },
		{ .pages = 2 * PAGES, .state = TASK_UNINTERRUPTIBLE },
	};
	int status[3];
	u64 back = 0;

	make_victims(kt, v, 3);
	KEXPECT(kill_when_short(kt, 2, &back));
	KEXPECT_GE(back, 2 * PAGES);
	KEXPECT(!told_to_end(&v[0]));
	KEXPECT(told_to_end(&v[1]) && told_to_end(&v[2]));
	end_victims(kt, v, 3, status);
	KEXPECT_EQ(status[0], 0);
	KEXPECT_EQ(status[1], SIGKILL);
	KEXPECT_EQ(status[2], SIGKILL);
}

/* fails with: judge() forgetting init, and then the machine ends */
KTEST(init_is_not_chosen_be_it_the_largest)
{
	struct victim v[] = { { .pages = PAGES, .state = TASK_KILLABLE },
			      /* Its memory is init's. */
			      { .pages = PAGES, .state = TASK_UNINTERRUPTIBLE,
				.flags = CLONE_VM } };
	struct mm_struct *mm = current->mm;
	long at = mm_mmap(mm, 0, 5 * PAGES * PAGE_SIZE, RW, false);
	int status[2];
	u64 back = 0;

	KEXPECT_EQ(current->tgid, 1);
	for (int i = 0; i < 5 * PAGES; i++)
		KEXPECT_EQ(handle_mm_fault(mm, at + i * PAGE_SIZE, VM_WRITE), 0);
	make_victims(kt, v, 2);
	KEXPECT(kill_when_short(kt, 1, &back));
	KEXPECT(!signal_pending(current));
	KEXPECT(told_to_end(&v[0]));
	KEXPECT(!told_to_end(&v[1]));
	end_victims(kt, v, 2, status);
	KEXPECT_EQ(status[0], SIGKILL);
	KEXPECT_EQ(status[1], 0);
	KEXPECT_EQ(mm_munmap(mm, v[1].at, (PAGES + 1) * PAGE_SIZE), 0);
	KEXPECT_EQ(mm_munmap(mm, at, 5 * PAGES * PAGE_SIZE), 0);
}

static struct victim sharer;

static int share_with(void *arg)
{
	sharer = (struct victim){ .pages = 1, .state = TASK_KILLABLE, .flags = CLONE_VM };
	sharer.pid = kernel_clone(&(struct kernel_clone_args){
		.flags = CLONE_VM, .fn = live_as_victim, .fn_arg = &sharer, .name = "sharer" });
	return live_as_victim(arg);
}

/* fails with: fault/oom-ends-one-of-two-that-share */
KTEST(who_shares_the_memory_ends_too)
{
	struct victim v = { .pages = PAGES, .state = TASK_KILLABLE };
	struct task_struct *other;
	int status = 0;
	u64 back = 0;

	may_go = false;
	v.pid = kernel_clone(&(struct kernel_clone_args){
		.fn = share_with, .fn_arg = &v, .name = "victim" });
	while (v.pid > 0 && !(READ_ONCE(v.ready) && READ_ONCE(sharer.ready)))
		do_sched_yield();
	spin_lock(&tasklist_lock);
	other = sharer.pid > 0 ? get_task_struct(find_task_by_pid(sharer.pid)) : NULL;
	spin_unlock(&tasklist_lock);
	KEXPECT(other && other->tgid != v.pid);
	KEXPECT(kill_when_short(kt, 1, &back));
	KEXPECT(other && signal_pending(other));
	if (other)
		put_task_struct(other);
	may_go = true;
	wake_up_all(&all_go);
	KEXPECT_EQ(do_wait(v.pid, &status, 0), v.pid);
	KEXPECT_EQ(status, SIGKILL);
	/* Its parent is gone, and so it is a child of this process. */
	KEXPECT_EQ(do_wait(sharer.pid, &status, 0), sharer.pid);
	KEXPECT_EQ(status, SIGKILL);
}

/* fails with: out_of_memory() not asking whether memory is short */
KTEST(nobody_ends_while_there_is_memory)
{
	struct victim v = { .pages = PAGES, .state = TASK_KILLABLE };
	int status;
	u64 back;

	make_victims(kt, &v, 1);
	KEXPECT(!memory_is_short());
	KEXPECT(!out_of_memory());
	KEXPECT(!told_to_end(&v));
	/* And who has to end itself ends nobody. */
	set_thread_flag(TIF_SIGPENDING);
	KEXPECT(!kill_when_short(kt, 1, &back));
	clear_thread_flag(TIF_SIGPENDING);
	KEXPECT(!told_to_end(&v));
	end_victims(kt, &v, 1, &status);
	KEXPECT_EQ(status, 0);
}


static int just_end(void *arg)
{
	do_exit(0);
}

/* fails with: fault/fork-fails-for-want-of-memory */
KTEST(fork_ends_another_rather_than_fail)
{
	struct victim v = { .pages = PAGES, .state = TASK_UNINTERRUPTIBLE };
	int status;
	pid_t pid;

	make_victims(kt, &v, 1);
	make_memory_short();
	pid = kernel_clone(&(struct kernel_clone_args){ .fn = just_end, .name = "oom_kill" });
	WRITE_ONCE(oom_reserve, OOM_RESERVE);
	KEXPECT(pid > 0);
	KEXPECT(told_to_end(&v));
	KEXPECT_EQ(do_wait(pid, &status, 0), pid);
	end_victims(kt, &v, 1, &status);
	KEXPECT_EQ(status, SIGKILL);
}

/* --- The counts --- */

static unsigned long count_pages(struct mm_struct *mm)
{
	unsigned long count = 0;
	struct vm_area *area;

	list_for_each_entry(area, &mm->areas, node) {
		unsigned long addr = area->start;

		for (pte_t *pte = NULL; (pte = pgtable_next(mm->pml4, pte, &addr, area->end));
		     addr += PAGE_SIZE)
			count++;
	}
	return count;
}

/* fails with: fault/oom-forgets-what-was-unmapped */
KTEST(pages_and_tables_are_counted)
{
	const unsigned long at = 0x10000000, far = 0x20000000000;
	struct mm_struct *mm = mm_alloc(), *copy;

	KEXPECT(mm);
	if (!mm)
		return;
	KEXPECT_EQ(mm->nr_pages, 0);
	KEXPECT_EQ(pgtable_count(mm->pml4), 1);
	KEXPECT_EQ(mm_mmap(mm, at, 100 * PAGE_SIZE, RW, true), (long)at);
	KEXPECT_EQ(mm_mmap(mm, far, PAGE_SIZE, RW, true), (long)far);
	for (int i = 0; i < 90; i++)
		KEXPECT_EQ(handle_mm_fault(mm, at + i * PAGE_SIZE, i % 2 ? VM_READ : VM_WRITE), 0);
	KEXPECT_EQ(pgtable_count(mm->pml4), 4);
	KEXPECT_EQ(handle_mm_fault(mm, far, VM_WRITE), 0);
	KEXPECT_EQ(handle_mm_fault(mm, far, VM_WRITE), 0);	/* it is there already */
	KEXPECT_EQ(pgtable_count(mm->pml4), 7);
	KEXPECT_EQ(mm->nr_pages, 91);
	copy = mm_dup(mm);
	KEXPECT_EQ(copy->nr_pages, 91);
	KEXPECT_EQ(handle_mm_fault(copy, at, VM_WRITE), 0);	/* a copy in place of a page */
	KEXPECT_EQ(copy->nr_pages, 91);
	KEXPECT_EQ(mm_munmap(mm, at + 5 * PAGE_SIZE, 70 * PAGE_SIZE), 0);
	KEXPECT_EQ(mm->nr_pages, 21);
	KEXPECT_EQ(mm_mprotect(mm, at, 2 * PAGE_SIZE, 0), 0);	/* kept, though nobody may look */
	KEXPECT_EQ(mm->nr_pages, 21);
	KEXPECT_EQ(mm->nr_pages, count_pages(mm));
	KEXPECT_EQ(copy->nr_pages, count_pages(copy));
	mm_reap(copy);
	KEXPECT_EQ(copy->nr_pages, 0);
	KEXPECT_EQ(count_pages(copy), 0);
	KEXPECT_EQ(handle_mm_fault(copy, at, VM_READ), -EFAULT);
	mmput(copy);
	KEXPECT_EQ(handle_mm_fault(mm, at + PAGE_SIZE * 3, VM_WRITE), 0);
	mmput(mm);
}
