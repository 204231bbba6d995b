/* SPDX-License-Identifier: MIT */
/*
 * The longest section with preemption off, the longest with interrupts off, and where each began.
 * These numbers say what a lock that spins would cost ("latency=on"; user/latency.c asks). They
 * count steps of the TSC; under QEMU's -icount shift=0 one step is one instruction.
 *
 * The idle task is left out. Setting the option, to either value, forgets what was found.
 */
#pragma once

struct splat_latency;
void latency_get(struct splat_latency *result);
