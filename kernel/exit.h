/* SPDX-License-Identifier: MIT */
/* The end of tasks, and parents that wait for it. All may sleep. */
#pragma once

#include "kernel/task.h"

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
/* If somebody has begun to end the group already, his code counts. */
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
