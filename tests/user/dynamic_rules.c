/* SPDX-License-Identifier: MIT */
/*
 * Rules of dynamic state at the edges: a first use by XRSTOR, the record for guests, processes that
 * share signal handlers, exec after a first use, and tasks with and without it on every CPU.
 */
#include "user/lib/dynstate.h"
#include "user/lib/ktap.h"
#include "user/lib/vec.h"

#define STACK_SIZE	65536
#define SEED		0x5eed
#define NEEDS_DYNAMIC								\
	do {									\
		if (!dyn_number())						\
			SKIP("nothing is dynamic here");			\
	} while (0)

static bool has_bit(int option)
{
	u64 mask = 0;

	EXPECT_EQ(syscall(SYS_arch_prctl, option, &mask), 0);
	return mask & BIT(dyn_number());
}

static bool is_permitted(void)
{
	return has_bit(ARCH_GET_XCOMP_PERM);
}

static struct vec_image in, out, clean;
static struct vec_image entry_vec __used;
__asm__(".globl _start_hook\n"
	"_start_hook:\n"
	"	lea	entry_vec(%rip), %rdi\n"
	"	jmp	vec_store\n");

/* After exec. "--clean": are the registers? "--denied": are both records empty? */
int test_reexec(int argc, char **argv)
{
	char where[VEC_WHERE];

	if (argc != 2)
		return -1;
	if (!strcmp(argv[1], "--denied"))
		return is_permitted() || has_bit(ARCH_GET_XCOMP_GUEST_PERM);
	if (strcmp(argv[1], "--clean"))
		return -1;
	vec_initial(&clean);
	if (!vec_compare(&clean, &entry_vec, where))
		return 0;
	printf("  # %s\n", where);
	return 1;
}

static void exec_self(char *option)
{
	char *argv[] = { (char *)ktap_self, option, NULL }, *envp[] = { NULL };
	struct sysargs args = {
		.nr = SYS_execve, .arg = { (long)ktap_self, (long)argv, (long)envp },
	};

	vec_fill(&in, SEED);
	vec_syscall(&in, &out, &args);
	_exit(7);
}

/* ---- asking ---- */

/* fails with: fault/supported-without-the-dynamic */
TEST(what_can_be_asked_for_is_supported)
{
	NEEDS_DYNAMIC;
	EXPECT(has_bit(ARCH_GET_XCOMP_SUPP));
}

static void ask_often(void *arg __unused)
{
	struct splat_info before, after;

	EXPECT_EQ(dyn_request(dyn_number()), 0);
	on_splat(&before);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(dyn_request(dyn_number()), 0);
	on_splat(&after);
	EXPECT_EQ(after.siglock_acquired - before.siglock_acquired, 0);
}

/* fails with: fault/request-no-quick-path */
TEST(what_is_permitted_is_answered_without_the_lock)
{
	struct splat_info info;

	NEEDS_DYNAMIC;
	if (!on_splat(&info))
		SKIP("Linux does not count");
	EXPECT_EQ(run_child(ask_often, NULL), EXITED(0));
}

/* ---- permission for guests: a record of its own ---- */

static long ask_for_guests(unsigned long number)
{
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, number);
}

static void expect_guests_only(void *arg __unused)
{
	EXPECT(has_bit(ARCH_GET_XCOMP_GUEST_PERM));
	EXPECT(!is_permitted());
}

static void ask_in_thread(void *arg __unused)
{
	EXPECT_EQ(ask_for_guests(dyn_number()), 0);
}

static void use(void *seed)
{
	dyn_put((long)seed);
}

static void guests(void *arg __unused)
{
	struct thread t;

	EXPECT(!has_bit(ARCH_GET_XCOMP_GUEST_PERM));
	ASSERT_EQ(thread_create(&t, ask_in_thread, NULL, STACK_SIZE), 0);
	thread_join(&t);
	expect_guests_only(NULL);
	EXPECT_EQ(ask_for_guests(dyn_number()), 0);
	EXPECT_EQ(run_child(expect_guests_only, NULL), EXITED(0));	/* fork inherits it */
	EXPECT_EQ(run_child(use, (void *)SEED), KILLED(SIGILL));	/* it is not for us */
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	EXPECT(has_bit(ARCH_GET_XCOMP_GUEST_PERM) && is_permitted());
	if (!ktap_failures)
		exec_self("--denied");
}

