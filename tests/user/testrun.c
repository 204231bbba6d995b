/* SPDX-License-Identifier: MIT */
/*
 * The first process of a test boot: runs all suites, those in the kernel and the ring-3 programs,
 * and prints KTAP.
 *
 * Arguments name what to run, as patterns: "k/rbtree", "u/vec", "k/r*". None: everything. "list":
 * only print names. NAME=VALUE goes to the programs' environment. The exit status is 0 if
 * everything that was asked for exists and passed.
 *
 * u/testrun is this program's own suite. It comes last, always: what the kernel did as a whole.
 */
#include "user/lib/libc.h"

#define MAX_SUITES	128
#define MAX_WORDS	16
#define FOLDER		"tests/"
#define SELF		"testrun"
#define OWN		-1

struct suite {
	char name[64];		/* "k/rbtree", "u/vec" */
	char path[80];		/* the program; empty: in the kernel */
	int index;		/* in the kernel; OWN: u/testrun */
};

static struct suite suites[MAX_SUITES];
static int suite_count;

/* ---- what there is ---- */

static struct suite *new_suite(void)
{
	if (suite_count == MAX_SUITES) {
		printf("# more than %d suites\n", MAX_SUITES);
		exit(1);
	}
	return &suites[suite_count++];
}

static void find_kernel_suites(void)
{
	int i, count = splat_ktest(SPLAT_KTEST_COUNT, 0, NULL);

	for (i = 0; i < count; i++) {
		struct splat_ktest test = { 0 };
		struct suite *s = new_suite();

		splat_ktest(SPLAT_KTEST_NAME, i, &test);
		s->index = i;
		snprintf(s->name, sizeof(s->name), "k/%s", test.name);
	}
}

static void find_programs(void)
{
	char path[80];
	int i;

	for (i = 0; splat_readdir(i, path, sizeof(path)) >= 0; i++) {
		const char *p = path + (path[0] == '/');
		struct suite *s;

		if (strncmp(p, FOLDER, strlen(FOLDER)) || !strcmp(p + strlen(FOLDER), SELF))
			continue;
		s = new_suite();
		snprintf(s->path, sizeof(s->path), "/%s", p);
		snprintf(s->name, sizeof(s->name), "u/%s", p + strlen(FOLDER));
	}
}

/* ---- what is wanted ---- */

/* '*' is any text, '?' any character. */
static bool matches(const char *pattern, const char *name)
{
	if (*pattern == '*')
		return matches(pattern + 1, name) || (*name && matches(pattern, name + 1));
	if (!*pattern || !*name)
		return *pattern == *name;
	return (*pattern == '?' || *pattern == *name) && matches(pattern + 1, name + 1);
}

static bool wanted(const struct suite *s, int count, char **patterns)
{
	int i;

	for (i = 0; i < count; i++) {
		if (matches(patterns[i], s->name))
			return true;
	}
	return count == 0 || s->index == OWN;
}

/* Returns how many patterns name nothing: a typing error must not look like success. */
static int report_useless(int count, char **patterns)
{
	int i, j, useless = 0;

	for (i = 0; i < count; i++) {
		for (j = 0; j < suite_count && !matches(patterns[i], suites[j].name); j++)
			;
		if (j < suite_count)
			continue;
		printf("# no suite is named %s\n", patterns[i]);
		useless++;
	}
	return useless;
}

/* ---- running ---- */

static char *environment[MAX_WORDS + 1];

static bool run_kernel_suite(const struct suite *s)
{
	struct splat_ktest test = { 0 };
	int ret = splat_ktest(SPLAT_KTEST_RUN, s->index, &test);

	if (ret < 0)
		printf("# %s: %s\n", s->name, error_name(ret));
	else if (test.failed || !test.run)
		printf("# %s: %u of %u tests failed\n", s->name, test.failed, test.run);
	return ret >= 0 && test.run && !test.failed;
}

/* As pid 1 this is also the parent of every orphan: those are buried on the way. */
static int wait_for(pid_t pid)
{
	int status = 0;
	pid_t got;

	do {
		got = wait4(-1, &status, 0, NULL);
	} while (got > 0 && got != pid);
	return got < 0 ? got : status;
}

static bool run_program(const struct suite *s)
{
	char *argv[] = { (char *)s->path, NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		status = execve(s->path, argv, environment);
		printf("# %s: execve: %s\n", s->name, error_name(status));
		exit(127);
	}
	status = pid < 0 ? pid : wait_for(pid);
	if (status < 0)
		printf("# %s: %s: %s\n", s->name, pid < 0 ? "fork" : "wait4", error_name(status));
	else if (!WIFEXITED(status))
		printf("# %s: killed by %s\n", s->name, signal_name(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		printf("# %s: exit status %d\n", s->name, WEXITSTATUS(status));
	return status == 0;
}

/* fails with: fault/undefined-behaviour */
#define TEST(name) static bool name(void)
TEST(kernel_did_nothing_undefined)
{
	struct splat_info info = { 0 };
	int ret = splat_info(&info);

	if (!ret && !info.splats[SPLAT_UBSAN])
		return true;
	printf("  # splat_info: %d; %lu times: see the lines with UBSAN above\n", ret,
	       info.splats[SPLAT_UBSAN]);
	return false;
}

static bool run_own_suite(void)
{
	bool good;

	printf("  KTAP version 1\n  # Subtest: %s\n  1..1\n", SELF);
	good = kernel_did_nothing_undefined();
	printf("  %s 1 kernel_did_nothing_undefined\n", good ? "ok" : "not ok");
	return good;
}

static bool run_suite(const struct suite *s)
{
	if (s->index == OWN)
		return run_own_suite();
	return s->path[0] ? run_program(s) : run_kernel_suite(s);
}

/* Moves NAME=VALUE from the arguments to the environment. Returns how many arguments are left. */
static int take_environment(int argc, char **argv)
{
	int i, left = 0, taken = 0;

	for (i = 0; i < argc; i++) {
		if (strchr(argv[i], '=') && taken < MAX_WORDS)
			environment[taken++] = argv[i];
		else
			argv[left++] = argv[i];
	}
	return left;
}

int main(int argc, char **argv)
{
	int i, patterns, planned = 0, number = 0, failed;
	bool list;

	argc = take_environment(argc, argv);
	list = argc == 2 && !strcmp(argv[1], "list");
	patterns = list ? 0 : argc - 1;

	find_kernel_suites();
	find_programs();
	*new_suite() = (struct suite) { .name = "u/" SELF, .index = OWN };
	if (list) {
		for (i = 0; i < suite_count; i++)
			printf("%s\n", suites[i].name);
		return 0;
	}

	for (i = 0; i < suite_count; i++)
		planned += wanted(&suites[i], patterns, argv + 1);
	printf("KTAP version 1\n");
	printf("1..%d\n", planned);
	failed = report_useless(patterns, argv + 1);
	for (i = 0; i < suite_count; i++) {
		const struct suite *s = &suites[i];
		bool good;

		if (!wanted(s, patterns, argv + 1))
			continue;
		good = run_suite(s);
		printf("%s %d %s\n", good ? "ok" : "not ok", ++number, s->name);
		failed += !good;
	}
	return failed ? 1 : 0;
}
