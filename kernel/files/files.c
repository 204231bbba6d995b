// SPDX-License-Identifier: MIT
/* Descriptor tables and the console file. */
#include "kernel/files/files.h"
#include "arch/x86/console.h"
#include "arch/x86/mm/uaccess.h"
#include "kernel/fork.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "lib/printk.h"

/* Shared by CLONE_FILES. */
struct files_struct {
	int		count;			/* atomic */
	spinlock_t	lock;
	struct file	*fd[OPEN_MAX];		/* lock */
};

/* --- The console --- */

#define INPUT_SIZE	256			/* a power of two */

static char input[INPUT_SIZE];
static unsigned int input_head, input_tail;	/* written by: the interrupt; the reader */
static struct wait_queue_head input_wait = WAIT_QUEUE_HEAD_INIT(input_wait);
static mutex_t input_lock = MUTEX_INIT;		/* one reader at a time */

/* Collect what was typed. CPU 0 does this for all CPUs. */
static void poll_input(struct pt_regs *regs)
{
	bool any = false;
	int c;

	if (smp_processor_id())
		return;
	/* A full buffer leaves bytes in the UART, and so with the sender. */
	while (input_head - READ_ONCE(input_tail) < INPUT_SIZE && (c = console_getc()) >= 0) {
		input[input_head % INPUT_SIZE] = c;
		__atomic_store_n(&input_head, input_head + 1, __ATOMIC_RELEASE);
		any = true;
	}
	if (any)
		wake_up_all(&input_wait);
}
ON_TICK(poll_input);

static bool have_input(void)
{
	return __atomic_load_n(&input_head, __ATOMIC_ACQUIRE) != input_tail;
}

/* A sleeping reader holds no lock, so that a second one is killable while the first waits. */
static ssize_t console_read(struct file *file, char *user_buf, size_t count)
{
	size_t done = 0;
	int ret = 0;

	while (!done && !ret) {
		if (wait_event_interruptible(&input_wait, have_input()) ||
		    mutex_lock_killable(&input_lock))
			return -EINTR;
		while (done < count && have_input()) {
			ret = put_user(input[input_tail % INPUT_SIZE], user_buf + done);
			if (ret)
				break;
			WRITE_ONCE(input_tail, input_tail + 1);
			done++;
		}
		mutex_unlock(&input_lock);
	}
	return done ? (ssize_t)done : ret;
}

static ssize_t console_file_write(struct file *file, char *user_buf, size_t count)
{
	size_t done = 0;
	char part[128];

	while (done < count) {
		size_t n = min(count - done, sizeof(part));

		/* A serial line is slow, so a group that is to end does not wait for it. */
		if (signal_pending(current))
			return done ? (ssize_t)done : -EINTR;
		if (copy_from_user(part, user_buf + done, n))
			return done ? (ssize_t)done : -EFAULT;
		console_write_user(part, n);
		done += n;
	}
	return done;
}

static const struct file_ops console_ops = { .read = console_read, .write = console_file_write };

/* --- Files --- */

struct file *file_alloc(const struct file_ops *ops, void *private)
{
	struct file *file = kmalloc(sizeof(*file), GFP_KERNEL);

	if (file)
		*file = (struct file){ .ops = ops, .count = 1, .private = private };
	return file;
}

void fput(struct file *file)
{
	if (__atomic_sub_fetch(&file->count, 1, __ATOMIC_ACQ_REL))
		return;
	if (file->ops->release)
		file->ops->release(file);
	kfree(file);
}

struct file *fget(int fd)
{
	struct files_struct *files = current->files;
	struct file *file = NULL;

	if (!files || fd < 0 || fd >= OPEN_MAX)
		return NULL;
	spin_lock(&files->lock);
	file = files->fd[fd];
	if (file)
		__atomic_fetch_add(&file->count, 1, __ATOMIC_RELAXED);
	spin_unlock(&files->lock);
	return file;
}

int fd_install(struct file *file)
{
	struct files_struct *files = current->files;
	int fd;

	spin_lock(&files->lock);
	for (fd = 0; fd < OPEN_MAX && files->fd[fd]; fd++)
		;
	if (fd < OPEN_MAX)
		files->fd[fd] = file;
	spin_unlock(&files->lock);
	return fd < OPEN_MAX ? fd : -EMFILE;
}

