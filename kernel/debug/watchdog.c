// SPDX-License-Identifier: MIT
/* Lockups (see watchdog.h). Runs in interrupts and inside spinning locks, so it takes no lock. */
#include "kernel/debug/watchdog.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/time.h"
#include "arch/x86/unwind.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/printk.h"

#define NS_PER_S	1000000000UL
#define NS_PER_MS	1000000UL
#define UNIT_MIN_NS	(5 * NS_PER_S / HZ)	/* a few ticks; anything shorter goes unseen */

u64 watchdog_ns = 10 * NS_PER_S;
static int then_panic;
BOOT_CHOICE(watchdog, then_panic, true, "report", "panic");

static int set_thresh(const char *value)
{
	u64 n = 0;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	for (; *value >= '0' && *value <= '9' && n < 1000000; value++)
		n = 10 * n + *value - '0';
	if (*value && (value[0] != 'm' || value[1] != 's' || value[2]))
		return -EINVAL;
	n *= *value ? NS_PER_MS : NS_PER_S;
	if (n && n < UNIT_MIN_NS)
		return -EINVAL;
	WRITE_ONCE(watchdog_ns, n);
	return 0;
}
BOOT_OPTION(watchdog_thresh, set_thresh, true, "seconds, or milliseconds from 20ms on; 0: off");

void watchdog_barked(void)
{
	add_taint(TAINT_WARN);
	if (then_panic || panic_on_warn)
		panic("watchdog: see the report above");
}

/* --- CPUs that do not get to schedule(), or take no interrupts --- */

/*
 * What a CPU's tick remembers. Limits come from @unit alone, because the option may change
 * meanwhile on another CPU. A CPU that has only one thing to do need not schedule, so it is asked
 * to after half the time.
 */
struct seen {
	u64 unit;			/* watchdog_ns; when it changes, all begins anew */
	u64 passes, passes_at;		/* calls of schedule() here; when that last changed */
	unsigned int ticks;		/* the neighbour's */
	u64 ticks_at;
	u64 shared_at;			/* no task less urgent than current waited, or one ran */
	bool told_soft, told_hard, told_starved;
};

static struct seen seen[NR_CPUS];

static void soft_lockup(struct seen *s, u64 now, struct pt_regs *regs)
{
	struct rq *rq = this_cpu()->rq;

	if (s->passes != rq->nr_passes) {
		s->passes = rq->nr_passes;
		s->passes_at = now;
		s->told_soft = false;
	} else if (now - s->passes_at > 2 * s->unit && !s->told_soft) {
		unsigned long flags = report_begin();

		s->told_soft = true;
		splat_count(SPLAT_LOCKUP);
		pr_emerg("watchdog: BUG: soft lockup - CPU#%u stuck for %llus! [%s:%d]",
			 smp_processor_id(), (now - s->passes_at) / NS_PER_S, current->comm,
			 current->pid);
		show_regs(regs);
		show_stack(current, regs);
		report_end(flags);
		show_other_cpus();
		watchdog_barked();
	} else if (now - s->passes_at > s->unit) {
		set_thread_flag(TIF_NEED_RESCHED);
		set_preempt_need_resched();
	}
}

static void hard_lockup(struct seen *s, u64 now)
{
	unsigned int cpu = (smp_processor_id() + 1) % nr_cpus;
	unsigned int ticks = READ_ONCE(cpus[cpu].ticks);

	if (s->ticks != ticks || !ticks) {	/* 0: its timer has not begun */
		s->ticks = ticks;
		s->ticks_at = now;
		s->told_hard = false;
	} else if (now - s->ticks_at > 2 * s->unit && !s->told_hard) {
		s->told_hard = true;
		splat_count(SPLAT_LOCKUP);
		pr_emerg("watchdog: Watchdog detected hard LOCKUP on cpu %u", cpu);
		show_other_cpus();
		watchdog_barked();
	}
}

/* Is current a real-time task, and does anything less urgent wait here? */
static bool keeps_others_out(const struct rq *rq)
{
	unsigned int prio = current->prio;
	u64 low = READ_ONCE(rq->tasks.bitmap[0]), high = READ_ONCE(rq->tasks.bitmap[1]);

	if (!rt_prio(prio))
		return false;
	return prio < 64 ? high || low >> prio >> 1 : high >> (prio - 64) >> 1;
}

/*
 * Nothing takes the CPU from a real-time task that does not sleep. Linux throttles: after 0.95 s of
 * each second all real-time tasks on that CPU stand still. Then a FIFO task does not run although
 * it could. This kernel promises that it runs, so the watchdog only names the task that starves
 * others. It samples: a task found at every tick of two units, with others waiting, has most likely
 * not let them run in between.
 */
static void starvation(struct seen *s, u64 now, struct pt_regs *regs)
{
	unsigned long flags;

	if (!keeps_others_out(this_cpu()->rq)) {
		s->shared_at = now;
		s->told_starved = false;
		return;
	}
	/* A task that does not get to schedule() when asked to is stuck: soft_lockup() says so. */
	if (now - s->shared_at <= 2 * s->unit || now - s->passes_at > s->unit || s->told_starved)
		return;
	s->told_starved = true;
	splat_count(SPLAT_LOCKUP);
	flags = report_begin();
	pr_emerg("watchdog: CPU#%u: real-time tasks have kept all others out for %llus! [%s:%d]",
		 smp_processor_id(), (now - s->shared_at) / NS_PER_S, current->comm, current->pid);
	show_regs(regs);
	show_stack(current, regs);
	report_end(flags);
	watchdog_barked();
}

static void watchdog_tick(struct pt_regs *regs)
{
	struct seen *s = &seen[smp_processor_id()];
	u64 now = sched_clock(), unit = READ_ONCE(watchdog_ns);

	if (s->unit != unit)
		*s = (struct seen){ .unit = unit, .passes_at = now, .ticks_at = now,
				    .shared_at = now };
	if (!unit)
		return;
	soft_lockup(s, now, regs);
	hard_lockup(s, now);
	starvation(s, now, regs);
}
ON_TICK(watchdog_tick);

/* --- Raw locks --- */

#define TOLD	~0UL			/* instead of a time: once is enough */

static void watchdog_spinning(raw_spinlock_t *lock, u64 *since)
{
	u64 now = sched_clock(), unit = READ_ONCE(watchdog_ns);
	unsigned int holder = READ_ONCE(lock->holder);
	unsigned long flags;

	if (!*since)
		*since = now;
	if (!unit || *since == TOLD || now - *since < unit)
		return;
	*since = TOLD;
	splat_count(SPLAT_LOCKUP);
	flags = report_begin();
	pr_emerg("BUG: spinlock lockup suspected on CPU#%u, %s/%d", smp_processor_id(),
		 current->comm, current->pid);
	if (holder)
		pr_emerg(" lock: %pS, .owner_cpu: %u, which runs %s/%d", (void *)lock, holder - 1,
			 cpus[holder - 1].curr_task->comm, cpus[holder - 1].curr_task->pid);
	else
		pr_emerg(" lock: %pS, .owner_cpu: -1", (void *)lock);
	dump_stack();
	report_end(flags);
	show_other_cpus();
	watchdog_barked();
}

void (*raw_spin_watch)(raw_spinlock_t *lock, u64 *since) = watchdog_spinning;
