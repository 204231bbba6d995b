// SPDX-License-Identifier: MIT
/*
 * Out of memory: the process that uses most has to end, and gives back its pages at once.
 *
 * Who finds no page comes here with no lock of an address space, and looks again afterwards. The
 * victim is told to end; but it may sleep for whatever it likes, be it for a lock that we hold. So
 * we do not wait for it: we take its pages away (it will not look at them again) ourselves. What
 * else it has comes when it ends. Floor 4: may sleep.
 */
#include "kernel/exit.h"
#include "kernel/might_sleep.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/pages.h"
#include "kernel/panic.h"
#include "kernel/time.h"
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
 * What @task would give, and in *@mm what it uses; 0: it may not be a victim, or has been one.
 * tasklist_lock held, and so is pi_lock while we look: whoever exits takes it before the memory
 * goes.
 */
static unsigned long judge(struct task_struct *task, struct mm_struct **mm) __no_lock_analysis
{
	const struct mm_struct *init_mm = READ_ONCE(find_task_by_pid(1)->mm);
	unsigned long points = 0;

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

/* End everybody who uses @mm, in whatever process. tasklist_lock held. */
static void kill_users(const struct mm_struct *mm)
{
	for (pid_t pid = 2; pid < PID_MAX; pid++) {
		struct task_struct *task = find_task_by_pid(pid);

		if (task && READ_ONCE(task->mm) == mm)
			kill_process(task, SIGKILL);
	}
}

/*
 * Choose, tell, and end. Returns the victim's address space with a reference. NULL: there is none;
 * *@ending says whether some of former victims are on their way.
 */
static struct mm_struct *kill_largest(bool *ending) __no_lock_analysis
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
		/* Of equals the youngest: it has done least. */
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
		/* Too little, as it shared its pages? Its end brings tables and stacks, too. */
		if (memory_is_short())
			sleep_ns(1);
	}
	mutex_unlock(&oom_lock);
	return !signal_pending(current);
}
