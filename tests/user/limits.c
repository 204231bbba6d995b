/* SPDX-License-Identifier: MIT */
/*
 * Limits at their edge: the last value that fits is taken whole, the first that does not is refused
 * with its errno, and nothing behind a table or a buffer is touched. The kernel's own tables lie in
 * front of redzones (kmalloc.h): a step too far there ends in a panic, and so in a report without
 * an end.
 */
#include "user/lib/ktap.h"

#define STRINGS_MAX	256		/* argv, envp and their two ends, of one execve */
#define STRING_BYTES	(59 * 1024)	/* of both, with each NUL */
#define PATH_BYTES	256		/* with the NUL */
#define OPEN_MAX	32
#define PIPE_SIZE	4096
#define PID_MAX		4096

#define NEEDS_SPLAT	do { if (!splat_here()) SKIP("Linux has other limits"); } while (0)

static bool splat_here(void)
{
	struct splat_info info;

	return on_splat(&info);
}

/* ---- execve ---- */

/*
 * This program again: are there as many strings and bytes as the first ones say? And was RSP a
 * multiple of 16 at the entry, where argc lies?
 */
int test_reexec(int argc, char **argv)
{
	char **envp = argv + argc + 1;
	unsigned long envc = 0, bytes = 0;
	int i;

	if (argc < 4 || strcmp(argv[0], "limits"))
		return -1;
	for (i = 0; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	for (; envp[envc]; envc++)
		bytes += strlen(envp[envc]) + 1;
	return (unsigned long)(argv - 1) % 16 == 0 &&
	       strtoul(argv[1], NULL, 10) == (unsigned long)argc &&
	       strtoul(argv[2], NULL, 10) == envc && strtoul(argv[3], NULL, 10) == bytes ? 33 : 34;
}

struct strings {
	int argc, envc;
	unsigned long bytes;		/* 0: as many as it takes */
};

static long exec_error;			/* in memory that a child of vfork() shares */

/* In a child of vfork(): the last string is as long as it takes to have so many bytes in all. */
static void exec_strings(const struct strings *s)
{
	static char name[] = "limits", argc[12], envc[12], bytes[12], x[] = "x";
	static char last[STRING_BYTES + 2];
	static char *argv[2 * STRINGS_MAX], *envp[2 * STRINGS_MAX];
	char *first[] = { name, argc, envc, bytes };
	unsigned long used = sizeof(name) + 5 + 5 + 7;
	int i;

	snprintf(argc, sizeof(argc), "%04d", s->argc);
	snprintf(envc, sizeof(envc), "%04d", s->envc);
	for (i = 0; i < s->argc; i++)
		argv[i] = i < 4 ? first[i] : x;
	argv[i] = NULL;
	for (i = 0; i < s->envc; i++)
		envp[i] = x;
	envp[i] = NULL;
	used += (s->argc - 4 + s->envc) * sizeof(x);
	if (s->bytes) {
		used -= sizeof(x);
		memset(last, 'l', sizeof(last));
		last[s->bytes - used - 1] = '\0';
		*(s->envc ? &envp[s->envc - 1] : &argv[s->argc - 1]) = last;
		used = s->bytes;
	}
	snprintf(bytes, sizeof(bytes), "%06lu", used);
	exec_error = execve(ktap_self, argv, envp);
	_exit(35);
}

/* The error, or the new program's exit status. */
static long try_strings(int argc, int envc, unsigned long bytes)
{
	const struct strings s = { argc, envc, bytes };
	pid_t pid;
	int status;

	exec_error = 0;
	flush();
	pid = vfork();
	if (pid == 0)
		exec_strings(&s);
	if (pid < 0)
		return pid;
	status = wait_child(pid);
	return exec_error ? exec_error : WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

/* fails with: fault/exec-one-string-too-few; one too many is a panic */
TEST(exec_with_as_many_strings_as_fit)
{
	const int most = STRINGS_MAX - 2;
	int argc;

	NEEDS_SPLAT;
	for (argc = 4; argc <= most; argc += (most - 4) / 2) {
		EXPECT_EQ(try_strings(argc, most - argc, 0), 33);
		if (argc < most)
			EXPECT_EQ(try_strings(argc, most - argc - 1, 0), 33);
		EXPECT_EQ(try_strings(argc, most - argc + 1, 0), -E2BIG);
		EXPECT_EQ(try_strings(argc, most - argc + 2, 0), -E2BIG);
		EXPECT_EQ(try_strings(argc, 2 * STRINGS_MAX - 1, 0), -E2BIG);
	}
	for (argc = most - 1; argc <= most + 3; argc++)
		EXPECT_EQ(try_strings(argc, 0, 0), argc <= most ? 33 : -E2BIG);
	EXPECT_EQ(try_strings(2 * STRINGS_MAX - 1, 0, 0), -E2BIG);
}

/* fails with: fault/exec-one-byte-too-few */
TEST(exec_with_as_many_bytes_as_fit)
{
	int envc, d;

	NEEDS_SPLAT;
	for (envc = 0; envc <= 3; envc += 3) {
		for (d = -2; d <= 2; d++)
			EXPECT_EQ(try_strings(5, envc, STRING_BYTES + d), d <= 0 ? 33 : -E2BIG);
		/* All that fits, and one empty string more. */
		EXPECT_EQ(try_strings(5, envc, 2 * STRING_BYTES / 2 + 1), -E2BIG);
	}
	EXPECT_EQ(try_strings(STRINGS_MAX - 2, 0, STRING_BYTES), 33);
	EXPECT_EQ(try_strings(STRINGS_MAX - 2, 0, STRING_BYTES + 1), -E2BIG);
	EXPECT_EQ(try_strings(4, STRINGS_MAX - 6, STRING_BYTES), 33);
}

TEST(exec_with_as_long_a_path_as_fits)
{
	static char path[PATH_BYTES + 2];
	char *none[] = { NULL };
	int len;

	NEEDS_SPLAT;
	for (len = PATH_BYTES - 3; len <= PATH_BYTES + 1; len++) {
		memset(path, 'p', sizeof(path));
		path[0] = '/';
		path[len] = '\0';
		EXPECT_EQ(execve(path, none, none), len < PATH_BYTES ? -ENOENT : -ENAMETOOLONG);
	}
}

/* ---- descriptors ---- */

static void fill_the_table(void *arg __unused)
{
	int fds[2], fd;

	EXPECT_EQ(dup2(1, OPEN_MAX - 1), OPEN_MAX - 1);
	EXPECT_EQ(dup2(1, OPEN_MAX), -EBADF);
	EXPECT_EQ(dup2(OPEN_MAX, 5), -EBADF);
	EXPECT_EQ(read(OPEN_MAX, &fd, 1), -EBADF);
	EXPECT_EQ(write(OPEN_MAX, "", 1), -EBADF);
	EXPECT_EQ(syscall(SYS_ioctl, OPEN_MAX, TIOCGWINSZ, &fds), -EBADF);
	EXPECT_EQ(close(OPEN_MAX), -EBADF);
	EXPECT_EQ(close(-1), -EBADF);
	for (fd = 3; fd < OPEN_MAX; fd++)
		EXPECT_EQ(dup2(1, fd), fd);
	EXPECT_EQ(pipe(fds), -EMFILE);
	/* One free place is too few for a pipe, and is still free afterwards; wherever it is. */
	for (fd = 3; fd < OPEN_MAX; fd++) {
		close(fd);
		EXPECT_EQ(pipe(fds), -EMFILE);
		EXPECT_EQ(close(fd), -EBADF);
		EXPECT_EQ(dup2(1, fd), fd);
	}
	close(OPEN_MAX - 1);
	close(OPEN_MAX - 2);
	EXPECT_EQ(pipe(fds), 0);
	EXPECT_EQ(fds[0], OPEN_MAX - 2);
	EXPECT_EQ(fds[1], OPEN_MAX - 1);
	EXPECT_EQ(write(fds[1], "full", 4), 4);
	EXPECT_EQ(pipe(fds), -EMFILE);
}

/* fails with: fault/last-descriptor-refused */
TEST(the_last_descriptor_and_one_more)
{
	NEEDS_SPLAT;
	EXPECT_EQ(run_child(fill_the_table, NULL), EXITED(0));
}

/* ---- pipes: wherever the ring begins ---- */

static char out[PIPE_SIZE + 1], in[PIPE_SIZE + 1];
static int fds[2];

static void write_one_too_many(void *arg __unused)
{
	close(fds[0]);
	EXPECT_EQ(write(fds[1], out, PIPE_SIZE + 1), PIPE_SIZE + 1);
}

/* All @size bytes through the pipe; what is read lies where it belongs, and nothing behind it. */
static void pass(size_t size)
{
	size_t done = 0;
	ssize_t n;

	memset(in, 'n', sizeof(in));
	while (done < size && (n = read(fds[0], in + done, size - done)) > 0)
		done += n;
	EXPECT_EQ(done, size);
	EXPECT_EQ(memcmp(in, out, size), 0);
	EXPECT(size == sizeof(in) || in[size] == 'n');
}

TEST(a_pipe_takes_its_size_and_not_one_byte_more)
{
	static const int starts[] = { 0, 1, PIPE_SIZE - 1, PIPE_SIZE, 7 };
	size_t i, size;
	pid_t pid;

	NEEDS_SPLAT;
	ASSERT_EQ(pipe(fds), 0);
	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7 % 251;
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		EXPECT_EQ(write(fds[1], out, starts[i]), starts[i]);
		pass(starts[i]);
		for (size = PIPE_SIZE - 1; size <= PIPE_SIZE; size++) {
			EXPECT_EQ(write(fds[1], out, size), size);	/* does not wait */
			pass(size);
		}
		pid = start_child(write_one_too_many, NULL);
		pass(PIPE_SIZE + 1);
		EXPECT_EQ(wait_child(pid), EXITED(0));
	}
	close(fds[0]);
	close(fds[1]);
}

/* ---- numbers of tasks, masks of CPUs, times ---- */

TEST(the_last_pid_and_one_more)
{
	static const int pids[] = { PID_MAX - 1, PID_MAX, PID_MAX + 1, 0x7fffffff };
	size_t i;

	NEEDS_SPLAT;
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		EXPECT_EQ(sched_getscheduler(pids[i]), -ESRCH);
		EXPECT_EQ(sched_setaffinity(pids[i], ~0UL), -ESRCH);
		EXPECT_EQ(wait4(pids[i], NULL, WNOHANG, NULL), -ECHILD);
	}
	EXPECT_EQ(sched_getscheduler(-1), -EINVAL);
}

