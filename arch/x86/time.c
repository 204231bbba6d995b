// SPDX-License-Identifier: MIT
/*
 * Calibration: let the PIT's channel 2 count 10 ms (its 1.193182 MHz are fixed by the PC's design)
 * and see how far the TSC and the local APIC's timer get meanwhile. The interrupt flag is off, so
 * nothing disturbs the measurement.
 */
#include "arch/x86/time.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/panic.h"
#include "lib/printk.h"

#define PIT_HZ		1193182
#define PIT_MS		10
#define PIT_CH2		0x42
#define PIT_COMMAND	0x43
#define PORT_B		0x61		/* bit 0: channel 2 counts, bit 5: it is done */

u64 tsc_khz;
static u64 tsc_at_start;
static u64 ns_per_tsc_q32;		/* nanoseconds per TSC count, 32 fraction bits */

static void pit_start(u16 count)
{
	outb(PORT_B, (inb(PORT_B) & ~0x02) | 0x01);
	outb(PIT_COMMAND, 0xb0);	/* channel 2, both bytes, mode 0: output rises at zero */
	outb(PIT_CH2, count & 0xff);
	outb(PIT_CH2, count >> 8);
}

void time_init(void)
{
	u64 start, end;
	u32 apic;

	pit_start(PIT_HZ * PIT_MS / 1000);
	apic_timer_count_start();
	start = rdtsc();
	for (u64 tries = 0; !(inb(PORT_B) & 0x20); tries++)
		if (tries > 100000000)
			panic("time: the PIT does not count; it is needed to calibrate the clock");
	end = rdtsc();
	apic = apic_timer_counted();

	tsc_khz = (end - start) / PIT_MS;
	apic_timer_khz = apic / PIT_MS;
	if (!tsc_khz || !apic_timer_khz)
		panic("time: TSC %llu kHz, APIC timer %u kHz: one of them stands still", tsc_khz,
		      apic_timer_khz);
	ns_per_tsc_q32 = (1000000UL << 32) / tsc_khz;
	tsc_at_start = start;
	pr_info("time: TSC %llu.%03llu MHz, local APIC timer %u.%03u MHz", tsc_khz / 1000,
		tsc_khz % 1000, apic_timer_khz / 1000, apic_timer_khz % 1000);
}

u64 sched_clock(void)
{
	return (unsigned __int128)(rdtsc() - tsc_at_start) * ns_per_tsc_q32 >> 32;
}