/* Put @file (or nothing) at @fd and return what was there. */
static struct file *fd_exchange(int fd, struct file *file)
{
	struct files_struct *files = current->files;
	struct file *old;

	spin_lock(&files->lock);
	old = files->fd[fd];
	files->fd[fd] = file;
	spin_unlock(&files->lock);
	return old;
}

bool fd_withdraw(int fd, struct file *file)
{
	struct files_struct *files = current->files;
	bool there;

	spin_lock(&files->lock);
	there = files->fd[fd] == file;
	if (there)
		files->fd[fd] = NULL;
	spin_unlock(&files->lock);
	return there;
}

/* --- Tables --- */

static struct files_struct *new_table(void)
{
	struct files_struct *files = kzalloc(sizeof(*files), GFP_KERNEL);

	if (files) {
		files->count = 1;
		spin_lock_init(&files->lock);
	}
	return files;
}

void files_init(void)
{
	struct file *console = file_alloc(&console_ops, NULL);

	current->files = new_table();
	if (!console || !current->files)
		panic("no memory for the first files");
	console->count = 3;
	for (int fd = 0; fd < 3; fd++)
		current->files->fd[fd] = console;
}

/* A copy of current's table; NULL: -ENOMEM. */
static struct files_struct *dup_table(void)
{
	struct files_struct *from = current->files, *to = new_table();

	if (!to)
		return NULL;
	spin_lock(&from->lock);
	for (int fd = 0; fd < OPEN_MAX; fd++) {
		to->fd[fd] = from->fd[fd];
		if (to->fd[fd])
			__atomic_fetch_add(&to->fd[fd]->count, 1, __ATOMIC_RELAXED);
	}
	spin_unlock(&from->lock);
	return to;
}

int copy_files(unsigned long flags, struct task_struct *child)
{
	if (!current->files || (child->flags & PF_KTHREAD))
		return 0;
	if (flags & CLONE_FILES) {
		__atomic_fetch_add(&current->files->count, 1, __ATOMIC_RELAXED);
		child->files = current->files;
		return 0;
	}
	child->files = dup_table();
	return child->files ? 0 : -ENOMEM;
}

int unshare_files(void)
{
	struct files_struct *own;

	if (__atomic_load_n(&current->files->count, __ATOMIC_ACQUIRE) == 1)
		return 0;
	own = dup_table();
	if (!own)
		return -ENOMEM;
	exit_files(current);
	current->files = own;
	return 0;
}

void exit_files(struct task_struct *task)
{
	struct files_struct *files = task->files;

	task->files = NULL;
	if (!files || __atomic_sub_fetch(&files->count, 1, __ATOMIC_ACQ_REL))
		return;
	for (int fd = 0; fd < OPEN_MAX; fd++)
		if (files->fd[fd])
			fput(files->fd[fd]);
	kfree(files);
}

/* --- System calls --- */

long do_read_write(bool write, int fd, char *user_buf, size_t count)
{
	struct file *file = fget(fd);
	file_op *op;
	long ret = -EBADF;

	if (!file)
		return ret;
	op = write ? file->ops->write : file->ops->read;
	if (op)
		ret = !access_ok(user_buf, count) ? -EFAULT : count ? op(file, user_buf, count) : 0;
	fput(file);
	return ret;
}

#define TIOCGWINSZ	0x5413

/* The one question that programs ask of a terminal: are you one? */
long do_ioctl(int fd, unsigned int request, void *user_arg)
{
	static const u16 winsize[4] = { 25, 80 };
	struct file *file = fget(fd);
	bool console = file && file->ops == &console_ops;

	if (!file)
		return -EBADF;
	fput(file);
	if (!console || request != TIOCGWINSZ)
		return -ENOTTY;
	return copy_to_user(user_arg, winsize, sizeof(winsize));
}

long do_close(int fd)
{
	struct file *file = fd >= 0 && fd < OPEN_MAX ? fd_exchange(fd, NULL) : NULL;

	if (!file)
		return -EBADF;
	fput(file);
	return 0;
}

long do_dup2(int from, int to)
{
	struct file *file = fget(from), *old;

	if (!file)
		return -EBADF;
	if (to < 0 || to >= OPEN_MAX || to == from) {
		fput(file);
		return to == from ? to : -EBADF;
	}
	old = fd_exchange(to, file);
	if (old)
		fput(old);
	return to;
}
