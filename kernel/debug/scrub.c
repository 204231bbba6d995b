// SPDX-License-Identifier: MIT
/* The scrubber (see scrub.h). Two sums of 64-bit words: those at even and those at odd places. */
#include "kernel/debug/scrub.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "arch/x86/fpu/core/xstate.h"
#include "kernel/preempt/raw_spinlock.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/string.h"

#define TEXT_PAGES_MAX	512

struct sums {
	u64 even, odd;
} __aligned(16);

extern const u64 _stext[], _etext[];

static bool scrub;

u64 scrub_vector_pages, scrub_scalar_pages;
static raw_spinlock_t scrub_lock;		/* guards the two below; not in hard interrupts */
static struct sums known[TEXT_PAGES_MAX];	/* 0, 0: not looked at yet */
static size_t next_page;

static struct sums sum_scalar(const u64 *page)
{
	struct sums s = {};

	for (size_t i = 0; i < PAGE_SIZE / sizeof(u64); i += 2) {
		s.even += page[i];
		s.odd += page[i + 1];
	}
	return s;
}

/* Uses xmm0-7, so that a task whose values are still there would notice. */
static struct sums sum_vector(const u64 *page)
{
	struct sums s;

	__asm__ volatile("	pxor	%%xmm0, %%xmm0\n"
			 "	movdqa	%%xmm0, %%xmm1\n"
			 "	movdqa	%%xmm0, %%xmm2\n"
			 "	movdqa	%%xmm0, %%xmm3\n"
			 "1:	movdqa	(%0), %%xmm4\n"
			 "	movdqa	16(%0), %%xmm5\n"
			 "	movdqa	32(%0), %%xmm6\n"
			 "	movdqa	48(%0), %%xmm7\n"
			 "	paddq	%%xmm4, %%xmm0\n"
			 "	paddq	%%xmm5, %%xmm1\n"
			 "	paddq	%%xmm6, %%xmm2\n"
			 "	paddq	%%xmm7, %%xmm3\n"
			 "	addq	$64, %0\n"
			 "	cmpq	%2, %0\n"
			 "	jb	1b\n"
			 "	paddq	%%xmm1, %%xmm0\n"
			 "	paddq	%%xmm3, %%xmm2\n"
			 "	paddq	%%xmm2, %%xmm0\n"
			 "	movdqa	%%xmm0, %1"
			 : "+r"(page), "=m"(s) : "r"((const void *)page + PAGE_SIZE)
			 : "memory", "cc");
	return s;
}

/* The same with registers twice as wide: each holds two even and two odd words. */
static struct sums sum_avx2(const u64 *page)
{
	struct sums s;

	__asm__ volatile("	vpxor	%%ymm0, %%ymm0, %%ymm0\n"
			 "	vmovdqa	%%ymm0, %%ymm1\n"
			 "	vmovdqa	%%ymm0, %%ymm2\n"
			 "	vmovdqa	%%ymm0, %%ymm3\n"
			 "1:	vpaddq	(%0), %%ymm0, %%ymm0\n"
			 "	vpaddq	32(%0), %%ymm1, %%ymm1\n"
			 "	vpaddq	64(%0), %%ymm2, %%ymm2\n"
			 "	vpaddq	96(%0), %%ymm3, %%ymm3\n"
			 "	addq	$128, %0\n"
			 "	cmpq	%2, %0\n"
			 "	jb	1b\n"
			 "	vpaddq	%%ymm1, %%ymm0, %%ymm0\n"
			 "	vpaddq	%%ymm3, %%ymm2, %%ymm2\n"
			 "	vpaddq	%%ymm2, %%ymm0, %%ymm0\n"
			 "	vextracti128 $1, %%ymm0, %%xmm1\n"
			 "	vpaddq	%%xmm1, %%xmm0, %%xmm0\n"
			 "	vmovdqa	%%xmm0, %1"
			 : "+r"(page), "=m"(s) : "r"((const void *)page + PAGE_SIZE)
			 : "memory", "cc");
	return s;
}

static bool has_ymm(void)
{
	return fpu_kernel_cfg.max_features & XFEATURE_MASK(YMM);
}

static struct sums sum_page(const u64 *page)
{
	struct sums s;

	if (!irq_fpu_usable()) {
		scrub_scalar_pages++;
		return sum_scalar(page);
	}
	kernel_fpu_begin();
	s = has_ymm() && cpu_has.avx2 ? sum_avx2(page) : sum_vector(page);
	kernel_fpu_end();
	scrub_vector_pages++;
	return s;
}

void scrub_softirq(void)
{
	const u64 *page;
	struct sums s, *k;

	/*
	 * Do not wait while another CPU looks. Where CPUs are slow to take turns, waiting here one
	 * after the other at each tick could take longer than a tick, and then nothing else would
	 * run.
	 */
	if (!raw_spin_trylock(&scrub_lock))
		return;
	k = &known[next_page];
	page = _stext + next_page * (PAGE_SIZE / sizeof(u64));
	next_page = (next_page + 1) % min((size_t)(_etext - _stext) * sizeof(u64) / PAGE_SIZE,
					  (size_t)TEXT_PAGES_MAX);
	s = sum_page(page);
	if (!k->even && !k->odd)
		*k = s;
	else if (k->even != s.even || k->odd != s.odd)
		panic("scrub: the kernel's text at %p has changed", page);
	raw_spin_unlock(&scrub_lock);
}

bool scrub_is_on(void)
{
	return scrub;
}

static void scrub_tick(struct pt_regs *regs)
{
	if (unlikely(scrub))
		raise_softirq(SCRUB_SOFTIRQ);
}
ON_TICK(scrub_tick);

static int set_scrub(const char *value)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return -EINVAL;
	open_softirq(SCRUB_SOFTIRQ, scrub_softirq);
	scrub = !strcmp(value, "on");
	return 0;
}
BOOT_OPTION(scrub, set_scrub, true, "off on");
