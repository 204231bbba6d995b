/* SPDX-License-Identifier: MIT */
/*
 * When something is wrong: WARN goes on, BUG ends the task's world, panic ends the machine with a
 * failing exit code. None of them sleeps; all print registers or a trace; none can hang.
 */
#pragma once

#include "kernel/uapi.h"
#include "lib/types.h"

/*
 * What machine_exit() takes (arch/x86/cpu/power.h), and the exit code that QEMU's isa-debug-exit
 * makes of it: (byte << 1) | 1.
 */
#define EXIT_BYTE_PASS		0x10	/* 33 */
#define EXIT_BYTE_FAIL		0x11	/* 35 */
#define EXIT_BYTE_PANIC		0x12	/* 37 */

enum system_states {
	SYSTEM_BOOTING,			/* might_sleep stays silent */
	SYSTEM_RUNNING,
	SYSTEM_HALT,
};
extern enum system_states system_state;

#define TAINT_WARN	9
/*
 * Note that the kernel has complained (taint W), and the text that says so: "Not tainted" or
 * "Tainted: G ...".
 */
void add_taint(unsigned int bit);
const char *print_tainted(void);

void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

/* Reports by kind since boot; each is counted before any rate limit. */
extern u64 splat_counts[SPLAT_KINDS];
void splat_count(enum splat_kind kind);

/**
 * report_begin(), report_end() - one CPU at a time prints a report of several lines, so that each
 * line belongs to the one before. Interrupts are off in between; nests, and an NMI in between may
 * print. Begin returns the flags for end. Not around what waits for another CPU.
 * Context: any; waits for the CPU that prints, but not on the CPU that panics.
 */
unsigned long report_begin(void);
void report_end(unsigned long flags);

/* A report of @origin is complete: with panic_on_warn it was the last one. */
void check_panic_on_warn(const char *origin);

/* Print the report and count it as @kind. */
void warn_slowpath(enum splat_kind kind, const char *file, int line, unsigned long ip,
		   const char *fmt, ...) __printf(5, 6);

#define WARN_KIND(kind, ...) warn_slowpath(kind, __FILE__, __LINE__, _THIS_IP_, __VA_ARGS__)
/* Printed once, counted each time. */
#define WARN_KIND_ONCE(kind, ...) do {							\
	static bool __warned;								\
											\
	if (__warned)									\
		splat_count(kind);							\
	else										\
		WARN_KIND(kind, __VA_ARGS__);						\
	__warned = true;								\
} while (0)
/* The value is that of @cond. */
#define WARN_IF(cond, report) ({							\
	bool __warn = !!(cond);								\
											\
	if (unlikely(__warn))								\
		report;									\
	unlikely(__warn); })
#define WARN(cond, ...)		WARN_IF(cond, WARN_KIND(SPLAT_WARN, __VA_ARGS__))
#define WARN_ONCE(cond, ...)	WARN_IF(cond, WARN_KIND_ONCE(SPLAT_WARN, __VA_ARGS__))
#define WARN_ON(cond)		WARN(cond, "%s", #cond)
#define WARN_ON_ONCE(cond)	WARN_ONCE(cond, "%s", #cond)
#define BUG_ON(cond) do {							\
	if (unlikely(cond))							\
		panic("kernel BUG at %s:%d: %s", __FILE__, __LINE__, #cond);	\
} while (0)
