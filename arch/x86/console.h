/* SPDX-License-Identifier: MIT */
/*
 * The console: the first serial port (16550 at COM1), by polling, so that it works in every
 * context; a text screen, if there is one, shows what is written.
 */
#pragma once

#include "lib/types.h"

/* From here on messages come out. */
void console_init(void);

/* Wait until all is out, as a machine that is switched off loses what is still on its way. */
void console_drain(void);

/* One byte that has arrived, or -1. Does not sleep. */
int console_getc(void);

/* vga.c: the text screen of a VGA, where there is one. For console.c. */
void vga_init(void);
void vga_write(const char *bytes, size_t len);
