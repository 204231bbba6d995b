/* SPDX-License-Identifier: MIT */
/*
 * After a flush no CPU has the old translation: the one that runs the owner, the one whose kernel
 * thread only borrows the tables, the one where a kernel thread asks for it. The tests change
 * entries and read through them before and after.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/address_space.h"
#include "arch/x86/mm/tlb.h"
#include "arch/x86/mm/uaccess.h"
#include "kernel/mm/pages.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/vm/mm.h"
#include "tests/kernel/many_cpus.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(tlb);

/* --- Pages of ring 3 --- */

#define PAGES	40

static struct mm_struct *mm;
static unsigned long pages;
static bool turned;

static u64 *page(unsigned int i)
{
	return (u64 *)(pages + i * PAGE_SIZE);
}

/* What stands there. Without a fault: the page is there. */
static u64 read_page(unsigned int i)
{
	u64 value = -1UL;

	return get_user(value, page(i)) ? -1UL : value;
}

static u64 expected(unsigned int i)
{
	return turned ? PAGES - 1 - i : i;
}

/* Each page changes places with the one that is as far from the other end. */
static void turn_round(void)
{
	for (unsigned int i = 0; i < PAGES / 2; i++) {
		pte_t *a = pgtable_pte(mm->pml4, (unsigned long)page(i), false);
		pte_t *b = pgtable_pte(mm->pml4, (unsigned long)page(PAGES - 1 - i), false);
		pte_t old = *a;

		*a = *b;
		*b = old;
	}
	turned = !turned;
}

static void flush(unsigned int from, unsigned int to)
{
	flush_tlb_mm_range(mm, (unsigned long)page(from), (unsigned long)page(to));
}

static bool map_pages(void)
{
	long addr;

	mm = current->mm;
	turned = false;
	addr = mm_mmap(mm, 0, PAGES * PAGE_SIZE, VM_READ | VM_WRITE, false);
	pages = addr;
	if (addr < 0)
		return false;
	for (u64 i = 0; i < PAGES; i++)
		if (put_user(i, page(i)))
			return false;
	return true;
}

static void unmap_pages(bool *mapped)
{
	mm_munmap(mm, pages, PAGES * PAGE_SIZE);
}

#define MAP_PAGES									\
	bool __mapped __attribute__((cleanup(unmap_pages))) = map_pages();		\
	KEXPECT(__mapped);								\
	if (!__mapped)									\
		return

/* Translations in the TLB, then changed ones in memory, then what a flush of the range leaves. */
static void look_turn_flush_look(struct ktest_run *kt, unsigned int from, unsigned int to)
{
	for (unsigned int i = 0; i < PAGES; i++)
		KEXPECT_EQ(read_page(i), expected(i));
	turn_round();
	flush(from, to);
	for (unsigned int i = from; i < to; i++)
		KEXPECT_EQ(read_page(i), expected(i));
	flush(0, PAGES);
}

/* fails with: fault/flush-first-page-only; flush_local() not reloading CR3 for many pages */
KTEST(each_page_of_the_range_is_forgotten)
{
	static const struct { unsigned int from, to; } ranges[] = {
		{ 0, 1 }, { 39, 40 }, { 7, 9 }, { 0, 31 }, { 4, 36 }, { 7, 40 }, { 0, 40 },
	};
	MAP_PAGES;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		look_turn_flush_look(kt, ranges[i].from, ranges[i].to);
}

/* --- Kernel threads --- */

static struct thread thread;
static bool go;

static void borrow_and_flush(struct thread *self)
{
	self->result = !current->mm && this_cpu_read(loaded_mm) == mm;
	look_turn_flush_look(self->kt, 3, 5);
	look_turn_flush_look(self->kt, 0, PAGES);
}

/* fails with: fault/flush-asks-whose-tables */
KTEST(a_borrower_flushes_its_own_cpu)
{
	RUN_AS_FIFO(50);
	MAP_PAGES;

	thread_run(kt, &thread, borrow_and_flush, NULL, "lazy", 60);
	KEXPECT(thread.result);
	thread_end(&thread);
}

/* Fill the TLB, wait, look again; all the time the tables are the same. */
static void borrow_and_look(struct thread *self)
{
	u64 switches = this_cpu()->rq->nr_switches, end = READ_ONCE(jiffies) + AWAIT_TICKS;

	self->result = !current->mm && this_cpu_read(loaded_mm) == mm;
	for (unsigned int i = 0; i < PAGES; i++)
		self->result &= read_page(i) == i;
	WRITE_ONCE(self->seen, 1);
	while (!READ_ONCE(go) && READ_ONCE(jiffies) < end)
		cpu_relax();
	for (unsigned int i = 0; i < PAGES; i++)
		self->result &= read_page(i) == PAGES - 1 - i;
	self->result &= this_cpu()->rq->nr_switches == switches;
}

