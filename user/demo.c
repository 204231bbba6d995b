// SPDX-License-Identifier: MIT
/*
 * The demonstration: fork under the buggy and the fixed order, see the splat and see it gone.
 *
 * Each world is a real fork with known values in every vector register, verified in parent and
 * child. What the kernel reported is read from its counters, never from text. Exit status 0 only if
 * every world came out as it must.
 */
#include "user/lib/libc.h"
#include "user/lib/vec.h"

#define CONTENDER_PRIO	50

struct world {
	const char *order, *dynamic;
	bool contended;
	/*
	 * What must come out. The three kinds that this bug can cause; any other kind must stay 0.
	 */
	u64 might_sleep, atomic_sched, underflow;
	/* What came out. */
	struct splat_info before, after;
	bool fpu_ok;
	char where[VEC_WHERE];
	int error;			/* of a call that must not fail */
};

static struct world worlds[] = {
	{ .order = "buggy", .dynamic = "off" },
	{ .order = "buggy", .dynamic = "force", .might_sleep = 1 },
	{ .order = "fixed", .dynamic = "off" },
	{ .order = "fixed", .dynamic = "force" },
	/*
	 * Blocking with preemption off is reported too; the scheduler mends the count, so the
	 * unlock underflows.
	 */
	{ .order = "buggy",
	  .dynamic = "force",
	  .contended = true,
	  .might_sleep = 1,
	  .atomic_sched = 1,
	  .underflow = 1 },
	{ .order = "fixed", .dynamic = "force", .contended = true },
};

static int set_option(const char *name, const char *value)
{
	char assignment[40];

	snprintf(assignment, sizeof(assignment), "%s=%s", name, value);
	return splat_setopt(assignment);
}

/* Fork with all registers known; both sides compare. The child's verdict is its exit status. */
static void fork_and_verify(struct world *w, u64 seed)
{
	static struct vec_image want, got;
	struct sysargs args = { .nr = SYS_fork };
	int status = -1;
	long pid;

	vec_fill(&want, seed);
	pid = vec_syscall(&want, &got, &args);
	if (pid == 0)
		_exit(vec_compare(&want, &got, w->where));
	if (pid < 0) {
		w->error = pid;
		return;
	}
	if (vec_compare(&want, &got, w->where))
		return;
	if (wait4(pid, &status, 0, NULL) != pid || status)
		snprintf(w->where, sizeof(w->where), "in the child");
	else
		w->fpu_ok = true;
}

static void hold_siglock(void *arg __unused)
{
	splat_hold_siglock();
}

/*
 * A second thread takes the group's siglock and keeps it until it sees a waiter; we become that
 * waiter, inside fork. We are the more urgent one, so the holder must be boosted.
 */
static void fork_contended(struct world *w, u64 seed)
{
	struct thread holder;

	w->error = thread_create(&holder, hold_siglock, NULL, 16384);
	if (w->error)
		return;
	sched_setscheduler(0, SCHED_FIFO, CONTENDER_PRIO);
	w->error = splat_await_siglock();
	if (!w->error)
		fork_and_verify(w, seed);
	sched_setscheduler(0, SCHED_OTHER, 0);
	thread_join(&holder);
}

static void run_world(struct world *w, unsigned int nr)
{
	printf("\n--- %u. order=%s dynamic=%s siglock %s\n", nr, w->order, w->dynamic,
	       w->contended ? "contended" : "free");
	w->error = set_option("fpu_clone", w->order);
	if (!w->error)
		w->error = set_option("dynamic", w->dynamic);
	if (w->error)
		return;
	splat_ratelimit_reset();
	splat_info(&w->before);
	if (w->contended)
		fork_contended(w, 0x5eed0000 + nr);
	else
		fork_and_verify(w, 0x5eed0000 + nr);
	splat_info(&w->after);
}

static u64 splats(const struct world *w, enum splat_kind kind)
{
	return w->after.splats[kind] - w->before.splats[kind];
}

static u64 all_splats(const struct world *w)
{
	u64 sum = 0;

	for (int kind = 0; kind < SPLAT_KINDS; kind++)
		sum += splats(w, kind);
	return sum;
}

static u64 boosts(const struct world *w)
{
	return w->after.boosts - w->before.boosts;
}

static bool as_it_must(const struct world *w)
{
	return !w->error && w->fpu_ok && splats(w, SPLAT_MIGHT_SLEEP) == w->might_sleep &&
	       splats(w, SPLAT_ATOMIC_SCHED) == w->atomic_sched &&
	       splats(w, SPLAT_UNDERFLOW) == w->underflow &&
	       all_splats(w) == w->might_sleep + w->atomic_sched + w->underflow &&
	       /* The holder is one, too. */
	       w->after.forks - w->before.forks == (w->contended ? 2 : 1) &&
	       (w->contended ? boosts(w) >= 1 && w->after.lock_waits > w->before.lock_waits
			     : boosts(w) == 0);
}

static void print_machine(void)
{
	struct splat_info info;

	splat_info(&info);
	printf("Splat: FPU state, fork, and a lock that sleeps.\n");
	printf("  CPU         %s\n", info.cpu_name);
	printf("  registers   %s (XCR0 0x%llx)\n", vec_features(),
	       (unsigned long long)info.xfeatures);
	printf("  saved by    %s, %u bytes a task\n", info.fpu_save_form, info.fpu_kernel_size);
}

static void print_table(void)
{
	printf("\n  order  dynamic  siglock    might_sleep  atomic  underflow  boosts  registers  "
	       "as it must\n");
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct world *w = &worlds[i];

		printf("  %-6s %-8s %-10s %11llu %7llu %10llu %7llu  %-9s  %s\n", w->order,
		       w->dynamic, w->contended ? "contended" : "free",
		       splats(w, SPLAT_MIGHT_SLEEP), splats(w, SPLAT_ATOMIC_SCHED),
		       splats(w, SPLAT_UNDERFLOW), boosts(w), w->fpu_ok ? "ok" : "BAD",
		       as_it_must(w) ? "yes" : "NO");
		if (!w->fpu_ok || w->error)
			printf("         ^ %s\n", w->error ? error_name(w->error) : w->where);
	}
	printf("\n");
}

int main(void)
{
	bool all_well = true;

	print_machine();
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++)
		run_world(&worlds[i], i + 1);
	set_option("fpu_clone", "fixed");
	set_option("dynamic", "auto");

	print_table();
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct world *w = &worlds[i];

		printf("demo: order=%s rt=on dynamic=%s contended=%s forks=1 splats=%llu fpu=%s\n",
		       w->order, w->dynamic, w->contended ? "yes" : "no", all_splats(w),
		       w->fpu_ok ? "ok" : "BAD");
		all_well &= as_it_must(w);
	}
	printf("demo: %s\n",
	       all_well ? "every world came out as it must" : "FAILED: see the table");
	return !all_well;
}
