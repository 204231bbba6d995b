/* SPDX-License-Identifier: MIT */
/*
 * Pipes: bytes arrive in order and once, a reader waits for a writer and the other way round, and
 * both learn that the other side is gone.
 */
#include "user/lib/ktap.h"

static int fds[2];

TEST(bytes_in_order)
{
	char buf[8] = { 0 };

	ASSERT_EQ(pipe(fds), 0);
	EXPECT(fds[0] > 2 && fds[1] > 2 && fds[0] != fds[1]);
	EXPECT_EQ(write(fds[1], "abc", 3), 3);
	EXPECT_EQ(write(fds[1], "de", 2), 2);
	EXPECT_EQ(read(fds[0], buf, 2), 2);
	EXPECT_EQ(read(fds[0], buf + 2, 6), 3);		/* what there is */
	EXPECT(!strcmp(buf, "abcde"));
	EXPECT_EQ(write(fds[1], buf, 0), 0);
	EXPECT_EQ(read(fds[0], buf, 0), 0);
	close(fds[0]);
	close(fds[1]);
}

TEST(end_of_file_after_the_data)
{
	char buf[4];

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(write(fds[1], "xy", 2), 2);
	EXPECT_EQ(close(fds[1]), 0);
	EXPECT_EQ(read(fds[0], buf, sizeof(buf)), 2);
	EXPECT_EQ(read(fds[0], buf, sizeof(buf)), 0);
	EXPECT_EQ(read(fds[0], buf, sizeof(buf)), 0);
	EXPECT_EQ(close(fds[0]), 0);
	EXPECT_EQ(close(fds[0]), -EBADF);
}

/*
 * Where there are signals, SIGPIPE would end us first: ask for it to be ignored. Elsewhere this is
 * -ENOSYS.
 */
static void ignore_sigpipe(void)
{
	struct { long handler, flags, restorer, mask; } action = { .handler = 1 };

	syscall(SYS_rt_sigaction, SIGPIPE, &action, 0, 8);
}

static void write_without_reader(void *arg __unused)
{
	ignore_sigpipe();
	ASSERT_EQ(pipe(fds), 0);
	close(fds[0]);
	EXPECT_EQ(write(fds[1], "x", 1), -EPIPE);
}

TEST(writing_without_reader)
{
	EXPECT_EQ(run_child(write_without_reader, NULL), EXITED(0));
}

