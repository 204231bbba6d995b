/* SPDX-License-Identifier: MIT */
/* The trace's rings, one for each CPU. */
#pragma once

/* Begin a trace if the command line asks for one. After kmalloc_init(). */
void trace_init(void);
