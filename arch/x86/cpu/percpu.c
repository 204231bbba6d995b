// SPDX-License-Identifier: MIT
/*
 * A CPU's own tables: GDT and TSS in its struct cpu, GS base pointing there, and the registers that
 * SYSCALL uses.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/entry.h"
#include "kernel/preempt/preempt.h"
#include "kernel/sched/task.h"

struct cpu cpus[NR_CPUS] __aligned(64);
struct ist_stack ist_stacks[NR_CPUS][NR_IST];
unsigned int nr_cpus = 1;

static void load_tables(struct cpu *cpu)
{
	u64 tss = (u64)&cpu->tss;
	struct desc_ptr ptr = { sizeof(cpu->gdt) - 1, (u64)cpu->gdt };

	cpu->gdt[KERNEL_CS / 8] = 0x00af9a000000ffff;	/* 64-bit code, ring 0 */
	cpu->gdt[KERNEL_DS / 8] = 0x00cf92000000ffff;
	cpu->gdt[USER_DS / 8] = 0x00cff2000000ffff;	/* ring 3 */
	cpu->gdt[USER_CS / 8] = 0x00affa000000ffff;
	/* A 64-bit TSS descriptor takes two entries (SDM vol. 3, 8.2.3). */
	cpu->gdt[TSS_SEL / 8] = (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[TSS_SEL / 8 + 1] = tss >> 32;
	for (int i = 0; i < NR_IST; i++) {
		struct ist_stack *stack = &ist_stacks[cpu - cpus][i];

		stack->whose[IST_STACK_TOP / 8] = cpu;
		cpu->tss.ist[i] = (u64)stack->bytes + IST_STACK_TOP;
	}
	cpu->tss.iomap_base = sizeof(cpu->tss);		/* no I/O bitmap: ring 3 may use no port */

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovw %w2, %%ss\n\t"
			 "xorl %%eax, %%eax; movw %%ax, %%ds; movw %%ax, %%es\n\t"
			 "movw %%ax, %%fs; movw %%ax, %%gs\n\t"
			 "ltr %w3"
			 :: "m"(ptr), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(TSS_SEL)
			 : "rax", "memory");
}

void percpu_init(unsigned int id, struct task_struct *idle)
{
	struct cpu *cpu = &cpus[id];

	cpu->self = cpu;
	cpu->id = id;
	cpu->curr_task = idle;
	cpu->kernel_sp = cpu->tss.rsp0 = (u64)idle->stack + THREAD_SIZE;
	/*
	 * As inside schedule() without the run queue's lock: the idle task enables preemption when
	 * it is ready.
	 */
	cpu->preempt_count = PREEMPT_OFFSET | PREEMPT_NEED_RESCHED;
	load_tables(cpu);
	wrmsr(MSR_GS_BASE, (u64)cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void syscall_init(void)
{
	wrmsr(MSR_STAR, (u64)(USER_DS - 8) << 48 | (u64)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (u64)entry_SYSCALL_64);
	/* Flags that ring 3 must not carry into the kernel. */
	wrmsr(MSR_FMASK, X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_NT |
				 X86_EFLAGS_AC | 0x8d5 | 0x3000);
}
