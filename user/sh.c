/* SPDX-License-Identifier: MIT */
/*
 * The shell: a prompt, programs with arguments, pipelines, and a few commands of its own.
 *
 * The console hands over bytes as typed and echoes nothing, so the line editor is here, too. As pid
 * 1 the shell is also the parent of every orphan: it waits for all children, not only for its own.
 */
#include "user/lib/libc.h"

#define LINE_SIZE	256
#define MAX_WORDS	32
#define MAX_STAGES	8

#define CTRL(c)		((c) & 0x1f)
#define DEL		0x7f

static char *const no_env[] = { NULL };

/* ---- the line editor ---- */

/* Takes back @n characters of the line, on the screen and in it. */
static size_t erase(size_t used, size_t n)
{
	for (; n && used; n--, used--)
		printf("\b \b");
	flush();
	return used;
}

/*
 * Reads a line into @line. Returns false at the end of the input: Ctrl-D on an empty line, or
 * nothing to read.
 */
static bool read_line(char line[LINE_SIZE])
{
	static char last;
	size_t used = 0;
	char c;

	printf("$ ");
	/* One byte at a time: what is typed ahead belongs to the program that is started next. */
	while (read(0, &c, 1) == 1) {
		bool line_feed_of_pair = c == '\n' && last == '\r';

		last = c;
		if (line_feed_of_pair)
			continue;
		switch (c) {
		case '\r':
		case '\n':
			printf("\n");
			line[used] = '\0';
			return true;
		case '\b':
		case DEL:
			used = erase(used, 1);
			break;
		case CTRL('u'):
			used = erase(used, used);
			break;
		case CTRL('c'):
			printf("^C\n$ ");
			used = 0;
			break;
		case CTRL('d'):
			if (used)
				break;
			printf("\n");
			return false;
		default:
			if (c < ' ' || used == LINE_SIZE - 1)
				break;		/* no other keys, no room */
			line[used++] = c;
			write(1, &c, 1);
		}
	}
	printf("\n");
	return false;
}

/* ---- programs ---- */

#define NOT_STARTED	127	/* run_program() has said why */

static void print_status(const char *name, int status)
{
	if (!WIFEXITED(status))
		printf("[%s: killed by %s]\n", name, signal_name(WTERMSIG(status)));
	else if (WEXITSTATUS(status) && WEXITSTATUS(status) != NOT_STARTED)
		printf("[%s: exit status %d]\n", name, WEXITSTATUS(status));
}

/* In the child. */
static void run_program(char **argv)
{
	char path[LINE_SIZE + 8];
	int ret;

	snprintf(path, sizeof(path), "%s%s", strchr(argv[0], '/') ? "" : "/bin/", argv[0]);
	ret = execve(path, argv, no_env);
	if (ret == -ENOENT)
		dprintf(2, "sh: %s: no such command; 'help' shows what there is\n", argv[0]);
	else
		dprintf(2, "sh: %s: cannot run it: %s\n", argv[0], error_name(ret));
	_exit(NOT_STARTED);
}

/*
 * Starts one program of a pipeline, reading from @in and writing to @out. @unused is the pipe's
 * other end.
 */
static pid_t start(char **argv, int in, int out, int unused)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (in != 0) {
		dup2(in, 0);
		close(in);
	}
	if (out != 1) {
		dup2(out, 1);
		close(out);
	}
	if (unused >= 0)
		close(unused);
	run_program(argv);
	return 0;	/* not reached */
}

/* Waits for every child in @pids; prints how the last one ended. */
static void wait_for(pid_t *pids, int count, const char *name)
{
	int status, i, left = count;

	while (left) {
		pid_t pid = wait4(-1, &status, 0, NULL);

		if (pid < 0)
			return;
		for (i = 0; i < count; i++) {
			if (pids[i] != pid)
				continue;
			left--;
			if (i == count - 1)
				print_status(name, status);
		}
	}
}

static void run_pipeline(char **stages[], int count)
{
	pid_t pids[MAX_STAGES];
	int i, started = 0, in = 0, fds[2];

	for (i = 0; i < count; i++) {
		bool last = i == count - 1;
		int ret = 0;

		fds[0] = 0;
		fds[1] = 1;
		if (!last)
			ret = pipe(fds);
		if (!ret)
			ret = start(stages[i], in, fds[1], last ? -1 : fds[0]);
		/* Only the programs may hold the pipe open, or the reader never sees its end. */
		if (in != 0)
			close(in);
		if (fds[1] != 1)
			close(fds[1]);
		in = fds[0];
		if (ret < 0) {
			printf("sh: cannot start %s: %s\n", stages[i][0], error_name(ret));
			if (in != 0)
				close(in);
			break;
		}
		pids[started++] = ret;
	}
	wait_for(pids, started, stages[count - 1][0]);
}

/* ---- commands of its own ---- */

static void help(void)
{
	printf("PROGRAM [ARGUMENT]...  run a program; without a slash it is looked for in /bin\n");
	printf("PROGRAM | PROGRAM      the output of one is the input of the next\n");
	printf("ls                     name all files; what is in /bin can be run\n");
	printf("info                   the machine, the FPU, and what the kernel counted\n");
	printf("set NAME=VALUE         set an option: fpu_clone=buggy, dynamic=force, ...\n");
	printf("exit [STATUS]          leave, as Ctrl-D does; the first process switches off\n");
	printf("poweroff, reboot       switch off at once; start the machine again\n");
}