static void flush_afar(struct ktest_run *kt, unsigned int step)
{
	go = false;
	thread_make_on(kt, &thread, borrow_and_look, NULL, BIT(1));
	set_cpus_allowed(current, BIT(1));		/* leave our tables there */
	set_cpus_allowed(current, BIT(0));
	thread_start(&thread, 60);
	SPIN_UNTIL(READ_ONCE(thread.seen));
	KEXPECT(READ_ONCE(mm->cpus) & BIT(1));
	turn_round();
	for (unsigned int i = 0; i < PAGES; i += step)
		flush(i, i + step);
	WRITE_ONCE(go, true);
	thread_join(&thread);
	KEXPECT(thread.result);
	turn_round();
	flush(0, PAGES);
}

/* fails with: fault/flush-asks-whose-tables, fault/nobody-is-waited-for */
KTEST(a_cpu_that_only_borrows_is_asked)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);
	MAP_PAGES;

	flush_afar(kt, 1);
	flush_afar(kt, 4);
	flush_afar(kt, PAGES);
}

/* While a kernel thread borrows the tables they are kept, and afterwards no longer. */
static int count_inside;

static void note_count(struct thread *self)
{
	self->result = current->active_mm == mm;
	count_inside = READ_ONCE(mm->mm_count);
}

/* fails with: fault/borrowed-tables-kept-for-ever */
KTEST(a_borrower_keeps_the_tables)
{
	int before = current->mm->mm_count;
	RUN_AS_FIFO(50);

	mm = current->mm;
	for (int i = 0; i < 3; i++) {
		thread_make(kt, &thread, note_count, NULL, "lazy");
		thread_set_fifo(&thread, 60);		/* it borrows, and waits for the word */
		KEXPECT(thread.task && !thread.task->active_mm);
		KEXPECT_EQ(READ_ONCE(mm->mm_count), before);
		thread_start(&thread, 60);
		KEXPECT(thread.result);
		KEXPECT_EQ(count_inside, before + 1);
		KEXPECT_EQ(READ_ONCE(mm->mm_count), before);
		thread_end(&thread);
	}
}

static struct mm_struct *another;

/* As a kernel thread that becomes a program, and ends. */
static void take_another(struct thread *self)
{
	another = mm_alloc();
	if (!another)
		return;
	self->result = exchange_current_mm(another) == NULL && current->mm == another &&
		       current->active_mm == another && this_cpu_read(loaded_mm) == another;
	count_inside = READ_ONCE(mm->mm_count);
	self->seen = exchange_current_mm(NULL) == another && !this_cpu_read(loaded_mm) &&
		     !READ_ONCE(another->cpus);
	mmput(another);
}

/* fails with: fault/borrowed-tables-lost, fault/active-mm-stays */
KTEST(who_stops_borrowing_gives_the_tables_back)
{
	int before = current->mm->mm_count;
	RUN_AS_FIFO(50);

	mm = current->mm;
	thread_run(kt, &thread, take_another, NULL, "lazy", 60);
	KEXPECT(thread.result);
	KEXPECT(thread.seen);
	KEXPECT_EQ(count_inside, before);
	KEXPECT_EQ(READ_ONCE(mm->mm_count), before);
	KEXPECT_EQ(this_cpu_read(loaded_mm), mm);
	thread_end(&thread);
}

/* --- In which order --- */

static bool other_tables_are_loaded(const struct pt_regs *regs)
{
	return (read_cr3() & PTE_ADDR) != virt_to_phys(mm->pml4) && !(regs->flags & X86_EFLAGS_IF);
}

static bool interrupts_are_off(const struct pt_regs *regs)
{
	return !(regs->flags & X86_EFLAGS_IF);
}

/*
 * A CPU has its bit as long as it has the tables and a little longer: else somebody changes an
 * entry that it is just reading, and does not ask it. And a shootdown that comes in between must
 * find loaded_mm as CR3 is.
 * fails with: fault/bit-after-the-tables, fault/bit-gone-before-the-tables,
 * fault/tables-change-with-interrupts-on
 */
KTEST(the_bit_outlasts_the_tables)
{
	struct watch watches[] = {
		{ .at = &current->mm->cpus, .name = "mm->cpus", .rule = other_tables_are_loaded },
		{ .at = &this_cpu()->loaded_mm, .name = "loaded_mm", .rule = interrupts_are_off },
	};
	RUN_AS_FIFO(50);

	mm = current->mm;
	watch_start(watches, ARRAY_SIZE(watches));
	exchange_current_mm(NULL);
	KEXPECT(!(READ_ONCE(mm->cpus) & BIT(smp_processor_id())));
	exchange_current_mm(mm);
	KEXPECT(READ_ONCE(mm->cpus) & BIT(smp_processor_id()));
	watch_end(kt);
	KEXPECT_EQ(watches[0].hits, 2);
	KEXPECT_EQ(watches[1].hits, 2);
}

/* It would wait for CPUs that wait for it. fails with: fault/flush-with-interrupts-off */
KTEST(a_flush_with_interrupts_off_is_reported)
{
	struct splats before = splats_now();
	KMAY_WARN;

	mm = current->mm;
	local_irq_disable();
	flush_tlb_mm_range(mm, PAGE_SIZE, 2 * PAGE_SIZE);
	local_irq_enable();
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
}
