/* SPDX-License-Identifier: MIT */
/*
 * The kernel's arch/x86/time.c beside a PIT, a TSC and an APIC timer that are made up, on a host
 * that is busy: between any two of their uses it may take the CPU away, for up to a third of a
 * second. Then it lets the CPU run for a tenth of a millisecond to some milliseconds.
 *
 * Exit status 0, or 1 and a line: a rate is wrong by more than one part in 200.
 */
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/time.h"
#include "kernel/report/panic.h"
#include "lib/printk.h"
#include "tests/kernel/random.h"

#define HOSTS		500
#define PIT_HZ		1193182
#define NS		1000000000UL

int printf(const char *fmt, ...);
void _exit(int status) __noreturn;
int fork(void);
int waitpid(int pid, int *status, int options);
int fflush(void *stream);

u32 apic_timer_khz;

static u64 now_ns, seed, tsc_hz, apic_hz, apic_start_ns;
static u64 pit_start_ns, cost_ns;
static u64 run_ns, pause_at_ns;		/* it runs for so long at most; 0: one pause */
static bool pit_stands, expect_panic, tsc_stands;
static u16 pit_load, pit_latch;
static unsigned int pit_byte;
static bool pit_status;			/* the next byte is this, and not the count's */
static int warnings;

static u64 scaled(u64 ns, u64 hz)
{
	return (unsigned __int128)ns * hz / NS;
}

/* Something was done: that took time, and perhaps the CPU was away. */
static void pass(void)
{
	now_ns += cost_ns;
	if (!pause_at_ns || now_ns < pause_at_ns)
		return;
	now_ns += next_random(&seed) % (NS / (next_random(&seed) % 3 ? 200 : 3));
	pause_at_ns = run_ns ? now_ns + run_ns / 20 + next_random(&seed) % run_ns : 0;
}

u64 rdtsc(void)
{
	pass();
	return tsc_stands ? 7 : 1000 + scaled(now_ns, tsc_hz);
}

void apic_timer_count_start(void)
{
	pass();
	apic_start_ns = now_ns;
}

u32 apic_timer_counted(void)
{
	pass();
	return scaled(now_ns - apic_start_ns, apic_hz);
}

static u64 pit_ticks(void)
{
	return pit_stands ? 0 : scaled(now_ns - pit_start_ns, PIT_HZ);
}

u8 inb(u16 port)
{
	pass();
	if (port == 0x61)
		return 0xff;		/* nobody is there */
	if (pit_status) {
		pit_status = false;
		return pit_ticks() >= pit_load ? 0x80 : 0;
	}
	return pit_byte++ % 2 ? pit_latch >> 8 : pit_latch;
}

void outb(u16 port, u8 value)
{
	pass();
	if (port == 0x43 && value == 0x80) {
		pit_latch = pit_load - pit_ticks();
		pit_byte = 0;
	} else if (port == 0x43 && value == 0xe8) {
		pit_status = true;
	} else if (port == 0x43) {
		pit_byte = 0;
	} else if (port == 0x42 && pit_byte++ % 2 == 0) {
		pit_load = value;
	} else if (port == 0x42) {
		pit_load |= value << 8;
		pit_start_ns = now_ns;
	}
}

void printk_set_clock(u64 (*ns)(void)) { }

void printk(const char *fmt, ...)
{
	warnings += fmt[1] == '4';
}

void panic(const char *fmt, ...)
{
	if (!expect_panic)
		printf("panic: %s\n", fmt);
	fflush(NULL);
	_exit(!expect_panic);
}

static void off(const char *what, u64 got, u64 want, u64 parts)
{
	u64 error = got > want ? got - want : want - got;

	if (error * parts <= want)
		return;
	printf("%s: %llu, not %llu; pauses come within %llu ns, a use takes %llu ns\n", what, got,
	       want, run_ns, cost_ns);
	fflush(NULL);
	_exit(1);
}

/* @parts: as good as one in so many. @ms: in how many milliseconds of its own. */
static void calibrate(u64 parts, u64 ms)
{
	u64 start = now_ns;

	pit_byte = 0;
	time_init();
	off("TSC", tsc_khz, tsc_hz / 1000, parts);
	off("APIC timer", apic_timer_khz, apic_hz / 1000, parts);
	off("sched_clock is near 0", sched_clock() < 100 * cost_ns || pause_at_ns, 1, 1);
	if ((now_ns - start) / 1000000 > ms) {
		printf("it took %llu ms\n", (now_ns - start) / 1000000);
		_exit(1);
	}
}

static void another_host(void)
{
	tsc_hz = 50000000 + next_random(&seed) % 4000000000U;
	apic_hz = 25000000 + next_random(&seed) % 1000000000U;
	cost_ns = 2 + next_random(&seed) % 20;
}

static void on_all(void (*host)(void))
{
	int status = 1, pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		host();
		fflush(NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		_exit(1);
}

static void quiet(void)
{
	for (int i = 0; i < HOSTS; i++) {
		another_host();
		calibrate(500, 1);
	}
	cost_ns = 1500;			/* silicon's ports are slow, and those of a hypervisor */
	calibrate(400, 100);
	if (warnings) {
		printf("%d warnings on quiet hosts\n", warnings);
		_exit(1);
	}
}

static void busy_one(void)
{
	for (int i = 0; i < HOSTS; i++) {
		another_host();
		pause_at_ns = now_ns + 1;
		run_ns = 1000000 + next_random(&seed) % 4000000;
		calibrate(200, ~0UL);
	}
}

/* One pause, just when the first moment is looked for. */
static void once(void)
{
	for (u64 at = 1; at < 4000; at += 5) {
		another_host();
		cost_ns = 20;
		pause_at_ns = now_ns + at;
		calibrate(400, ~0UL);
	}
}

/* It can hardly be good; then it says so. */
static void hopeless(void)
{
	another_host();
	cost_ns = 20;
	run_ns = 300;
	pause_at_ns = now_ns + 1;
	time_init();
	if (warnings)
		return;
	off("TSC, without a warning", tsc_khz, tsc_hz / 1000, 60);
	off("APIC timer, without a warning", apic_timer_khz, apic_hz / 1000, 60);
}

static void without_pit(void)
{
	another_host();
	pit_stands = expect_panic = true;
	time_init();
	_exit(1);
}

static void without_tsc(void)
{
	another_host();
	tsc_stands = expect_panic = true;
	time_init();
	_exit(1);
}

int main(int argc, char **argv)
{
	for (seed = 1; argc > 1 && *argv[1]; argv[1]++)
		seed = seed * 31 + *argv[1];
	on_all(quiet);
	on_all(once);
	on_all(busy_one);
	on_all(hopeless);
	on_all(without_pit);
	on_all(without_tsc);
	return 0;
}
