// SPDX-License-Identifier: MIT
/* Lockups (see watchdog.h). From interrupts and from inside spinning locks: takes none itself. */
#include "kernel/debug/watchdog.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/time.h"
#include "arch/x86/unwind.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "lib/printk.h"

#define NS_PER_S	1000000000UL
#define NS_PER_MS	1000000UL
#define UNIT_MIN_NS	(5 * NS_PER_S / HZ)	/* a few ticks: what is shorter nobody sees */

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
	watchdog_ns = n;
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
 * What a CPU's tick remembers. A CPU that has only one thing to do need not schedule, so it is
 * asked to after half the time.
 */
struct seen {
	u64 unit;			/* watchdog_ns: with another one all begins anew */
	u64 passes, passes_at;		/* schedule() here; when that number was new */
	unsigned int ticks;		/* the neighbour's */
	u64 ticks_at;
	bool told_soft, told_hard;
};

static struct seen seen[NR_CPUS];

static void soft_lockup(struct seen *s, u64 now, struct pt_regs *regs)
{
	struct rq *rq = this_cpu()->rq;

	if (s->passes != rq->nr_passes) {
		s->passes = rq->nr_passes;
		s->passes_at = now;
		s->told_soft = false;
	} else if (now - s->passes_at > 2 * watchdog_ns && !s->told_soft) {
		s->told_soft = true;
		splat_count(SPLAT_LOCKUP);
		pr_emerg("watchdog: BUG: soft lockup - CPU#%u stuck for %llus! [%s:%d]",
			 smp_processor_id(), (now - s->passes_at) / NS_PER_S, current->comm,
			 current->pid);
		show_regs(regs);
		show_stack(current, regs);
		show_other_cpus();
		watchdog_barked();
	} else if (now - s->passes_at > watchdog_ns) {
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
	} else if (now - s->ticks_at > 2 * watchdog_ns && !s->told_hard) {
		s->told_hard = true;
		splat_count(SPLAT_LOCKUP);
		pr_emerg("watchdog: Watchdog detected hard LOCKUP on cpu %u", cpu);
		show_other_cpus();
		watchdog_barked();
	}
}

void watchdog_tick(struct pt_regs *regs)
{
	struct seen *s = &seen[smp_processor_id()];
	u64 now = sched_clock();

	if (s->unit != watchdog_ns)
		*s = (struct seen){ .unit = watchdog_ns, .passes_at = now, .ticks_at = now };
	if (!watchdog_ns)
		return;
	soft_lockup(s, now, regs);
	hard_lockup(s, now);
}

/* --- Raw locks --- */

#define TOLD	~0UL			/* instead of a time: once is enough */

void watchdog_spinning(raw_spinlock_t *lock, u64 *since)
{
	u64 now = sched_clock();
	unsigned int holder = READ_ONCE(lock->holder);

	if (!*since)
		*since = now;
	if (!watchdog_ns || *since == TOLD || now - *since < watchdog_ns)
		return;
	*since = TOLD;
	splat_count(SPLAT_LOCKUP);
	pr_emerg("BUG: spinlock lockup suspected on CPU#%u, %s/%d", smp_processor_id(),
		 current->comm, current->pid);
	if (holder)
		pr_emerg(" lock: %pS, .owner_cpu: %u, which runs %s/%d", (void *)lock, holder - 1,
			 cpus[holder - 1].curr_task->comm, cpus[holder - 1].curr_task->pid);
	else
		pr_emerg(" lock: %pS, .owner_cpu: -1", (void *)lock);
	dump_stack();
	show_other_cpus();
	watchdog_barked();
}