static int numbers_taken(void)
{
	int pid, count = 0;

	for (pid = 1; pid < PID_MAX; pid++)
		count += sched_getscheduler(pid) >= 0;
	return count;
}

static void end_at_once(void *arg __unused)
{
}

/* All there are, and one task more: host/all-pids gives it the memory for their stacks. */
TEST(as_many_tasks_as_numbers)
{
	int fds[2], children = 0, taken = numbers_taken();
	pid_t pid;
	char c;

	NEEDS_SPLAT;
	ASSERT_EQ(pipe(fds), 0);
	while ((pid = syscall(SYS_fork)) > 0)
		children++;
	if (pid == 0) {
		close(fds[1]);
		read(fds[0], &c, 1);		/* until nobody can write any more */
		_exit(0);
	}
	taken += children;
	EXPECT_EQ(pid, -EAGAIN);
	EXPECT_EQ(numbers_taken(), taken);
	close(fds[0]);
	close(fds[1]);
	for (; children && wait4(-1, NULL, 0, NULL) > 0; children--)
		;
	EXPECT_EQ(children, 0);
	EXPECT_EQ(run_child(end_at_once, NULL), EXITED(0));
	if (taken != PID_MAX - 1)
		SKIP("memory for stacks ends before the numbers do");
}

TEST(masks_of_all_sizes)
{
	u64 mask[3], was = sched_getaffinity(0);
	unsigned int size;

	NEEDS_SPLAT;
	for (size = 0; size <= sizeof(mask); size++) {
		memset(mask, 0x5a, sizeof(mask));
		EXPECT_EQ(syscall(SYS_sched_getaffinity, 0, size, mask),
			  size && size % 8 == 0 ? 8 : -EINVAL);
		if (size && size % 8 == 0)
			EXPECT_EQ(mask[0], was);
		EXPECT_EQ(mask[1], 0x5a5a5a5a5a5a5a5a);	/* Splat writes one word */
		/* As many bytes as the caller says are read: none is no CPU. */
		mask[0] = was;
		EXPECT_EQ(syscall(SYS_sched_setaffinity, 0, size, mask), size ? 0 : -EINVAL);
		EXPECT_EQ(syscall(SYS_sched_setaffinity, 0, size, (void *)8),
			  size ? -EFAULT : -EINVAL);
	}
	EXPECT_EQ(sched_getaffinity(0), was);
}

