/* SPDX-License-Identifier: MIT */
/* ksoftirqd/N runs the softirqs of CPU N: with rt=on all of them, with rt=off what is left over. */
#pragma once

/* Makes the threads. Called once, when tasks can be made. May sleep. */
void ksoftirqd_init(void);
