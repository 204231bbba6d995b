// SPDX-License-Identifier: MIT
/*
 * Calibration: how far do the TSC and the local APIC's timer get while channel 2 of the PIT counts?
 * (Its 1.193182 MHz are fixed by the PC's design.)
 *
 * The interrupt flag is off, so nothing of ours disturbs the measurement; but where we are a guest,
 * a busy host may take the CPU away between any two instructions. So each end is a moment at which
 * the PIT's count changes, seen between two reads of the TSC. The distance of the two reads bounds
 * the error of the moment. If that error is not small against the whole time, new ends are chosen.
 */
#include "arch/x86/time.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/report/panic.h"
#include "lib/printk.h"

#define PIT_HZ		1193182
#define PIT_START	0xffff		/* 55 ms */
#define PIT_ENOUGH	(PIT_HZ / 100)	/* with these ends it gets no better */
#define PIT_CH2		0x42
#define PIT_COMMAND	0x43
#define PORT_B		0x61		/* bit 0: channel 2 counts */

#define TRIES		8
#define TRIES_MOST	100		/* if the count always went round before we had two ends */
#define GOOD		1024		/* one part in so many */
#define POLLS		100000		/* of a PIT that does not count */

u64 tsc_khz;
static u64 tsc_at_start;
static u64 ns_per_tsc_q32;		/* nanoseconds per TSC count, 32 fraction bits */

/* Counts; and from one moment to another, sums and differences of them. */
struct moment {
	u64 tsc, error;
	u32 apic, pit;
};

static void pit_start(void)
{
	outb(PORT_B, (inb(PORT_B) & ~0x02) | 0x01);
	outb(PIT_COMMAND, 0xb0);	/* channel 2, both bytes, mode 0: output rises at zero */
	outb(PIT_CH2, PIT_START & 0xff);
	outb(PIT_CH2, PIT_START >> 8);
}

static u32 pit_count(void)
{
	u32 low;

	outb(PIT_COMMAND, 0x80);	/* latch channel 2 */
	low = inb(PIT_CH2);
	return low | inb(PIT_CH2) << 8;
}

/* Ask the PIT itself, because not every machine that has one has port B. */
static bool pit_is_through(void)
{
	outb(PIT_COMMAND, 0xe8);	/* read back the status of channel 2: bit 7 is its output */
	return inb(PIT_CH2) & 0x80;
}

/* Wait for the count's next change, and return that moment. */
static struct moment next_change(void)
{
	u64 before = rdtsc();
	u32 first = pit_count();
	u64 between = rdtsc();

	for (int polls = 0; polls < POLLS; polls++) {
		u32 count = pit_count(), apic = apic_timer_counted();
		u64 after = rdtsc();

		if (count != first)
			return (struct moment){ (before + after) / 2, after - before + 1, apic,
						count };
		before = between;
		between = after;
	}
	panic("time: the PIT does not count; it is needed to calibrate the clock");
}

static bool better(const struct moment *a, const struct moment *b)
{
	unsigned __int128 error = a->error;

	return !b->tsc || error * b->tsc < (unsigned __int128)b->error * a->tsc;
}

/* From one moment to a later one. Return: is it good enough? */
static bool measure(struct moment *best)
{
	struct moment start, end, span;

	apic_timer_count_start();
	pit_start();
	start = next_change();
	do {
		end = next_change();
		span = (struct moment){ end.tsc - start.tsc, start.error + end.error,
					end.apic - start.apic, start.pit - end.pit };
		if (pit_is_through())
			return false;		/* the count has gone round */
		if (better(&span, best))
			*best = span;
	} while (span.error * GOOD > span.tsc && span.pit < PIT_ENOUGH);
	return span.error * GOOD <= span.tsc;
}

void time_init(void)
{
	struct moment best = {};

	for (int tries = 1; !measure(&best) && tries < (best.pit ? TRIES : TRIES_MOST); tries++)
		;
	if (best.pit) {
		tsc_khz = best.tsc * PIT_HZ / best.pit / 1000;
		apic_timer_khz = (u64)best.apic * PIT_HZ / best.pit / 1000;
	}
	if (!tsc_khz || !apic_timer_khz)
		panic("time: TSC %llu kHz, APIC timer %u kHz: one of them stands still", tsc_khz,
		      apic_timer_khz);
	ns_per_tsc_q32 = (1000000UL << 32) / tsc_khz;
	tsc_at_start = rdtsc();
	printk_set_clock(sched_clock);
	pr_info("time: TSC %llu.%03llu MHz, local APIC timer %u.%03u MHz", tsc_khz / 1000,
		tsc_khz % 1000, apic_timer_khz / 1000, apic_timer_khz % 1000);
	if (best.error * (GOOD / 16) > best.tsc)
		pr_warn("time: the host is busy; the clock may be wrong by %llu %%",
			best.error * 100 / best.tsc + 1);
}

u64 sched_clock(void)
{
	return (unsigned __int128)(rdtsc() - tsc_at_start) * ns_per_tsc_q32 >> 32;
}