static void sleep_as_long_as_can_be(void *seconds)
{
	struct timespec longest = { (long)seconds, 999999999 };

	nanosleep(&longest, NULL);
	_exit(1);			/* that was not long */
}

TEST(times_at_their_edge)
{
	static const long longest[] = { 999999999, 1000000000, 1000000001, 0x7fffffffffffffff };
	static const struct timespec bad[] = { { 0, 1000000000 }, { 0, -1 }, { -1, 0 },
					       { 0, 0x7fffffffffffffff }, { (long)BIT(63), 0 } };
	struct timespec good = { 0, 1 };
	pid_t pid;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(nanosleep(&bad[i], NULL), -EINVAL);
	EXPECT_EQ(nanosleep(&good, NULL), 0);
	good.tv_nsec = 0;
	EXPECT_EQ(nanosleep(&good, NULL), 0);
	NEEDS_SPLAT;			/* to end who sleeps takes a group that ends */
	for (i = 0; i < ARRAY_SIZE(longest); i++) {
		struct thread t;

		flush();
		pid = fork();
		if (pid == 0) {
			thread_create(&t, sleep_as_long_as_can_be, (void *)longest[i], 16384);
			sleep_ms(20);
			_exit(0);
		}
		EXPECT_EQ(wait_child(pid), EXITED(0));
	}
}

