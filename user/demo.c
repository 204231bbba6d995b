// SPDX-License-Identifier: MIT
/*
 * The demonstration: fork under the buggy and the fixed order, see the splat and see it gone.
 *
 * Each world is a real fork with known values in every vector register, verified in parent and
 * child. What the kernel reported is read from its counters, never from text. Exit status 0 only if
 * every world came out as it must.
 *
 * With rt=off the same six worlds show why nobody had noticed: the lock spins, so it may be taken
 * where preemption is off.
 *
 * With "buggy" or "fixed" as an argument, it makes only the worlds of that order that take the
 * lock, for a trace of each.
 *
 * Booted with dynamic=ymm, zmm or amx, nothing is forced: this process asks for that state and uses
 * it, so fork has a permission to inherit, and the child proves that it did.
 */
#include "user/lib/dynstate.h"
#include "user/lib/libc.h"
#include "user/lib/vec.h"

#define CONTENDER_PRIO	50

struct world {
	const char *order, *dynamic;
	bool contended;
	/*
	 * What must come out if siglock sleeps: the three kinds that this bug can cause. Any other
	 * kind must stay 0, and all kinds if siglock spins.
	 */
	u64 might_sleep, atomic_sched, underflow;
	/* What came out. */
	struct splat_info before, after;
	bool fpu_ok;
	bool skipped;			/* it needs another CPU */
	char where[VEC_WHERE];
	int error;			/* of a call that must not fail */
};

static struct splat_info machine;