static void info(void)
{
	static const char *const kinds[SPLAT_KINDS] = {
		[SPLAT_MIGHT_SLEEP] = "sleeping function called from invalid context",
		[SPLAT_ATOMIC_SCHED] = "scheduling while atomic",
		[SPLAT_UNDERFLOW] = "preempt_count underflow",
		[SPLAT_CORRUPTED] = "corrupted preempt_count",
		[SPLAT_STATE] = "blocking call while not running",
		[SPLAT_WARN] = "other warnings",
		[SPLAT_LOCKUP] = "lockups",
		[SPLAT_HUNG_TASK] = "hung tasks",
		[SPLAT_UBSAN] = "undefined behaviour",
	};
	struct splat_info si = { 0 };
	int i, ret = splat_info(&si);

	if (ret < 0) {
		printf("info: %s\n", error_name(ret));
		return;
	}
	printf("cpu      %s, %u online, %u Hz tick\n", si.cpu_name, si.cpus, si.hz);
	printf("fpu      %s, XCR0 %lx, %u bytes (%u in ring 3)\n", si.fpu_save_form, si.xfeatures,
	       si.fpu_kernel_size, si.fpu_user_size);
	printf("         %lu saves, %lu restores, %lu saves by fork\n", si.fpu_saves,
	       si.fpu_restores, si.fpu_clone_saves);
	printf("options  fpu_clone=%s dynamic=%s\n", si.fpu_clone, si.dynamic);
	printf("memory   %lu of %lu pages free\n", si.pages_free, si.pages_total);
	printf("sched    %lu switches, %lu preemptions, %lu migrations, %lu forks\n", si.switches,
	       si.preemptions, si.migrations, si.forks);
	printf("locks    %lu waits, %lu boosts\n", si.lock_waits, si.boosts);
	for (i = 0; i < SPLAT_KINDS; i++)
		printf("splats   %lu %s\n", si.splats[i], kinds[i]);
}

static void set_option(int argc, char **argv)
{
	int ret;

	if (argc != 2 || !strchr(argv[1], '=')) {
		printf("set: NAME=VALUE is needed, such as fpu_clone=buggy\n");
		return;
	}
	ret = splat_setopt(argv[1]);
	if (ret == -EINVAL)
		printf("set: %s: no such option or value\n", argv[1]);
	else if (ret == -EPERM)
		printf("set: %s: can only be set when the kernel boots\n", argv[1]);
	else if (ret < 0)
		printf("set: %s: %s\n", argv[1], error_name(ret));
}

/* Returns true if @argv is one of these commands. */
static bool run_builtin(int argc, char **argv)
{
	if (!strcmp(argv[0], "help"))
		help();
	else if (!strcmp(argv[0], "info"))
		info();
	else if (!strcmp(argv[0], "set"))
		set_option(argc, argv);
	else if (!strcmp(argv[0], "poweroff"))
		reboot(REBOOT_POWER_OFF);
	else if (!strcmp(argv[0], "reboot"))
		reboot(REBOOT_RESTART);
	else if (!strcmp(argv[0], "exit"))
		exit(argc > 1 ? strtoul(argv[1], NULL, 10) : 0);
	else
		return false;
	return true;
}

/* ---- from a line to programs ---- */

/*
 * Cuts @line into words; a '|' is a word of its own, with or without blanks. Returns the number of
 * words; -1: too many.
 */
static int split(char *line, char *words[MAX_WORDS + 1])
{
	static char bar[] = "|";
	int count = 0;

	for (;;) {
		while (*line == ' ' || *line == '\t')
			*line++ = '\0';
		if (!*line)
			break;
		if (count == MAX_WORDS)
			return -1;
		if (*line == '|') {
			*line++ = '\0';
			words[count++] = bar;
			continue;
		}
		words[count++] = line;
		while (*line && *line != ' ' && *line != '\t' && *line != '|')
			line++;
	}
	words[count] = NULL;
	return count;
}

static void run_line(char *line)
{
	char *words[MAX_WORDS + 1], **stages[MAX_STAGES];
	int i, stage = 0, first = 0, count = split(line, words);

	if (count < 0) {
		printf("sh: more than %d words\n", MAX_WORDS);
		return;
	}
	if (count == 0)
		return;
	for (i = 0; i <= count; i++) {
		if (i < count && strcmp(words[i], "|"))
			continue;
		if (i == first || stage == MAX_STAGES) {
			printf("sh: %s\n",
			       i == first ? "a program is missing beside '|'" : "too many '|'");
			return;
		}
		words[i] = NULL;
		stages[stage++] = &words[first];
		first = i + 1;
	}
	if (stage > 1 || !run_builtin(count, words))
		run_pipeline(stages, stage);
}

int main(void)
{
	char line[LINE_SIZE];

	if (getpid() == 1) {
		printf("This is Splat, a small kernel about FPU state, fork and PREEMPT_RT.\n");
		printf("'help' lists the commands, 'demo' shows the splat, 'exit' switches off.\n");
	}
	while (read_line(line))
		run_line(line);
	return 0;
}
