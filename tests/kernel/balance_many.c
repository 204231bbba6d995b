/* SPDX-License-Identifier: MIT */
/*
 * Many random events on several CPUs: priorities, masks, sleeps and wake-ups. After each of them a
 * look at all queues at once: no task waits, while another CPU where it may run, or where the one
 * that keeps it from running may, does something less urgent.
 */
#include "arch/x86/irqflags.h"
#include "tests/kernel/many_cpus.h"
#include "tests/kernel/random.h"

KTEST_SUITE(balance_many);

#define MANY	20
#define EVENTS	400

static struct thread many[MANY];
static bool blocked[MANY], stop;

static void spin_or_block(struct thread *self)
{
	while (!READ_ONCE(stop)) {
		if (READ_ONCE(blocked[(int)self->mark]))
			wait_for_completion(&self->go);
		WRITE_ONCE(self->seen, self->seen + 1);
		cpu_relax();
	}
}

static void lock_all(void)
{
	local_irq_disable();
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		raw_spin_lock(&cpu_rq(cpu)->lock);
}

static void unlock_all(void)
{
	for (unsigned int cpu = nr_cpus; cpu--; )
		raw_spin_unlock(&cpu_rq(cpu)->lock);
	local_irq_enable();
}

static bool may_go(const struct task_struct *task, unsigned int cpu)
{
	return !task->migration_disabled && (task->cpus_mask & BIT(cpu));
}

/* Who waits although it, or who keeps it from running, could run on a CPU with less to do. */
struct wrong {
	const struct task_struct *task;
	int prio, curr_prio, there;
	unsigned int cpu, other;
};

/* All queues' locks held. */
static bool is_wrong(const struct task_struct *task, struct wrong *w)
{
	const struct task_struct *curr = cpu_rq(task->cpu)->curr;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		const struct rq *rq = cpu_rq(cpu);
		int there = rq->curr == rq->idle ? IDLE_PRIO : rq->curr->prio;

		if (cpu == task->cpu || there <= task->prio ||
		    (!may_go(task, cpu) && !may_go(curr, cpu)))
			continue;
		*w = (struct wrong){ task, task->prio, curr->prio, there, task->cpu, cpu };
		return true;
	}
	return false;
}

/* The first task that is wrong, or none. */
static bool find_wrong(struct wrong *w)
{
	bool found = false;

	lock_all();
	for (int i = 0; i < MANY && !found; i++) {
		const struct task_struct *task = many[i].task;

		if (task && task->on_rq == QUEUED && cpu_rq(task->cpu)->curr != task)
			found = is_wrong(task, w);
	}
	unlock_all();
	return found;
}

/* What a CPU is seen at: how far its thread has got, or how many ticks an idle one has had. */
struct seen_at {
	const struct task_struct *curr;
	unsigned int steps;
};

static struct seen_at look_at_cpu(unsigned int cpu)
{
	struct seen_at at = { READ_ONCE(cpu_rq(cpu)->curr), READ_ONCE(cpus[cpu].ticks) };

	for (int i = 0; i < MANY; i++)
		if (many[i].task == at.curr)
			at.steps = READ_ONCE(many[i].seen);
	return at;
}

static struct seen_at seen_at[NR_CPUS];

static void look_at_cpus(void)
{
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		seen_at[cpu] = look_at_cpu(cpu);
}

/*
 * Is each CPU still at what it was at, and has it been out of schedule() since? Then nobody is at
 * work on it any more. False, and another look, if one is at something else.
 */
static bool all_went_on(void)
{
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		struct seen_at now = look_at_cpu(cpu), then = seen_at[cpu];

		if (now.curr != then.curr) {
			look_at_cpus();
			return false;
		}
		if (now.curr != current && (now.steps - then.steps < 10 ||
					    test_tsk_thread_flag(now.curr, TIF_NEED_RESCHED)))
			return false;
	}
	return true;
}

static void look(struct ktest_run *kt, int event)
{
	u64 until = READ_ONCE(jiffies) + AWAIT_TICKS;
	const struct task_struct *first = NULL;
	struct wrong w;

	while (find_wrong(&w)) {
		if (w.task != first) {
			first = w.task;
			look_at_cpus();
		} else if (all_went_on() || READ_ONCE(jiffies) > until) {
			KFAIL("event %d: prio %d waits on CPU %u for %d; CPU %u runs %d", event,
			      w.prio, w.cpu, w.curr_prio, w.other, w.there);
			return;
		}
		for (int i = 0; i < 100; i++)	/* others want the locks, too */
			cpu_relax();
	}
}

static void random_event(u64 *seed)
{
	int i = next_random(seed) % MANY;

	if (!many[i].task)
		return;
	switch (next_random(seed) % 3) {
	case 0:
		thread_set_fifo(&many[i], next_random(seed) % 4 ? 1 + next_random(seed) % 80 : 0);
		break;
	case 1:
		set_cpus_allowed(many[i].task, next_random(seed) % 2 ? ~0UL :
				 1 + next_random(seed) % (BIT(nr_cpus) - 1));
		break;
	case 2:
		if (blocked[i]) {
			WRITE_ONCE(blocked[i], false);
			complete(&many[i].go);
		} else {
			WRITE_ONCE(blocked[i], true);
		}
		break;
	}
}

/* fails with: each fault of k/balance */
KTEST(the_most_urgent_run)
{
	u64 seed = ktest_seed;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(90);

	stop = false;
	for (int i = 0; i < MANY; i++) {
		blocked[i] = false;
		thread_make_on(kt, &many[i], spin_or_block, NULL, ~0UL);
		many[i].mark = i;
		thread_start(&many[i], i % 4 ? i : 0);
	}
	for (int event = 0; event < EVENTS && !kt->failed; event++) {
		random_event(&seed);
		look(kt, event);
	}
	WRITE_ONCE(stop, true);
	for (int i = 0; i < MANY; i++) {
		if (many[i].task)
			set_cpus_allowed(many[i].task, ~0UL);
		complete(&many[i].go);
		thread_join(&many[i]);
	}
}
