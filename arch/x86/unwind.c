// SPDX-License-Identifier: MIT
/*
 * The unwinder: two things walk up the stack together. The frame pointers (%rbp) lead from return
 * address to return address; beside them every word is looked at, and one that is a kernel text
 * address is printed. A word is confirmed if a frame's return address stands there. Any other may
 * be a leftover and gets "? ".
 *
 * At an entry from below, %rbp holds the address of pt_regs plus 1 (entry.S): the chain goes on
 * with the registers saved there.
 */
#include "arch/x86/unwind.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/report/report.h"
#include "kernel/sched/task.h"
#include "kernel/version.h"
#include "lib/kallsyms.h"
#include "lib/printk.h"

struct stack_range {
	unsigned long low, high;
	const char *name;
};

struct unwind {
	struct stack_range stack;
	unsigned long bp;		/* 0: the chain has ended */
	/* Where the next confirmed return address stands, or NULL. */
	unsigned long *ret;
	const struct pt_regs *regs;	/* an entry frame at this place, or NULL */
};

bool is_stack_guard(unsigned long addr)
{
	extern char boot_stack_guard[];

	if (addr >= STACK_AREA && addr < STACK_AREA_END)
		return addr % STACK_SLOT < STACK_SLOT - THREAD_SIZE;
	return ALIGN_DOWN(addr, PAGE_SIZE) == (unsigned long)boot_stack_guard;
}

/* The stack that @sp is on, by its address, as current may be wrong in the middle of a switch. */
static bool find_stack(unsigned long sp, struct stack_range *range)
{
	static const char *const names[NR_IST] = { "#DF", "NMI", "#DB" };
	extern u8 boot_stack[];
	unsigned long low = (unsigned long)boot_stack;

	if (sp >= STACK_AREA && sp < STACK_AREA_END && !is_stack_guard(sp))
		low = ALIGN_DOWN(sp, THREAD_SIZE);
	*range = (struct stack_range){ low, low + THREAD_SIZE, "TASK" };
	for (int i = 0; i < NR_IST && (sp < range->low || sp >= range->high); i++) {
		low = (unsigned long)ist_stacks[smp_processor_id()][i].bytes;
		*range = (struct stack_range){ low, low + IST_STACK_SIZE, names[i] };
	}
	return sp >= range->low && sp < range->high;
}

static bool on_stack(const struct unwind *u, unsigned long addr, size_t size)
{
	return addr >= u->stack.low && addr + size <= u->stack.high && !(addr & 7);
}

/* u->bp was just set: what does it lead to? */
static void decode_bp(struct unwind *u)
{
	u->ret = NULL;
	u->regs = NULL;
	if (u->bp & 1) {
		if (on_stack(u, u->bp - 1, sizeof(struct pt_regs)))
			u->regs = (const struct pt_regs *)(u->bp - 1);
	} else if (u->bp && on_stack(u, u->bp, 16)) {
		u->ret = (unsigned long *)u->bp + 1;
	}
}

static void next_frame(struct unwind *u)
{
	unsigned long old = u->bp;

	if (u->regs)
		u->bp = user_mode(u->regs) ? 0 : u->regs->bp;
	else if (u->ret)
		u->bp = *(unsigned long *)u->bp;
	if (u->bp && (u->bp & ~1UL) <= (old & ~1UL))
		u->bp = 0;			/* frames only go up: this chain is broken */
	decode_bp(u);
}

void print_frame(const struct pt_regs *regs)
{
	if (user_mode(regs))
		printk(KERN_ERR "RIP: %04lx:0x%lx", regs->cs, regs->ip);
	else
		printk(KERN_ERR "RIP: %04lx:%pS", regs->cs, (void *)regs->ip);
	printk(KERN_ERR "RSP: %04lx:%016lx EFLAGS: %08lx ORIG_RAX: %016lx", regs->ss, regs->sp,
	       regs->flags, regs->orig_ax);
}

static void walk_stack(unsigned long sp, struct unwind *u)
{
	sp = ALIGN_UP(sp, 8);
	for (; sp < u->stack.high; sp += 8) {
		unsigned long word = *(unsigned long *)sp;

		while ((u->regs && (unsigned long)u->regs < sp) ||
		       (u->ret && (unsigned long)u->ret < sp))
			next_frame(u);
		if (u->regs && (unsigned long)u->regs == sp) {
			const struct pt_regs *regs = u->regs;

			if (!regs->cs)
				return;			/* a task that has never been in ring 3 */
			print_frame(regs);
			if (user_mode(regs))
				return;
			next_frame(u);
			sp += sizeof(*regs) - 8;
			continue;
		}
		if (kernel_text_address(word))
			printk(KERN_ERR " %s%pB", (unsigned long)u->ret == sp ? "" : "? ",
			       (void *)word);
	}
}

void show_stack(struct task_struct *task, const struct pt_regs *regs)
{
	struct unwind u = {};
	unsigned long sp;

	if (regs) {
		sp = regs->sp;
		u.bp = regs->bp;
	} else if (task == current) {
		u.bp = (unsigned long)__builtin_frame_address(0);
		sp = u.bp + 8;
	} else {
		sp = task->thread.sp;
	}
	printk(KERN_ERR "Call Trace:");
	if (!find_stack(sp, &u.stack)) {
		printk(KERN_ERR " (stack pointer %016lx is on no known stack)", sp);
		return;
	}
	if (!regs && task != current)
		u.bp = ((unsigned long *)sp)[5];		/* as __switch_to_asm pushed it */
	decode_bp(&u);
	printk(KERN_ERR " <%s>", u.stack.name);
	if (regs && !user_mode(regs))
		printk(KERN_ERR " %pS", (void *)regs->ip);	/* not a return address */
	walk_stack(sp, &u);
	printk(KERN_ERR " </%s>", u.stack.name);
}

void print_cpu_line(void)
{
	printk(KERN_ERR "CPU: %u PID: %d Comm: %.20s %s %s #1", smp_processor_id(), current->pid,
	       current->comm, print_tainted(), SPLAT_RELEASE);
}

void dump_stack(void)
{
	print_cpu_line();
	show_stack(current, NULL);
}

void show_regs(const struct pt_regs *r)
{
	print_cpu_line();
	print_frame(r);
	printk(KERN_ERR "RAX: %016lx RBX: %016lx RCX: %016lx", r->ax, r->bx, r->cx);
	printk(KERN_ERR "RDX: %016lx RSI: %016lx RDI: %016lx", r->dx, r->si, r->di);
	printk(KERN_ERR "RBP: %016lx R08: %016lx R09: %016lx", r->bp, r->r8, r->r9);
	printk(KERN_ERR "R10: %016lx R11: %016lx R12: %016lx", r->r10, r->r11, r->r12);
	printk(KERN_ERR "R13: %016lx R14: %016lx R15: %016lx", r->r13, r->r14, r->r15);
	printk(KERN_ERR "CR2: %016lx CR3: %016lx CR4: %08lx", read_cr2(), read_cr3(), read_cr4());
}