static struct world plain_worlds[] = {
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

/* The machine's boot option decides what is dynamic, so main() fills it in. */
static struct world dynamic_worlds[] = {
	{ .order = "buggy", .might_sleep = 1 },
	{ .order = "fixed" },
	{ .order = "buggy",
	  .contended = true,
	  .might_sleep = 1,
	  .atomic_sched = 1,
	  .underflow = 1 },
	{ .order = "fixed", .contended = true },
};

static struct world *worlds = plain_worlds;
static size_t nr_worlds = ARRAY_SIZE(plain_worlds);

static bool keeps_state;		/* dynamic state, over a switch */

#define PARENTS_SEED	0xd1a
#define CHILDS_SEED	0xc1d
#define SPIN_LOOPS	100000		/* less than a tick */

static int set_option(const char *name, const char *value)
{
	char assignment[40];

	snprintf(assignment, sizeof(assignment), "%s=%s", name, value);
	return splat_setopt(assignment);
}

/*
 * The child of a process with dynamic state: the permission was inherited, the state was not, and a
 * first use works.
 */
static int dynamic_state_is_wrong(void)
{
	u64 permitted = 0;

	if (!dyn_number())
		return 0;
	if (dyn_permitted(&permitted) || !(permitted & BIT(dyn_number())) || !dyn_holds(0))
		return 1;
	dyn_put(CHILDS_SEED);
	return keeps_state && !dyn_holds(CHILDS_SEED);
}

/*
 * Fork with all registers known; both sides compare. The child's verdict is its exit status.
 *
 * The parent keeps its registers in use, without sleeping, until the tick takes the CPU away. So
 * the child's registers lie in memory for some time first, and then the parent's.
 */
static void fork_and_verify(struct world *w, u64 seed)
{
	static struct vec_image want, got;
	struct sysargs args = { .nr = SYS_fork };
	int status = -1;
	long pid, ended;

	vec_fill(&want, seed);
	pid = vec_syscall(&want, &got, &args);
	if (pid == 0)
		_exit(vec_compare(&want, &got, w->where) || dynamic_state_is_wrong());
	if (pid < 0) {
		w->error = pid;
		return;
	}
	sched_setscheduler(0, SCHED_OTHER, 0);	/* see fork_contended() */
	if (vec_compare(&want, &got, w->where))
		return;
	if (keeps_state && !dyn_holds(PARENTS_SEED)) {
		snprintf(w->where, sizeof(w->where), "the parent's dynamic state is gone");
		return;
	}
	while (!(ended = wait4(pid, &status, WNOHANG, NULL))) {
		vec_spin(&want, &got, SPIN_LOOPS);
		if (vec_compare(&want, &got, w->where))
			return;
	}
	if (ended != pid || status)
		snprintf(w->where, sizeof(w->where), "in the child");
	else
		w->fpu_ok = true;
}

static void hold_siglock(void *arg __unused)
{
	if (machine.cpus > 1)
		sched_setaffinity(0, BIT(1));
	splat_hold_siglock(0);
}

/*
 * A second thread takes the group's siglock and keeps it until it sees a waiter; we become that
 * waiter, inside fork. We are the more urgent one, so the holder must be boosted; or, if siglock
 * does not sleep, we spin.
 */
static void fork_contended(struct world *w, u64 seed)
{
	struct thread holder;

	if (!machine.siglock_sleeps && machine.cpus == 1) {
		w->skipped = true;		/* the holder would not let us run */
		return;
	}
	w->error = thread_create(&holder, hold_siglock, NULL, 16384);
	if (w->error)
		return;
	w->error = splat_await_siglock();
	sched_setscheduler(0, SCHED_FIFO, CONTENDER_PRIO);
	if (!w->error)
		fork_and_verify(w, seed);
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

/* Did fork take the siglock? */
static bool took_siglock(const struct world *w)
{
	return strcmp(w->dynamic, "off");
}

/* The preempt_count at which it must have been taken: fpregs_lock()'s, or none. */
static int due_count(const struct world *w)
{
	return strcmp(w->order, "buggy") ? 0 : machine.rt ? 1 : 0x200;
}

static bool siglock_as_it_must(const struct world *w)
{
	unsigned int taken = w->after.siglock_acquired - w->before.siglock_acquired;

	return taken == (u32)took_siglock(w) + w->contended &&
	       w->after.siglock_contended - w->before.siglock_contended == (u32)w->contended &&
	       (!taken || w->after.siglock_preempt_count == due_count(w)) &&
	       /* Threads share more than this lock, so there may be more boosts. */
	       (w->contended ? boosts(w) >= machine.siglock_sleeps : boosts(w) == 0);
}

static bool as_it_must(const struct world *w)
{
	u64 sleeps = machine.siglock_sleeps;

	if (w->skipped)
		return true;
	return !w->error && w->fpu_ok && splats(w, SPLAT_MIGHT_SLEEP) == w->might_sleep * sleeps &&
	       splats(w, SPLAT_ATOMIC_SCHED) == w->atomic_sched * sleeps &&
	       splats(w, SPLAT_UNDERFLOW) == w->underflow * sleeps &&
	       all_splats(w) == (w->might_sleep + w->atomic_sched + w->underflow) * sleeps &&
	       /* The holder is a fork, too. */
	       w->after.forks - w->before.forks == (w->contended ? 2 : 1) &&
	       siglock_as_it_must(w);
}

static void print_machine(void)
{
	printf("Splat: FPU state, fork, and a lock that %s (rt=%s).\n",
	       machine.siglock_sleeps ? "sleeps" : "spins", machine.rt ? "on" : "off");
	printf("  CPU         %s, %u of them\n", machine.cpu_name, machine.cpus);
	printf("  registers   %s (XCR0 0x%llx)\n", vec_features(),
	       (unsigned long long)machine.xfeatures);
	printf("  saved by    %s, %u bytes a task\n", machine.fpu_save_form,
	       machine.fpu_kernel_size);
	if (machine.xfd)
		printf("  dynamic     %s (0x%llx), kept off by %s until a process asks\n",
		       machine.dynamic, (unsigned long long)machine.xfd, machine.fpu_gate);
}

static void print_table(void)
{
	printf("\n  order  dynamic  siglock    taken at  might_sleep  atomic  underflow  boosts  "
	       "registers  as it must\n");
	for (size_t i = 0; i < nr_worlds; i++) {
		struct world *w = &worlds[i];

		char count[12] = "-", loans[12] = "-";

		if (took_siglock(w))
			snprintf(count, sizeof(count), "%x", w->after.siglock_preempt_count);
		if (machine.siglock_sleeps)
			snprintf(loans, sizeof(loans), "%llu", boosts(w));
		printf("  %-6s %-8s %-10s %8s %12llu %7llu %10llu %7s  %-9s  %s\n", w->order,
		       w->dynamic, w->contended ? "contended" : "free", count,
		       splats(w, SPLAT_MIGHT_SLEEP), splats(w, SPLAT_ATOMIC_SCHED),
		       splats(w, SPLAT_UNDERFLOW), loans,
		       w->skipped ? "-" : w->fpu_ok ? "ok" : "BAD",
		       w->skipped ? "needs a second CPU" : as_it_must(w) ? "yes" : "NO");
		if ((!w->fpu_ok && !w->skipped) || w->error)
			printf("         ^ %s\n", w->error ? error_name(w->error) : w->where);
	}
	printf("\n\"taken at\" is the preempt_count, in hex, at which fork took the siglock.\n%s\n",
	       machine.siglock_sleeps ?
	       "The lock sleeps, so it must be 0. At 1 (fpregs_lock) it is a bug, lucky or not." :
	       machine.rt ?
	       "1 is fpregs_lock. This lock spins everywhere (siglock=raw), so that is no bug;\n"
	       "and whoever waits for it holds up all others of its CPU." :
	       "200 is fpregs_lock, which holds softirqs off. The lock spins: the buggy order is\n"
	       "harmless here, even if another CPU holds the lock. Nobody could notice.");
}

/* Ask, use, and choose the worlds with a real permission to inherit. */
static bool use_dynamic_state(void)
{
	long error = dyn_request(dyn_number());

	worlds = dynamic_worlds;
	nr_worlds = ARRAY_SIZE(dynamic_worlds);
	for (size_t i = 0; i < nr_worlds; i++)
		worlds[i].dynamic = machine.dynamic;
	if (error) {
		printf("demo: asking for dynamic=%s: %s\n", machine.dynamic, error_name(error));
		return false;
	}
	/* Then only the permission is shown, because the state would be lost at any switch. */
	keeps_state = dyn_can_be_saved();
	if (!keeps_state)
		printf("demo: this CPU's XSAVE and XRSTOR lose the state; "
		       "its values are not looked at\n");
	dyn_put(PARENTS_SEED);
	return dyn_holds(PARENTS_SEED);
}

/* Choose only the worlds of this order in which fork takes the lock. */
static void choose(const char *order)
{
	size_t chosen = 0;

	for (size_t i = 0; i < nr_worlds; i++)
		if (!strcmp(worlds[i].order, order) && took_siglock(&worlds[i]))
			worlds[chosen++] = worlds[i];
	nr_worlds = chosen;
}

int main(int argc, char **argv)
{
	bool all_well = true;

	splat_info(&machine);
	if (machine.cpus > 1)
		sched_setaffinity(0, BIT(0));
	print_machine();
	if (dyn_number())
		all_well = use_dynamic_state();
	if (argc > 1)
		choose(argv[1]);
	if (!nr_worlds) {
		printf("demo: \"%s\" is not buggy or fixed\n", argv[1]);
		return 2;
	}
	for (size_t i = 0; i < nr_worlds; i++)
		run_world(&worlds[i], i + 1);
	set_option("fpu_clone", "fixed");
	set_option("dynamic", machine.dynamic);

	print_table();
	for (size_t i = 0; i < nr_worlds; i++) {
		struct world *w = &worlds[i];

		if (w->skipped)
			continue;
		printf("demo: order=%s rt=%s dynamic=%s contended=%s forks=1 splats=%llu fpu=%s\n",
		       w->order, machine.rt ? "on" : "off", w->dynamic,
		       w->contended ? "yes" : "no", all_splats(w),
		       w->fpu_ok ? "ok" : "BAD");
		all_well &= as_it_must(w);
	}
	printf("demo: %s\n",
	       all_well ? "every world came out as it must" : "FAILED: see the table");
	return !all_well;
}
