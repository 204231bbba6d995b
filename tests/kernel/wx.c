/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's page tables allow: no memory can be written and executed, ring 3 reaches
 * nothing, and the CPU's own guards are switched on. Read from the live tables and registers.
 */
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/mm/address_space.h"
#include "arch/x86/mm/pgtable.h"
#include "arch/x86/mm/stack.h"
#include "arch/x86/unwind.h"
#include "kernel/mm/pages.h"
#include "kernel/sched/task.h"
#include "kernel/splat/ktest.h"
#include "kernel/vm/mm.h"
#include "lib/string.h"

KTEST_SUITE(wx);

/* Calls fn for every kernel mapping: its address, and its rights combined over the levels. */
static void visit(pte_t *table, int level, unsigned long base, u64 rights,
		  void (*fn)(unsigned long addr, u64 size, u64 rights))
{
	for (unsigned int i = level == 3 ? 256 : 0; i < 512; i++) {
		unsigned long addr = base + ((unsigned long)i << (PAGE_SHIFT + 9 * level));
		u64 mine = (rights & table[i] & (PTE_RW | PTE_US)) | ((rights | table[i]) & PTE_NX);

		if (!(table[i] & PTE_P))
			continue;
		if (level && !(table[i] & PTE_PS))
			visit(phys_to_virt(table[i] & PTE_ADDR), level - 1, addr, mine, fn);
		else
			fn(addr, 1UL << (PAGE_SHIFT + 9 * level), mine);
	}
}

static void pgtable_for_each_kernel_mapping(void (*fn)(unsigned long addr, u64 size, u64 rights))
{
	visit(kernel_pml4, 3, 0xffff000000000000, PTE_RW | PTE_US, fn);
}

extern char _stext[], _etext[], _srodata[], _erodata[], _sdata[], _kernel_end[];

/* What one walk over all mappings finds. fn has no argument, so it is here. */
static struct {
	unsigned long from, to;		/* what to look at */
	u64 must, must_not;		/* rights */
	u64 bytes;			/* mapped in the range */
	unsigned int bad;
	unsigned long first_bad;
} look;

static void look_at(unsigned long addr, u64 size, u64 rights)
{
	unsigned long last = addr + size - 1;

	if (last < look.from || addr > look.to - 1)
		return;
	look.bytes += min(last, look.to - 1) - max(addr, look.from) + 1;
	if ((rights & look.must) == look.must && !(rights & look.must_not))
		return;
	if (!look.bad++)
		look.first_bad = addr;
}

/* All that is mapped in @from..@to has @must and not @must_not. Returns how many bytes that is. */
static u64 expect_rights(struct ktest_run *kt, const char *what, unsigned long from,
			 unsigned long to, u64 must, u64 must_not)
{
	memset(&look, 0, sizeof(look));
	look.from = from;
	look.to = to;
	look.must = must;
	look.must_not = must_not;
	pgtable_for_each_kernel_mapping(look_at);
	if (look.bad)
		KFAIL("%s: %u mappings have wrong rights, the first at %lx", what, look.bad,
		      look.first_bad);
	return look.bytes;
}

static u64 nx(void)
{
	return cpu_has.nx ? PTE_NX : 0;
}

static unsigned int writable_and_executable;
static unsigned long first_both;

static void look_for_both(unsigned long addr, u64 size, u64 rights)
{
	if ((rights & PTE_RW) && !(rights & PTE_NX) && !writable_and_executable++)
		first_both = addr;
}

/* fails with: pgtable_init() mapping the direct map without NX */
KTEST(nothing_is_writable_and_executable)
{
	if (!cpu_has.nx)
		KSKIP("the CPU has no NX");
	writable_and_executable = 0;
	pgtable_for_each_kernel_mapping(look_for_both);
	if (writable_and_executable)
		KFAIL("%u mappings, the first at %lx", writable_and_executable, first_both);
	KEXPECT(rdmsr(MSR_EFER) & EFER_NX);	/* else the bit means nothing, or faults */
}

/* fails with: walk() giving the kernel's upper levels PTE_US, and the last one too */
KTEST(ring3_reaches_nothing)
{
	u64 bytes = expect_rights(kt, "kernel half", 0xffff800000000000, -1UL, 0, PTE_US);

	KEXPECT(bytes >= nr_total_pages() * PAGE_SIZE);		/* we did look at something */
}

/* fails with: map_section() of the text with PTE_RW */
KTEST(text_is_executable_and_not_writable)
{
	unsigned long start = (unsigned long)_stext;
	unsigned long end = ALIGN_UP((unsigned long)_etext, PAGE_SIZE);

	KEXPECT_EQ(expect_rights(kt, "text", start, end, 0, PTE_RW | PTE_NX), end - start);
}

