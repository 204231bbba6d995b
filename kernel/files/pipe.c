// SPDX-License-Identifier: MIT
/* Pipes: a ring of one page of bytes between a reading and a writing file. */
#include "arch/x86/mm/uaccess.h"
#include "kernel/files/files.h"
#include "kernel/locking/assert.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"

#define PIPE_SIZE	PAGE_SIZE

struct pipe {
	mutex_t			lock;
	struct wait_queue_head	readable, writable;

	/* lock; read without it only to decide whether to keep sleeping */
	size_t			head, tail;	/* bytes ever written, ever read */
	bool			reader, writer;	/* that end is open */
	char			ring[PIPE_SIZE];
};

/*
 * Close one end. Wake the other end's users before the unlock, because the pipe may be freed after
 * it.
 */
static void pipe_release(struct file *file)
{
	struct pipe *pipe = file->private;
	bool unused;

	mutex_lock(&pipe->lock);
	if (file->ops->read)
		pipe->reader = false;
	else
		pipe->writer = false;
	unused = !pipe->reader && !pipe->writer;
	wake_up_all(&pipe->readable);
	wake_up_all(&pipe->writable);
	mutex_unlock(&pipe->lock);
	if (unused)
		kfree(pipe);
}

/* Read as much as is there and lies in one piece. lock held. */
static ssize_t read_some(struct pipe *pipe, char *user_buf, size_t count)
{
	size_t pos = pipe->tail % PIPE_SIZE;
	size_t n = min(min(count, pipe->head - pipe->tail), PIPE_SIZE - pos);

	assert_mutex_held(&pipe->lock);
	if (copy_to_user(user_buf, pipe->ring + pos, n))
		return -EFAULT;
	pipe->tail += n;
	return n;
}

static ssize_t pipe_read(struct file *file, char *user_buf, size_t count)
{
	struct pipe *pipe = file->private;
	ssize_t n = 0;

	for (;;) {
		bool eof;

		if (mutex_lock_killable(&pipe->lock))
			return -EINTR;
		eof = !pipe->writer;
		n = pipe->head != pipe->tail ? read_some(pipe, user_buf, count) : 0;
		mutex_unlock(&pipe->lock);
		if (n || eof)
			break;
		n = wait_event_interruptible(&pipe->readable,
					     READ_ONCE(pipe->head) != READ_ONCE(pipe->tail) ||
						     !READ_ONCE(pipe->writer));
		if (n)
			return n;
	}
	wake_up_all(&pipe->writable);
	return n;
}

static ssize_t write_some(struct pipe *pipe, char *user_buf, size_t count)
{
	size_t pos = pipe->head % PIPE_SIZE;
	size_t n = min(min(count, PIPE_SIZE - (pipe->head - pipe->tail)), PIPE_SIZE - pos);

	assert_mutex_held(&pipe->lock);
	if (copy_from_user(pipe->ring + pos, user_buf, n))
		return -EFAULT;
	pipe->head += n;
	return n;
}

/*
 * Write all of it, or as much as went before an error. -EPIPE if nobody is left to read (there is
 * no SIGPIPE yet).
 */
static ssize_t pipe_write(struct file *file, char *user_buf, size_t count)
{
	struct pipe *pipe = file->private;
	size_t done = 0;
	ssize_t n = 0;

	while (done < count) {
		/* Check here, because a writer whose reader always reads would never sleep. */
		if (signal_pending(current) || mutex_lock_killable(&pipe->lock)) {
			n = -EINTR;
			break;
		}
		n = pipe->reader ? write_some(pipe, user_buf + done, count - done) : -EPIPE;
		mutex_unlock(&pipe->lock);
		if (n < 0)
			break;
		done += n;
		wake_up_all(&pipe->readable);
		if (n)
			continue;
		n = wait_event_interruptible(&pipe->writable,
					     READ_ONCE(pipe->head) - READ_ONCE(pipe->tail) <
							     PIPE_SIZE ||
						     !READ_ONCE(pipe->reader));
		if (n)
			break;
	}
	return done ? (ssize_t)done : n;
}

static const struct file_ops reader_ops = { .read = pipe_read, .release = pipe_release };
static const struct file_ops writer_ops = { .write = pipe_write, .release = pipe_release };

long do_pipe(int *user_fds)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe), GFP_KERNEL);
	struct file *files[2];
	int fds[2] = { -1, -1 }, ret = 0;

	if (!pipe)
		return -ENOMEM;
	mutex_init(&pipe->lock);
	init_waitqueue_head(&pipe->readable);
	init_waitqueue_head(&pipe->writable);
	files[0] = file_alloc(&reader_ops, pipe);
	files[1] = file_alloc(&writer_ops, pipe);
	if (!files[0] || !files[1]) {		/* no release: the pipe was never opened */
		kfree(files[0]);
		kfree(files[1]);
		kfree(pipe);
		return -ENOMEM;
	}
	pipe->reader = pipe->writer = true;
	for (int i = 0; i < 2 && !ret; i++) {
		fds[i] = fd_install(files[i]);
		ret = min(fds[i], 0);
	}
	if (!ret)
		ret = copy_to_user(user_fds, fds, sizeof(fds));
	if (!ret)
		return 0;
	for (int i = 0; i < 2; i++)
		if (fds[i] < 0 || fd_withdraw(fds[i], files[i]))
			fput(files[i]);
	return ret;
}
