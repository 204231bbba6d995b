// SPDX-License-Identifier: MIT
/* Runs the table of LATE_INIT functions (see init.h). */
#include "lib/init.h"

void late_inits(void)
{
	extern void (*const __start_lateinits[])(void), (*const __stop_lateinits[])(void);

	for (void (*const *fn)(void) = __start_lateinits; fn < __stop_lateinits; fn++)
		(*fn)();
}
