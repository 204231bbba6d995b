// SPDX-License-Identifier: MIT
/*
 * The log: a ring of fixed-size records, each claimed by one atomic add, so that any context may
 * write one.
 *
 * The CPU that gets the console prints every finished record in order and then looks again; a CPU
 * that does not get it leaves its record to the holder. Interrupts are off while the console is
 * held, so the holder is never preempted; an NMI that comes meanwhile finds the console taken and
 * returns. printk() waits for no lock, and never touches preempt_count, because its "disabled at"
 * address must survive the report that prints it.
 */
#include "lib/printk.h"
#include "arch/x86/cpu/insns.h"
#include "lib/string.h"

#define LOG_RECORDS	512		/* a power of two */

struct log_record {
	u64 seq;			/* of the message in it, plus 1; 0: being written */
	u64 ns;
	u8 level;
	char text[PRINTK_LINE_MAX];
};

static struct log_record log_ring[LOG_RECORDS];
static u64 log_next;			/* sequence number of the next message */
static u64 console_seq;			/* next to print; the console holder's */
static bool console_busy;
static bool console_taken;		/* one CPU is left: no other finishes a record */
int console_loglevel = 8;

static const struct console *console;	/* NULL: there is none yet */
static u64 (*clock)(void);		/* likewise */

void register_console(const struct console *new)
{
	console = new;
}

void printk_set_clock(u64 (*ns)(void))
{
	clock = ns;
}

void console_verbose(void)
{
	WRITE_ONCE(console_loglevel, 8);
}

static void console_emit(const struct log_record *r)
{
	char prefix[32];

	if (r->level != 'p' && r->level - '0' >= console_loglevel)
		return;
	console->fresh_line();
	if (r->level != 'p') {
		snprintf(prefix, sizeof(prefix), "[%5llu.%06llu] ", r->ns / 1000000000,
			 r->ns / 1000 % 1000000);
		console->write(prefix, strlen(prefix));
	}
	console->write(r->text, strlen(r->text));
	console->write("\n", 1);
}

/* Print all finished records. Interrupts off, console_busy ours. */
static void console_flush_held(void)
{
	while (console_seq != __atomic_load_n(&log_next, __ATOMIC_ACQUIRE)) {
		struct log_record *r = &log_ring[console_seq % LOG_RECORDS];
		u64 seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);

		/* The ring went round: say how much is lost. */
		if (seq > console_seq + 1) {
			console_seq = seq - 1;
			console->fresh_line();
			console->write("** messages lost **\n", 20);
			continue;
		}
		if (seq == console_seq + 1)
			console_emit(r);
		else if (!console_taken)
			/* The record's writer finishes it and comes here itself. */
			return;
		console_seq++;
	}
}

static void console_flush(void)
{
	u64 next;

	if (!console)
		return;
	do {
		unsigned long flags = raw_local_irq_save();

		if (__atomic_exchange_n(&console_busy, true, __ATOMIC_ACQUIRE)) {
			raw_local_irq_restore(flags);
			return;
		}
		console_flush_held();
		next = console_seq;
		/*
		 * A record finished after the last look and before the release would wait for the
		 * next message. So look once more, but only when others can see the release, which
		 * takes the full barrier.
		 */
		__atomic_store_n(&console_busy, false, __ATOMIC_SEQ_CST);
		raw_local_irq_restore(flags);
	} while (__atomic_load_n(&log_ring[next % LOG_RECORDS].seq, __ATOMIC_ACQUIRE) == next + 1);
}

void printk(const char *fmt, ...)
{
	/* No later record is printed until this one is finished, so nothing may preempt us. */
	unsigned long flags = raw_local_irq_save();
	u64 seq = __atomic_fetch_add(&log_next, 1, __ATOMIC_ACQ_REL);
	struct log_record *r = &log_ring[seq % LOG_RECORDS];
	u8 level = '6';
	va_list args;
	int len;

	if (fmt[0] == '\001') {
		level = fmt[1];
		fmt += 2;
	}
	__atomic_store_n(&r->seq, 0, __ATOMIC_RELEASE);
	r->ns = clock ? clock() : 0;
	r->level = level;
	va_start(args, fmt);
	len = vsnprintf(r->text, PRINTK_LINE_MAX, fmt, args);
	va_end(args);
	if (len >= PRINTK_LINE_MAX)
		memcpy(r->text + PRINTK_LINE_MAX - 4, "...", 4);
	else if (len && r->text[len - 1] == '\n')
		r->text[len - 1] = '\0';
	__atomic_store_n(&r->seq, seq + 1, __ATOMIC_RELEASE);
	raw_local_irq_restore(flags);
	console_flush();
}

/*
 * Print what ring 3 writes: straight to the console, without a record, in order with the log. Does
 * not sleep. Waits for the console, which another CPU holds for one line at most, so not for NMI
 * context.
 */
void console_write_user(const char *text, size_t len)
{
	unsigned long flags = raw_local_irq_save();

	while (__atomic_exchange_n(&console_busy, true, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	console->write(text, len);
	__atomic_store_n(&console_busy, false, __ATOMIC_RELEASE);
	raw_local_irq_restore(flags);
	console_flush();		/* what was logged meanwhile */
}

void console_take_over(void)
{
	console_taken = true;
	__atomic_store_n(&console_busy, false, __ATOMIC_RELEASE);
	console_flush();
}

u64 printk_next(void)
{
	return __atomic_load_n(&log_next, __ATOMIC_ACQUIRE);
}

const char *printk_text(u64 seq)
{
	const struct log_record *r = &log_ring[seq % LOG_RECORDS];

	return __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE) == seq + 1 ? r->text : NULL;
}
