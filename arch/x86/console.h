/* SPDX-License-Identifier: MIT */
/*
 * The console: the first serial port (16550 at COM1), by polling, so that it works in every
 * context; a text screen, if there is one, shows what is written.
 */
#pragma once

#include "lib/types.h"

void console_init(void);

/* Write bytes, '\n' as CR LF. The caller holds the console (lib/printk.c). Does not sleep. */
void console_write(const char *text, size_t len);

/* End the line that ring 3 has begun, if any, so that a kernel message starts in column 0. */
void console_fresh_line(void);

/* Wait until all is out: a machine that is switched off loses what is still on its way. */
void console_drain(void);

/* One byte that has arrived, or -1. Does not sleep. */
int console_getc(void);

/* vga.c: the text screen of a VGA, where there is one. For console.c. */
void vga_init(void);
void vga_write(const char *bytes, size_t len);

/* lib/printk.c: write for ring 3, in order with the log. */
void console_write_user(const char *text, size_t len);