/* fails with: fault/guest-permission-is-ours */
TEST(guests_have_a_permission_of_their_own)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(guests, NULL), EXITED(0));
}

static void ask_for_us(void *arg __unused)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	EXPECT(!has_bit(ARCH_GET_XCOMP_GUEST_PERM));
}

TEST(our_permission_is_not_for_guests)
{
	u64 mask = 0;

	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_GUEST_PERM, &mask), 0);
	EXPECT((mask & 3) == 3);
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_GUEST_PERM, 8), -EFAULT);
	EXPECT_EQ(ask_for_guests(64), -EINVAL);
	EXPECT_EQ(ask_for_guests(1UL << 32 | 2), -EINVAL);
	EXPECT_EQ(ask_for_guests(1), -EOPNOTSUPP);
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(ask_for_us, NULL), EXITED(0));
}

/* ---- first use by XRSTOR ---- */

static u8 image[16384] __aligned(64);

static u32 group(void)
{
	return dyn_number() == DYN_YMM ? BIT(2) :
	       dyn_number() == DYN_ZMM ? BIT(5) | BIT(6) | BIT(7) : BIT(17) | BIT(18);
}

static void restore(void *arg __unused)
{
	__asm__ volatile("xrstor64 %0" :: "m"(image), "a"(group()), "d"(0) : "memory");
}

static void restore_and_look(void *arg __unused)
{
	restore(NULL);
	EXPECT(dyn_holds(SEED));
	sched_yield();
	EXPECT(dyn_holds(SEED));
}

/* With values and an image of them; its children have neither used the state yet nor seen it. */
static void make_image(void)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	if (!dyn_can_be_saved())
		dyn_use_small_tiles();
	dyn_put(SEED);
	__asm__ volatile("xsave64 %0" : "+m"(image) : "a"(group()), "d"(0) : "memory");
}

static void restore_in_a_child(void *arg __unused)
{
	make_image();
	/* Where XRSTOR loses rows of tiles, there is nothing to look at behind it. */
	EXPECT_EQ(run_child(dyn_can_be_saved() ? restore_and_look : restore, NULL), EXITED(0));
}

/* fails with: fault/xrstor-is-no-first-use */
TEST(a_first_use_may_be_an_xrstor)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(restore_in_a_child, NULL), EXITED(0));
}

static void halt(void *arg __unused)
{
	__asm__ volatile("hlt");
}

/* In each the gate is closed first, and the retry has the fault that was meant. */
static void fault_anyway(void *arg __unused)
{
	make_image();
	EXPECT_EQ(run_child(halt, NULL), KILLED(SIGSEGV));
	image[512 + 16] = 1;				/* reserved in the header: #GP */
	EXPECT_EQ(run_child(restore, NULL), KILLED(SIGSEGV));
	image[512 + 16] = 0;
	image[512 + 7] = 0x40;				/* a component that there is not */
	EXPECT_EQ(run_child(restore, NULL), KILLED(SIGSEGV));
}

/* fails with: faulting_features() taking each #GP for a first use */
TEST(what_would_fault_anyway_does)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(fault_anyway, NULL), EXITED(0));
}

/* XCR0's gate raises #GP, as do all bad images; IA32_XFD's tells that it was the gate. */
static void restore_without_permission(void *arg __unused)
{
	struct splat_info info;
	bool xcr0 = on_splat(&info) && !strcmp(info.fpu_gate, "XCR0");

	*(u64 *)(image + 512) = group();
	EXPECT_EQ(run_child(restore, NULL), KILLED(xcr0 ? SIGSEGV : SIGILL));
	EXPECT_EQ(run_child(halt, NULL), KILLED(SIGSEGV));
}

