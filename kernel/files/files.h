/* SPDX-License-Identifier: MIT */
/* Open files: the console and pipes. Everything here may sleep. */
#pragma once

#include "lib/types.h"

struct task_struct;
struct file;

typedef ssize_t file_op(struct file *file, char *user_buf, size_t count);

struct file_ops {
	file_op *read, *write;
	void (*release)(struct file *file);
};

struct file {
	const struct file_ops	*ops;
	int			count;		/* atomic: descriptors and running calls */
	void			*private;
};

#define OPEN_MAX	32

void files_init(void);				/* 0, 1, 2 of the first task: the console */
int copy_files(unsigned long flags, struct task_struct *child);
void exit_files(struct task_struct *task);
int unshare_files(void);			/* exec gets its own table. -ENOMEM */

struct file *file_alloc(const struct file_ops *ops, void *private);	/* NULL: -ENOMEM */
void fput(struct file *file);
struct file *fget(int fd);			/* NULL: -EBADF */
int fd_install(struct file *file);		/* takes the reference, unless -EMFILE */
/* Takes @file back, with its reference. False: another thread has closed @fd. */
bool fd_withdraw(int fd, struct file *file);

long do_read_write(bool write, int fd, char *user_buf, size_t count);
long do_ioctl(int fd, unsigned int request, void *user_arg);
long do_close(int fd);
long do_dup2(int from, int to);
long do_pipe(int *user_fds);			/* pipe.c */
