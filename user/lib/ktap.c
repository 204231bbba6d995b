/* SPDX-License-Identifier: MIT */
/*
 * The main() of a ring-3 test program: runs its TEST()s in the order of the file and prints KTAP.
 */
#include "user/lib/ktap.h"
#include "user/lib/vec.h"

/* The linker names the ends of a section whose name is a C identifier. */
extern const struct ktap_test __start_ktap_tests[], __stop_ktap_tests[];

const char *ktap_self;
int ktap_failures;
bool ktap_long, ktap_rules;
int ktap_cpus;
static char skip_reason[128];

/* In a page without hot code: who watches from outside (labs/tools/watch.py) slows its page down. */
__aligned(4096) void ktap_fail(const char *file, int line, const char *fmt, ...)
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

/* The kernel's option "seed=" changes what the tests put into registers. */
static void take_seed(void)
{
	struct splat_info info = { 0 };

	if (on_splat(&info))
		vec_salt = info.seed;
}

/*
 * Each CPU has to switch to us, and so finishes what it had to clean up after it switched away from
 * a task. Twice, for a task that was on its way from one CPU to another.
 */
static void visit_all_cpus(void)
{
	u64 mask = sched_getaffinity(0);
	int i;

	for (i = 0; i < 2 * ktap_cpus; i++) {
		sched_setaffinity(0, BIT(nth_cpu(i)));
		sched_yield();
	}
	sched_setaffinity(0, mask);
}

#define SETTLE_TRIES	20

/* While there are fewer than @wanted, more pages get time to come back. */
static u64 settled_pages_until(u64 wanted)
{
	struct splat_info info = { 0 };
	int i;

	for (i = 0; i < SETTLE_TRIES; i++) {
		visit_all_cpus();
		if (!on_splat(&info) || info.pages_free >= wanted)
			break;
		sleep_ms(4);
	}
	return info.pages_free;
}

u64 settled_pages(void)
{
	return settled_pages_until(0);
}

bool costs_no_page(void (*fn)(void))
{
	u64 before = settled_pages(), after;
	int i;

	for (i = 0; i < 8; i++, before = after) {
		fn();
		after = settled_pages_until(before);
		if (after >= before)
			return true;
	}
	return false;
}

static u64 cpus_at_start;

int nth_cpu(int i)
{
	u64 mask = cpus_at_start;

	for (i %= ktap_cpus; i; i--)
		mask &= mask - 1;
	return __builtin_ctzl(mask);
}

static void find_cpus(void)
{
	u64 mask;

	cpus_at_start = sched_getaffinity(0);
	for (mask = cpus_at_start; mask; mask &= mask - 1)
		ktap_cpus++;
}

__attribute__((weak)) const bool ktap_one_cpu = false;
__attribute__((weak)) const bool ktap_kernel_reports = false;

/* The last CPU, because what was set up in a hurry there must work, too. */
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
 * The test after line @line; NULL: that was the last. Compilers may reverse the order in the
 * section.
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

/* The kernel's reports so far, of all kinds. */
static u64 reports(void)
{
	struct splat_info info = { 0 };
	u64 sum = 0;

	on_splat(&info);
	for (int i = 0; i < SPLAT_KINDS; i++)
		sum += info.splats[i];
	return sum;
}

/* True: passed or skipped. Nothing that ring 3 does may make the kernel report something. */
static bool run_test(const struct ktap_test *t, int number)
{
	u64 before = reports();

	ktap_failures = 0;
	skip_reason[0] = '\0';
	t->run();
	if (reports() != before && !ktap_kernel_reports)
		ktap_fail(__FILE__, t->line, "the kernel reported %lu times meanwhile: see above",
			  (unsigned long)(reports() - before));
	printf("  %s %d %s%s%s\n", ktap_failures ? "not ok" : "ok", number, t->name,
	       skip_reason[0] ? " # SKIP " : "", skip_reason);
	return !ktap_failures;
}

int main(int argc, char **argv, char **envp)
{
	const char *only = argc > 1 ? argv[1] : NULL, *name, *slash;
	const struct ktap_test *t;
	int number = 0, count = 0, failed = 0, ret;

	ktap_self = argv[0];
	take_seed();
	for (; *envp; envp++) {
		ktap_long |= !strcmp(*envp, "LONG=1");
		ktap_rules |= !strcmp(*envp, "RULES=1");
	}
	ret = test_reexec(argc, argv);
	if (ret >= 0)
		return ret;

	find_cpus();
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
