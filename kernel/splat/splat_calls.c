// SPDX-License-Identifier: MIT
/*
 * Splat's own system calls: choose a world at run time, read what was counted, run the in-kernel
 * tests, and stage a contended siglock.
 */
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/clone.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/mm/uaccess.h"
#include "kernel/debug/latency.h"
#include "kernel/files/initramfs.h"
#include "kernel/mm/pages.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/ktest.h"
#include "kernel/splat/uapi.h"
#include "kernel/syscalls.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/string.h"

/* Held briefly; may sleep. */
static mutex_t world_lock = MUTEX_INIT;
static bool suite_runs;				/* world_lock */

/*
 * One call at a time, so an option's owner need not expect two. None while a suite runs, because
 * tests set options themselves and rely on the rest, "fail_alloc=" above all.
 */
static long splat_setopt(const char *user_assignment)
{
	char assignment[80];
	long len = strncpy_from_user(assignment, user_assignment, sizeof(assignment));

	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	mutex_lock(&world_lock);
	len = suite_runs ? -EBUSY : option_set_runtime(assignment);
	mutex_unlock(&world_lock);
	return len;
}

static void fill_info(struct splat_info *info)
{
	const struct spin_record *siglock = &current->sighand->siglock.record;

	memset(info, 0, sizeof(*info));
	memcpy(info->splats, splat_counts, sizeof(info->splats));
	info->pages_total = nr_total_pages();
	info->pages_free = nr_free_pages();
	for (unsigned int i = 0; i < nr_cpus; i++) {
		struct rq *rq = cpu_rq(i);

		info->switches += rq->nr_switches;
		info->preemptions += rq->nr_preemptions;
		info->boosts += rq->nr_boosts;
		info->lock_waits += rq->nr_lock_waits;
		info->forks += rq->nr_forks;
		info->migrations += rq->nr_migrations;
		info->fpu_saves += cpus[i].fpu_saves;
		info->fpu_restores += cpus[i].fpu_restores;
		info->fpu_clone_saves += cpus[i].fpu_clone_saves;
		info->fpu_gate_writes += cpus[i].fpu_gate_writes;
	}
	info->xfeatures = fpu_kernel_cfg.max_features;
	info->fpu_kernel_size = fpu_kernel_cfg.default_size;
	info->xfd = init_fpstate.xfd;
	strscpy(info->fpu_gate, fpu_gate_name(), sizeof(info->fpu_gate));
	info->fpu_user_size = fpu_user_cfg.default_size;
	strscpy(info->fpu_save_form, fpu_form_name(), sizeof(info->fpu_save_form));
	strscpy(info->fpu_clone, fpu_clone_order_name(), sizeof(info->fpu_clone));
	strscpy(info->dynamic, fpu_dynamic_name(), sizeof(info->dynamic));
	strscpy(info->cpu_name, cpu_has.name, sizeof(info->cpu_name));
	info->cpus = nr_cpus;
	info->hz = HZ;
	info->rt = preempt_rt();
	info->siglock_sleeps = spinlock_sleeps(&current->sighand->siglock);
	info->siglock_acquired = siglock->acquired;
	info->siglock_contended = siglock->contended;
	info->siglock_preempt_count = siglock->preempt_count;
	info->seed = ktest_seed;
}

static long splat_info(void *user_info, size_t size)
{
	struct splat_info info;

	fill_info(&info);
	return copy_to_user(user_info, &info, min(size, sizeof(info)));
}

/*
 * One process at a time, because suites have one set of threads and locks each, and borrow softirqs
 * and options from the kernel. A second process is told so, and does not wait. The process must
 * have a single thread, so that nobody can end the group while a test relies on being able to
 * sleep.
 */
static long run_suite(unsigned int index, struct splat_ktest *result)
{
	bool busy;
	int ret;

	if (READ_ONCE(current->signal->nr_threads) > 1)
		return -EINVAL;
	mutex_lock(&world_lock);
	busy = suite_runs;
	suite_runs = true;
	mutex_unlock(&world_lock);
	if (busy)
		return -EBUSY;
	ret = ktap_run_suite(index, &result->run, &result->failed, &result->skipped);
	mutex_lock(&world_lock);
	suite_runs = false;
	mutex_unlock(&world_lock);
	return ret;
}

static long splat_ktest(unsigned int op, unsigned int index, struct splat_ktest *user_result)
{
	struct splat_ktest result = {};
	long ret = 0;

	if (op == SPLAT_KTEST_COUNT)
		return ktap_suite_count();
	if (op != SPLAT_KTEST_NAME && op != SPLAT_KTEST_RUN)
		return -EINVAL;
	if (index >= ktap_suite_count())
		return -ENOENT;
	strscpy(result.name, ktap_suite_name(index), sizeof(result.name));
	if (op == SPLAT_KTEST_RUN)
		ret = run_suite(index, &result);
	return ret ?: copy_to_user(user_result, &result, sizeof(result));
}

static long splat_readdir(unsigned int index, char *user_name, size_t size)
{
	const char *name = initramfs_name(index);
	size_t len;

	if (!name)
		return -ENOENT;
	len = strlen(name) + 1;
	if (len > size)
		return -ENAMETOOLONG;
	return copy_to_user(user_name, name, len) ? -EFAULT : (long)len - 1;
}

static long splat_latency(void *user_result)
{
	struct splat_latency result;

	latency_get(&result);
	return copy_to_user(user_result, &result, sizeof(result));
}

#define HOLD_STEPS_MAX	10000000	/* a CPU that is gone for longer would be missed */

/*
 * The contended case without luck and without a timed sleep: the holder keeps siglock until it sees
 * the contender wait. With rt=on the holder spins preemptibly, so on one CPU the contender runs
 * because it is more urgent or its time comes. With rt=off preemption is off, so the contender is
 * on another CPU, and the holder lets go for a moment when other tasks want this CPU. Interrupts
 * stay on, because a contender that forks must first flush entries from all TLBs, and would wait
 * for us as we wait for it.
 */
static long splat_hold_siglock(unsigned long steps)
{
	spinlock_t *siglock = &current->sighand->siglock;

	if (steps > HOLD_STEPS_MAX)
		return -EINVAL;
	if (!steps && nr_cpus == 1 && !spinlock_sleeps(siglock))
		return -EBUSY;
	spin_lock(siglock);
	complete(&current->signal->siglock_held);
	for (unsigned long i = 0; !signal_pending(current); i++) {
		if (steps ? i == steps : spin_is_contended(siglock))
			break;
		cpu_relax();
		if (!spinlock_sleeps(siglock) && !steps && need_resched()) {
			spin_unlock(siglock);
			spin_lock(siglock);
		}
	}
	spin_unlock(siglock);
	return 0;
}

long do_splat_call(unsigned int nr, struct pt_regs *regs)
{
	switch (nr) {
	case SYS_splat_setopt:
		return splat_setopt((const char *)regs->di);
	case SYS_splat_info:
		return splat_info((void *)regs->di, regs->si);
	case SYS_splat_ratelimit_reset:
		might_sleep_ratelimit_reset();
		return 0;
	case SYS_splat_hold_siglock:
		return splat_hold_siglock(regs->di);
	case SYS_splat_await_siglock:
		return wait_for_completion_interruptible(&current->signal->siglock_held);
	case SYS_splat_ktest:
		return splat_ktest(regs->di, regs->si, (struct splat_ktest *)regs->dx);
	case SYS_splat_latency:
		return splat_latency((void *)regs->di);
	case SYS_splat_readdir:
		return splat_readdir(regs->di, (char *)regs->si, regs->dx);
	default:
		return -ENOSYS;
	}
}
