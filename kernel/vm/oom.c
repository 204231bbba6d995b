// SPDX-License-Identifier: MIT
/*
 * Out of memory: the process that uses most has to end, and gives back its pages at once.
 *
 * A task that finds no page comes here with no lock of an address space, and looks again
 * afterwards. The victim is told to end, but it may be sleeping for anything, even for a lock that
 * we hold. So we do not wait: we take its pages away ourselves, and it will not look at them again.
 * What else the victim has comes back when it ends. Floor 4: may sleep.
 */
#include "kernel/exit.h"
#include "kernel/locking/assert.h"
#include "kernel/mm/pages.h"
#include "kernel/pid.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "kernel/vm/mm.h"
#include "lib/printk.h"

static mutex_t oom_lock = MUTEX_INIT;	/* one victim at a time */

u64 oom_reserve = OOM_RESERVE;

bool memory_is_short(void)
{
	return nr_free_pages() < READ_ONCE(oom_reserve);
}

/* The pages that would come back. The counts may be old: no lock of @mm is held. */
static unsigned long badness(const struct mm_struct *mm)
{
	return READ_ONCE(mm->nr_pages) + pgtable_count(mm->pml4);
}

/*
 * Return how many pages @task would give back; 0 if it may not be, or has been, a victim. Sets
 * *@mm. tasklist_lock held. pi_lock is held while we look, because an exiting task takes it before
 * the memory goes.
 */
static unsigned long judge(struct task_struct *task, struct mm_struct **mm)
{
	const struct mm_struct *init_mm = READ_ONCE(find_task_by_pid(1)->mm);
	unsigned long points = 0;

	assert_spin_held(&tasklist_lock);
	raw_spin_lock_irq(&task->pi_lock);
	*mm = task->mm;
	/* A child of init's vfork() has init's memory. */
	if (task->tgid == 1 || *mm == init_mm)
		*mm = NULL;
	if (*mm && !READ_ONCE((*mm)->oom_reaped))
		points = badness(*mm);
	raw_spin_unlock_irq(&task->pi_lock);
	return points;
}

/* End every task that uses @mm, in whatever process. tasklist_lock held. */
static void kill_users(const struct mm_struct *mm)
{
	assert_spin_held(&tasklist_lock);
	for (pid_t pid = 2; pid < PID_MAX; pid++) {
		struct task_struct *task = find_task_by_pid(pid);

		if (task && READ_ONCE(task->mm) == mm)
			kill_process(task, SIGKILL);
	}
}

/*
 * Choose a victim, report it, and end it. Returns its address space with a reference. NULL: there
 * is none; *@ending says whether some former victims are still ending.
 */
static struct mm_struct *kill_largest(bool *ending)
{
	struct task_struct *victim = NULL;
	struct mm_struct *mm, *found = NULL;
	unsigned long most = 0;

	*ending = false;
	spin_lock(&tasklist_lock);
	for (pid_t pid = 2; pid < PID_MAX; pid++) {
		struct task_struct *task = find_task_by_pid(pid);
		unsigned long points = task ? judge(task, &mm) : 0;

		*ending |= task && mm;
		/* Of equals take the youngest, because it has done least. */
		if (points && points >= most) {
			most = points;
			victim = task;
		}
	}
	if (victim) {
		raw_spin_lock_irq(&victim->pi_lock);
		found = victim->mm;
		if (found)
			mmget(found);
		raw_spin_unlock_irq(&victim->pi_lock);
	}
	if (found) {
		pr_err("Out of memory: Killed process %d (%s) anon-rss:%lukB, pgtables:%lukB",
		       victim->tgid, victim->comm, found->nr_pages * (PAGE_SIZE / 1024),
		       pgtable_count(found->pml4) * (PAGE_SIZE / 1024));
		kill_users(found);
	}
	spin_unlock(&tasklist_lock);
	return found;
}

bool out_of_memory(void)
{
	struct mm_struct *mm;
	bool ending;

	might_sleep();
	if (!memory_is_short() || signal_pending(current))
		return false;
	mutex_lock(&oom_lock);
	if (memory_is_short()) {
		mm = kill_largest(&ending);
		if (mm) {
			mm_reap(mm);
			mmput(mm);
		} else if (!ending) {
			panic("Out of memory and no killable processes");
		}
		/* Not enough if the victim shared pages. Its end also frees tables and stacks. */
		if (memory_is_short())
			sleep_ns(1);
	}
	mutex_unlock(&oom_lock);
	return !signal_pending(current);
}