TEST(wrong_direction)
{
	char c;

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(read(fds[1], &c, 1), -EBADF);
	EXPECT_EQ(write(fds[0], "x", 1), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

TEST(dup2_copies_and_closes)
{
	int other[2];
	char c = 0;

	ASSERT_EQ(pipe(fds), 0);
	ASSERT_EQ(pipe(other), 0);
	EXPECT_EQ(dup2(fds[1], other[1]), other[1]);	/* closes its only write end */
	EXPECT_EQ(read(other[0], &c, 1), 0);
	close(fds[1]);
	EXPECT_EQ(write(other[1], "d", 1), 1);
	EXPECT_EQ(dup2(other[1], other[1]), other[1]);
	EXPECT_EQ(read(fds[0], &c, 1), 1);
	EXPECT_EQ(c, 'd');
	close(other[1]);
	EXPECT_EQ(read(fds[0], &c, 1), 0);
	EXPECT_EQ(dup2(other[1], 5), -EBADF);
	EXPECT_EQ(dup2(fds[0], -1), -EBADF);
	close(fds[0]);
	close(other[0]);
}

/* ---- blocking ---- */

#define TOTAL	(256 * 1024)	/* more than a pipe holds: the writer has to wait, too */

static unsigned char byte_at(unsigned int i)
{
	return (i * 2654435761U) >> 24;
}

/* Odd sizes, so that pieces never fit the pipe's own. */
static void write_pattern(void *arg __unused)
{
	unsigned char buf[1531];
	unsigned int i, done = 0;
	ssize_t n, ret;

	close(fds[0]);
	while (done < TOTAL) {
		n = min(sizeof(buf), (size_t)(TOTAL - done));
		for (i = 0; i < n; i++)
			buf[i] = byte_at(done + i);
		ret = write(fds[1], buf, n);
		ASSERT_EQ(ret, n);	/* a blocking write takes all */
		done += n;
	}
}

/* Reads to the end; returns how many bytes came, and counts the wrong ones. */
static unsigned int read_pattern(unsigned int pause_every, unsigned int *wrong)
{
	unsigned char buf[997];
	unsigned int i, round = 0, done = 0;
	ssize_t n;

	*wrong = 0;
	while ((n = read(fds[0], buf, sizeof(buf))) > 0) {
		for (i = 0; i < n; i++)
			*wrong += buf[i] != byte_at(done + i);
		done += n;
		if (pause_every && ++round % pause_every == 0)
			sleep_ms(1);
	}
	EXPECT_EQ(n, 0);
	return done;
}

TEST(a_quarter_megabyte)
{
	unsigned int wrong;
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(write_pattern, NULL);
	close(fds[1]);
	EXPECT_EQ(read_pattern(0, &wrong), TOTAL);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
}

/* The writer is always ahead and blocks on the full pipe. */
TEST(slow_reader)
{
	unsigned int wrong;
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(write_pattern, NULL);
	close(fds[1]);
	sleep_ms(10);
	EXPECT_EQ(wait4(pid, NULL, WNOHANG, NULL), 0);
	EXPECT_EQ(read_pattern(20, &wrong), TOTAL);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
}

static void fill_pipe(void *arg __unused)
{
	static char block[4096];
	ssize_t ret;

	ignore_sigpipe();
	close(fds[0]);
	do {
		ret = write(fds[1], block, sizeof(block));
	} while (ret > 0);
	EXPECT_EQ(ret, -EPIPE);
}

TEST(reader_goes_while_writer_waits)
{
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(fill_pipe, NULL);
	close(fds[1]);
	sleep_ms(20);
	close(fds[0]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

static void close_later(void *arg __unused)
{
	close(fds[0]);
	sleep_ms(20);
}

TEST(writer_goes_while_reader_waits)
{
	pid_t pid;
	char c;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(close_later, NULL);
	close(fds[1]);
	EXPECT_EQ(read(fds[0], &c, 1), 0);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
}

/* A reader in the kernel and a writer, a byte at a time: 500 switches each way. */
static int answers[2];

static void echo_bytes(void *arg __unused)
{
	char c;

	close(fds[1]);
	close(answers[0]);
	while (read(fds[0], &c, 1) == 1) {
		c++;
		EXPECT_EQ(write(answers[1], &c, 1), 1);
	}
}

TEST(ping_pong)
{
	int i, wrong = 0;
	pid_t pid;
	char c;

	ASSERT_EQ(pipe(fds), 0);
	ASSERT_EQ(pipe(answers), 0);
	pid = start_child(echo_bytes, NULL);
	close(fds[0]);
	close(answers[1]);
	for (i = 0; i < 500; i++) {
		c = i;
		wrong += write(fds[1], &c, 1) != 1;
		wrong += read(answers[0], &c, 1) != 1;
		wrong += c != (char)(i + 1);
	}
	EXPECT_EQ(wrong, 0);
	close(fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(answers[0]);
}

/* The table of files is finite, and running into its end costs nothing. */
TEST(too_many_pipes)
{
	static int all[600][2];
	int i, count, ret = 0;

	for (count = 0; count < 600; count++) {
		ret = pipe(all[count]);
		if (ret)
			break;
	}
	if (count == 600)
		printf("  # no limit met within 600 pipes\n");
	else
		EXPECT_EQ(ret, -EMFILE);
	for (i = 0; i < count; i++) {
		EXPECT_EQ(close(all[i][0]), 0);
		EXPECT_EQ(close(all[i][1]), 0);
	}
	EXPECT_EQ(pipe(fds), 0);
	close(fds[0]);
	close(fds[1]);
}
