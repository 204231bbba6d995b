/* SPDX-License-Identifier: MIT */
/* The text screen of a VGA: shows what the serial console says, where there is such a screen. */
#pragma once

#include "lib/types.h"

void vga_init(void);

/* As console_write(), whose caller holds the console for both. Does not sleep. */
void vga_write(const char *bytes, size_t len);
