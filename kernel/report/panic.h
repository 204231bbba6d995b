/* SPDX-License-Identifier: MIT */
/*
 * When something is wrong: WARN reports and goes on; BUG_ON and panic end the machine with a
 * failing exit code. None of them sleeps or can hang; each prints a trace.
 */
#pragma once

#include "kernel/report/report.h"

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

/*
 * How this machine is stopped (arch/x86/cpu/power.c). None of them sleeps, or needs a lock.
 */
struct machine_ops {
	void (*stop_other_cpus)(void);
	void (*save_registers)(void);	/* this CPU's, where a memory dump shows them */
	void (*exit)(u8 byte);		/* does not return */
};
extern const struct machine_ops machine_ops;

void panic(const char *fmt, ...) __printf(1, 2) __noreturn;

/* A report of @origin is complete. With panic_on_warn it was the last one. */
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
