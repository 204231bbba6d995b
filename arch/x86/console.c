// SPDX-License-Identifier: MIT
/*
 * A 16550 UART, polled (see console.h), and a text screen that shows the same. A machine without
 * one of them loses output, never time, because each wait is bounded.
 */
#include "arch/x86/console.h"
#include "arch/x86/cpu/insns.h"
#include "lib/printk.h"

#define COM1		0x3f8
#define UART_DATA	(COM1 + 0)
#define UART_IER	(COM1 + 1)
#define UART_FCR	(COM1 + 2)
#define UART_LCR	(COM1 + 3)
#define UART_MCR	(COM1 + 4)
#define UART_LSR	(COM1 + 5)
#define LSR_RX_READY	0x01
#define LSR_TX_EMPTY	0x20		/* room for another byte */
#define LSR_TX_IDLE	0x40		/* all bytes are sent */
#define NO_UART		0xff		/* what is read where nothing answers */

static bool mid_line;

static void await_uart(u8 bit)
{
	for (int i = 0; i < 100000 && !(inb(UART_LSR) & bit); i++)
		cpu_relax();
}

void console_drain(void)
{
	await_uart(LSR_TX_IDLE);
}

static void put_byte(char c)
{
	await_uart(LSR_TX_EMPTY);
	outb(UART_DATA, c);
}

/* '\n' as CR LF. The caller holds the console. */
static void console_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			put_byte('\r');
		put_byte(text[i]);
		mid_line = text[i] != '\n';
	}
	vga_write(text, len);
}

/* Ends the line that ring 3 has begun, if any. */
static void console_fresh_line(void)
{
	if (mid_line)
		console_write("\n", 1);
}

int console_getc(void)
{
	u8 status = inb(UART_LSR);

	return status != NO_UART && (status & LSR_RX_READY) ? inb(UART_DATA) : -1;
}

static const struct console serial = { console_write, console_fresh_line };

void console_init(void)
{
	outb(UART_IER, 0);		/* no interrupts */
	outb(UART_LCR, 0x80);		/* divisor: 115200 baud */
	outb(UART_DATA, 1);
	outb(UART_IER, 0);
	outb(UART_LCR, 0x03);		/* 8 bits, no parity, one stop bit */
	/* Switching the FIFOs on empties them. If somebody has typed already, do without. */
	if (!(inb(UART_LSR) & LSR_RX_READY))
		outb(UART_FCR, 0x01);
	outb(UART_MCR, 0x03);		/* DTR, RTS */
	vga_init();
	register_console(&serial);
}