/* fails with: map_section() of the constants with PTE_RW, or without NX */
KTEST(constants_are_neither_writable_nor_executable)
{
	unsigned long start = (unsigned long)_srodata;
	unsigned long end = ALIGN_UP((unsigned long)_erodata, PAGE_SIZE);

	KEXPECT_EQ(expect_rights(kt, "rodata", start, end, nx(), PTE_RW), end - start);
}

/* fails with: map_section() of the data without PTE_RW (does not get this far), or without NX */
KTEST(data_is_not_executable)
{
	unsigned long start = (unsigned long)_sdata, end = (unsigned long)_kernel_end;
	unsigned long guards = (1 + NR_CPUS * NR_IST) * PAGE_SIZE;

	KEXPECT_EQ(expect_rights(kt, "data", start, end, PTE_RW | nx(), 0), end - start - guards);
}

/* fails with: pgtable_init() leaving the page below the IST stacks mapped */
KTEST(boot_and_ist_stacks_have_guards)
{
	extern char boot_stack_guard[];
	unsigned long guard = (unsigned long)boot_stack_guard;

	KEXPECT_EQ(expect_rights(kt, "guard", guard, guard + PAGE_SIZE, 0, 0), 0);
	KEXPECT(is_stack_guard(guard) && !is_stack_guard(guard + PAGE_SIZE));
	guard = (unsigned long)ist_stacks[smp_processor_id()][1].guard;
	KEXPECT_EQ(expect_rights(kt, "guard", guard, guard + PAGE_SIZE, 0, 0), 0);
	KEXPECT_EQ(this_cpu()->tss.ist[IST_NMI - 1], guard + PAGE_SIZE + IST_STACK_TOP);
}

/* fails with: pgtable_init() mapping all RAM writable, text's second name included */
KTEST(the_direct_map_shows_text_read_only)
{
	unsigned long start = DIRECT_MAP + virt_to_phys(_stext);
	unsigned long end = DIRECT_MAP + virt_to_phys(_erodata);

	KEXPECT_EQ(expect_rights(kt, "text's alias", start, end, nx(), PTE_RW), end - start);
	expect_rights(kt, "direct map", DIRECT_MAP, DIRECT_MAP + DIRECT_MAP_MAX, nx(), 0);
}

static pte_t pte_at(unsigned long addr)
{
	pte_t *pte = pgtable_pte(kernel_pml4, addr, false);

	return pte ? *pte : 0;
}

/* fails with: map_next_slot() starting one page lower */
KTEST(below_a_kernel_stack_is_nothing)
{
	unsigned long stack = (unsigned long)current->stack;
	u64 rights = PTE_P | PTE_RW | PTE_NX;

	for (unsigned long offset = 0; offset < THREAD_SIZE; offset += PAGE_SIZE) {
		KEXPECT_EQ(pte_at(stack + offset) & rights, PTE_P | PTE_RW | nx());
		KEXPECT_EQ(pte_at(stack - PAGE_SIZE - offset) & PTE_P, 0);
	}
}

/* fails with: pgtable_new_user() copying too few of the top-level entries */
KTEST(this_task_has_the_same_kernel_half)
{
	if (!current->mm)
		KSKIP("no address space of its own");
	KEXPECT_EQ(read_cr3() & PTE_ADDR, virt_to_phys(current->mm->pml4));
	KEXPECT_EQ(memcmp(current->mm->pml4 + 256, kernel_pml4 + 256, 256 * sizeof(pte_t)), 0);
}

/* fails with: cpu_setup_control_registers() leaving out SMEP or SMAP (WP is on since entry32.S) */
KTEST(the_cpu_guards_are_on)
{
	unsigned long cr0 = read_cr0(), cr4 = read_cr4();

	KEXPECT(cr0 & CR0_WP);
	KEXPECT_EQ(!!(cr4 & CR4_SMEP), cpu_has.smep);
	KEXPECT_EQ(!!(cr4 & CR4_SMAP), cpu_has.smap);
	KEXPECT_EQ(!!(cr4 & CR4_UMIP), cpu_has.umip);
	KEXPECT_EQ(!!(cr4 & CR4_FSGSBASE), cpu_has.fsgsbase);
	/* And cpu_has is what the CPU says. */
	KEXPECT_EQ(cpu_has.nx, !!(cpuid(0x80000001, 0).edx & BIT(20)));
	if (cpuid(0, 0).eax >= 7) {
		KEXPECT_EQ(cpu_has.smep, !!(cpuid(7, 0).ebx & BIT(7)));
		KEXPECT_EQ(cpu_has.smap, !!(cpuid(7, 0).ebx & BIT(20)));
	}
}
