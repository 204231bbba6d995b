/* SPDX-License-Identifier: MIT */
/* How tasks end, and how parents wait for that. All may sleep but kill_process(). */
#pragma once

#include "kernel/sched/task.h"

/* Signal numbers, as they appear in a wait status. */
#define SIGTRAP		5
#define SIGILL		4
#define SIGBUS		7
#define SIGFPE		8
#define SIGKILL		9
#define SIGSEGV		11

#define WNOHANG		1

/* @code as in wait4()'s status: exit status << 8, or a signal's number. */
void __noreturn do_exit(int code);
/* If another task has already begun to end the group, its code counts. */
void __noreturn do_group_exit(int code);

/* End @task's whole group from outside. tasklist_lock held. */
void kill_process(struct task_struct *task, int code);

/*
 * exec: end all other threads, and become the group's leader. 0, or -EINTR if we are being ended
 * ourselves.
 */
int de_thread(void);

/* A child's pid, 0 (WNOHANG, none ready), -ECHILD, -EINTR, -EINVAL. Its status goes to *@status. */
long do_wait(pid_t pid, int *status, int options);

/*
 * Let go of what ring 3 waits for when a task leaves its memory: vfork's parent,
 * CLONE_CHILD_CLEARTID's word.
 */
void mm_release(struct task_struct *task);

/* entry.S, where a new task comes from the function that it started in. */
void kernel_function_returned(int ret);
