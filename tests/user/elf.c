/* SPDX-License-Identifier: MIT */
/*
 * exec of damaged programs: each is refused or ends its own process, and none stops the kernel.
 *
 * Splat cannot make files, so tests/user/mkbadelf.py makes them when the initramfs is built, as
 * /badelf/WHAT-NAME. What must happen is the first part of the name; mkbadelf.py explains the words
 * and lists the variants: cut and foreign headers, header fields and segments that point outside
 * the file, wrap, or lie in the kernel's half.
 */
#include "user/lib/ktap.h"

#define FOLDER		"badelf/"
#define ERROR_BASE	100	/* a child whose execve failed exits with this plus the errno */

static void exec_it(void *path)
{
	char *argv[] = { path, NULL }, *envp[] = { NULL };

	close(1);		/* the good ones may have something to say */
	exit(ERROR_BASE - execve(path, argv, envp));
}

/* "exit status 1", "ENOEXEC", "killed by SIGSEGV" */
static const char *outcome(int status)
{
	static char text[40];

	if (!WIFEXITED(status))
		snprintf(text, sizeof(text), "killed by %s", signal_name(WTERMSIG(status)));
	else if (WEXITSTATUS(status) > ERROR_BASE)
		snprintf(text, sizeof(text), "%s", error_name(WEXITSTATUS(status) - ERROR_BASE));
	else
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(status));
	return text;
}

static bool starts_with(const char *s, const char *start)
{
	return !strncmp(s, start, strlen(start));
}

/* Runs the file and compares what happens with what its name demands. */
static void try_file(const char *path, const char *name)
{
	int status = run_child(exec_it, (void *)path);
	bool ran = status == EXITED(0);
	bool refused = !WIFEXITED(status) || WEXITSTATUS(status) > ERROR_BASE;
	bool good;

	if (starts_with(name, "RUNS-"))
		good = ran;
	else if (starts_with(name, "ENOEXEC-"))
		good = status == EXITED(ERROR_BASE + ENOEXEC);
	else if (starts_with(name, "EINVAL-"))	/* to return to there would fault in ring 0 */
		good = status == EXITED(ERROR_BASE + EINVAL);
	else if (starts_with(name, "REFUSED-"))
		good = refused;
	else
		good = ran || refused;
	if (!good)
		ktap_fail(__FILE__, __LINE__, "%s: %s", name, outcome(status));
}

/*
 * "--file PATH..." tries these files and says what came of each: for kernels without splat_readdir.
 */
int test_reexec(int argc, char **argv)
{
	const char *name, *slash;
	int i;

	if (argc < 3 || strcmp(argv[1], "--file"))
		return -1;
	for (i = 2; i < argc; i++) {
		for (name = argv[i]; (slash = strchr(name, '/')); name = slash + 1)
			;
		printf("  # %s: %s\n", name, outcome(run_child(exec_it, argv[i])));
		try_file(argv[i], name);
	}
	return ktap_failures ? 1 : 0;
}

/*
 * The path of the initramfs' next file in FOLDER, from number *@index on; false: there are no more.
 * The kernel may give it with or without the slash in front.
 */
static bool next_file(int *index, char path[128])
{
	path[0] = '/';
	while (splat_readdir((*index)++, path + 1, 127) >= 0) {
		if (path[1] == '/')
			memmove(path, path + 1, strlen(path));
		if (starts_with(path + 1, FOLDER))
			return true;
	}
	return false;
}

TEST(damaged_programs)
{
	char path[128];
	int i = 0, tried = 0;

	if (splat_readdir(0, path, sizeof(path)) == -ENOSYS)
		SKIP("needs splat_readdir; elsewhere, give the files: --file PATH...");
	for (; next_file(&i, path); tried++)
		try_file(path, path + 1 + strlen(FOLDER));
	printf("  # %d files tried\n", tried);
	EXPECT(tried > 30);
}

/* Refused programs must not cost memory: neither the new address space, nor a copy of the file. */
static void exec_all_of_them(void)
{
	char path[128];
	int i;

	for (i = 0; next_file(&i, path);)
		run_child(exec_it, path);
}

TEST(failed_exec_costs_nothing)
{
	EXPECT(costs_no_page(exec_all_of_them));
}

static void exec_twenty_times(void *arg __unused)
{
	char *argv[] = { NULL };
	int i;

	for (i = 0; i < 20; i++)
		EXPECT_EQ(execve("/no/such/program", argv, argv), -ENOENT);
}

TEST(failed_exec_leaves_the_process_as_it_was)
{
	EXPECT_EQ(run_child(exec_twenty_times, NULL), EXITED(0));
}
