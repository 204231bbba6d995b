/* SPDX-License-Identifier: MIT */
/*
 * The main() of a ring-3 test program: runs its TEST()s in the order of the file and prints KTAP.
 */
#include "user/lib/ktap.h"

/* The linker names the ends of a section whose name is a C identifier. */
extern const struct ktap_test __start_ktap_tests[], __stop_ktap_tests[];

const char *ktap_self;
int ktap_failures;
static char skip_reason[128];

void ktap_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	ktap_failures++;
	printf("  # %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void ktap_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, args);
	va_end(args);
}

pid_t start_child(void (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	ktap_failures = 0;
	fn(arg);
	exit(ktap_failures ? 1 : 0);
}

int wait_child(pid_t pid)
{
	int status = 0;
	pid_t ret = wait4(pid, &status, 0, NULL);

	return ret < 0 ? ret : status;
}

int run_child(void (*fn)(void *), void *arg)
{
	pid_t pid = start_child(fn, arg);

	return pid < 0 ? pid : wait_child(pid);
}

bool on_splat(struct splat_info *info)
{
	return splat_info(info) >= 0;
}

__attribute__((weak)) const bool ktap_one_cpu = false;

/* The last CPU: what was set up in a hurry there must do, too. */
static void pin(void)
{
	u64 all = sched_getaffinity(0);

	if (all)
		sched_setaffinity(0, BIT(63 - __builtin_clzl(all)));
}

__attribute__((weak)) int test_reexec(int argc __unused, char **argv __unused)
{
	return -1;
}

/*
 * The test after line @line; NULL: that was the last. Compilers may turn the order in the section
 * round.
 */
static const struct ktap_test *next_test(int line)
{
	const struct ktap_test *t, *best = NULL;

	for (t = __start_ktap_tests; t < __stop_ktap_tests; t++) {
		if (t->line > line && (!best || t->line < best->line))
			best = t;
	}
	return best;
}

/* Returns true if the test passed or was skipped. */
static bool run_test(const struct ktap_test *t, int number)
{
	ktap_failures = 0;
	skip_reason[0] = '\0';
	t->run();
	printf("  %s %d %s%s%s\n", ktap_failures ? "not ok" : "ok", number, t->name,
	       skip_reason[0] ? " # SKIP " : "", skip_reason);
	return !ktap_failures;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL, *slash, *name;
	const struct ktap_test *t;
	int number = 0, count = 0, failed = 0, ret;

	ktap_self = argv[0];
	ret = test_reexec(argc, argv);
	if (ret >= 0)
		return ret;

	if (ktap_one_cpu)
		pin();
	for (t = next_test(0); t; t = next_test(t->line))
		count += !only || !strcmp(only, t->name);
	for (name = argv[0]; (slash = strchr(name, '/')); name = slash + 1)
		;
	printf("  KTAP version 1\n");
	printf("  # Subtest: %s\n", name);
	printf("  1..%d\n", count);
	for (t = next_test(0); t; t = next_test(t->line)) {
		if (!only || !strcmp(only, t->name))
			failed += !run_test(t, ++number);
	}
	if (only && !count) {
		printf("  # no test is named %s\n", only);
		return 1;
	}
	return failed ? 1 : 0;
}