/* ---- the console, and Splat's own calls ---- */

/* The kernel takes 128 bytes at a time. */
TEST(console_lines_of_any_length)
{
	static char line[260];
	int len;

	memset(line, ' ', sizeof(line));
	memcpy(line, "  #", 3);
	flush();
	for (len = 127; len <= 129; len++) {
		line[len - 1] = '\n';
		EXPECT_EQ(write(1, line, len), len);
		line[len - 1] = ' ';
	}
	for (len = 255; len <= 257; len++) {
		line[len - 1] = '\n';
		EXPECT_EQ(write(1, line, len), len);
		line[len - 1] = ' ';
	}
	EXPECT_EQ(write(1, line, 0), 0);
}

TEST(splat_calls_write_as_much_as_they_are_told)
{
	static union {
		struct splat_info info;
		char bytes[sizeof(struct splat_info) + 16];
	} u;
	char name[80], again[80];
	size_t size;
	int len;

	NEEDS_SPLAT;
	for (size = 0; size <= sizeof(u); size++) {
		memset(&u, 0x77, sizeof(u));
		EXPECT_EQ(syscall(SYS_splat_info, &u, size), 0);
		EXPECT_EQ(u.bytes[min(size, sizeof(u.info))], 0x77);
	}
	len = splat_readdir(0, name, sizeof(name));
	ASSERT(len > 0);
	memset(again, 'x', sizeof(again));
	EXPECT_EQ(splat_readdir(0, again, len + 1), len);
	EXPECT_EQ(strcmp(name, again), 0);
	EXPECT_EQ(again[len + 1], 'x');
	EXPECT_EQ(splat_readdir(0, again, len), -ENAMETOOLONG);
	EXPECT_EQ(splat_readdir(0, again, 0), -ENAMETOOLONG);
}

/* An assignment has room for 80 bytes with its NUL. */
TEST(option_strings_at_their_edge)
{
	static char text[84];
	size_t len;

	NEEDS_SPLAT;
	for (len = 78; len < sizeof(text); len++) {
		memset(text, 'o', sizeof(text));
		memcpy(text, "fail_alloc=", 11);
		text[len] = '\0';
		EXPECT_EQ(splat_setopt(text), -EINVAL);
	}
	EXPECT_EQ(splat_setopt("fail_alloc="), -EINVAL);
	EXPECT_EQ(splat_setopt("fail_alloc"), -EINVAL);
	EXPECT_EQ(splat_setopt("fail_alloc=0"), 0);
}

TEST(suites_by_number)
{
	struct splat_ktest test;
	int count;

	NEEDS_SPLAT;
	count = splat_ktest(SPLAT_KTEST_COUNT, 0, &test);
	EXPECT(count > 0);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_NAME, count - 1, &test), 0);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_NAME, count, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_RUN, count, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_NAME, -1, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(77, 0, &test), -EINVAL);
}

/* Steps that splat_hold_siglock() takes at most. */
TEST(holding_for_too_long_is_refused)
{
	NEEDS_SPLAT;
	EXPECT_EQ(splat_hold_siglock(10000001), -EINVAL);
	EXPECT_EQ(splat_hold_siglock(~0UL), -EINVAL);
	EXPECT_EQ(splat_hold_siglock(1), 0);
}
