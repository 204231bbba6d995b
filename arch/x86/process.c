// SPDX-License-Identifier: MIT
/* Making and remaking the x86 part of a task. Floor 4: may sleep, by way of fpu_clone(). */
#include "arch/x86/process.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/clone.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/dynamic.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/segments.h"
#include "lib/string.h"

#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004

/* What __switch_to_asm pops from a stack, and where it returns to. */
struct inactive_task_frame {
	unsigned long r15, r14, r13, r12, bx, bp, ret_addr;
};

struct fork_frame {
	struct inactive_task_frame frame;
	struct pt_regs regs;
};

int copy_thread(struct task_struct *child, const struct kernel_clone_args *args)
{
	struct fork_frame *fork_frame = (struct fork_frame *)task_stack_top(child) - 1;
	struct pt_regs *childregs = &fork_frame->regs;
	struct inactive_task_frame *frame = &fork_frame->frame;

	frame->ret_addr = (unsigned long)ret_from_fork;
	/* The unwinder's mark, as entry.S makes it. */
	frame->bp = (unsigned long)childregs + 1;
	child->thread.sp = (unsigned long)fork_frame;

	fpu_clone(child, args->flags, args->fn);

	/* Kernel function: the way to ring 3, if it is ever taken, is prepared by exec. */
	if (args->fn) {
		child->thread.pkru = PKRU_DEFAULT;
		child->thread.selectors = child->thread.fsbase = child->thread.gsbase = 0;
		memset(childregs, 0, sizeof(*childregs));
		frame->bx = (unsigned long)args->fn;
		frame->r12 = (unsigned long)args->fn_arg;
		return 0;
	}
	/* Save the registers, not current->thread, which is valid only while switched out. */
	save_segments(&child->thread);
	child->thread.pkru = read_pkru();
	*childregs = *task_pt_regs(current);
	childregs->ax = 0;
	if (args->stack)
		childregs->sp = args->stack;
	if (args->flags & CLONE_SETTLS) {
		if (args->tls >= TASK_SIZE_MAX)
			return -EPERM;
		child->thread.fsindex = 0;
		child->thread.fsbase = args->tls;
	}
	frame->bx = 0;
	return 0;
}

/*
 * Set a base of ring 3's own, with a null selector. Each takes one instruction, and the switch
 * takes what it finds, so preemption in between does no harm.
 */
static void set_fs(unsigned long base)
{
	loadsegment(fs, 0);
	x86_fsbase_write_cpu(base);
}

static void set_gs(unsigned long base)
{
	load_gs_index(0);
	wrmsr(MSR_KERNEL_GS_BASE, base);
}

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->ip = ip;
	regs->sp = sp;
	regs->cs = USER_CS;
	regs->ss = USER_DS;
	regs->flags = X86_EFLAGS_IF | X86_EFLAGS_FIXED;
	loadsegment(ds, 0);
	loadsegment(es, 0);
	set_fs(0);
	set_gs(0);
}

void flush_thread(void)
{
	fpu_flush_thread();
}

void exit_thread(void)
{
	fpu_exit_thread();
}

void set_child_tid(void)
{
	/* A bad address is the caller's loss, as in Linux. */
	if (current->set_child_tid)
		put_user(current->pid, current->set_child_tid);
}

long do_arch_prctl(int option, unsigned long arg2)
{
	bool set = option == ARCH_SET_FS || option == ARCH_SET_GS;

	if (set && arg2 >= TASK_SIZE_MAX)
		return -EPERM;
	switch (option) {
	case ARCH_SET_FS:
		set_fs(arg2);
		return 0;
	case ARCH_SET_GS:
		set_gs(arg2);
		return 0;
	case ARCH_GET_FS:
		return put_user(x86_fsbase_read_cpu(), (unsigned long *)arg2);
	case ARCH_GET_GS:
		return put_user(rdmsr(MSR_KERNEL_GS_BASE), (unsigned long *)arg2);
	default:
		return fpu_xstate_prctl(option, arg2);
	}
}
