/* SPDX-License-Identifier: MIT */
/*
 * The idle task halts only if nobody wants the CPU, and nothing comes between the look and the
 * halt. Its reads of its own flags are watched (watch.h).
 */
#include "kernel/time/tick.h"
#include "lib/kallsyms.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(idle);

static struct thread urgent;
static struct task_struct *idle;
static unsigned long idle_size, last_look, first_look;
static bool woken, looked_again;

/*
 * cpu_idle() looks with interrupts off, and halts; then with interrupts on, and begins anew. Right
 * after a look of the second kind that found nothing an interrupt wakes somebody. So the next look
 * must come before the halt, with interrupts off.
 */
static bool it_looks_before_it_halts(const struct pt_regs *regs)
{
	bool irqs_on = regs->flags & X86_EFLAGS_IF;

	if (current != idle || regs->ip - (unsigned long)cpu_idle >= idle_size)
		return true;
	if (woken && !looked_again) {
		looked_again = true;
		return !irqs_on;
	}
	if (!irqs_on) {
		if (!first_look)		/* the compiler may have made several of it */
			first_look = last_look;
	} else if (!woken && regs->ip == first_look && !need_resched()) {
		woken = true;
		complete(&urgent.go);
	}
	last_look = regs->ip;
	return true;
}

/* fails with: fault/halts-without-a-look */
KTEST(a_wish_just_before_the_halt_is_seen)
{
	struct watch watch = { .name = "the idle task's flags", .reads = true,
			       .rule = it_looks_before_it_halts };
	unsigned long offset;
	RUN_AS_FIFO(50);

	idle = this_cpu()->rq->idle;
	woken = looked_again = false;
	first_look = 0;
	KEXPECT(kallsyms_lookup((unsigned long)cpu_idle + 1, &idle_size, &offset));
	log_clear();
	thread_make(kt, &urgent, mark, NULL, "urgent");
	thread_set_fifo(&urgent, 60);
	watch.at = &idle->thread_flags;
	watch_start(&watch, 1);
	for (int i = 0; i < 100 && !READ_ONCE(urgent.done); i++)
		sleep_ns(1);
	watch_end(kt);
	KEXPECT(woken && looked_again);
	EXPECT_LOG("u");
	thread_end(&urgent);
}

/*
 * STI lets no interrupt in before the end of the next instruction (SDM vol. 2, STI): that is HLT
 * itself, or an interrupt comes between the two and the CPU halts all the same.
 * fails with: fault/a-gap-before-the-halt
 */
KTEST(nothing_stands_between_sti_and_hlt)
{
	unsigned long size = 0, offset;
	const u8 *code = (const u8 *)cpu_idle;
	unsigned int pairs = 0;

	KEXPECT(kallsyms_lookup((unsigned long)cpu_idle + 1, &size, &offset));
	for (unsigned long i = 0; i + 1 < size; i++)
		pairs += code[i] == 0xfb && code[i + 1] == 0xf4;
	KEXPECT_EQ(pairs, 1);
}