/* fails with: fault/xrstor-without-permission */
TEST(without_permission_xrstor_is_refused)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(restore_without_permission, NULL), EXITED(0));
}

/* ---- CLONE_SIGHAND without CLONE_THREAD: a process, so a record of its own ---- */

static volatile int before, after, held;

static void sibling(void *asks)
{
	before = is_permitted();
	if (asks)
		dyn_request(dyn_number());
	after = is_permitted();
	if (after) {
		dyn_put(SEED + 1);
		sched_yield();
		held = dyn_holds(SEED + 1);
	}
	_exit(0);
}

static void make_sibling(long asks)
{
	void *stack = mmap_anon(STACK_SIZE);
	long pid;

	before = after = held = -1;
	pid = clone_call(CLONE_VM | CLONE_SIGHAND | SIGCHLD, (char *)stack + STACK_SIZE, NULL,
			 NULL, sibling, (void *)asks);
	EXPECT(pid > 0);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	EXPECT_EQ(after, before || asks);
	EXPECT_EQ(held, after ? 1 : -1);
}

static void siblings(void *arg __unused)
{
	make_sibling(0);
	EXPECT_EQ(before, 0);
	make_sibling(1);
	EXPECT_EQ(before, 0);
	EXPECT(!is_permitted());
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	make_sibling(0);
	EXPECT_EQ(before, 1);
	if (!dyn_can_be_saved())
		dyn_use_small_tiles();
	dyn_put(SEED);
	make_sibling(0);
	EXPECT_EQ(before, 1);
	EXPECT(dyn_holds(SEED));
}

/* fails with: fault/sighand-not-inherit */
TEST(a_process_that_shares_sighand_inherits_a_copy)
{
	NEEDS_DYNAMIC;
	EXPECT_EQ(run_child(siblings, NULL), EXITED(0));
}

/* ---- exec after a first use ---- */

static void use_then_exec(void *arg __unused)
{
	struct sysargs yield = { .nr = SYS_sched_yield };

	/* The small buffer has an image of full registers, and the large one is active. */
	for (int i = 0; i < 10; i++) {
		vec_fill(&in, 60 + i);
		vec_syscall(&in, &out, &yield);
	}
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	dyn_put(SEED);
	if (!ktap_failures)
		exec_self("--clean");
}

static void yields(void *arg __unused)
{
	for (int i = 0; i < 100; i++)
		sched_yield();
}

/* fails with: fpu_flush_thread() initialising the large buffer */
TEST(exec_after_a_first_use_is_clean)
{
	pid_t other;

	NEEDS_DYNAMIC;
	other = start_child(yields, NULL);
	EXPECT_EQ(run_child(use_then_exec, NULL), EXITED(0));
	EXPECT_EQ(wait_child(other), EXITED(0));
}

/* ---- users and others, on every CPU ---- */

static void use_everywhere(void *number)
{
	EXPECT_EQ(dyn_request(dyn_number()), 0);
	if (!dyn_can_be_saved())
		dyn_use_small_tiles();
	for (int i = 0; i < 30; i++) {
		u64 seed = SEED + 100 * (long)number + i;

		sched_setaffinity(0, BIT(nth_cpu((long)number + i)));
		dyn_put(seed);
		sched_yield();
		EXPECT(dyn_holds(seed));
	}
}

static void use_on(void *cpu)
{
	sched_setaffinity(0, BIT(nth_cpu((long)cpu)));
	sched_yield();
	dyn_put(SEED);
}

/* A CPU must not believe that its gate is as another task left it. */
TEST(the_gate_is_closed_for_others_on_every_cpu)
{
	pid_t pids[16];

	NEEDS_DYNAMIC;
	for (long i = 0; i < 2 * ktap_cpus; i++)
		pids[i] = start_child(use_everywhere, (void *)i);
	for (long i = 0; i < 5 * ktap_cpus; i++)
		EXPECT_EQ(run_child(use_on, (void *)i), KILLED(SIGILL));
	for (int i = 0; i < 2 * ktap_cpus; i++)
		EXPECT_EQ(wait_child(pids[i]), EXITED(0));
}
