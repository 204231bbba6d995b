/* SPDX-License-Identifier: MIT */
/* Making tasks. Everything here may sleep unless it says otherwise. */
#pragma once

#include "kernel/sched/task.h"

/* clone() flags, Linux's numbers. */
#define CSIGNAL			0x000000ffUL	/* accepted: there are no signals yet */
#define CLONE_VM		0x00000100UL
#define CLONE_FS		0x00000200UL	/* accepted: there is no working directory */
#define CLONE_FILES		0x00000400UL
#define CLONE_SIGHAND		0x00000800UL
#define CLONE_VFORK		0x00004000UL
#define CLONE_THREAD		0x00010000UL
#define CLONE_SYSVSEM		0x00040000UL	/* accepted: no semaphores */
#define CLONE_SETTLS		0x00080000UL
#define CLONE_PARENT_SETTID	0x00100000UL
#define CLONE_CHILD_CLEARTID	0x00200000UL
#define CLONE_DETACHED		0x00400000UL	/* ignored, as in Linux */
#define CLONE_CHILD_SETTID	0x01000000UL

struct kernel_clone_args {
	unsigned long	flags;
	unsigned long	stack;			/* ring 3's; 0: the parent's */
	unsigned long	tls;
	int		*parent_tid, *child_tid;	/* ring-3 addresses */
	/* Start in this kernel function instead of ring 3. */
	int		(*fn)(void *arg);
	void		*fn_arg;
	bool		kthread;		/* never goes to ring 3 */
	/* The name of a task that starts in a kernel function; NULL: the parent's. */
	const char	*name;
};

/* pid of the new task, or a negative errno. */
pid_t kernel_clone(const struct kernel_clone_args *args);

/*
 * A kernel thread. @fn ends it by returning. ERR_PTR, or the task with a reference for the caller.
 */
struct task_struct *kthread_create(int (*fn)(void *arg), void *arg, const char *name);

/* The idle task of a CPU that is being started: a copy of the caller, CPU 0's. NULL: no memory. */
struct task_struct *idle_create(unsigned int cpu);

/* A task that starts in @fn and becomes a ring-3 program there (kernel_execve()), as init does. */
pid_t user_mode_thread(int (*fn)(void *arg), void *arg, const char *name);

void fork_init(void);
size_t task_struct_size(void);		/* in bytes, on this CPU */

/*
 * For exec: give current a siglock that no other process shares. Other threads of the group may
 * still use the old one. They are about to end, and nobody looks at their records any more. 0 or
 * -ENOMEM.
 */
int unshare_sighand(void);
