/* SPDX-License-Identifier: MIT */
/*
 * Kernel messages: one call is one line, kept in a ring and sent to the console.
 *
 * Context: any, NMI included; never sleeps and does not touch preempt_count. A message that comes
 * while another context holds the console is printed by that holder before it lets go, so nothing
 * is lost or torn.
 */
#pragma once

#include "lib/types.h"

#define KERN_SOH	"\001"
#define KERN_EMERG	KERN_SOH "0"
#define KERN_ERR	KERN_SOH "3"
#define KERN_WARNING	KERN_SOH "4"
#define KERN_NOTICE	KERN_SOH "5"
#define KERN_INFO	KERN_SOH "6"
#define KERN_PLAIN	KERN_SOH "p"	/* no time stamp: KTAP */

/**
 * printk() - print one line; the level prefix comes first in @fmt, the newline at its end is
 * optional. Lines longer than PRINTK_LINE_MAX are cut and marked with "...".
 */
void printk(const char *fmt, ...) __printf(1, 2);

#define PRINTK_LINE_MAX 240

/*
 * Where messages go, and where their times come from: each is set once. Until then a message waits
 * in the ring, and its time is 0.
 */
struct console {
	void (*write)(const char *text, size_t len);
	void (*fresh_line)(void);	/* a message is to begin in column 0 */
};
void register_console(const struct console *console);
void printk_set_clock(u64 (*ns)(void));

/*
 * Print what ring 3 writes: to the console, in order with the log. Waits while another CPU prints,
 * so not from NMI. Does not sleep.
 */
void console_write_user(const char *text, size_t len);

/*
 * Messages are numbered. printk_next() is the next message's number; printk_text() is the text of
 * message @seq, or NULL if it is not there any more. For tests: nobody else may print meanwhile.
 */
u64 printk_next(void);
const char *printk_text(u64 seq);

/* All other CPUs are stopped, perhaps one that held the console. The console is free now. */
void console_take_over(void);

/* Messages of a level below this go to the console; all go to the ring. Option "loglevel=". */
extern int console_loglevel;

/* The machine is about to end: all levels go to the console from now on. */
void console_verbose(void);

#define pr_emerg(fmt, ...)	printk(KERN_EMERG fmt, ##__VA_ARGS__)
#define pr_err(fmt, ...)	printk(KERN_ERR fmt, ##__VA_ARGS__)
#define pr_warn(fmt, ...)	printk(KERN_WARNING fmt, ##__VA_ARGS__)
#define pr_notice(fmt, ...)	printk(KERN_NOTICE fmt, ##__VA_ARGS__)
#define pr_info(fmt, ...)	printk(KERN_INFO fmt, ##__VA_ARGS__)
#define pr_plain(fmt, ...)	printk(KERN_PLAIN fmt, ##__VA_ARGS__)
