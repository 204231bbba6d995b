/* SPDX-License-Identifier: MIT */
/*
 * Reports of several lines: one CPU prints at a time, and a report inside of another is a part of
 * it. What happens when a CPU panics meanwhile: tests/kernel/fatal.c.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/time.h"
#include "kernel/report/panic.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(reports);

#define WAIT_NS		5000000UL

static struct thread threads[NR_CPUS];
static bool go;

/* One thread for each CPU from @first on, its CPU's number in mark; they start at "go". */
static void start_on_each(struct ktest_run *kt, unsigned int first, void (*fn)(struct thread *self))
{
	go = false;
	for (unsigned int cpu = first; cpu < nr_cpus; cpu++) {
		thread_make_on(kt, &threads[cpu], fn, &go, BIT(cpu));
		threads[cpu].mark = cpu;
		thread_start(&threads[cpu], 10);
	}
}

static void join_each(unsigned int first)
{
	for (unsigned int cpu = first; cpu < nr_cpus; cpu++)
		thread_join(&threads[cpu]);
}

#define REPORTS		4
#define LINES		6

static void report_and_nest(struct thread *self)
{
	unsigned int cpu = smp_processor_id();

	spin_until_told(self);
	for (int i = 0; i < REPORTS; i++) {
		unsigned long flags = report_begin();

		for (int line = 0; line < LINES; line++) {
			report_end(report_begin());	/* a report inside of a report */
			pr_info("report of CPU %u, line %d", cpu, line);
		}
		self->result += irqs_disabled();
		report_end(flags);
		self->result += !irqs_disabled();
	}
}

/* fails with: report_begin() that does not wait, if the CPUs race */
KTEST(one_cpu_at_a_time_prints_a_report)
{
	static const char begin[] = "report of CPU ";
	unsigned int whole = 0;
	u64 from;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	start_on_each(kt, 0, report_and_nest);
	from = printk_next();
	WRITE_ONCE(go, true);
	join_each(0);
	for (int line = 0; from < printk_next(); from++) {
		const char *text = printk_text(from);
		static char cpu;

		if (!text || strncmp(text, begin, strlen(begin)))
			continue;
		if (!line)
			cpu = text[strlen(begin)];
		if (text[strlen(begin)] != cpu || text[strlen(text) - 1] != '0' + line)
			break;
		line = (line + 1) % LINES;
		whole += !line;
	}
	KEXPECT_EQ(whole, nr_cpus * REPORTS);
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		KEXPECT_EQ(threads[cpu].result, (int)cpu + 2 * REPORTS);
}

static unsigned int reported;

static void report_too(struct thread *self)
{
	unsigned long flags;

	spin_until_told(self);
	flags = report_begin();
	reported++;
	report_end(flags);
}

/* fails with: fault/an-inner-report-ends-the-outer-one */
KTEST(a_report_goes_on_behind_one_inside_of_it)
{
	unsigned long flags;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	reported = 0;
	start_on_each(kt, 1, report_too);
	flags = report_begin();
	report_end(report_begin());
	WRITE_ONCE(go, true);
	for (u64 start = sched_clock(); sched_clock() - start < WAIT_NS; )
		cpu_relax();
	KEXPECT_EQ(READ_ONCE(reported), 0);
	report_end(flags);
	join_each(1);
	KEXPECT_EQ(reported, nr_cpus - 1);
}
